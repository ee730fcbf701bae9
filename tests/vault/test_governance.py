"""Keys below keys, keys that nobody should use, keys that follow one another; policies that are made
while octroi runs; what they would have done."""

from __future__ import annotations

import json
import subprocess
from typing import Any, Iterator

import pytest

from harness import web
from harness.process import wait_for
from harness.vault import REAL_STRIPE_KEY, Key, Reply, Vault, Vendor, noon


@pytest.fixture
def hook() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.stop()


def charge(vault: Vault, key: Key, amount: int, **more: str) -> Any:
    fields = {"amount": str(amount), "currency": "usd", "customer": "cus_1", **more}
    body = "&".join(f"{k}={v}" for k, v in fields.items())
    return vault.request("/stripe/v1/charges", key, "POST", {"Content-Type": "application/x-www-form-urlencoded"}, body.encode())


@pytest.fixture
def paid(capture: Vendor) -> Vendor:
    """It says what each charge cost."""

    def reply(call: Any) -> Reply:
        amount = dict(pair.split("=") for pair in call.body.decode().split("&") if "=" in pair).get("amount", "0")
        return Reply(body=json.dumps({"id": f"ch_{len(capture.calls)}", "object": "charge", "amount": int(amount), "currency": "usd"}).encode())

    capture.reply = reply
    return capture


def code(reply: Any) -> str:
    return json.loads(reply.body)["error"]["code"]


def admin(vault: Vault, path: str, method: str = "GET", body: Any = None, headers: Any = ()) -> Any:
    token = (vault.directory / "admin.token").read_text()
    sent = None if body is None else json.dumps(body).encode()
    return web.request(f"http://127.0.0.1:{vault.admin_port}/api/v1{path}", method, [("Authorization", f"Bearer {token}"), *headers], sent)


def settled(vault: Vault, policy: str) -> list[dict[str, Any]]:
    """What its caps count, once nothing is held any more: answers come before they are counted."""

    def caps() -> Any:
        found = vault.command("policy", "usage", policy)["caps"]
        return found if all(c["held"] in ("0 usd", "0") for c in found) else None

    return wait_for(caps, 20, "every call settled")


def outcomes(vault: Vault, count: int) -> list[dict[str, Any]]:
    """The rows of what became of so many calls: those of answers that were passed on come after them."""

    def rows() -> Any:
        found = [r for r in vault.audit() if r["kind"] == "call.outcome"]
        return found if len(found) >= count else None

    return wait_for(rows, 20, f"{count} outcomes")


# --- keys


def test_a_child_is_held_by_both_policies(make_vault, capture, paid):
    policies = {
        "team": {"vendor": "stripe", "endpoints": ["charges.create"], "daily_cap": "30 usd", "max_amount": "20 usd"},
        "intern": {"vendor": "stripe", "endpoints": ["charges.create", "customers.*"], "lifetime_cap": "15 usd"},
    }
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, policies).start()
    parent = vault.issue("stripe", "team", "--expires", "2098-01-01T00:00:00Z")
    child = vault.issue("stripe", "intern", "--parent", parent.id, "--expires", "2099-01-01T00:00:00Z")
    assert vault.command("key", "show", child.id)["expires_at"] == "2098-01-01T00:00:00Z"
    assert vault.request("/stripe/v1/customers", child).status == 403  # only the child's policy names it
    assert charge(vault, child, 1500).status == 200  # its own cap, exactly
    assert code(charge(vault, child, 1)) == "cap_exceeded"
    assert charge(vault, parent, 1500).status == 200  # what is left of the team's
    assert code(charge(vault, parent, 1)) == "cap_exceeded"
    (usage,) = settled(vault, "team")
    assert usage["settled"] == "30 usd" and usage["left"] == "0 usd"


