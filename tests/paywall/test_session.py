"""Prepaid sessions over simulated Lightning with real invoices, against a client that knows the draft
only: open, bearer, topUp, close, and the money that comes back (lightning-session-00)."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import octroi, payment
from harness.process import wait_for
from harness.session import Client, deposit_invoice
from harness.settings import service

PAY, DELAY, LOSE_ANSWER = 5, 2, 3  # of the simulated network's faults


def prepaid(upstream, name: str = "api", path: str = "^/api/", **more) -> dict:
    session = {"price": "2 sat", "idle_timeout": "300s", **more.pop("session", {})}
    return service(
        name, path, upstream.url, "10 sat", schemes=["payment"], session=session, **{"payment": {"intents": ["session"]}, **more}
    )


@pytest.fixture
def make(gateway, upstream, payer, leaks):
    def build(*services: dict, **options) -> Client:
        server = gateway(list(services) or [prepaid(upstream)], **options)
        return Client(server, payer, leaks)

    return build


def fault(network, operation: int, kind: int, count: int = 1, delay_ms: int = 0) -> None:
    """Spoils the seller's next calls of the simulated network, as its file says."""
    with sqlite3.connect(network) as db:
        db.execute(
            "INSERT INTO faults(account, operation, kind, remaining, delay_ms) VALUES('merchant',?,?,?,?)",
            (operation, kind, count, delay_ms),
        )


def balance_sat(payer) -> int:
    msat = payer.balance_msat()
    assert msat % 1000 == 0
    return msat // 1000


# ---- the challenge -----------------------------------------------------------------------------


def test_challenge_as_the_draft_has_it(make):
    client = make()
    answer = client.server.request("/api/x")
    assert answer.status == 402 and "no-store" in answer.tokens("Cache-Control")
    (offer,) = payment.parse_challenges(answer.all("WWW-Authenticate"))
    assert (offer["method"], offer["intent"]) == ("lightning", "session")
    request = offer.request
    assert set(request) == {
        "amount",
        "currency",
        "depositAmount",
        "depositInvoice",
        "idleTimeout",
        "paymentHash",
        "unitType",
    }
    assert request["amount"] == "2" and request["currency"] == "sat" and request["unitType"] == "request"
    assert request["depositAmount"] == "40", "twenty requests"
    assert request["idleTimeout"] == "300"
    assert answer.problem == "payment-required" and answer.json()["challengeId"] == offer["id"]
    assert client.challenge().request["paymentHash"] != request["paymentHash"], "a fresh invoice each time"


def test_charge_is_offered_unless_the_client_prefers_a_session(make, upstream):
    client = make(prepaid(upstream, payment={"intents": ["charge", "session"]}))
    assert client.server.unpaid("/api/x").payment["intent"] == "charge"
    assert client.challenge()["intent"] == "session"
    all_of_them = make(prepaid(upstream, payment={"intents": ["charge", "session"], "offer": "all"}))
    offers = payment.of_scheme(all_of_them.server.unpaid("/api/x").challenges, "Payment")
    assert [one["intent"] for one in offers] == ["charge", "session"]


# ---- the life of a session ---------------------------------------------------------------------


