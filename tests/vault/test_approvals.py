"""Calls that wait for a human: bound to the exact request, good for one call, and nobody's answer
is no."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import hmac
import json
import os
import pty
import subprocess
import time
import urllib.parse
from typing import Any, Iterator

import pytest
import stripe

from harness import web
from harness.process import environment, wait_for
from harness.vault import REAL_STRIPE_KEY, Key, Reply, Vault, Vendor

HOOK_SECRET = "hook-secret-0123456789abcdef"


@pytest.fixture
def hook() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.stop()


def charge(vault: Vault, key: Key, amount: int = 1500, **headers: str) -> Any:
    body = f"amount={amount}&currency=usd&customer=cus_1"
    all_headers = {"Content-Type": "application/x-www-form-urlencoded", **{k.replace("_", "-"): v for k, v in headers.items()}}
    return vault.request("/stripe/v1/charges", key, "POST", all_headers, body.encode())


def pending(vault: Vault) -> list[dict[str, Any]]:
    return vault.command("approval", "list")["approvals"]


def ticket_of(reply: Any) -> str:
    assert reply.status == 403, reply.body
    (ticket,) = [value for name, value in reply.headers if name.lower() == "x-octroi-approval"]
    assert ticket in json.loads(reply.body)["error"]["message"]
    return ticket


def test_a_ticket_lets_the_same_request_pass_once(stripe_vault, capture):
    vault = stripe_vault(approve_over="10 usd")
    key = vault.issue("stripe", "bot", "--agent", "helper", "--run", "run-7")
    assert charge(vault, key, 1000).status == 200  # at the threshold nobody is asked
    capture.calls.clear()
    refused = charge(vault, key, 1001)
    ticket = ticket_of(refused)
    assert json.loads(refused.body)["error"]["code"] == "needs_approval"
    assert [v for n, v in refused.headers if n.lower() == "retry-after"] == ["15"]
    assert ticket_of(charge(vault, key, 1001)) == ticket  # asked once
    shown = vault.command("approval", "show", ticket)
    assert shown["amount"] == "10.01 usd" and shown["operation"] == "charges.create"
    assert shown["agent"] == "helper" and shown["run"] == "run-7" and shown["state"] == "pending"
    assert capture.calls == []

    assert vault.command("approval", "approve", ticket, "--by", "ann")["state"] == "approved"
    assert ticket_of(charge(vault, key, 1002)) != ticket  # another body is another question
    assert charge(vault, key, 1001).status == 200
    assert len(capture.calls) == 1
    assert ticket_of(charge(vault, key, 1001)) != ticket  # it was good for one
    assert len(capture.calls) == 1
    assert vault.command("approval", "approve", ticket, ok=False).returncode != 0  # used

    rows = vault.audit_rows("--kind", "approval.approved")
    assert [r["details"] for r in rows] == [{"by": "ann", "ticket": ticket}]
    intents = [r for r in vault.audit() if r["kind"] == "call.intent" and r.get("details")]
    assert [r["details"]["approval"] for r in intents] == [ticket]
    assert len(vault.audit_rows("--kind", "approval.asked")) == 3


def test_of_many_that_come_at_once_one_passes(stripe_vault, capture):
    vault = stripe_vault(approve_over="10 usd", daily_cap="1000 usd")
    key = vault.issue("stripe", "bot")
    ticket = ticket_of(charge(vault, key))
    vault.command("approval", "approve", ticket)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        states = [r.status for r in pool.map(lambda _: charge(vault, key), range(32))]
    assert states.count(200) == 1 and states.count(403) == 31
    assert len(capture.calls) == 1


def seen_in_a_terminal(vault: Vault, *words: str) -> str:
    """What a person is shown."""
    ours, theirs = pty.openpty()
    done = subprocess.run([str(vault.binary), *words, "--config", str(vault.file)], stdout=theirs, env=environment(), timeout=60)
    os.close(theirs)
    text = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while piece := os.read(ours, 4096):
            text += piece
    os.close(ours)
    assert done.returncode == 0
    return text.decode()


def test_no_text_of_an_agent_moves_the_cursor_of_who_decides(stripe_vault, capture):
    vault = stripe_vault(approve_over="10 usd")
    key = vault.issue("stripe", "bot")
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def ask(**fields: str):
        body = urllib.parse.urlencode({"amount": "1500", "currency": "usd", **fields})
        return vault.request("/stripe/v1/charges", key, "POST", form, body.encode())

    for run in ("r1\x1b[4A\ramount 0.21 usd", "a\nb", "\t", "x" * 513, "zwölf"):
        assert ask(**{"metadata[agent_run_id]": run}).status == 400
    ticket = ticket_of(ask(customer="cus_1\x1b[4A\ramount 0.21 usd\u009b2J\u202e"))
    for shown in (seen_in_a_terminal(vault, "approval", "show", ticket), seen_in_a_terminal(vault, "approval", "list")):
        assert ticket in shown and not any(c in shown for c in "\x1b\u009b\u202e")
        assert "\r" not in shown.replace("\r\n", "\n")
    assert not capture.calls


def test_what_was_looked_up_is_part_of_the_question(stripe_vault, capture):
    intent = {"id": "pi_1", "amount": 6000, "currency": "usd", "customer": "cus_1"}
    capture.reply = lambda call: Reply(body=json.dumps(intent).encode())
    vault = stripe_vault(
        endpoints=["payment_intents.confirm"], daily_cap="9000 usd", max_amount=None, approve_over="10 usd",
        unknown_amount="lookup", customers=["cus_1", "cus_2"], unknown_customer="lookup",
    )
    key = vault.issue("stripe", "bot")

    def confirm() -> Any:
        return vault.request("/stripe/v1/payment_intents/pi_1/confirm", key, "POST", {"Content-Type": "application/x-www-form-urlencoded"})

    ticket = ticket_of(confirm())
    assert vault.command("approval", "show", ticket)["amount"] == "60 usd"
    vault.command("approval", "approve", ticket)
    intent["amount"] = 500_000
    assert ticket_of(confirm()) != ticket
    intent.update(amount=6000, customer="cus_2")
    assert ticket_of(confirm()) != ticket
    assert not [c for c in capture.calls if c.method == "POST"]
    intent["customer"] = "cus_1"
    assert confirm().status == 200


def test_what_was_denied_stays_denied_and_other_keys_have_other_tickets(stripe_vault, capture):
    vault = stripe_vault(approve_over="10 usd")
    key, other = vault.issue("stripe", "bot"), vault.issue("stripe", "bot")
    ticket = ticket_of(charge(vault, key))
    assert ticket_of(charge(vault, other)) != ticket
    assert vault.command("approval", "deny", ticket)["state"] == "denied"
    again = charge(vault, key)
    assert json.loads(again.body)["error"]["code"] == "approval_denied"
    assert vault.command("approval", "approve", ticket, ok=False).returncode != 0
    assert [a["state"] for a in pending(vault)] == ["pending"]  # that of the other key
    assert capture.calls == []


def test_a_call_waits_for_the_answer(make_vault, capture):
    policy = {"vendor": "stripe", "endpoints": ["charges.create"], "approve_over": "10 usd", "daily_cap": "100 usd"}
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": policy}, approvals={"wait": "60s"}).start()
    key = vault.issue("stripe", "bot")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yes, no = pool.submit(charge, vault, key, 1100), pool.submit(charge, vault, key, 1200)
        wait_for(lambda: len(pending(vault)) == 2, 20, "two tickets")
        # Nobody's thread is held: others are served meanwhile, by as many workers as there are.
        assert [charge(vault, key, 100).status for _ in range(4)] == [200] * 4
        for ticket in pending(vault):
            vault.command("approval", "approve" if ticket["amount"] == "11 usd" else "deny", ticket["id"])
        assert yes.result(30).status == 200
        assert json.loads(no.result(30).body)["error"]["code"] == "approval_denied"
    assert len(capture.calls) == 5
    # Waiting ends: the ticket stays.
    vault.stop()
    vault.config["vault"]["approvals"] = {"wait": "100ms"}
    vault.start()
    ticket = ticket_of(charge(vault, key, 1300))
    vault.command("approval", "approve", ticket)
    assert charge(vault, key, 1300).status == 200


def test_what_changes_while_somebody_thinks_is_another_question(make_vault, capture):
    intent = {"id": "pi_1", "amount": 6000, "currency": "usd"}
    capture.reply = lambda call: Reply(body=json.dumps(intent).encode())
    policy = {"vendor": "stripe", "endpoints": ["payment_intents.confirm"], "daily_cap": "9000 usd", "approve_over": "10 usd",
              "unknown_amount": "lookup"}
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": policy}, approvals={"wait": "20s"}).start()
    key = vault.issue("stripe", "bot")

    def confirm() -> Any:
        return vault.request("/stripe/v1/payment_intents/pi_1/confirm", key, "POST")

    for amount, status in ((500_000, 403), (500_000, 200)):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waits = pool.submit(confirm)
            wait_for(lambda: pending(vault), 10, "the ticket")
            (ticket,) = pending(vault)
            intent["amount"] = amount
            time.sleep(1.1)
            vault.command("approval", "approve", ticket["id"])
            assert waits.result(10).status == status
    assert len([c for c in capture.calls if c.method == "POST"]) == 1


def test_a_key_that_is_revoked_while_its_call_waits_is_said_to_be(make_vault, capture):
    vault = make_vault(
        {"stripe": (capture, REAL_STRIPE_KEY, {})},
        {"bot": {"vendor": "stripe", "endpoints": ["charges.create"], "daily_cap": "50 usd", "approve_over": "10 usd"}},
        approvals={"wait": "20s"},
    ).start()
    key = vault.issue("stripe", "bot")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waits = pool.submit(charge, vault, key)
        wait_for(lambda: pending(vault), 10, "the ticket")
        vault.revoke(key)
        refused = waits.result(10)
    assert refused.status == 401 and json.loads(refused.body)["error"]["code"] == "key_revoked"
    assert not capture.calls


def test_nobodys_answer_is_no(make_vault, capture):
    policy = {"vendor": "stripe", "endpoints": ["charges.create"], "approve_over": "10 usd"}
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": policy}, approvals={"wait": "60s", "expires": "1s"}).start()
    key = vault.issue("stripe", "bot")
    refused = charge(vault, key)
    assert json.loads(refused.body)["error"]["code"] == "approval_expired"
    ticket = ticket_of(refused)
    assert vault.command("approval", "show", ticket)["state"] == "expired"
    assert vault.command("approval", "approve", ticket, ok=False).returncode != 0
    assert [r["details"]["ticket"] for r in vault.audit_rows("--kind", "approval.expired")] == [ticket]
    assert capture.calls == []


def test_a_retry_with_its_idempotency_key_needs_no_second_answer(stripe_vault, capture):
    vault = stripe_vault(approve_over="10 usd")
    key = vault.issue("stripe", "bot")
    ticket = ticket_of(charge(vault, key, idempotency_key="k1"))
    vault.command("approval", "approve", ticket)
    capture.reply = lambda call: Reply(drop=True)
    assert charge(vault, key, idempotency_key="k1").status == 502
    capture.reply = lambda call: Reply()
    assert charge(vault, key, idempotency_key="k1").status == 200  # the same call
    assert charge(vault, key, idempotency_key="k2").status == 403  # another one
    assert len({c.all("Idempotency-Key")[0] for c in capture.calls}) == 1


def test_what_was_not_sent_may_be_sent_again(stripe_vault, capture):
    vault = stripe_vault(approve_over="10 usd", daily_cap="20 usd")
    key = vault.issue("stripe", "bot")
    ticket = ticket_of(charge(vault, key, 1900))
    vault.command("approval", "approve", ticket)
    assert charge(vault, key, 500).status == 200
    over = charge(vault, key, 1900)  # approved, but the cap has no room for it now
    assert json.loads(over.body)["error"]["code"] == "cap_exceeded"
    assert vault.command("approval", "show", ticket)["state"] == "approved"


def test_tickets_outlive_the_server_and_are_decided_without_one(stripe_vault, capture):
    vault = stripe_vault(approve_over="10 usd")
    key = vault.issue("stripe", "bot")
    ticket = ticket_of(charge(vault, key))
    vault.kill()
    assert vault.command("approval", "approve", ticket)["state"] == "approved"
    vault.start()
    assert charge(vault, key).status == 200
    assert charge(vault, key).status == 403


def test_new_tickets_are_told_with_a_signature_and_told_again(make_vault, capture, hook, leaks):
    policy = {"vendor": "stripe", "endpoints": ["charges.create"], "approve_over": "10 usd"}
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": policy})
    vault.config["vault"]["webhook"] = {"url": f"http://127.0.0.1:{hook.port}/hook", "secret": vault.secret("hook", HOOK_SECRET), "private": True}
    answers = iter([500, 200])
    hook.reply = lambda call: Reply(status=next(answers, 200))
    vault.start()
    key = vault.issue("stripe", "bot")
    ticket = ticket_of(charge(vault, key))
    wait_for(lambda: len(hook.calls) >= 2, 20, "the webhook's second message")
    first, second = hook.calls[:2]
    assert first.body == second.body  # the same message, to be told by its id
    for call in (first, second):
        (timestamp,), (signature,) = call.all("Octroi-Timestamp"), call.all("Octroi-Signature")
        expected = hmac.new(HOOK_SECRET.encode(), timestamp.encode() + b"." + call.body, hashlib.sha256).hexdigest()
        assert signature == f"v1={expected}"
    told = json.loads(first.body)
    assert told["type"] == "approval.asked" and told["data"]["id"] == ticket
    assert key.text not in first.body.decode()
    charge(vault, key)  # not told again
    assert "octroi_vault_approvals_total" in web.request(f"http://127.0.0.1:{vault.admin_port}/metrics").body.decode()


def test_the_webhook_does_not_reach_into_this_network(make_vault, capture, hook):
    policy = {"vendor": "stripe", "endpoints": ["charges.create"], "approve_over": "10 usd"}
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": policy})
    vault.config["vault"]["webhook"] = {"url": f"http://127.0.0.1:{hook.port}/hook", "secret": vault.secret("hook", HOOK_SECRET)}
    vault.start()
    key = vault.issue("stripe", "bot")
    ticket_of(charge(vault, key))
    wait_for(lambda: "not delivered" in (vault.directory / "octroi.log").read_text(), 20, "a failed delivery")
    assert hook.calls == []


def test_stripes_own_sdk_sees_a_refusal_and_passes_later(stripe_vault, localstripe):
    vault = stripe_vault(localstripe, approve_over="10 usd")
    key = vault.issue("stripe", "bot")
    c = stripe.StripeClient(key.text, base_addresses={"api": vault.url + "/stripe"}, max_network_retries=2)
    card = {"object": "card", "number": "4242424242424242", "exp_month": 12, "exp_year": 2099, "cvc": "123"}
    who = c.v1.customers.create({"email": "a@example.com", "source": card})
    before = len(localstripe.calls)
    with pytest.raises(stripe.StripeError) as refused:
        c.v1.charges.create({"amount": 1500, "currency": "usd", "customer": who.id})
    assert len(localstripe.calls) == before
    ticket = refused.value.headers["X-Octroi-Approval"] if "X-Octroi-Approval" in refused.value.headers else refused.value.headers["x-octroi-approval"]
    vault.command("approval", "approve", ticket)
    assert c.v1.charges.create({"amount": 1500, "currency": "usd", "customer": who.id}).paid