def test_what_happens_to_the_parent_happens_below_it(stripe_vault, capture, paid):
    vault = stripe_vault()
    parent = vault.issue("stripe", "bot")
    child = vault.issue("stripe", "bot", "--parent", parent.id)
    grandchild = vault.issue("stripe", "bot", "--parent", child.id)
    assert charge(vault, grandchild, 1000).status == 200
    usage = settled(vault, "bot")
    assert [c["settled"] for c in usage] == ["10 usd"]  # the same cap counts it once
    vault.command("key", "pause", parent.id)
    assert charge(vault, grandchild, 100).status == 401
    vault.command("key", "resume", parent.id)
    assert charge(vault, grandchild, 100).status == 200
    vault.command("key", "revoke", parent.id)
    states = {k["id"]: k["state"] for k in vault.command("key", "list")["keys"]}
    assert states == {parent.id: "revoked", child.id: "revoked", grandchild.id: "revoked"}
    assert charge(vault, grandchild, 100).status == 401
    assert vault.command("key", "issue", "--vendor", "stripe", "--policy", "bot", "--test", "--parent", parent.id, ok=False).returncode != 0


def test_a_canary_tells_on_whoever_uses_it(make_vault, capture, hook):
    policy = {"vendor": "stripe", "endpoints": ["*"]}
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": policy})
    vault.config["vault"]["webhook"] = {"url": f"http://127.0.0.1:{hook.port}/", "secret": vault.secret("hook", "hook-secret-0123456789"), "private": True}
    vault.start()
    canary, unknown = vault.issue("stripe", "bot", "--canary"), vault.issue("stripe", "bot")
    seen = vault.request("/stripe/v1/customers", canary)
    assert seen.status == 401 and capture.calls == []
    assert "not known" in json.loads(seen.body)["error"]["message"]  # nothing that tells the thief
    wait_for(lambda: hook.calls, 20, "the alarm")
    told = json.loads(hook.calls[0].body)
    assert told["type"] == "alarm.canary" and told["data"]["key_id"] == canary.id
    wait_for(lambda: vault.audit_rows("--kind", "alarm"), 20, "the alarm's row")
    denied = [r for r in vault.audit() if r["kind"] == "call.outcome"]
    assert [(r["reason"], r["key_id"]) for r in denied] == [("canary_used", canary.id)]
    assert 'octroi_vault_alarms_total{reason="canary_used"} 1' in web.request(f"http://127.0.0.1:{vault.admin_port}/metrics").body.decode()
    assert vault.request("/stripe/v1/customers", unknown).status == 200


def test_a_key_with_others_below_it_is_rotated(make_vault, capture, paid):
    policies = {
        "team": {"vendor": "stripe", "endpoints": ["charges.create"], "caps": [{"per": "day", "usd": "20 usd", "by": "key"}]},
        "intern": {"vendor": "stripe", "endpoints": ["charges.create", "customers.*"], "max_amount": "16 usd"},
    }
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, policies).start()
    old = vault.issue("stripe", "team", "--expires", "2098-01-01T00:00:00Z")
    child = vault.issue("stripe", "intern", "--parent", old.id)
    grandchild = vault.issue("stripe", "intern", "--parent", child.id)
    assert charge(vault, child, 1500).status == 200
    made = vault.command("key", "rotate", old.id, "--overlap", "0s")
    new = Key(made["id"], made["key"], made)
    shown = {k["id"]: k.get("parent") for k in vault.command("key", "list")["keys"]}
    assert shown == {old.id: None, new.id: None, child.id: new.id, grandchild.id: child.id}
    assert charge(vault, old, 100).status == 401  # over at once, alone
    # Nothing is wider: their own policies, the same cap as before, the same end.
    assert code(charge(vault, child, 1601)) == "amount_over_max"
    assert vault.request("/stripe/v1/customers", child).status == 403
    assert charge(vault, grandchild, 400).status == 200
    assert code(charge(vault, child, 101)) == "cap_exceeded"
    assert charge(vault, new, 100).status == 200
    assert code(charge(vault, new, 1)) == "cap_exceeded"
    assert vault.command("key", "show", new.id)["expires_at"] == "2098-01-01T00:00:00Z"
    # What happens to the new one happens to them, what happens to the old one does not.
    vault.command("key", "revoke", old.id)
    states = {k["id"]: k["state"] for k in vault.command("key", "list")["keys"]}
    assert states == {old.id: "revoked", new.id: "active", child.id: "active", grandchild.id: "active"}
    vault.command("key", "pause", new.id)
    assert charge(vault, child, 50).status == 401 and charge(vault, grandchild, 50).status == 401
    vault.command("key", "revoke", new.id)
    assert {k["state"] for k in vault.command("key", "list")["keys"]} == {"revoked"}