def test_open_thirty_bearers_top_up_close_and_the_rest_comes_back(make, upstream, payer):
    """rule: MPP-110 MPP-111 MPP-112 MPP-114 MPP-115 MPP-116 MPP-117 MPP-118"""
    client = make(prepaid(upstream, session={"deposit": "40 sat"}))
    before = balance_sat(payer)
    session = client.open()
    receipt = payment.receipt(session.answer.get("Payment-Receipt"))
    assert receipt["reference"] == session.id and receipt["method"] == "lightning"
    assert receipt["status"] == "success" and receipt["challengeId"] == session.challenge["id"]
    assert "private" in session.answer.tokens("Cache-Control")
    assert session.answer.json()["upstream"] == "ok" and upstream.count == 1

    challenge = client.challenge()  # one is enough for all of them
    statuses = Counter(session.get("/api/y", challenge).status for _ in range(19))
    assert statuses == {200: 19} and upstream.count == 20

    empty = session.get("/api/y", challenge)
    assert empty.status == 402 and empty.problem == "lightning/insufficient-balance"
    assert empty.json()["balanceSpent"] == 40 and empty.json()["balanceRequired"] == 2
    fresh = payment.parse_challenges(empty.all("WWW-Authenticate"))[0]
    assert fresh["intent"] == "session" and fresh["id"] != challenge["id"]
    assert not empty.all("Payment-Receipt") and upstream.count == 20

    topped = client.show(session.top_up_credential(), "/api/anywhere")
    assert topped.status == 200 and topped.json() == {"status": "ok"}
    assert payment.receipt(topped.get("Payment-Receipt"))["reference"] == session.id
    assert upstream.count == 20, "a top-up starts no request"

    statuses = Counter(session.get("/api/y", challenge).status for _ in range(11))
    assert statuses == {200: 11} and upstream.count == 31

    closed = session.close()
    assert closed.status == 200
    assert closed.json() == {"status": "closed", "refundSats": 18, "refundStatus": "succeeded"}
    receipt = payment.receipt(closed.get("Payment-Receipt"))
    assert receipt["refundSats"] == 18 and receipt["refundStatus"] == "succeeded"
    assert receipt["reference"] == session.id
    assert upstream.count == 31
    assert balance_sat(payer) == before - 62, "31 requests at 2 sat"

    late = session.get("/api/y", challenge)
    assert late.status == 402 and late.problem == "lightning/session-closed"


def test_credential_never_reaches_the_upstream(make, upstream):
    client = make()
    session = client.open()
    session.get("/api/y", method="POST", body="what was asked")
    assert upstream.seen[-1].body == b"what was asked"
    for seen in upstream.seen:
        assert not seen.all("Authorization") and not seen.all("Payment-Authorization")
        assert not any("Payment" in value for _, value in seen.headers)


def test_idle_session_is_closed_and_refunded(make, upstream, payer):
    """rule: MPP-119"""
    client = make(prepaid(upstream, session={"idle_timeout": "1s"}))
    before = balance_sat(payer)
    session = client.open()
    assert client.challenge().request["idleTimeout"] == "1"
    wait_for(lambda: balance_sat(payer) == before - 2, 15, "the refund of an idle session", 0.2)
    gone = session.get()
    assert gone.status == 402 and gone.problem == "lightning/session-closed"


def test_session_survives_a_restart(make, upstream):
    client = make()
    session = client.open()
    client.server.kill()
    client.server.start()
    assert session.get().status == 200
    again = client.show(session.opened_with)
    assert again.status == 200 and payment.receipt(again.get("Payment-Receipt"))["reference"] == session.id
    assert len(upstream.of_path("/api/x")) == 2, "the open ran once, the bearer once"


