"""The life of a vault key, and of the real key behind it."""

from __future__ import annotations

import http.client
import json
import os
import pty
import subprocess
import threading
import time

import pytest

from harness.process import environment, wait_for
from harness.timing import best_of
from harness.vault import REAL_STRIPE_KEY, Reply


def test_a_registered_key_is_sealed_and_used(make_vault, capture, leaks):
    leaks.register(REAL_STRIPE_KEY, "real key")
    vault = make_vault({"stripe": (capture, None, {})}, {"bot": {"vendor": "stripe", "endpoints": ["customers.*"]}})
    vault.start()
    key_before = vault.issue("stripe", "bot", test=False)
    assert vault.request("/stripe/v1/customers", key_before).status == 503  # there is no real key yet
    wrong = vault.command("vault", "register", "stripe", stdin="pk_live_0123456789\n", ok=False)
    assert wrong.returncode != 0 and "sk_live_" in wrong.stdout + wrong.stderr
    vault.command("vault", "register", "stripe", stdin=REAL_STRIPE_KEY + "\n")
    key = vault.issue("stripe", "bot")
    assert vault.request("/stripe/v1/customers", key).status == 200
    vault.stop()
    assert REAL_STRIPE_KEY.encode() not in (vault.directory / "octroi.db").read_bytes()
    assert (vault.directory / "vault.key").stat().st_mode & 0o777 == 0o600
    vault.start()
    assert vault.request("/stripe/v1/customers", key).status == 200
    assert {tuple(c.all("Authorization")) for c in capture.calls} == {(f"Bearer {REAL_STRIPE_KEY}",)}
    # With another key file it cannot be opened, and the server says so instead of starting.
    vault.stop()
    (vault.directory / "vault.key").write_text("00" * 32)
    with pytest.raises(RuntimeError, match="sealed with another key"):
        vault.start()
    leaks.exempt(vault.directory / "vault.key")


def test_everything_can_be_set_up_before_the_first_start(make_vault, capture, leaks):
    """The server makes its admin token when it first starts; until then nobody can need it."""
    leaks.register(REAL_STRIPE_KEY, "real key")
    vault = make_vault({"stripe": (capture, None, {})}, {"bot": {"vendor": "stripe", "endpoints": ["customers.*"]}})
    del vault.config["admin"]["auth"]
    vault.write()
    vault.command("vault", "register", "stripe", stdin=REAL_STRIPE_KEY + "\n")
    key = vault.issue("stripe", "bot")
    vault.start()
    assert vault.request("/stripe/v1/customers", key).status == 200


def test_keys_work_without_a_running_server(stripe_vault, capture):
    vault = stripe_vault()
    vault.stop()
    key = vault.issue("stripe", "bot", "--name", "made offline")
    assert [k["id"] for k in vault.command("key", "list")["keys"]] == [key.id]
    vault.start()
    assert vault.request("/stripe/v1/customers", key).status == 200
    vault.stop()
    assert vault.command("key", "revoke", key.id)["id"] == key.id
    vault.start()
    assert vault.request("/stripe/v1/customers", key).status == 401


def test_lists_show_nothing_that_opens(stripe_vault):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot", "--agent", "a", "--server", "s", "--run", "r", "--expires", "2099-01-01T00:00:00Z")
    shown = vault.command("key", "show", key.id)
    assert shown["agent"] == "a" and shown["server"] == "s" and shown["run"] == "r"
    assert shown["expires_at"] == "2099-01-01T00:00:00Z" and shown["state"] == "active"
    for text in (str(shown), str(vault.command("key", "list"))):
        assert key.text not in text and key.text[-30:] not in text


def test_revoking_by_run_and_agent_and_all(stripe_vault):
    vault = stripe_vault()
    one = vault.issue("stripe", "bot", "--run", "run-1")
    two = vault.issue("stripe", "bot", "--agent", "helper")
    three = vault.issue("stripe", "bot")
    assert vault.command("key", "revoke", "--run", "run-1")["ids"] == [one.id]
    assert vault.command("key", "revoke", "--agent", "helper")["ids"] == [two.id]
    assert vault.request("/stripe/v1/customers", three).status == 200
    assert vault.command("key", "revoke", "--all")["ids"] == [three.id]
    assert [vault.request("/stripe/v1/customers", k).status for k in (one, two, three)] == [401, 401, 401]
    assert vault.command("key", "resume", three.id, ok=False).returncode != 0  # revoked is final


