"""octroi's own wallet pays over lnd."""

from __future__ import annotations

import json

import pytest

from harness import octroi
from harness.settings import dump


@pytest.fixture
def wallet_file(workdir, network, leaks):
    leaks.register(network.payer.macaroon_hex(), "node macaroon")
    path = workdir / "wallet.yaml"
    path.write_text(
        dump(
            {
                "wallet": {
                    "lightning": {
                        "backend": "lnd",
                        "lnd": {
                            "url": network.payer.url,
                            "macaroon": f"file://{network.payer.macaroon_file()}",
                            "tls_cert": f"file://{network.payer.tls_cert}",
                        },
                    },
                    "store": str(workdir / "wallet"),
                }
            }
        )
    )
    return path


@pytest.mark.parametrize(("path", "scheme"), [("/l402/w", "l402"), ("/payment/w", "payment")])
def test_fetch_pays_over_lnd(octroi_binary, paid_over_lnd, wallet_file, leaks, upstream, path, scheme):
    done = octroi.run(octroi_binary, "--config", wallet_file, "fetch", "--json", paid_over_lnd.url + path)
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout)
    if answer.get("receipt"):
        leaks.register(str(answer["receipt"]), "Payment-Receipt")
    assert (answer["status"], answer["scheme"]) == (200, scheme)
    assert answer["paid_msat"] == {"l402": 11_000, "payment": 12_000}[scheme]
    assert json.loads(answer["body"])["upstream"] == "ok"
    assert len(upstream.of_path(path)) == 1