def test_transactions_list_deposits_and_top_ups(make, octroi_binary):
    client = make()
    session = client.open()
    assert client.show(session.top_up_credential()).status == 200

    def rows() -> list[dict]:
        done = octroi.run(
            octroi_binary, "--config", client.server.config_file, "transaction", "list", "--state", "settled", "--json"
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["transactions"]

    wait_for(lambda: len(rows()) == 2, 10, "both rows", 0.2)
    assert {row["auth_type"] for row in rows()} == {"mpp_session"}
    assert [row["amount_msat"] for row in rows()] == [40_000, 40_000]


# ---- what is refused, one problem type each ----------------------------------------------------


def refused(answer, problem: str) -> payment.Challenge:
    assert answer.status == 402 and answer.problem == problem, (answer, answer.text[:300])
    assert "no-store" in answer.tokens("Cache-Control") and not answer.all("Payment-Receipt")
    return payment.parse_challenges(answer.all("WWW-Authenticate"))[0]


def test_wrong_preimage(make):
    client = make()
    challenge = client.challenge()
    wrong = client.credential(challenge, action="open", preimage="00" * 32, returnInvoice=client.return_invoice())
    assert refused(client.show(wrong), "lightning/invalid-preimage")["id"] == challenge["id"]


def test_malformed_payload(make):
    client = make()
    refused(client.show(client.credential(client.challenge(), action="begin")), "lightning/malformed-credential")


def test_unknown_challenge(make):
    client = make()
    session = client.open()
    forged = client.challenge()
    fields = forged.fields | {"id": "A" * 43}
    other = payment.Challenge(forged.scheme, tuple(fields.items()))
    refused(session.get(challenge=other), "lightning/unknown-challenge")


def test_expired_challenge(make):
    client = make(paywall={"challenge_ttl": "10s"})
    session = client.open()
    challenge = client.challenge()
    time.sleep(11)
    fresh = refused(session.get(challenge=challenge), "lightning/challenge-expired")
    assert session.get(challenge=fresh).status == 200


def test_session_of_another_service(make, upstream):
    client = make(prepaid(upstream), prepaid(upstream, "other", "^/other/"))
    session = client.open("/api/x")
    challenge = client.challenge("/other/x")
    refused(session.get("/other/x", challenge), "lightning/session-not-found")


@pytest.mark.parametrize("kind", ["with an amount", "no invoice", "the seller's own"])
def test_invalid_return_invoice(make, kind):
    client = make()
    challenge = client.challenge()
    preimage = client.payer.pay(deposit_invoice(challenge))
    bad = {
        "with an amount": lambda: client.return_invoice("5 sat"),
        "no invoice": lambda: "lnbcrt1qqqq",
        "the seller's own": lambda: deposit_invoice(client.challenge()),
    }[kind]()
    value = client.credential(challenge, action="open", preimage=preimage, returnInvoice=bad)
    same = refused(client.show(value), "lightning/invalid-return-invoice")
    assert same["id"] == challenge["id"], "its deposit is paid: another try needs no other payment"
    good = client.credential(challenge, action="open", preimage=preimage, returnInvoice=client.return_invoice())
    assert client.show(good).status == 200


def test_return_invoice_belongs_to_one_session(make):
    client = make()
    returns = client.return_invoice()
    first, _ = client.open_credential(client.challenge(), returns)
    assert client.show(first).status == 200
    second, _ = client.open_credential(client.challenge(), returns)
    refused(client.show(second), "lightning/invalid-return-invoice")


def test_store_or_node_that_is_away_consumes_nothing(make, upstream, sim_file):
    client = make(prepaid(upstream, strict=True), paywall={"verify_within": "500ms"})
    value, _ = client.open_credential(client.challenge())
    fault(sim_file, 3, DELAY, count=1, delay_ms=3000)  # the look-up of the invoice
    late = client.show(value)
    assert late.status == 503 and late.get("Retry-After")
    wait_for(lambda: client.show(value).status == 200, 10, "the same credential once the node answers", 0.3)
    assert len(upstream.of_path("/api/x")) == 1


# ---- what others left open (notes on Aperture, sections 4 and 11) -------------------------------


def test_replayed_top_up_adds_nothing_and_serves_nothing(make, upstream, payer):
    """rule: MPP-120"""
    client = make(prepaid(upstream, session={"deposit": "10 sat"}))
    before = balance_sat(payer)
    session = client.open()
    value = session.top_up_credential()
    answers = [client.show(value, "/api/free") for _ in range(5)]
    assert [one.status for one in answers] == [200] * 5
    assert {one.text for one in answers} == {'{"status":"ok"}'}
    assert len({one.get("Payment-Receipt") for one in answers}) == 1
    assert not upstream.of_path("/api/free")
    assert session.close().json()["refundSats"] == 18
    assert balance_sat(payer) == before - 2


def test_open_top_up_and_close_give_no_free_request(make, upstream):
    client = make(prepaid(upstream, session={"deposit": "2 sat"}))
    session = client.open()
    assert upstream.count == 1, "the open's own request, which it pays for"
    assert client.show(session.opened_with).status == 200 and upstream.count == 1
    assert client.show(session.top_up_credential()).status == 200 and upstream.count == 1
    closed = session.close()
    assert closed.json()["refundSats"] == 2 and upstream.count == 1


def test_cheap_challenge_opens_nothing_dear(make, upstream, payer):
    client = make(prepaid(upstream, prices=[{"path": "/api/dear", "price": "30 sat"}], session={"deposit": "100 sat"}))
    session = client.open()
    fresh = refused(session.get("/api/dear"), "lightning/unknown-challenge")
    assert fresh.request["amount"] == "30"
    assert not upstream.of_path("/api/dear")
    assert session.get("/api/dear", fresh).status == 200
    assert session.close().json()["refundSats"] == 68, "2 and 30, and nothing for what was refused"


def test_deposit_is_used_once_over_open_and_top_up(make):
    client = make()
    session = client.open()
    challenge = client.challenge()
    preimage = client.payer.pay(deposit_invoice(challenge))
    top_up = client.credential(challenge, action="topUp", sessionId=session.id, topUpPreimage=preimage)
    assert client.show(top_up).status == 200
    again = client.credential(challenge, action="open", preimage=preimage, returnInvoice=client.return_invoice())
    refused(client.show(again), "lightning/unknown-challenge")
    assert session.close().json()["refundSats"] == 78


def test_unpaid_challenge_closes_no_stranger(make):
    """A close needs the session's own preimage, not only its id, which receipts show."""
    client = make()
    session = client.open()
    stranger = client.credential(client.challenge(), action="close", sessionId=session.id, preimage="11" * 32)
    refused(client.show(stranger), "lightning/invalid-preimage")
    assert session.get().status == 200


@pytest.mark.parametrize("how", ["answer lost", "still on its way"])
def test_refund_is_paid_once_over_a_kill_between_send_and_record(make, sim_file, payer, how):
    client = make()
    before = balance_sat(payer)
    session = client.open()
    if how == "answer lost":
        fault(sim_file, PAY, LOSE_ANSWER)
    else:
        fault(sim_file, PAY, DELAY, delay_ms=2000)
    value = session.close_credential()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: client.show(value, timeout=20))
        wait_for(lambda: payments_of(sim_file) == 1, 10, "the refund to be sent", 0.01)
        client.server.kill()
    client.server.start()
    wait_for(lambda: balance_sat(payer) == before - 2, 20, "the refund", 0.2)
    wait_for(lambda: refund_stage(client.server, session.id) == "succeeded", 20, "its record", 0.2)
    time.sleep(1.5)
    assert balance_sat(payer) == before - 2 and payments_of(sim_file) == 1
    closed = client.show(value)
    assert closed.status == 200 and closed.json() == {
        "status": "closed",
        "refundSats": 38,
        "refundStatus": "succeeded",
    }, "what became of it, as the first answer was never given"


