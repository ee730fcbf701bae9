"""Fixtures for tests in which programs by others take part."""

from __future__ import annotations

import base64
import json
from typing import Any, Callable, Iterator

import pytest

from harness import payment, peers
from harness.fake_paywall import FakePaywall, Lines
from harness.lightning import Network
from harness.octroi import Gateway
from harness.settings import service


@pytest.fixture(scope="session")
def node_peers() -> None:
    if reason := peers.node_missing():
        pytest.fail(reason, pytrace=False)


@pytest.fixture
def fake(network: Network) -> Iterator[Callable[[Lines], FakePaywall]]:
    """A stand-in for somebody else's paywall, with real invoices of the merchant's node."""
    made: list[FakePaywall] = []

    def new_invoice() -> tuple[str, str]:
        invoice = network.merchant.add(10_000, "fake")
        return invoice["payment_request"], base64.b64decode(invoice["r_hash"]).hex()

    def make(lines: Lines) -> FakePaywall:
        made.append(FakePaywall(new_invoice, lines))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def paid_over_lnd(gateway: Callable[..., Gateway], upstream, lnd_lightning: dict[str, Any]) -> Gateway:
    """octroi over the merchant's lnd with a service of each kind."""
    return gateway(
        [
            service("both", "^/both/", upstream.url, "10 sat"),
            service("only-l402", "^/l402/", upstream.url, "11 sat", schemes=["l402"]),
            service("only-payment", "^/payment/", upstream.url, "12 sat", schemes=["payment"]),
        ],
        lightning=lnd_lightning,
    )


@pytest.fixture
def pay_with(network: Network, leaks, node_peers) -> Callable[..., dict]:
    """`pay_with("pay_alby.mjs", url)`: runs a client, registers what it learned, returns its report."""

    def run(script: str, *words: str) -> dict:
        result = peers.node_script(script, *words, wallet=network.payer)
        for one in result.get("paid", []):
            leaks.register(one["preimage"], "preimage")
        for key in ("first", "again"):
            if receipt := (result.get(key) or {}).get("receipt"):
                leaks.register(receipt, "Payment-Receipt")
        return result

    return run


def upstream_saw_no_payment(seen) -> None:
    """No proof of payment and at most one Authorization in what the upstream received."""
    for one in seen:
        assert len(one.all("Authorization")) <= 1
        for name, value in one.headers:
            assert name.lower() not in ("payment-authorization", "macaroon", "grpc-metadata-macaroon", "accept-payment"), name
            assert not value.lower().startswith(("payment ", "l402 ", "lsat ")), name


def decode_credential(value: str) -> dict:
    return json.loads(payment.unb64url(value.partition(" ")[2].rstrip("=")))
