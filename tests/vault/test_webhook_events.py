"""What the webhook hears of calls and keys, when it is asked for: once for what happened, not for each call."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import pytest

from harness.process import wait_for
from harness.vault import REAL_STRIPE_KEY, Key, Reply, Vault, Vendor

HOOK_SECRET = "hook-secret-0123456789abcdef"
ALL = ["approval.asked", "alarm.canary", "key.revoked", "key.paused", "cap.reached", "spend.unknown"]


@pytest.fixture
def hook() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.stop()


@pytest.fixture
def told(make_vault, capture, hook) -> Callable[..., Vault]:
    """A vault before a hook that hears of everything, unless told otherwise."""

    def make(events: list[str] | None = ALL, **policy: Any) -> Vault:
        policy = {"vendor": "stripe", "endpoints": ["charges.create"], "max_amount": "20 usd", **policy}
        vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": policy})
        section = {"url": f"http://127.0.0.1:{hook.port}/hook", "secret": vault.secret("hook", HOOK_SECRET), "private": True}
        vault.config["vault"]["webhook"] = {**section, **({"events": events} if events is not None else {})}
        return vault.start()

    return make


def charge(vault: Vault, key: Key, amount: int = 500) -> Any:
    body = f"amount={amount}&currency=usd&customer=cus_1"
    return vault.request("/stripe/v1/charges", key, "POST", {"Content-Type": "application/x-www-form-urlencoded"}, body.encode())


def events(hook: Vendor, kind: str | None = None) -> list[dict[str, Any]]:
    """Each once, whatever was sent again."""
    found = {told["id"]: told for told in (json.loads(call.body) for call in list(hook.calls))}
    return [told for told in found.values() if kind in (None, told["type"])]


def wait_for_event(hook: Vendor, kind: str) -> dict[str, Any]:
    wait_for(lambda: events(hook, kind), 30, kind)
    (one,) = events(hook, kind)
    return one["data"]


def test_a_full_cap_is_told_of_once(told, hook):
    vault = told(daily_cap="10 usd")
    key, other = vault.issue("stripe", "bot", "--agent", "helper", "--run", "run-7"), vault.issue("stripe", "bot")
    assert charge(vault, key, 1000).status == 200
    assert [charge(vault, one, 700).status for one in (key, other, key, other, key)] == [403] * 5
    data = wait_for_event(hook, "cap.reached")
    assert data["call"].startswith("call_") and data["key_id"] == key.id and data["agent"] == "helper" and data["run"] == "run-7"
    assert (data["policy"], data["vendor"], data["operation"]) == ("bot", "stripe", "charges.create")
    assert (data["amount"], data["per"], data["limit"]) == ("7 usd", "day", "10 usd")
    assert data["resets_at"].endswith("Z")
    vault.revoke(other)  # what is told after them all
    wait_for_event(hook, "key.revoked")
    assert len(events(hook, "cap.reached")) == 1
    assert {told["type"] for told in events(hook)} == {"cap.reached", "key.revoked"}


def test_each_cap_and_each_window_is_another(told, hook):
    vault = told(caps=[{"per": "lifetime", "calls": 1, "by": "key"}])
    keys = [vault.issue("stripe", "bot") for _ in range(3)]
    for key in keys:
        assert [charge(vault, key).status for _ in range(3)] == [200, 403, 403]
    wait_for(lambda: len(events(hook, "cap.reached")) == 3, 30, "three caps")
    seen = [told["data"] for told in events(hook, "cap.reached")]
    assert {d["key_id"] for d in seen} == {key.id for key in keys}
    assert all(d["limit"] == "1 call" and "resets_at" not in d for d in seen)


def test_outcomes_that_nobody_knows(told, hook, capture):
    vault = told(daily_cap="50 usd")
    key = vault.issue("stripe", "bot")
    capture.reply = lambda call: Reply(drop=True)
    assert charge(vault, key, 300).status == 502
    data = wait_for_event(hook, "spend.unknown")
    assert data["key_id"] == key.id and data["amount"] == "3 usd" and data["operation"] == "charges.create"
    (row,) = [r for r in vault.audit() if r["kind"] == "call.outcome"]
    assert row["id"] == data["call"] and row["verdict"] == "unknown"


def test_keys_that_end(told, hook):
    vault = told()
    keys = [vault.issue("stripe", "bot", "--agent", f"agent-{n}", "--name", f"key-{n}") for n in range(3)]
    vault.command("key", "pause", keys[0].id)
    data = wait_for_event(hook, "key.paused")
    assert data["by"] == "admin" and [k["id"] for k in data["keys"]] == [keys[0].id]
    vault.command("key", "resume", keys[0].id)  # nothing to tell
    vault.command("key", "revoke", "--policy", "bot")
    data = wait_for_event(hook, "key.revoked")
    assert (data["by"], data["count"]) == ("admin", 3)
    assert {(k["id"], k["name"], k["agent"], k["policy"]) for k in data["keys"]} == {
        (key.id, f"key-{n}", f"agent-{n}", "bot") for n, key in enumerate(keys)
    }
    assert len(events(hook)) == 2
    for call in hook.calls:
        assert not any(key.text.encode() in call.body for key in keys)


def test_a_brake_that_pauses(told, hook):
    vault = told(velocity={"calls": 2, "per": "24h", "then": "pause"})
    key = vault.issue("stripe", "bot")
    assert [charge(vault, key).status for _ in range(3)] == [200, 200, 403]
    data = wait_for_event(hook, "key.paused")
    assert data["by"] == "brake" and data["keys"][0]["id"] == key.id
    assert events(hook, "cap.reached") == []


def test_who_does_not_ask_hears_what_was_always_told(told, hook):
    vault = told(events=None, approve_over="10 usd", daily_cap="10 usd")
    key = vault.issue("stripe", "bot")
    assert [charge(vault, key, 800).status for _ in range(2)] == [200, 403]
    vault.revoke(vault.issue("stripe", "bot"))
    assert charge(vault, key, 1500).status == 403
    wait_for_event(hook, "approval.asked")
    assert [told["type"] for told in events(hook)] == ["approval.asked"]
