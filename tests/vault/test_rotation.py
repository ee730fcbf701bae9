"""Real keys that give way to new ones: tried before they are used, with a way back for a while, and
without a call that fails."""

from __future__ import annotations

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest

from harness import web
from harness.postgres import Postgres
from harness.process import wait_for
from harness.vault import REAL_STRIPE_KEY, Call, Reply, Vault, Vendor

A = REAL_STRIPE_KEY
B = "sk_test_51TheSecondKeyThatNoAgentMayEverSee98765432"
C = "sk_test_51TheThirdKeyThatNoAgentMayEverSee5555444433"
OTHER = "sk_test_51AKeyOfAnotherAccountThatNobodyMaySee00112"
POLICY = {"vendor": "stripe", "endpoints": ["customers.*"]}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ASKED_BY_OCTROI = ("/v1/balance", "/v1/account")


def shown(call: Call) -> str:
    (value,) = call.all("Authorization")
    return value.removeprefix("Bearer ")


class Stripe:
    """Takes some keys, each of one account; what else it answers repeats the key that it was shown, and
    those that are `known`. `on_check` runs when a key is tried."""

    def __init__(self, vendor: Vendor) -> None:
        self.vendor = vendor
        self.known: tuple[str, ...] = (A,)
        self.accounts = {A: "acct_ours", B: "acct_ours", C: "acct_ours", OTHER: "acct_other"}
        self.on_check: Callable[[str], None] = lambda key: None
        vendor.reply = self.reply

    def reply(self, call: Call) -> Reply:
        account = self.accounts.get(shown(call))
        if account is None:
            return Reply(401, body=b'{"error":{"type":"invalid_request_error"}}')
        if call.target == "/v1/balance":
            self.on_check(shown(call))
            return Reply(body=b'{"object":"balance","livemode":false}')
        if call.target == "/v1/account":
            return Reply(body=json.dumps({"object": "account", "id": account}).encode())
        return Reply(body=json.dumps({"object": "list", "seen": [shown(call), *self.known]}).encode())

    def keys_of_calls(self) -> list[str]:
        return [shown(c) for c in list(self.vendor.calls) if c.target not in ASKED_BY_OCTROI]


@pytest.fixture
def stripe(capture, leaks) -> Stripe:
    for key in (A, B, C, OTHER):
        leaks.register(key, "real key")
    return Stripe(capture)


@pytest.fixture
def vault(make_vault, stripe) -> Vault:
    made = make_vault({"stripe": (stripe.vendor, None, {})}, {"bot": POLICY}).start()
    made.command("vault", "register", "stripe", stdin=A + "\n")
    return made


def rotate(vault: Vault, key: str, *words: str, vendor: str = "stripe") -> Any:
    return vault.command("vault", "rotate", vendor, *words, stdin=key + "\n")


def refused(vault: Vault, key: str, *words: str, vendor: str = "stripe") -> str:
    done = vault.command("vault", "rotate", vendor, *words, stdin=key + "\n", ok=False)
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr


def versions(vault: Vault) -> dict[str, Any]:
    return {v["state"]: v for v in vault.command("vault", "show", "stripe")["versions"]}


def key_used(vault: Vault, stripe: Stripe, key: Any) -> str:
    """Which real key the next call is made with."""
    before = len(stripe.keys_of_calls())
    vault.request("/stripe/v1/customers", key)
    return stripe.keys_of_calls()[before]


def steps(vault: Vault) -> list[tuple[str, str]]:
    return [
        (r["operation"], r.get("details", {}).get("outcome", ""))
        for r in vault.audit_rows("--kind", "admin.change")
        if r.get("operation", "").startswith("vault.")
    ]


