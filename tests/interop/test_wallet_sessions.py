"""A prepaid session between octroi's two doors over two real lnd nodes: deposit, requests, a stream
that runs dry, and the refund, which pays an invoice without an amount."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler

import pytest

from harness import octroi
from harness.process import wait_for
from harness.serving import Server
from harness.settings import dump, service


@pytest.fixture
def chat():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for number in range(25):
                self.wfile.write(f"data: part {number}\n\n".encode())
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, *_: object) -> None:
            pass

    server = Server(Handler)
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def test_a_session_over_lnd(octroi_binary, gateway, upstream, chat, network, lnd_lightning, leaks, workdir):
    # The merchant pays refunds, so its node is given a macaroon that may.
    lnd_lightning["lnd"]["pay_macaroon"] = f"file://{network.merchant.macaroon_file()}"
    leaks.register(network.payer.macaroon_hex(), "node macaroon")
    session = {"price": "2 sat", "deposit": "20 sat", "refund": {"max_fee": "10 sat"}}
    server = gateway(
        [
            service("weather", "^/weather/", upstream.url, schemes=["payment"], session=session),
            service("chat", "^/chat/", chat, schemes=["payment"], session={**session, "unit": "chunk"}),
        ],
        lightning=lnd_lightning,
    )
    config = workdir / "wallet.yaml"
    config.write_text(
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

    def run(*words: str) -> dict:
        done = octroi.run(octroi_binary, "--config", config, *words, "--json")
        assert done.returncode == 0, done.stdout[-800:] + done.stderr[-2000:]
        answer = json.loads(done.stdout)
        if answer.get("receipt"):
            leaks.register(str(answer["receipt"]), "Payment-Receipt")
        return answer

    def balance() -> int:
        return run("wallet", "balance")["balance_msat"]

    before = balance()
    assert run("fetch", "--session", server.url + "/weather/x")["paid_msat"] == 20_000
    for _ in range(4):
        assert run("fetch", "--session", server.url + "/weather/x")["paid_msat"] == 0
    stream = run("fetch", "--session", server.url + "/chat/s")
    assert stream["body"].count("data: part") == 25
    assert stream["session"]["topped_up_msat"] == 40_000
    billed = stream["session"]["stream_receipt"]["spent"]
    closed = run("wallet", "sessions", "close", "--all")["sessions"]
    assert [one["mismatch"] for one in closed] == [False, False]
    assert sorted(one["refund_seen_msat"] for one in closed) == sorted([10_000, 60_000 - billed * 1000])
    # A paid invoice is in the payer's balance once both sides have committed, a round trip later.
    owed = 10_000 + billed * 1000
    wait_for(lambda: before - balance() == owed, 10, f"a balance that is {owed} msat smaller")
