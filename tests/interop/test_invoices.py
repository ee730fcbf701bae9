"""BOLT11: what octroi, its simulated node and lnd write and read, seen by libraries of others."""

from __future__ import annotations

import json

import pytest
from bolt11 import decode as decode_bolt11

from harness import peers


@pytest.fixture
def decoded_by_all(conformance, node_peers):
    """The same fields from octroi-conformance, two npm libraries and one from PyPI."""

    def decode(invoice: str) -> dict[str, dict]:
        python = decode_bolt11(invoice)
        node = peers.node_script("decode_bolt11.mjs", invoice)
        ours = conformance.value("bolt11.decode", invoice)
        return {
            "octroi": ours,
            "python": {
                "amount_msat": python.amount_msat,
                "payment_hash": python.payment_hash,
                "payee": python.payee,
                "timestamp": python.date,
                "expiry": python.expiry,
                "description": python.description,
            },
            **node,
        }

    return decode


def agree(decoded: dict[str, dict]) -> None:
    ours = {key: str(value) for key, value in decoded.pop("octroi").items()}
    for library, fields in decoded.items():
        for key, value in fields.items():
            if value is not None and key in ours:
                assert str(value) == ours[key], f"{library} reads another {key}"
    assert {"amount_msat", "payment_hash", "timestamp"} <= set(ours)


@pytest.mark.parametrize("amount", ["1 sat", "10 sat", "999999 sat", "21000000 sat"])
def test_simulated_invoices(payer, decoded_by_all, amount):
    made = json.loads(payer.run("wallet", "invoice", "--amount", amount, "--json").stdout)
    decoded = decoded_by_all(made["invoice"])
    assert decoded["python"]["payment_hash"] == made["payment_hash"]
    assert decoded["python"]["amount_msat"] == int(amount.split()[0]) * 1000
    assert made["invoice"].startswith("lnbcrt")
    agree(decoded)


@pytest.mark.parametrize("amount_msat", [1, 1500, 1_000_000, 123_456_789_000])
def test_invoices_of_lnd(network, decoded_by_all, amount_msat):
    invoice = network.merchant.add(amount_msat, "a memo: ☕")["payment_request"]
    agree(decoded_by_all(invoice))


def test_lnd_reads_simulated_invoices(network, payer):
    made = json.loads(payer.run("wallet", "invoice", "--amount", "10 sat", "--json").stdout)
    assert network.payer.decode(made["invoice"])["payment_hash"] == made["payment_hash"]