def test_calls_run_through_a_rotation_without_a_failure(vault, stripe):
    key = vault.issue("stripe", "bot")
    answers: list[web.Response] = []
    over = threading.Event()

    def work() -> None:
        for n in itertools.count():
            if over.is_set():
                return
            if n % 3:
                answers.append(vault.request("/stripe/v1/customers", key))
            else:
                answers.append(vault.request("/stripe/v1/customers", key, "POST", FORM, f"name=n{n}"))

    def more(count: int) -> None:
        target = len(answers) + count
        wait_for(lambda: len(answers) >= target, 60, "calls")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        more(20)
        made = rotate(vault, B)
        more(20)
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert {a.status for a in answers} == {200}
    assert not [a for a in answers if any(k.encode() in a.body for k in (A, B))]
    assert set(stripe.keys_of_calls()) == {A, B}
    # What begins after the answer is made with the new one.
    assert [key_used(vault, stripe, key) for _ in range(5)] == [B] * 5
    assert made["verified"] is True and made["account_checked"] is True
    kept = versions(vault)
    assert (kept["current"]["label"], kept["previous"]["label"]) == (made["label"], made["replaces"])
    assert kept["current"]["verified_at"] and kept["previous"]["until"] and kept["current"]["until"] is None
    assert steps(vault) == [("vault.stage", ""), ("vault.verify", "verified"), ("vault.rotate", "")]


def test_a_call_under_way_ends_with_the_key_it_began_with(vault, stripe):
    key = vault.issue("stripe", "bot")
    came, go = threading.Event(), threading.Event()
    plain = stripe.vendor.reply

    def slow(call: Call) -> Reply:
        reply = plain(call)
        if call.target.endswith("/cus_slow"):
            reply.before = lambda: (came.set(), go.wait(60))
        return reply

    stripe.vendor.reply = slow
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(vault.request, "/stripe/v1/customers/cus_slow", key, timeout=90)
        assert came.wait(30)
        rotate(vault, B, "--overlap", "0")
        assert key_used(vault, stripe, key) == B
        go.set()
        answer = waiting.result(60)
    assert answer.status == 200 and A.encode() not in answer.body
    assert [shown(c) for c in stripe.vendor.calls if c.target.endswith("cus_slow")] == [A]
    assert set(versions(vault)) == {"current"}  # nothing was kept


