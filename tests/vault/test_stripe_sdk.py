"""Stripe's own Python SDK, unmodified, spends with a vault key: what the policy allows reaches a
stateful mock of Stripe with the real key, and nothing else does."""

from __future__ import annotations

from typing import Any, Callable

import pytest
import stripe

from harness.vault import REAL_STRIPE_KEY, Key, Vault, Vendor


CARD = {"object": "card", "number": "4242424242424242", "exp_month": 12, "exp_year": 2099, "cvc": "123"}


def client(vault: Vault, key: Key, **more: Any) -> stripe.StripeClient:
    return stripe.StripeClient(key.text, base_addresses={"api": vault.url + "/stripe"}, max_network_retries=0, **more)


def charge(c: stripe.StripeClient, amount: int, **more: Any) -> Any:
    return c.v1.charges.create({"amount": amount, "currency": "usd", "customer": more.pop("customer"), **more})


def code(refused: Any) -> str:
    return refused.value.json_body["error"]["code"]


@pytest.fixture
def customer(localstripe: Vendor) -> Callable[[Vault, Key], str]:
    def make(vault: Vault, key: Key) -> str:
        made = client(vault, key).v1.customers.create({"email": "a@example.com", "source": CARD})
        return made.id

    return make


def test_allowed_calls_reach_stripe_with_the_real_key(stripe_vault, localstripe, customer):
    vault = stripe_vault(localstripe)
    key = vault.issue("stripe", "bot", "--agent", "helper", "--shape", "vendor")
    assert key.text.startswith("sk_test_vault")
    who = customer(vault, key)
    made = charge(client(vault, key), 1500, customer=who)
    assert made.amount == 1500 and made.paid
    assert client(vault, key).v1.charges.retrieve(made.id).id == made.id
    assert len(localstripe.calls) == 3
    for call in localstripe.calls:
        assert call.all("Authorization") == [f"Bearer {REAL_STRIPE_KEY}"]
        assert key.text not in str(call)


@pytest.mark.parametrize("shape", ["vault", "stripe", "restricted"])
def test_every_shape_of_the_key_opens(stripe_vault, localstripe, shape):
    vault = stripe_vault(localstripe)
    key = vault.issue("stripe", "bot", "--shape", shape)
    assert client(vault, key).v1.customers.list().data == []


def test_max_amount_at_the_limit_and_one_over(stripe_vault, localstripe, customer):
    vault = stripe_vault(localstripe)
    key = vault.issue("stripe", "bot")
    who = customer(vault, key)
    charge(client(vault, key), 2000, customer=who)
    with pytest.raises(stripe.PermissionError) as refused:
        charge(client(vault, key), 2001, customer=who)
    assert code(refused) == "amount_over_max"
    assert [c.target for c in localstripe.calls].count("/v1/charges") == 1


def test_daily_cap_at_the_limit_and_one_over(stripe_vault, localstripe, customer):
    vault = stripe_vault(localstripe, daily_cap="30 usd")
    key = vault.issue("stripe", "bot")
    who = customer(vault, key)
    charge(client(vault, key), 2000, customer=who)
    with pytest.raises(stripe.PermissionError) as refused:
        charge(client(vault, key), 1001, customer=who)
    assert code(refused) == "cap_exceeded"
    assert "10" in str(refused.value)  # what is left
    charge(client(vault, key), 1000, customer=who)
    with pytest.raises(stripe.PermissionError):
        charge(client(vault, key), 1, customer=who)
    assert [c.target for c in localstripe.calls].count("/v1/charges") == 2


def test_endpoints(stripe_vault, localstripe, customer):
    vault = stripe_vault(localstripe)
    key = vault.issue("stripe", "bot")
    who = customer(vault, key)
    made = charge(client(vault, key), 100, customer=who)
    before = len(localstripe.calls)
    with pytest.raises(stripe.PermissionError) as refused:
        client(vault, key).v1.refunds.create({"charge": made.id, "amount": 100})
    assert code(refused) == "operation_denied"
    assert len(localstripe.calls) == before


def test_customers(stripe_vault, localstripe):
    vault = stripe_vault(localstripe, customers=["cus_mine"])
    key = vault.issue("stripe", "bot")
    for who, error in (("cus_mine", stripe.InvalidRequestError), ("cus_other", stripe.PermissionError)):
        with pytest.raises(error):  # the mock does not know cus_mine: it was asked
            charge(client(vault, key), 100, customer=who)
    assert [c.asked.decode() for c in localstripe.calls] == ["amount=100&currency=usd&customer=cus_mine"]