def payments_of(network) -> int:
    """Payments that the seller's node was asked for."""
    with sqlite3.connect(network) as db:
        return db.execute("SELECT count(*) FROM payments WHERE payer = 'merchant'").fetchone()[0]


def refund_stage(server, session: str) -> str:
    with sqlite3.connect(f"file:{server.directory}/octroi.db?mode=ro", uri=True) as db:
        (stage,) = db.execute("SELECT refund_stage FROM sessions WHERE id = ?", (bytes.fromhex(session),)).fetchone()
    return stage


def test_kill_between_close_and_send_refunds_later(make, sim_file, payer):
    client = make()
    before = balance_sat(payer)
    session = client.open()
    fault(sim_file, 1, 0, count=-1)  # the node is away: the refund stays due
    closed = session.close()
    assert closed.json() == {"status": "closed", "refundSats": 38, "refundStatus": "failed"}
    client.server.kill()
    with sqlite3.connect(sim_file) as db:
        db.execute("DELETE FROM faults")
    client.server.start()
    wait_for(lambda: balance_sat(payer) == before - 2, 20, "the refund", 0.2)
    assert payments_of(sim_file) == 1


def test_sigterm_lets_a_refund_on_its_way_end(make, upstream, sim_file, payer):
    client = make(prepaid(upstream, session={"refund": {"wait": "0s"}}))
    before = balance_sat(payer)
    session = client.open()
    fault(sim_file, PAY, DELAY, delay_ms=1500)
    closed = session.close()
    assert closed.json() == {"status": "closed", "refundSats": 38, "refundStatus": "failed"}, "on its way"
    wait_for(lambda: payments_of(sim_file) == 1, 10, "the refund to be sent", 0.01)
    assert client.server.stop() == 0
    assert refund_stage(client.server, session.id) == "succeeded"
    assert balance_sat(payer) == before - 2


