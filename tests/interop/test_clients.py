"""Clients that we did not write pay octroi over real Lightning and get what they paid for."""

from __future__ import annotations

import pytest

from harness import l402_client, payment
from harness.process import wait_for

from .conftest import upstream_saw_no_payment

ALBY, MPPX = "pay_alby.mjs", "pay_mppx.mjs"


def one_delivery(upstream, path: str, times: int = 1) -> None:
    seen = upstream.of_path(path)
    assert len(seen) == times
    upstream_saw_no_payment(seen)


@pytest.mark.parametrize("path", ["/both/a", "/l402/a"])
def test_alby_pays_l402(paid_over_lnd, pay_with, upstream, path):
    """The token is bought once and used twice."""
    result = pay_with(ALBY, paid_over_lnd.url + path)
    assert result.get("error") is None
    assert (result["first"]["status"], result["again"]["status"]) == (200, 200)
    assert len(result["paid"]) == 1
    one_delivery(upstream, path, times=2)


def test_alby_pays_payment(paid_over_lnd, pay_with, upstream):
    """The credential buys one request: shown again it is refused, and the client does not pay twice."""
    result = pay_with(ALBY, paid_over_lnd.url + "/payment/alby")
    assert result.get("error") is None
    assert result["first"]["status"] == 200
    assert len(result["paid"]) == 1
    assert result["again"]["status"] == 402
    receipt = payment.receipt(result["first"]["receipt"])
    assert receipt["reference"] == payment.payment_hash(result["paid"][0]["preimage"])
    one_delivery(upstream, "/payment/alby")


def test_alby_pays_for_a_post(paid_over_lnd, pay_with, upstream):
    """It drops the echo of `digest`; the body that came is what counts."""
    result = pay_with(ALBY, paid_over_lnd.url + "/payment/post", "POST", '{"question":"why"}')
    assert result.get("error") is None
    assert result["first"]["status"] == 200
    assert upstream.of_path("/payment/post")[0].body == b'{"question":"why"}'
    one_delivery(upstream, "/payment/post")


@pytest.mark.parametrize("path", ["/payment/mppx", "/both/mppx"])
def test_mppx_pays_payment(paid_over_lnd, pay_with, upstream, path):
    """Also beside L402 and LSAT lines, which it leaves alone."""
    result = pay_with(MPPX, paid_over_lnd.url + path)
    assert result.get("error") is None
    assert result["first"]["status"] == 200
    receipt = payment.receipt(result["first"]["receipt"])
    assert receipt["method"] == "lightning" and receipt["status"] == "success"
    assert receipt["reference"] == payment.payment_hash(result["paid"][0]["preimage"])
    assert result["paid"][0]["preimage"] not in str(receipt)
    one_delivery(upstream, path)


def test_mppx_pays_for_a_post(paid_over_lnd, pay_with, upstream):
    result = pay_with(MPPX, paid_over_lnd.url + "/payment/mppx-post", "POST", "a body")
    assert result.get("error") is None
    assert result["first"]["status"] == 200
    assert upstream.of_path("/payment/mppx-post")[0].body == b"a body"


@pytest.mark.parametrize("path", ["/both/py", "/l402/py"])
def test_l402_requests_pays_l402(paid_over_lnd, network, leaks, upstream, path):
    """One payment, then the token from its cache."""
    client, wallet = l402_client.client(network.payer)
    answers = [client.get(paid_over_lnd.url + path) for _ in range(3)]
    for preimage in wallet.preimages:
        leaks.register(preimage, "preimage")
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len(wallet.preimages) == 1
    one_delivery(upstream, path, times=3)


def test_l402_requests_pays_payment(paid_over_lnd, network, leaks, upstream):
    client, wallet = l402_client.client(network.payer)
    answer = client.get(paid_over_lnd.url + "/payment/py")
    leaks.register(answer.headers.get("payment-receipt", ""), "Payment-Receipt")
    for preimage in wallet.preimages:
        leaks.register(preimage, "preimage")
    assert answer.status_code == 200
    assert payment.receipt(answer.headers["payment-receipt"])["reference"] == payment.payment_hash(wallet.preimages[0])
    one_delivery(upstream, "/payment/py")


def settled_balance(node) -> int:
    """The node's balance once nothing that earlier tests paid is on its way any more."""
    wait_for(lambda: not any(one["pending_htlcs"] for one in node.call("GET", "/v1/channels")["channels"]), 10, "a quiet channel")
    return node.balance_msat()


def test_the_node_settled_what_octroi_counted(paid_over_lnd, network, lnd_payer):
    """What octroi says it earned is what the node received."""
    before = settled_balance(network.merchant)
    assert paid_over_lnd.request(
        "/payment/count", headers={"Authorization": paid_over_lnd.buy("/payment/count", lnd_payer)}
    ).status == 200
    token = paid_over_lnd.buy_token("/l402/count", lnd_payer)
    assert paid_over_lnd.request("/l402/count", headers={"Authorization": token}).status == 200
    # The payer has its preimage a moment before the merchant's channel is settled.
    wait_for(lambda: network.merchant.balance_msat() - before == 12_000 + 11_000, 10, "both payments on the merchant's side")
    assert paid_over_lnd.metric("octroi_paid_msat_total") == 12_000 + 11_000


def test_every_offer_has_its_own_invoice(paid_over_lnd, network):
    """One payment can never be spent under two schemes; LSAT is the L402 offer under its old name."""
    offer = paid_over_lnd.unpaid("/both/offers")
    assert offer.l402["invoice"] == offer.lsat["invoice"] != offer.payment.invoice
    for invoice in (offer.l402["invoice"], offer.payment.invoice):
        decoded = network.payer.decode(invoice)
        assert int(decoded["num_msat"]) == 10_000
        assert decoded["destination"] == network.merchant.info()["identity_pubkey"]
    assert network.payer.decode(offer.payment.invoice)["payment_hash"] == offer.payment.request["methodDetails"]["paymentHash"]