def test_a_key_bound_to_a_run_refuses_another(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot", "--run", "run-1")
    assert vault.request("/stripe/v1/customers", key, headers={"X-Agent-Run-Id": "run-1"}).status == 200
    assert vault.request("/stripe/v1/customers", key).status == 200
    assert vault.request("/stripe/v1/customers", key, headers={"X-Agent-Run-Id": "run-2"}).status == 403
    assert len(capture.calls) == 2


def test_nothing_reaches_the_vendor_after_a_revoke_returned(stripe_vault, capture):
    """One open connection asks as fast as it can; when the revoke has returned, the vendor sees no
    further call but one that was on its way."""
    vault = stripe_vault()
    best_of(3, 0.05, lambda: last_call_after_revoke(vault, capture))


def last_call_after_revoke(vault, capture) -> float:
    key = vault.issue("stripe", "bot")
    arrived: list[float] = []
    capture.reply = lambda call: (arrived.append(time.monotonic()), Reply())[1]
    link = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=20)
    link.connect()
    socket = link.sock
    statuses: list[int] = []
    over = threading.Event()

    def loop() -> None:
        while not over.is_set():
            link.request("GET", "/stripe/v1/customers", headers={"Authorization": f"Bearer {key.text}"})
            answer = link.getresponse()
            answer.read()
            statuses.append(answer.status)

    thread = threading.Thread(target=loop)
    thread.start()
    wait_for(lambda: len(arrived) > 20, 20, "calls under way")
    returned = vault.revoke_at_once(key)
    wait_for(lambda: statuses and statuses[-1] == 401, 20, "a refusal")
    seen = len(arrived)
    wait_for(lambda: statuses[-20:] == [401] * 20, 20, "refusals")
    over.set()
    thread.join()
    assert len(arrived) == seen
    assert link.sock is socket  # in one connection
    return max(arrived) - returned


def test_the_real_key_is_in_no_process_list_or_output(stripe_vault):
    vault = stripe_vault()
    assert vault.program is not None
    command = subprocess.run(["ps", "-o", "args=", "-p", str(vault.program.pid)], capture_output=True, text=True, env=environment())
    assert REAL_STRIPE_KEY not in command.stdout


def test_a_kill_loses_no_hold(stripe_vault, capture):
    """The server is killed while the vendor thinks: after a restart the money is still held."""
    vault = stripe_vault(daily_cap="10 usd")
    key = vault.issue("stripe", "bot")
    asked = threading.Event()
    release = threading.Event()

    def slow(call) -> Reply:
        asked.set()
        release.wait(20)
        return Reply()

    capture.reply = slow
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def ask() -> None:
        try:
            vault.request("/stripe/v1/charges", key, "POST", form, "amount=900&currency=usd&customer=c")
        except OSError:
            pass

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(20)
    vault.kill()
    release.set()
    thread.join()
    capture.reply = lambda call: Reply()
    vault.start()
    assert vault.request("/stripe/v1/charges", key, "POST", form, "amount=101&currency=usd&customer=c").status == 403
    assert vault.request("/stripe/v1/charges", key, "POST", form, "amount=100&currency=usd&customer=c").status == 200
    kinds = [(r["kind"], r.get("verdict")) for r in vault.audit() if r["kind"].startswith("call.")]
    assert kinds == [("call.intent", "allowed"), ("call.outcome", "denied"), ("call.intent", "allowed"), ("call.outcome", "allowed")]


def test_a_brake_pauses_the_key(stripe_vault, capture):
    vault = stripe_vault(velocity={"calls": 3, "per": "24h", "then": "pause"})
    key, other = vault.issue("stripe", "bot"), vault.issue("stripe", "bot")
    form = {"Content-Type": "application/x-www-form-urlencoded"}

    def charge(which):
        return vault.request("/stripe/v1/charges", which, "POST", form, "amount=1&currency=usd&customer=c").status

    assert [charge(key) for _ in range(4)] == [200, 200, 200, 403]
    wait_for(lambda: vault.command("key", "show", key.id)["state"] == "paused", 20, "the pause")
    assert charge(key) == 401
    assert charge(other) == 200
    assert len(capture.calls) == 4