# ---- over real nodes ---------------------------------------------------------------------------


class LndWallet:
    """The payer's lnd node with the words that `Client` uses."""

    def __init__(self, node, payer):
        self._node = node
        self.pay = payer.pay

    def return_invoice(self) -> str:
        return self._node.add(0, "return", 30 * 24 * 3600)["payment_request"]


def test_over_lnd_the_refund_arrives(gateway, upstream, network, lnd_lightning, lnd_payer, leaks):
    node = lnd_lightning
    node["lnd"]["pay_macaroon"] = f"file://{network.merchant.macaroon_file('admin')}"
    server = gateway([prepaid(upstream, strict=True)], lightning=node)
    wallet = LndWallet(network.payer, lnd_payer)
    client = Client(server, wallet, leaks)
    client.return_invoice = wallet.return_invoice
    before = network.payer.balance_msat()
    session = client.open()
    statuses = Counter(session.get("/api/y").status for _ in range(19))
    assert statuses == {200: 19}
    assert session.get("/api/y").problem == "lightning/insufficient-balance"
    assert client.show(session.top_up_credential()).json() == {"status": "ok"}
    assert session.get("/api/y").status == 200
    closed = session.close()
    assert closed.json() == {"status": "closed", "refundSats": 38, "refundStatus": "succeeded"}
    assert upstream.count == 21
    wait_for(lambda: network.payer.balance_msat() == before - 42_000, 10, "the refund on the payer's node", 0.2)


# ---- many at once ------------------------------------------------------------------------------


def test_sixty_four_at_once_never_overdraw(make, upstream, payer):
    client = make(prepaid(upstream, session={"deposit": "60 sat"}), paywall={"max_unpaid": 0})
    before = balance_sat(payer)
    session = client.open()
    with ThreadPoolExecutor(64) as pool:
        answers = Counter(one.status for one in pool.map(lambda _: session.get("/api/y"), range(200)))
    assert answers == {200: 29, 402: 171}
    assert len(upstream.of_path("/api/y")) == 29, "what was served was debited, and no more"
    assert session.close().json() == {"status": "closed", "refundSats": 0, "refundStatus": "skipped"}
    assert balance_sat(payer) == before - 60


def test_sixty_four_closes_at_once_refund_once(make, sim_file, payer):
    client = make(paywall={"max_unpaid": 0})
    before = balance_sat(payer)
    session = client.open()
    value = session.close_credential()
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: client.show(value), range(64)))
    assert {one.status for one in answers} <= {200, 409}
    assert {one.text for one in answers if one.status == 200} == {
        '{"status":"closed","refundSats":38,"refundStatus":"succeeded"}'
    }
    assert balance_sat(payer) == before - 2 and payments_of(sim_file) == 1
