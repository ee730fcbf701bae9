"""Vendors' own SDKs, unmodified, behind the vault: allowed, denied, revoked, retried; those of Node for
every vendor that has a pack, and those of Python that have no file of their own."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import pytest
import resend
import resend.exceptions
import twilio.base.exceptions
import twilio.rest

from harness import peers
from harness.llm import Models
from harness.vault import REAL_STRIPE_KEY, Reply, Vault, Vendor

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
REAL = {
    "stripe": REAL_STRIPE_KEY,
    "twilio": f"{ACCOUNT}:00112233445566778899aabbccddeeff",
    "resend": "re_TheRealKey0123456789",
    "openai": "sk-proj-TheRealKeyThatNoAgentMayEverSee0123456789",
    "anthropic": "sk-ant-api03-TheRealKeyThatNoAgentMayEverSee0123456789",
}
POLICIES: dict[str, dict[str, Any]] = {
    "stripe": {"endpoints": ["charges.create"], "max_amount": "20 usd"},
    "twilio": {"endpoints": ["messages.*"], "countries": ["US"]},
    "resend": {"endpoints": ["emails.*"], "recipients": ["*@customer.example"]},
    "openai": {"endpoints": ["chat.completions.create"], "max_amount": "0.01 usd"},
    "anthropic": {"endpoints": ["messages.create"], "max_amount": "0.01 usd"},
}
# What an SDK is told to do: within the policy, and not.
GOOD = {
    "stripe": {"amount": 2000}, "twilio": {"to": "+15551234567"}, "resend": {"to": ["a@customer.example"]},
    "openai": {"amount": 100}, "anthropic": {"amount": 100},
}
BAD = {
    "stripe": {"amount": 2001}, "twilio": {"to": "+447700900123"}, "resend": {"to": ["a@elsewhere.example"]},
    "openai": {"amount": 5000}, "anthropic": {"amount": 5000},
}
ANSWERS = {
    "stripe": {"id": "made_1", "object": "charge", "amount": 2000, "currency": "usd"},
    "twilio": {"sid": "made_1", "price": None, "account_sid": ACCOUNT},
    "resend": {"id": "made_1"},
}


@pytest.fixture
def models() -> Iterator[Models]:
    mock = Models()
    yield mock
    mock.stop()


@pytest.fixture
def door(make_vault: Callable[..., Vault], capture: Vendor, models: Models) -> Callable[..., tuple[Vault, Any, dict[str, Any]]]:
    """`door(vendor)`: a vault before it, its mock, and what a program is given to get in."""

    def make(vendor: str) -> tuple[Vault, Any, dict[str, Any]]:
        upstream: Any = models if vendor in ("openai", "anthropic") else capture
        if vendor in ANSWERS:
            capture.reply = lambda call: Reply(201 if vendor == "twilio" else 200, body=json.dumps(ANSWERS[vendor]).encode())
        vault = make_vault({vendor: (upstream, REAL[vendor], {})}, {"bot": {"vendor": vendor, **POLICIES[vendor]}}).start()
        key = vault.issue(vendor, "bot", "--shape", "vendor", test=vendor == "stripe")
        path = {"openai": "/openai/v1"}.get(vendor, f"/{vendor}")
        way = {"base": vault.url, "path": path, "key": key.text, "id": key.id}
        if vendor == "twilio":
            way |= {"sid": key.whole["account_sid"], "token": key.whole["auth_token"]}
        return vault, upstream, way

    return make


@pytest.mark.parametrize("vendor", list(POLICIES))
def test_node(door, vendor):
    vault, upstream, way = door(vendor)

    def run(**more: Any) -> dict[str, Any]:
        return peers.node_script("vault_sdk.mjs", vendor, json.dumps({**way, **more}))

    good = run(**GOOD[vendor])
    assert good.get("value") in ("made_1", "one two three four "), good
    assert len(upstream.calls) == 1
    denied = run(**BAD[vendor], retries=2)
    assert denied.get("status") == 403 and "value" not in denied, denied
    vault.command("key", "revoke", way["id"])
    revoked = run(**GOOD[vendor], retries=2)
    assert revoked.get("status") == 401 and "revoked" in revoked["message"], revoked
    assert len(upstream.calls) == 1
    rows = [row for row in vault.audit() if row["kind"] == "call.outcome"]
    assert [row["verdict"] for row in rows] == ["allowed", "denied", "denied"], "a refusal was tried again"


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
def test_node_streams_and_retries(door, vendor):
    vault, upstream, way = door(vendor)
    upstream.fail = [503]
    said = peers.node_script("vault_sdk.mjs", vendor, json.dumps({**way, **GOOD[vendor], "stream": True, "retries": 1}))
    assert said == {"value": "one two three four "}
    rows = [row for row in vault.audit() if row["kind"] == "call.outcome"]
    assert [row["verdict"] for row in rows] == ["failed", "allowed"]


def test_node_retries_of_stripe_are_one_call(door):
    vault, upstream, way = door("stripe")
    answer = upstream.reply
    upstream.reply = lambda call: Reply(drop=True) if len(upstream.calls) == 1 else answer(call)
    made = peers.node_script("vault_sdk.mjs", "stripe", json.dumps({**way, **GOOD["stripe"], "retries": 2}))
    assert made == {"value": "made_1"}
    assert len({call.all("Idempotency-Key")[0] for call in upstream.calls}) == 1 and len(upstream.calls) == 2


def test_twilio(door):
    vault, upstream, way = door("twilio")
    client = twilio.rest.Client(way["sid"], way["token"])
    client.api.base_url = way["base"] + "/twilio"
    assert client.messages.create(to="+15551234567", from_="+15550001111", body="hello").sid == "made_1"
    with pytest.raises(twilio.base.exceptions.TwilioRestException) as refused:
        client.messages.create(to="+447700900123", from_="+15550001111", body="hello")
    assert refused.value.status == 403 and "country_denied" in str(refused.value)
    vault.command("key", "revoke", way["id"])
    with pytest.raises(twilio.base.exceptions.TwilioRestException) as refused:
        client.messages.create(to="+15551234567", from_="+15550001111", body="hello")
    assert refused.value.status == 401
    assert [c.target for c in upstream.calls] == [f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"]


def test_resend(door, monkeypatch):
    vault, upstream, way = door("resend")
    monkeypatch.setattr(resend, "api_key", way["key"])
    monkeypatch.setattr(resend, "api_url", way["base"] + "/resend")
    mail = {"from": "Us <us@example.com>", "subject": "s", "html": "h"}
    assert resend.Emails.send({**mail, "to": ["a@customer.example"]})["id"] == "made_1"
    with pytest.raises(resend.exceptions.ResendError) as refused:
        resend.Emails.send({**mail, "to": ["a@elsewhere.example"]})
    assert refused.value.error_type == "recipient_denied"
    vault.command("key", "revoke", way["id"])
    with pytest.raises(resend.exceptions.ResendError) as refused:
        resend.Emails.send({**mail, "to": ["a@customer.example"]})
    assert refused.value.error_type == "key_revoked"
    assert len(upstream.calls) == 1 and upstream.calls[0].all("Authorization") == [f"Bearer {REAL['resend']}"]
