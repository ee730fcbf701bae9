"""One prepaid session over two real lnd nodes, from its deposit to its refund, and everything that
tells of it: receipts, `octroi session show` and `totals`, the transactions, what the upstream served,
and both nodes' balances agree to the millisatoshi (acceptance point 1 of the issue of sessions)."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Iterator

import pytest

from harness import octroi, payment
from harness.model_upstream import ModelUpstream
from harness.process import wait_for
from harness.session import Client, Session
from harness.settings import service
from harness.sse import Stream

PRICE = 2  # sat; of a request, and of each event of a stream
REQUESTS = 100
DEPOSIT = PRICE * (1 + REQUESTS) + 38  # what the requests leave pays 19 events
EVENTS = 30
SPENT = PRICE * (1 + REQUESTS + EVENTS)


@pytest.fixture
def model() -> Iterator[ModelUpstream]:
    server = ModelUpstream()
    yield server
    server.stop()


class LndClient(Client):
    """Its money is on an lnd node."""

    def return_invoice(self, amount: str = "0", expiry: str = "30d") -> str:
        return self.node.add(0, "what is left", 30 * 24 * 3600)["payment_request"]


@pytest.fixture
def client(gateway, network, lnd_lightning, lnd_payer, leaks, model) -> Client:
    lnd_lightning["lnd"]["pay_macaroon"] = f"file://{network.merchant.macaroon_file()}"
    chat = service("chat", "^/", model.url, schemes=["payment"], payment={"intents": ["session"]}, strict=True,
                   session={"unit": "chunk", "price": f"{PRICE} sat", "deposit": f"{DEPOSIT} sat", "hold": "60s"})
    made = LndClient(gateway([chat], lightning=lnd_lightning), lnd_payer, leaks, path="/api/x")
    made.node = network.payer
    return made


def hash_of(node, invoice: str) -> str:
    return node.decode(invoice)["payment_hash"]


def received_msat(node, payment_hash: str) -> int:
    invoice = node.lookup(payment_hash)
    assert invoice["state"] == "SETTLED"
    return int(invoice["amt_paid_msat"])


def fees_msat(node, payment_hash: str) -> int:
    """What the node paid on top, of the one payment that it knows of this hash."""
    urlsafe = base64.urlsafe_b64encode(bytes.fromhex(payment_hash)).decode()
    last = list(node.lines("GET", f"/v2/router/track/{urlsafe}?no_inflight_updates=true"))[-1]["result"]
    assert last["status"] == "SUCCEEDED"
    return int(last["fee_msat"])


def test_a_session_from_deposit_to_refund_and_all_books_agree(octroi_binary, client, model, network):
    before = {"payer": network.payer.balance_msat(), "merchant": network.merchant.balance_msat()}

    session: Session = client.open()
    challenge = client.challenge()
    with ThreadPoolExecutor(8) as pool:  # as an agent of several threads would
        answers = list(pool.map(lambda n: session.get(f"/api/{n}", challenge), range(REQUESTS)))
    assert {one.status for one in answers} == {200}
    for one in [session.answer, *answers]:
        receipt = payment.receipt(one.get("Payment-Receipt"))
        assert (receipt["reference"], receipt["status"], receipt["method"]) == (session.id, "success", "lightning")

    stream = Stream(client.server.url + f"/api/events?n={EVENTS}", {"Authorization": session.bearer(challenge)})
    dry = stream.until("payment-need-topup").json()
    assert len(stream.sold) == 19, "what the first deposit pays"
    assert (dry["sessionId"], dry["balanceSpent"], dry["balanceRequired"]) == (session.id, DEPOSIT, PRICE)
    top_up = session.top_up_credential()
    assert client.show(top_up).json() == {"status": "ok"}
    stream.wait()
    assert len(stream.sold) == EVENTS and stream.sold == [f"event {n}" for n in range(1, EVENTS + 1)]
    told = stream.until("payment-receipt").json()
    assert (told["reference"], told["units"], told["spent"]) == (session.id, EVENTS, EVENTS * PRICE)
    assert len(model.requests) == 1 + REQUESTS + 1, "each was served once"

    closed = session.close()
    refund = 2 * DEPOSIT - SPENT
    assert closed.json() == {"status": "closed", "refundSats": refund, "refundStatus": "succeeded"}
    receipt = payment.receipt(closed.get("Payment-Receipt"))
    assert (receipt["reference"], receipt["refundSats"], receipt["refundStatus"]) == (session.id, refund, "succeeded")

    def ask(*words: str) -> dict:
        done = octroi.run(octroi_binary, "--config", client.server.config_file, "--json", *words)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    # The ledger.
    row = ask("session", "show", session.id)
    assert (row["state"], row["close_reason"]) == ("closed", "client")
    assert (row["deposit_msat"], row["spent_msat"]) == (2 * DEPOSIT * 1000, SPENT * 1000)
    assert (row["refund"]["status"], row["refund"]["amount_msat"], row["refund"]["attempts"]) == ("succeeded", refund * 1000, 1)
    totals = ask("session", "totals")
    assert totals["deposits_msat"] == 2 * DEPOSIT * 1000
    assert totals["spent_msat"] == SPENT * 1000 and totals["refunded_msat"] == refund * 1000
    assert (totals["rounding_msat"], totals["open_balances_msat"], totals["unpaid_refunds_msat"]) == (0, 0, 0)
    booked = ask("transaction", "list", "--state", "settled", "--scheme", "mpp_session")["transactions"]
    assert [one["amount_msat"] for one in booked] == [DEPOSIT * 1000] * 2

    # The nodes: each payment by its invoice, then what it did to the balances.
    for deposit in booked:
        assert received_msat(network.merchant, deposit["payment_hash"]) == deposit["amount_msat"]
    returned = hash_of(network.payer, row["return_invoice"])
    assert received_msat(network.payer, returned) == refund * 1000
    fee = fees_msat(network.merchant, returned)
    assert fee == row["refund"]["fee_msat"] == totals["refund_fees_msat"] == 0, "the two nodes share a channel"
    # A settled invoice is in a balance once both sides have committed, a round trip later.
    kept = SPENT * 1000
    wait_for(lambda: network.payer.balance_msat() == before["payer"] - kept, 10, f"the payer {kept} msat poorer")
    wait_for(lambda: network.merchant.balance_msat() == before["merchant"] + kept, 10, f"the merchant {kept} msat richer")