def test_rotation_overlaps_and_goes_on_counting(stripe_vault, capture):
    vault = stripe_vault(daily_cap=None, caps=[{"per": "day", "usd": "20 usd", "by": "key"}])
    old = vault.issue("stripe", "bot", "--agent", "helper")
    assert charge(vault, old, 1500).status == 200
    made = vault.command("key", "rotate", old.id, "--overlap", "1h")
    new = Key(made["id"], made["key"], made)
    assert made["replaces"] == old.id
    shown = vault.command("key", "show", new.id)
    assert shown["agent"] == "helper" and shown["line"] == old.id
    assert charge(vault, old, 200).status == 200  # for an hour
    assert code(charge(vault, new, 400)) == "cap_exceeded"  # the same cap of the same key
    assert charge(vault, new, 300).status == 200
    newest = vault.command("key", "rotate", new.id, "--overlap", "0s")
    assert charge(vault, new, 1).status == 401
    assert code(charge(vault, Key(newest["id"], newest["key"], newest), 1)) == "cap_exceeded"
    assert vault.command("key", "rotate", new.id, ok=False).returncode != 0  # over


def test_a_retry_after_a_rotation_is_the_same_call(stripe_vault, capture, paid):
    vault = stripe_vault(approve_over="10 usd")
    old = vault.issue("stripe", "bot")
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def buy(key: Key, amount: int) -> int:
        body = f"amount={amount}&currency=usd&customer=cus_1".encode()
        return vault.request("/stripe/v1/charges", key, "POST", {**form, "Idempotency-Key": f"order-{amount}"}, body).status

    assert buy(old, 500) == 200 and buy(old, 1500) == 403
    (ticket,) = vault.command("approval", "list")["approvals"]
    vault.command("approval", "approve", ticket["id"])
    assert buy(old, 1500) == 200
    made = vault.command("key", "rotate", old.id, "--overlap", "1h")
    new = Key(made["id"], made["key"], made)
    assert [buy(key, amount) for key in (new, old) for amount in (500, 1500)] == [200] * 4
    # The vendor was told each time that it is one of the same two, and nobody was asked again.
    assert len({c.all("Idempotency-Key")[0] for c in capture.calls}) == 2 and len(capture.calls) == 6
    assert len(vault.command("approval", "list", "--state", "all")["approvals"]) == 1
    assert settled(vault, "bot")[0]["settled"] == "20 usd"


def test_a_key_is_used_from_its_networks_only(stripe_vault):
    vault = stripe_vault()
    here = vault.issue("stripe", "bot", "--networks", "127.0.0.0/8,::1")
    elsewhere = vault.issue("stripe", "bot", "--networks", "10.0.0.0/8")
    assert vault.request("/stripe/v1/customers", here).status == 200
    refused = vault.request("/stripe/v1/customers", elsewhere)
    assert refused.status == 403 and code(refused) == "network_denied"
    assert vault.command("key", "issue", "--vendor", "stripe", "--policy", "bot", "--networks", "here", ok=False).returncode != 0


# --- policies


