"""Every problem type that docs/problem-types.md calls emitted is emitted, with the status that the table
gives, and none is emitted that it does not name."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from harness import payment
from harness.process import free_port
from harness.session import Client, deposit_invoice
from harness.settings import service

ROOT = Path(__file__).resolve().parents[2]
TTL = 10  # seconds; the least that the configuration takes


def table() -> dict[str, tuple[set[int], bool]]:
    rows = {}
    for line in (ROOT / "docs" / "problem-types.md").read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 4 and cells[0].startswith("`"):
            rows[cells[0].strip("`")] = ({int(n) for n in re.findall(r"\d+", cells[1])}, cells[3] == "yes")
    return rows


DOCUMENTED = table()


@pytest.fixture
def shop(gateway, upstream, payer, leaks):
    """Charges, tokens that end at once, sessions, a dead upstream, and a small price beside a large one."""
    prepaid = {"price": "2 sat", "deposit": "4 sat"}
    only = {"payment": {"intents": ["session"]}, "schemes": ["payment"], "session": prepaid}
    dead = f"http://127.0.0.1:{free_port()}"
    services = [
        service("api", "^/api/", upstream.url, token={"valid_for": "1s"}),
        service("prepaid", "^/prepaid/", upstream.url, **only),
        service("other", "^/other/", upstream.url, **only),
        service("dead", "^/dead/", dead),
    ]
    return Client(gateway(services, paywall={"challenge_ttl": f"{TTL}s"}), payer, leaks, path="/prepaid/x")


def show(shop: Client, path: str, value: str, **more):
    return shop.server.request(path, headers={"Authorization": value, **more})


def charge(shop: Client, **changed):
    offer = shop.server.unpaid("/api/x").payment
    return show(shop, "/api/x", payment.credential(offer, changed.pop("preimage", "00" * 32), **changed))


def expired_token(shop: Client):
    offer = shop.server.unpaid("/api/x").l402
    token = f"L402 {offer['macaroon']}:{shop.payer.pay(offer['invoice'])}"
    time.sleep(2.1)
    return show(shop, "/api/x", token)


def two_credentials(shop: Client):
    value = payment.credential(shop.server.unpaid("/api/x").payment, "00" * 32)
    return shop.server.request("/api/x", headers=[("Authorization", value), ("Authorization", value)])


def wrong_token(shop: Client):
    offer = shop.server.unpaid("/api/x").l402
    return show(shop, "/api/x", f"L402 {offer['macaroon']}:{'00' * 32}")


def nobody_there(shop: Client):
    return show(shop, "/dead/x", shop.server.buy("/dead/x", shop.payer))


def spent(shop: Client):
    value = shop.server.buy("/api/x", shop.payer)
    assert show(shop, "/api/x", value).status == 200
    return show(shop, "/api/x", value)


def closed(shop: Client):
    session = shop.open()
    assert session.close().status == 200
    return session.get()


def overdrawn(shop: Client):
    session = shop.open()
    assert session.get().status == 200
    return session.get()


def elsewhere(shop: Client):
    session = shop.open()
    return session.get("/other/x", shop.challenge("/other/x"))


def bad_return_invoice(shop: Client):
    challenge = shop.challenge()
    preimage = shop.payer.pay(deposit_invoice(challenge))
    return shop.show(shop.credential(challenge, action="open", preimage=preimage, returnInvoice="lnbcrt1qqqq"))


EMITTED = {
    "payment-required": lambda shop: shop.server.request("/api/x"),
    "malformed-credential": lambda shop: show(shop, "/api/x", "Payment !!!"),
    "method-unsupported": lambda shop: charge(shop, method="tempo"),
    "bad-request": two_credentials,
    "verification-failed": wrong_token,
    "payment-expired": expired_token,
    "internal-payment-error": nobody_there,
    "lightning/malformed-credential": lambda shop: charge(shop, preimage="zz" * 32),
    "lightning/unknown-challenge": spent,
    "lightning/invalid-preimage": charge,
    "lightning/session-not-found": elsewhere,
    "lightning/session-closed": closed,
    "lightning/insufficient-balance": overdrawn,
    "lightning/invalid-return-invoice": bad_return_invoice,
}
WITH_TIME = {"invalid-challenge", "lightning/expired-invoice", "lightning/challenge-expired"}


def check(answer, problem: str) -> None:
    statuses, emitted = DOCUMENTED[problem]
    assert emitted
    assert answer.problem == problem, answer.text[:300]
    assert answer.status in statuses and answer.json()["status"] == answer.status
    assert answer.get("Content-Type") == "application/problem+json"
    assert "no-store" in answer.tokens("Cache-Control")
    assert answer.json()["detail"] and answer.json()["title"]
    if answer.status == 402:
        assert payment.parse_challenges(answer.all("WWW-Authenticate"))
    else:
        assert not answer.all("WWW-Authenticate")


def test_the_table_and_this_file_name_the_same():
    assert {name for name, (_, emitted) in DOCUMENTED.items() if emitted} == set(EMITTED) | WITH_TIME


@pytest.mark.parametrize("problem", EMITTED)
def test_is_emitted(shop, problem):
    check(EMITTED[problem](shop), problem)


def test_those_that_take_their_time(shop, upstream):
    """A challenge that has ended, for either intent, and a credential that is being served."""
    value = shop.server.buy("/api/x", shop.payer)
    late_charge = payment.credential(shop.server.unpaid("/api/x").payment, "00" * 32)
    session = shop.open()
    began = time.monotonic()
    first = threading.Thread(target=lambda: show(shop, "/api/x?delay=12", value, **{"Idempotency-Key": "one"}))
    first.start()
    time.sleep(0.3)
    check(show(shop, "/api/x?delay=12", value, **{"Idempotency-Key": "one"}), "invalid-challenge")
    time.sleep(max(0, TTL + 1.1 - (time.monotonic() - began)))
    check(show(shop, "/api/x", late_charge), "lightning/expired-invoice")
    check(session.get(), "lightning/challenge-expired")
    first.join()
    assert len(upstream.of_path("/api/x")) == 1


def test_the_store_that_is_away_is_no_problem_of_the_client(gateway, upstream, payer):
    """503 with Retry-After, and nothing was consumed. The shop's challenges end too soon for it."""
    server = gateway([service("api", "^/api/", upstream.url)])
    headers = {"Authorization": server.buy("/api/x", payer)}
    database = next(server.directory.rglob("octroi.db"))
    with sqlite3.connect(database, isolation_level=None, timeout=10) as db:
        db.execute("BEGIN EXCLUSIVE")
        try:
            answer = server.request("/api/x", headers=headers, timeout=30)
        finally:
            db.execute("ROLLBACK")
    check(answer, "internal-payment-error")
    assert answer.status == 503 and answer.get("Retry-After")
    assert server.request("/api/x", headers=headers).status == 200