def test_a_policy_that_expired_opens_nothing(stripe_vault, capture):
    vault = stripe_vault(capture, expires="2026-01-01T00:00:00Z")
    key = vault.issue("stripe", "bot")
    with pytest.raises(stripe.PermissionError) as refused:
        client(vault, key).v1.customers.list()
    assert code(refused) == "policy_expired"
    assert not capture.calls


def test_a_revoked_key_opens_nothing_and_others_do(stripe_vault, localstripe):
    vault = stripe_vault(localstripe)
    key, other = vault.issue("stripe", "bot"), vault.issue("stripe", "bot")
    c = client(vault, key)
    c.v1.customers.list()
    assert vault.revoke(key)["id"] == key.id
    with pytest.raises(stripe.AuthenticationError) as refused:
        c.v1.customers.list()
    assert code(refused) == "key_revoked"
    client(vault, other).v1.customers.list()
    assert len(localstripe.calls) == 2


def test_pause_and_resume(stripe_vault, localstripe):
    vault = stripe_vault(localstripe)
    key = vault.issue("stripe", "bot")
    vault.command("key", "pause", key.id)
    with pytest.raises(stripe.AuthenticationError):
        client(vault, key).v1.customers.list()
    vault.command("key", "resume", key.id)
    client(vault, key).v1.customers.list()


def test_a_refused_call_is_tried_once(stripe_vault, capture):
    """The SDK retries when it is told to; a denial says not to."""
    vault = stripe_vault(capture)
    key = vault.issue("stripe", "bot")
    c = stripe.StripeClient(key.text, base_addresses={"api": vault.url + "/stripe"}, max_network_retries=3)
    with pytest.raises(stripe.PermissionError):
        charge(c, 9999, customer="cus_1")
    denied = [row for row in vault.audit() if row.get("verdict") == "denied"]
    assert len(denied) == 1


def test_a_retry_of_the_sdk_is_counted_once(stripe_vault, capture):
    """The vendor takes the charge and drops the connection; the SDK asks again with its idempotency
    key, and the vendor gives the answer that it had given."""
    from harness.vault import Reply

    vault = stripe_vault(capture, daily_cap="20 usd")
    key = vault.issue("stripe", "bot")
    body = b'{"id":"ch_1","object":"charge","amount":2000,"currency":"usd"}'
    capture.reply = lambda call: Reply(drop=True) if len(capture.calls) == 1 else Reply(body=body)
    c = stripe.StripeClient(key.text, base_addresses={"api": vault.url + "/stripe"}, max_network_retries=2)
    assert charge(c, 2000, customer="cus_1").id == "ch_1"
    assert len({call.all("Idempotency-Key")[0] for call in capture.calls}) == 1
    with pytest.raises(stripe.PermissionError):  # the cap is used up, once
        charge(c, 1, customer="cus_1")


def test_the_audit_tells_every_call(stripe_vault, localstripe, customer):
    vault = stripe_vault(localstripe)
    key = vault.issue("stripe", "bot", "--agent", "helper", "--server", "mcp", "--name", "one")
    who = customer(vault, key)
    c = client(vault, key)
    c.v1.charges.create({"amount": 700, "currency": "usd", "customer": who}, {"headers": {"X-Agent-Run-Id": "run-7"}})
    with pytest.raises(stripe.PermissionError):
        c.v1.charges.create({"amount": 9900, "currency": "usd", "customer": who}, {"headers": {"X-Agent-Run-Id": "run-7"}})
    with pytest.raises(stripe.StripeError):
        c.v1.charges.retrieve("ch_none", options={"headers": {"X-Agent-Run-Id": "run-7"}})
    assert all(not call.all("X-Agent-Run-Id") for call in localstripe.calls)
    rows = [row for row in vault.audit() if row.get("run") == "run-7"]
    outcomes = [(r["operation"], r["verdict"]) for r in rows if r["kind"] == "call.outcome"]
    assert outcomes == [("charges.create", "allowed"), ("charges.create", "denied"), ("charges.retrieve", "failed")]
    intents = [r for r in rows if r["kind"] == "call.intent"]
    assert len(intents) == 2  # the denied one was never announced
    first = next(r for r in rows if r["kind"] == "call.outcome")
    assert first["agent"] == "helper" and first["server"] == "mcp" and first["key_name"] == "one"
    assert first["key_id"] == key.id and first["customer"] == who and first["currency"] == "usd"
    assert REAL_STRIPE_KEY not in str(rows) and key.text not in str(rows)