REFUSED = {
    "unknown": ("sk_test_51NobodyGaveThisKeyToAnybody0123456789abcdef", "does not take this key"),
    "other-account": (OTHER, "another account"),
    "other-mode": ("sk_live_51AKeyOfTheLiveAccountThatNobodyMaySee01234", "live account"),
    "the-same": (A, "in use"),
    "no-key": ("pk_test_publishable", "sk_live_"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_a_key_that_must_not_be_used_changes_nothing(vault, stripe, leaks, why):
    wrong, message = REFUSED[why]
    key = vault.issue("stripe", "bot")
    leaks.register(wrong, "real key")
    said = refused(vault, wrong)
    assert message in said and wrong not in said
    assert set(versions(vault)) == {"current"}
    assert key_used(vault, stripe, key) == A
    assert "vault.rotate" not in dict(steps(vault))
    if why in ("unknown", "other-account"):
        assert steps(vault)[-1] == ("vault.verify", "failed")


def test_a_vendor_that_does_not_say_is_no_yes(vault, stripe):
    plain = stripe.vendor.reply
    key = vault.issue("stripe", "bot")
    stripe.vendor.reply = lambda call: Reply(500) if call.target == "/v1/balance" else plain(call)
    assert "500" in refused(vault, B)
    # A restricted key may not read everything; then it is said, or another question is named.
    stripe.vendor.reply = lambda call: Reply(403) if call.target == "/v1/balance" else plain(call)
    assert "verify" in refused(vault, B)
    assert key_used(vault, stripe, key) == A
    assert rotate(vault, B, "--no-verify")["verified"] is False
    assert key_used(vault, stripe, key) == B
    assert steps(vault)[-2:] == [("vault.verify", "warning_skipped"), ("vault.rotate", "")]
    assert versions(vault)["current"]["verified_at"] is None


def test_the_way_back(vault, stripe):
    key = vault.issue("stripe", "bot")
    nothing = vault.command("vault", "rollback", "stripe", ok=False)
    assert nothing.returncode != 0 and "nothing to go back to" in nothing.stdout + nothing.stderr
    made = rotate(vault, B)
    back = vault.command("vault", "rollback", "stripe")
    assert (back["label"], back["replaces"]) == (made["replaces"], made["label"])
    assert key_used(vault, stripe, key) == A
    vault.command("vault", "rollback", "stripe")  # and forth
    assert key_used(vault, stripe, key) == B
    rotate(vault, C)
    vault.command("vault", "rollback", "stripe")
    assert key_used(vault, stripe, key) == B
    vault.stop()
    vault.start()
    assert key_used(vault, stripe, key) == B


def test_the_key_before_is_wiped_when_its_overlap_is_over(vault, stripe):
    made = rotate(vault, B, "--overlap", "100ms")
    wait_for(lambda: set(versions(vault)) == {"current"}, 60, "the end of the overlap")
    assert versions(vault)["current"]["label"] == made["label"]
    wait_for(lambda: ("vault.wipe", "") in steps(vault), 60, "its row")
    done = vault.command("vault", "rollback", "stripe", ok=False)
    assert done.returncode != 0
    assert key_used(vault, stripe, vault.issue("stripe", "bot")) == B


def test_no_answer_shows_any_of_the_keys_there_are(vault, stripe):
    key = vault.issue("stripe", "bot")
    seen: list[bytes] = []
    # Also the one that is being tried.
    stripe.on_check = lambda real: seen.append(vault.request("/stripe/v1/customers", key).body)
    stripe.known = (A, B)
    rotate(vault, B)
    seen.append(vault.request("/stripe/v1/customers", key).body)
    vault.command("vault", "rollback", "stripe")
    seen.append(vault.request("/stripe/v1/customers", key).body)
    assert len(seen) >= 3
    for body in seen:
        assert A.encode() not in body and B.encode() not in body
        assert json.loads(body)["seen"] == ["vault_redacted"] * 3


def test_of_two_operators_one_wins(vault, stripe):
    tried, go = threading.Event(), threading.Event()
    key = vault.issue("stripe", "bot")

    def hold(real: str) -> None:
        if real == B:
            tried.set()
            go.wait(60)

    stripe.on_check = hold
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(refused, vault, B)
        assert tried.wait(30)
        assert {"current", "pending"} == set(versions(vault))
        rotate(vault, C)
        go.set()
        assert "somebody else" in first.result(60)
    assert key_used(vault, stripe, key) == C
    assert set(versions(vault)) == {"current", "previous"}


def test_a_server_that_dies_while_a_key_is_tried_goes_on_with_the_old_one(vault, stripe):
    tried, go = threading.Event(), threading.Event()
    key = vault.issue("stripe", "bot")
    stripe.on_check = lambda real: (tried.set(), go.wait(60)) if real == B else None
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(refused, vault, B)
        assert tried.wait(30)
        vault.kill()
        go.set()
        first.result(60)
    stripe.on_check = lambda real: None
    vault.start()
    assert key_used(vault, stripe, key) == A
    assert set(versions(vault)) == {"current", "pending"}  # ten minutes at most
    rotate(vault, B)
    assert key_used(vault, stripe, key) == B
    assert set(versions(vault)) == {"current", "previous"}


def test_a_new_key_that_is_refused_later_raises_an_alarm_and_nothing_goes_back_by_itself(vault, stripe):
    key = vault.issue("stripe", "bot")
    made = rotate(vault, B)
    del stripe.accounts[B]
    before = len(stripe.keys_of_calls())
    assert [vault.request("/stripe/v1/customers", key).status for _ in range(3)] == [401] * 3
    assert stripe.keys_of_calls()[before:] == [B] * 3
    (row,) = wait_for(lambda: vault.audit_rows("--kind", "alarm"), 60, "the alarm's row")
    assert row["reason"] == "real_key_refused" and row["vendor"] == "stripe"
    vault.command("vault", "rollback", "stripe")
    assert vault.request("/stripe/v1/customers", key).status == 200
    assert versions(vault)["previous"]["label"] == made["label"]


def test_without_a_server_and_from_a_reference(vault, stripe):
    key = vault.issue("stripe", "bot")
    vault.stop()
    assert "does not take" in refused(vault, "sk_test_51NobodyGaveThisKeyToAnybody0123456789abcdef")
    made = vault.command("vault", "rotate", "stripe", "--from", vault.secret("next", B))
    assert versions(vault)["current"]["label"] == made["label"]
    vault.start()
    assert key_used(vault, stripe, key) == B


def test_what_the_admin_api_says(vault):
    token = (vault.directory / "admin.token").read_text()
    base = f"http://127.0.0.1:{vault.admin_port}/api/v1/vault/credentials"

    def ask(path: str = "", method: str = "GET", body: str = "", auth: bool = True) -> web.Response:
        return web.request(base + path, method, [("Authorization", f"Bearer {token}")] if auth else [], body)

    for path, method in (("", "GET"), ("/stripe", "GET"), ("/stripe/rotate", "POST"), ("/stripe/rollback", "POST")):
        assert ask(path, method, auth=False).status == 401
    (vendor,) = ask().json()["vendors"]
    assert vendor == ask("/stripe").json()
    assert vendor["source"] == "sealed" and [v["state"] for v in vendor["versions"]] == ["current"]
    assert len(vendor["versions"][0]["label"]) == 8
    assert ask("/nobody").status == 404
    assert ask("/stripe/rollback", "POST").status == 409
    assert ask("/stripe/rotate", "POST", "{}").status == 400
    assert ask("/stripe/rotate", "POST", '{"sealed":"AAAA"}').status == 400
    assert ask("/stripe/rotate", "POST", '{"sealed":"AAAA","overlap":"-1s"}').status == 400
    assert ask("/stripe/elsewhere", "POST").status == 404


def test_a_vendor_without_a_pack_names_its_question(make_vault, stripe):
    """A key of the configuration is changed there."""
    stripe.vendor.reply = lambda call: Reply(200 if shown(call) in (A, B) else 401)
    policy = {"vendor": "crm", "endpoints": ["GET /people"]}
    vault = make_vault(
        {"crm": (stripe.vendor, None, {}), "named": (stripe.vendor, A, {})}, {"bot": policy}).start()
    vault.command("vault", "register", "crm", stdin=A + "\n")
    assert "vault.vendors.crm.verify.path" in refused(vault, B, vendor="crm")
    assert "credential" in refused(vault, B, vendor="named")
    vault.config["vault"]["vendors"]["crm"]["verify"] = {"path": "/me?brief=1", "method": "HEAD"}
    vault.stop()
    vault.start()
    assert "does not take" in refused(vault, C, vendor="crm")
    made = rotate(vault, B, vendor="crm")
    assert made["verified"] is True and made["account_checked"] is False
    assert ("HEAD", "/me?brief=1") in {(c.method, c.target) for c in stripe.vendor.calls}
    assert vault.request("/crm/people", vault.issue("crm", "bot", test=False)).status == 200
    assert shown(stripe.vendor.calls[-1]) == B


def test_every_replica_takes_it(make_vault, stripe, workdir):
    postgres = Postgres()
    try:
        store = postgres.database()
        vaults: list[Vault] = []
        for _ in range(2):
            made = make_vault({"stripe": (stripe.vendor, None, {})}, {"bot": POLICY}, key_file=str(workdir / "vault.key"))
            made.config["store"] = store
            vaults.append(made.start())
        here, there = vaults
        here.command("vault", "register", "stripe", stdin=A + "\n")
        key = here.issue("stripe", "bot")
        wait_for(lambda: there.request("/stripe/v1/customers", key).status == 200, 30, "the key at the other replica")
        rotate(here, B, "--overlap", "2s")
        wait_for(lambda: key_used(there, stripe, key) == B, 30, "the new key at the other replica")
        for vault in vaults:
            wait_for(lambda v=vault: set(versions(v)) == {"current"}, 60, "the end of the overlap")
        assert [key_used(v, stripe, key) for v in vaults] == [B, B]
        wait_for(lambda: [s for s in steps(here) if s[0] == "vault.wipe"] == [("vault.wipe", "")], 60, "one row of it")
        rotate(there, C)
        wait_for(lambda: key_used(here, stripe, key) == C, 30, "the third")
        here.command("vault", "rollback", "stripe")
        wait_for(lambda: key_used(there, stripe, key) == B, 30, "the way back")
        for vault in vaults:
            vault.stop()
    finally:
        postgres.stop()