def test_keys_are_ended_by_who_has_none_of_the_servers_secrets(make_vault, capture, hook_secret):
    """`cred://` is the service's own: an operator's shell has no $CREDENTIALS_DIRECTORY."""
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": {"vendor": "stripe", "endpoints": ["customers.*"]}})
    vault.config["vault"]["webhook"] = {"url": "http://127.0.0.1:9/", "secret": hook_secret(vault), "private": True}
    vault.start()
    key = vault.issue("stripe", "bot")
    assert vault.request("/stripe/v1/customers", key).status == 200
    vault.config["vault"]["vendors"]["stripe"]["credential"] = "cred://stripe"
    vault.config["vault"]["webhook"]["secret"] = "env://NOT_IN_THIS_SHELL"
    vault.write()
    for words in (("approval", "list"), ("key", "list"), ("policy", "list"), ("policy", "usage", "bot"), ("audit", "query"), ("audit", "verify", "--store"),
                  ("policy", "explain", "bot", "GET /v1/customers"), ("key", "issue", "--vendor", "stripe", "--policy", "bot"), ("vault", "show"), ("vault", "reconcile", "--dry-run")):  # fmt: skip
        vault.command(*words)
    assert key.id in vault.command("key", "revoke", "--all")["ids"]
    assert vault.request("/stripe/v1/customers", key).status == 401
    vault.stop()
    assert {k["state"] for k in vault.command("key", "list")["keys"]} == {"revoked"}
    offline = vault.command("key", "issue", "--vendor", "stripe", "--policy", "bot", ok=False)
    assert offline.returncode == 2 and "cred" in offline.stderr, "what makes keys in the store may need them"


@pytest.fixture
def hook_secret():
    return lambda vault: vault.secret("hook", "hook-secret-0123456789")


def on_a_terminal(vault, *words: str) -> str:
    """What a person sees."""
    ours, theirs = pty.openpty()
    done = subprocess.run([str(vault.binary), *words, "--config", str(vault.file)], stdin=subprocess.DEVNULL, stdout=theirs,
                          stderr=subprocess.STDOUT, timeout=60, env=environment())
    os.close(theirs)
    out = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0, out
    return out


def test_a_terminal_shows_what_opens_nothing(stripe_vault):
    vault = stripe_vault()
    canary = vault.issue("stripe", "bot", "--canary")
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3))
    short = vault.issue("stripe", "bot", "--expires", soon)
    plain = vault.issue("stripe", "bot")
    wait_for(lambda: "expired" in on_a_terminal(vault, "key", "show", short.id), 30, "the key's end")
    states = {line.split()[0]: line.split()[1] for line in on_a_terminal(vault, "key", "list").splitlines()}
    assert (states[canary.id], states[short.id], states[plain.id]) == ("canary", "expired", "active")
    assert soon in on_a_terminal(vault, "key", "list")
    assert "canary      yes" in on_a_terminal(vault, "key", "show", canary.id)
    assert "no key matched" in on_a_terminal(vault, "key", "revoke", "--agent", "typo")
    assert vault.command("key", "revoke", "--agent", "typo")["ids"] == []


def test_no_store_is_made_where_no_vault_is_configured(stripe_vault, tmp_path):
    vault = stripe_vault()
    vault.stop()
    store = tmp_path / "fresh" / "octroi.db"
    file = tmp_path / "wallet.yaml"
    file.write_text(json.dumps({"store": f"sqlite://{store}", "wallet": {"store": str(tmp_path / "wallet"), "lightning": {
        "backend": "sim", "sim": {"file": str(tmp_path / "sim.db")}}}}))
    for words in (("key", "list"), ("key", "revoke", "--all"), ("approval", "list"), ("approval", "show", "apr_1")):
        done = subprocess.run([str(vault.binary), *words, "--config", str(file)], capture_output=True, text=True, timeout=60, env=environment())
        assert done.returncode == 2 and "no vault section" in done.stderr, done.stdout + done.stderr
    assert not store.parent.exists()


def test_a_mistake_ends_the_same_with_and_without_a_server(stripe_vault):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    vault.command("key", "revoke", key.id)
    for running in (True, False):
        if not running:
            vault.stop()
        assert vault.command("key", "issue", "--vendor", "nope", "--policy", "bot", ok=False).returncode == 2
        assert vault.command("key", "revoke", key.id)["id"] == key.id
        assert vault.command("key", "resume", key.id, ok=False).returncode == 2
        assert vault.command("key", "revoke", "nobody", ok=False).returncode == 1
        assert vault.command("audit", "query", "--cursor", "zzz", ok=False).returncode == 2


def test_a_wrong_admin_token_is_told_in_words(stripe_vault):
    vault = stripe_vault()
    (vault.directory / "admin.token").write_text("0" * 64)
    refused = vault.command("key", "list", ok=False)
    assert refused.returncode == 1 and "Bearer token" in refused.stderr and "redacted" not in refused.stderr