def test_policies_are_made_changed_and_rolled_back_while_it_runs(stripe_vault, capture):
    vault = stripe_vault()
    text = {"vendor": "stripe", "endpoints": ["charges.create"], "max_amount": "5 usd"}
    assert vault.command("policy", "add", "live", "--file", "-", stdin=json.dumps(text))["version"] == 1
    assert vault.command("policy", "add", "live", "--file", "-", stdin=json.dumps(text), ok=False).returncode != 0
    key = vault.issue("stripe", "live")
    assert charge(vault, key, 500).status == 200 and code(charge(vault, key, 501)) == "amount_over_max"
    vault.command("policy", "set", "live", "--file", "-", "--version", "1", stdin=json.dumps({**text, "max_amount": "6 usd"}))
    assert charge(vault, key, 501).status == 200
    stale = vault.command("policy", "set", "live", "--file", "-", "--version", "1", stdin=json.dumps(text), ok=False)
    assert stale.returncode != 0
    assert vault.command("policy", "rollback", "live", "--version", "1")["version"] == 3
    assert code(charge(vault, key, 501)) == "amount_over_max"
    versions = vault.command("policy", "versions", "live")["versions"]
    assert [(v["version"], v["policy"]["max_amount"]) for v in versions] == [(3, "5 usd"), (2, "6 usd"), (1, "5 usd")]
    decided = sorted((r["policy_version"], r["verdict"]) for r in outcomes(vault, 4))
    assert decided == [(1, "allowed"), (1, "denied"), (2, "allowed"), (3, "denied")]
    assert vault.command("policy", "show", "live")["max_amount"] == "5 usd"
    refused = vault.command("policy", "explain", "live", "POST /v1/charges", "--data", "amount=501&currency=usd", ok=False)
    assert refused.returncode == 7 and json.loads(refused.stdout)["reason"] == "amount_over_max"
    # The file's own are changed in the file.
    assert vault.command("policy", "set", "bot", "--file", "-", stdin=json.dumps(text), ok=False).returncode != 0
    assert {p["name"]: p["source"] for p in vault.command("policy", "list")["policies"]} == {"bot": "file", "live": "store"}
    vault.command("policy", "remove", "live")
    assert charge(vault, key, 100).status == 403
    # They are there after a restart, and the file's hides one of its name.
    vault.command("policy", "add", "live", "--file", "-", stdin=json.dumps(text))
    vault.stop()
    vault.config["vault"]["policies"]["live"] = {"vendor": "stripe", "endpoints": []}
    vault.start()
    assert charge(vault, key, 100).status == 403
    vault.stop()
    del vault.config["vault"]["policies"]["live"]
    vault.start()
    assert charge(vault, key, 100).status == 200


def test_a_policy_that_makes_no_sense_changes_nothing(stripe_vault):
    vault = stripe_vault()
    for text in ("{", json.dumps({"vendor": "nobody", "endpoints": ["*"]}), json.dumps({"vendor": "stripe", "endpoints": ["*"], "daily_cap": "much"})):
        refused = admin(vault, "/policies/new", "PUT", headers=[("Content-Type", "application/json")])
        refused = web.request(f"http://127.0.0.1:{vault.admin_port}/api/v1/policies/new", "PUT", [("Authorization", "Bearer " + (vault.directory / "admin.token").read_text())], text.encode())
        assert refused.status == 400, text
    assert admin(vault, "/policies/new").status == 404


def test_usage_says_what_is_held_settled_and_left(stripe_vault, capture, paid):
    vault = stripe_vault(caps=[{"per": "hour", "calls": 10}, {"per": "day", "usd": "9 usd", "by": "customer"}])
    key = vault.issue("stripe", "bot")
    assert charge(vault, key, 300).status == 200
    usage = settled(vault, "bot")
    assert json.loads(admin(vault, "/policies/bot/usage").body)["caps"] == usage
    found = {(c["per"], c["unit"], c["by"]): c for c in usage}
    assert found["day", "usd", "policy"]["settled"] == "3 usd" and found["day", "usd", "policy"]["left"] == "47 usd"
    assert found["hour", "calls", "policy"]["left"] == "9" and "resets_at" in found["hour", "calls", "policy"]
    assert found["day", "usd", "customer"]["whose"] == "customer:cus_1" and found["day", "usd", "customer"]["left"] == "6 usd"


