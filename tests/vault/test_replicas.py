"""Money over three replicas that share a database while one of them is killed: a stateful mock of
Stripe never holds more than the cap, and after `octroi vault reconcile` the ledger says what it holds."""

from __future__ import annotations

import itertools
import json
import threading
from typing import Any

import pytest

from harness import web
from harness.postgres import Postgres
from harness.process import wait_for
from harness.vault import REAL_STRIPE_KEY, Call, Key, Reply, Vault, Vendor

CAP = 50
THREADS = 64
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
POLICY = {"vendor": "stripe", "endpoints": ["charges.*", "customers.*"], "daily_cap": f"{CAP} usd"}


@pytest.fixture
def postgres():
    server = Postgres()
    yield server
    server.stop()


def usd(text: str) -> float:
    number, unit = text.split()
    assert unit == "usd"
    return float(number)


def report(vault: Vault, *words: str) -> dict[str, Any]:
    """What `octroi vault reconcile` says of Stripe."""
    (stripe,) = vault.command("vault", "reconcile", "--vendor", "stripe", *words)["vendors"]
    assert stripe["complete"], stripe
    return stripe


def charges_of(mock: Vendor) -> list[dict[str, Any]]:
    """Everything that the mock has taken, asked behind octroi's back."""
    out: list[dict[str, Any]] = []
    while True:
        after = f"&starting_after={out[-1]['id']}" if out else ""
        answer = mock._ask(mock.behind, Call("GET", f"/v1/charges?limit=100{after}", AUTHORIZED, b""))
        page = json.loads(answer.body)
        out += page["data"]
        if not page["has_more"]:
            return out


AUTHORIZED = (("Authorization", f"Bearer {REAL_STRIPE_KEY}"),)


def test_64_threads_on_three_replicas_while_one_is_killed(make_vault, localstripe, postgres, workdir):
    store = postgres.database()
    vaults: list[Vault] = []
    for _ in range(3):
        vault = make_vault(
            {"stripe": (localstripe, REAL_STRIPE_KEY, {"timeout": "5s"})},
            {"bot": POLICY},
            key_file=str(workdir / "vault.key"),
            reconcile={"every": "0s"},
        )
        vault.config["store"] = store
        vaults.append(vault.start())
    key = vaults[0].issue("stripe", "bot")
    for vault in vaults:
        wait_for(lambda v=vault: v.request("/stripe/v1/customers", key).status == 200, 20, "the key everywhere")
    card = "&".join(f"source[{k}]={v}" for k, v in {
        "object": "card", "number": "4242424242424242", "exp_month": 12, "exp_year": 2099, "cvc": 123}.items())
    customer = vaults[0].request("/stripe/v1/customers", key, "POST", FORM, card).json()["id"]

    taken = threading.Semaphore(0)
    dead = threading.Event()

    def slow(call: Call) -> Reply | None:
        """Stripe's answers wait for the kill once some are on their way."""
        if call.method != "POST" or call.target != "/v1/charges":
            return None
        reply = localstripe._ask(localstripe.behind, call)
        taken.release()
        reply.before = lambda: dead.wait(20)
        return reply

    localstripe.reply = slow
    numbers = itertools.count()

    def spend(n: int) -> None:
        for at in (n, n + 1, n + 2):
            headers = {**FORM, "Idempotency-Key": f"thread-{n}-{next(numbers)}"}
            body = f"amount=100&currency=usd&customer={customer}"
            try:
                vaults[at % 3].request("/stripe/v1/charges", key, "POST", headers, body, timeout=30)
            except OSError:  # killed: the program that asked goes on at another one
                pass

    threads = [threading.Thread(target=spend, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for _ in range(12):
        assert taken.acquire(timeout=30)
    vaults[0].kill()
    dead.set()
    for thread in threads:
        thread.join(60)
    localstripe.reply = lambda call: None

    holds = charges_of(localstripe)
    assert 12 <= len(holds) <= CAP
    assert all(c["amount"] == 100 and c["paid"] for c in holds)
    before = report(vaults[1], "--dry-run")
    database = store.split("/")[3].split("?")[0]
    held, settled = map(int, postgres.sql("SELECT SUM(held), SUM(settled) FROM spend_windows", database).split("|"))
    assert held + settled >= len(holds) * 1_000_000
    assert held + settled <= CAP * 1_000_000
    assert usd(before["ledger"]) == len(holds)  # what it would be

    after = report(vaults[1])
    held, settled = map(int, postgres.sql("SELECT SUM(held), SUM(settled) FROM spend_windows", database).split("|"))
    assert settled == len(holds) * 1_000_000
    assert usd(after["ledger"]) == usd(after["shown"]) == len(holds)
    marks = [c["metadata"]["octroi_call"] for c in holds]
    assert len(set(marks)) == len(holds)  # each is one call of ours
    again = report(vaults[2])
    assert usd(again["ledger"]) == len(holds)
    assert not [c for c in again["calls"] if c["action"] in ("settled", "corrected", "missing")]


def remembering(mock: Vendor, drop: int) -> Any:
    """A Stripe that does what it is told once per idempotency key, and drops the connection after the
    first `drop` of them."""
    known: dict[str, Reply] = {}
    count = itertools.count()

    def reply(call: Call) -> Reply | None:
        if call.method != "POST" or call.target != "/v1/charges":
            return None
        (name,) = call.all("Idempotency-Key")
        if name in known:
            old = known[name]
            return Reply(old.status, (*old.headers, ("Idempotent-Replayed", "true")), old.body)
        known[name] = mock._ask(mock.behind, call)
        return Reply(drop=True) if next(count) < drop else known[name]

    return reply


@pytest.fixture
def shop(stripe_vault, localstripe):
    vault = stripe_vault(localstripe, daily_cap="20 usd", endpoints=["charges.*", "customers.*"])
    key = vault.issue("stripe", "bot")
    card = "source[object]=card&source[number]=4242424242424242&source[exp_month]=12&source[exp_year]=2099&source[cvc]=123"
    customer = vault.request("/stripe/v1/customers", key, "POST", FORM, card).json()["id"]

    def charge(cents: int, name: str) -> web.Response:
        headers = {**FORM, "Idempotency-Key": name}
        return vault.request("/stripe/v1/charges", key, "POST", headers, f"amount={cents}&currency=usd&customer={customer}")

    return vault, key, charge


def test_a_charge_whose_answer_was_lost_is_found_at_the_vendor(shop, localstripe):
    vault, _, charge = shop
    localstripe.reply = remembering(localstripe, drop=1)
    assert charge(2000, "one").status == 502
    assert len(charges_of(localstripe)) == 1
    lost = report(vault, "--dry-run")
    assert [(c["action"], c["was"]) for c in lost["calls"]] == [("settled", "unknown")]
    assert charge(1, "two").status == 403  # the hold stays
    found = report(vault)
    (call,) = found["calls"]
    assert call["action"] == "settled" and call["object"] == charges_of(localstripe)[0]["id"]
    assert (usd(found["ledger"]), usd(found["held"]), usd(found["shown"])) == (20, 0, 20)
    assert report(vault)["calls"] == []  # nothing is done twice
    assert charge(2000, "one").status == 200  # the SDK's retry: the vendor's first answer
    assert charge(1, "three").status == 403
    assert usd(report(vault)["ledger"]) == 20 and len(charges_of(localstripe)) == 1
    (row,) = [r for r in vault.audit() if r["kind"] == "call.reconciled"]
    assert row["reason"] == "settled" and row["settled_micro_usd"] == 20_000_000


def test_a_retry_before_reconciling_is_counted_once(shop, localstripe):
    vault, _, charge = shop
    localstripe.reply = remembering(localstripe, drop=1)
    assert charge(1500, "one").status == 502
    assert charge(1500, "one").status == 200
    assert charge(500, "two").status == 200
    assert charge(1, "three").status == 403
    done = report(vault)
    assert (usd(done["ledger"]), usd(done["held"]), usd(done["shown"])) == (20, 0, 20)
    assert len(charges_of(localstripe)) == 2


def test_a_charge_that_never_arrived_is_kept_for_the_grace_and_then_released(shop, localstripe):
    vault, _, charge = shop
    localstripe.reply = lambda call: Reply(drop=True) if call.target == "/v1/charges" else None
    assert charge(2000, "one").status == 502
    localstripe.reply = lambda call: None
    assert [c["action"] for c in report(vault)["calls"]] == ["kept"]
    assert charge(2000, "two").status == 403
    released = report(vault, "--grace", "0s")
    assert [c["action"] for c in released["calls"]] == ["released"]
    assert charge(2000, "two").status == 200


def test_holds_stay_while_the_vendor_cannot_be_asked(shop, localstripe):
    vault, _, charge = shop
    localstripe.reply = lambda call: Reply(drop=True) if call.target == "/v1/charges" else None
    assert charge(2000, "one").status == 502
    localstripe.reply = lambda call: Reply(status=500)
    done = vault.command("vault", "reconcile", "--grace", "0s", ok=False)
    assert done.returncode == 1
    (stripe,) = json.loads(done.stdout)["vendors"]
    assert not stripe["complete"] and "500" in stripe["error"]
    assert [c["action"] for c in stripe["calls"]] == ["kept"]


def test_marks_cannot_be_set_by_agents(shop, localstripe):
    vault, key, _ = shop
    before = len(localstripe.calls)
    for body in ("metadata[octroi_call]=x", "metadata[octroi_call][a]=x", "metadata="):
        for path in ("/v1/charges", "/v1/charges/ch_1"):
            refused = vault.request(f"/stripe{path}", key, "POST", FORM, f"amount=1&currency=usd&{body}")
            assert refused.status == 400, (path, body, refused.text)
    assert len(localstripe.calls) == before