def test_simulate_names_the_calls_that_would_go_otherwise(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot", "--run", "run-1")
    assert [charge(vault, key, n).status for n in (1000, 2000, 500)] == [200, 200, 200]
    assert charge(vault, key, 2001).status == 403
    same = vault.command("policy", "simulate", "bot")
    assert same["calls"] == 4 and same["changed"] == []
    new = {"vendor": "stripe", "endpoints": ["charges.create"], "daily_cap": "30 usd", "max_amount": "25 usd", "time_zone": noon()}
    told = vault.command("policy", "simulate", "bot", "--file", "-", stdin=json.dumps(new))
    changed = [(c["amount"], c["was"], c["would_be"], c["reason"]) for c in told["changed"]]
    assert changed == [("5 usd", "allowed", "deny", "cap_exceeded")]
    loose = {**new, "daily_cap": "100 usd"}
    told = vault.command("policy", "simulate", "bot", "--file", "-", stdin=json.dumps(loose))
    assert [(c["amount"], c["was"], c["would_be"]) for c in told["changed"]] == [("20.01 usd", "denied", "allow")]
    fields = {**loose, "fields": [{"field": "currency", "one_of": ["eur"]}]}
    assert vault.command("policy", "simulate", "bot", "--file", "-", stdin=json.dumps(fields))["not_judged"] == ["fields"]
    vault.stop()
    assert vault.command("policy", "simulate", "bot")["calls"] == 4  # also without a server


def test_simulating_the_policy_in_force_changes_nothing(stripe_vault, capture, paid):
    """Neither what a human let pass, nor what no policy was asked about, is a change."""
    vault = stripe_vault(approve_over="10 usd", daily_cap="20 usd")
    bound, key = vault.issue("stripe", "bot", "--run", "run-1"), vault.issue("stripe", "bot")
    wrong = {"X-Agent-Run-Id": "run-2"}
    assert vault.request("/stripe/v1/customers", bound, headers=wrong).status == 403
    assert charge(vault, key, 500).status == 200
    assert code(charge(vault, key, 1100)) == "needs_approval"
    (ticket,) = vault.command("approval", "list")["approvals"]
    vault.command("approval", "approve", ticket["id"])
    assert charge(vault, key, 1100).status == 200
    assert code(charge(vault, key, 500)) == "cap_exceeded"  # what was let pass is spent
    outcomes(vault, 5)
    told = vault.command("policy", "simulate", "bot")
    assert told["changed"] == [] and told["left_out"] == 1
    assert (told["calls"], told["allowed"], told["approval"], told["denied"]) == (4, 1, 2, 1)
    strict = {"vendor": "stripe", "endpoints": ["charges.create"], "max_amount": "10 usd"}
    told = vault.command("policy", "simulate", "bot", "--file", "-", stdin=json.dumps(strict))
    assert [(c["was"], c["would_be"]) for c in told["changed"]] == [("approval", "deny")] * 2 + [("denied", "allow")]


def test_explain_asks_the_server_what_is_spent(stripe_vault, capture, paid):
    vault = stripe_vault(daily_cap="20 usd")
    key = vault.issue("stripe", "bot")
    assert charge(vault, key, 2000).status == 200
    settled(vault, "bot")
    ask = ("policy", "explain", "bot", "POST /v1/charges", "--data", "amount=100&currency=usd&customer=cus_1")
    for running in (True, False):
        if not running:
            vault.stop()
        said = vault.command(*ask, ok=False)
        assert said.returncode == 7, said.stdout + said.stderr
        told = json.loads(said.stdout)
        assert (told["reason"], told["unused"]) == ("cap_exceeded", False)
        assert vault.command(*ask, "--unused")["unused"] is True
        tomorrow = vault.command(*ask, "--at", "2098-01-01T00:00:00Z")
        assert tomorrow["verdict"] == "allow", "another day has a window of its own"


def test_what_a_policy_in_shadow_mode_would_have_spent_is_shown(stripe_vault, capture, paid):
    vault = stripe_vault(daily_cap="20 usd", mode="shadow")
    key = vault.issue("stripe", "bot")
    assert charge(vault, key, 1500).status == 200
    for running in (True, False):
        if not running:
            vault.stop()
        (usage,) = settled(vault, "bot")
        assert (usage["settled"], usage["left"]) == ("15 usd", "5 usd")
        told = vault.command("policy", "explain", "bot", "POST /v1/charges", "--data", "amount=100&currency=usd&customer=cus_1")
        assert any("15 usd of 20 usd used" in c["detail"] for c in told["checks"])


def test_set_replaces_and_never_makes(stripe_vault):
    vault = stripe_vault()
    policy = {"vendor": "stripe", "endpoints": ["charges.create"]}
    vault.command("policy", "add", "buyer", "--file", "-", stdin=json.dumps(policy))
    for running in (True, False):
        if not running:
            vault.stop()
        refused = vault.command("policy", "set", "byuer", "--file", "-", stdin=json.dumps(policy), ok=False)
        assert refused.returncode == 1 and "policy add" in refused.stderr
        assert [p["name"] for p in vault.command("policy", "list")["policies"]] == ["bot", "buyer"]
        before = vault.command("policy", "list")["policies"][1]["version"]
        again = vault.command("policy", "set", "buyer", "--file", "-", stdin=json.dumps({**policy, "max_amount": "5 usd"}))
        assert again["version"] == before + 1


def test_the_admin_apis_description_knows_every_shape(stripe_vault):
    vault = stripe_vault()
    paths = json.loads(admin(vault, "/openapi.json").body)["paths"]
    usage = subprocess.run([str(vault.binary), "key", "issue", "--help"], capture_output=True, text=True, timeout=60).stdout
    for path in ("/api/v1/vault/keys", "/api/v1/vault/keys/{id}/rotate"):
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        shapes = body["properties"]["shape"]["enum"]
        assert "aws" in shapes and all(shape in usage for shape in shapes)


def test_the_admin_apis_description_names_every_path(stripe_vault):
    vault = stripe_vault()
    paths = json.loads(admin(vault, "/openapi.json").body)["paths"]
    for path in (
        "/vault/keys", "/vault/keys/{id}", "/vault/keys/{id}/revoke", "/vault/keys/{id}/pause", "/vault/keys/{id}/resume",
        "/vault/keys/{id}/rotate", "/vault/revoke", "/vault/reconcile", "/vault/credentials/{vendor}", "/approvals", "/approvals/{id}",
        "/approvals/{id}/approve", "/approvals/{id}/deny", "/policies", "/policies/{name}", "/policies/{name}/versions",
        "/policies/{name}/rollback", "/policies/{name}/usage", "/policies/{name}/windows", "/policies/{name}/simulate", "/audit",
    ):
        assert f"/api/v1{path}" in paths, path


# --- the audit of a run


def test_a_run_is_told_whole(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    run = {"X-Agent-Run-Id": "run-9", "Content-Type": "application/x-www-form-urlencoded"}

    def call(amount: int) -> int:
        body = f"amount={amount}&currency=usd&customer=cus_1".encode()
        return vault.request("/stripe/v1/charges", key, "POST", run, body).status

    assert call(2000) == 200  # at the limit
    assert call(2001) == 403  # one unit over
    capture.reply = lambda c: Reply(status=402, body=b'{"error":{"type":"card_error"}}')
    assert call(100) == 402
    outcomes(vault, 3)
    told = [(r["verdict"], r.get("reason", "")) for r in vault.audit_rows("--run", "run-9") if r["kind"] == "call.outcome"]
    assert sorted(told) == [("allowed", ""), ("denied", "amount_over_max"), ("failed", "")]
