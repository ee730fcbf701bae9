"""A paywall of some fifty lines that answers 402 in any shape a test wants to see a client face.

It stands in for other people's servers, to record which shapes the clients in use understand (the
reason why octroi's own 402 looks as it does) and to prove the client scripts themselves. No test of
octroi uses it in octroi's place.
"""

from __future__ import annotations

import hashlib
import os
from http.server import BaseHTTPRequestHandler
from typing import Callable

from . import payment
from .serving import Server

Lines = Callable[["Offer"], list[str]]


class Offer:
    """One invoice and the challenges that can be made of it."""

    def __init__(self, invoice: str, payment_hash: str, amount_sat: int, realm: str):
        self.invoice = invoice
        self.payment_hash = payment_hash
        self.amount_sat = amount_sat
        self.realm = realm
        self.macaroon = payment.new_macaroon(payment_hash)
        self.id = payment.b64url(os.urandom(32))

    def l402(self, scheme: str = "L402") -> str:
        return f'{scheme} macaroon="{self.macaroon}", invoice="{self.invoice}", version="0", token="{self.macaroon}"'

    def l402_spec(self) -> str:
        return f'L402 version="0", token="{self.macaroon}", invoice="{self.invoice}"'

    def payment(self, intent: str = "charge", **more: str) -> str:
        request: dict = {"amount": str(self.amount_sat), "currency": "sat"}
        if intent == "charge":
            request["methodDetails"] = {
                "invoice": self.invoice,
                "network": "regtest",
                "paymentHash": self.payment_hash,
            }
        else:
            request |= {"depositInvoice": self.invoice, "paymentHash": self.payment_hash}
        params = {
            "id": self.id,
            "realm": self.realm,
            "method": "lightning",
            "intent": intent,
            "request": payment.b64url(payment.json_text(request).encode()),
            "expires": "2099-01-01T00:00:00Z",
            **more,
        }
        quoted = {key: value.replace("\\", "\\\\").replace('"', '\\"') for key, value in params.items()}
        return "Payment " + ", ".join(f'{key}="{value}"' for key, value in quoted.items())


class FakePaywall:
    """`lines` turns an offer into the WWW-Authenticate lines of the 402. Whatever credential comes
    back is kept in `credentials` as (header name, value) and accepted when its preimage is right."""

    def __init__(self, new_invoice: Callable[[], tuple[str, str]], lines: Lines, amount_sat: int = 10):
        self.credentials: list[tuple[str, str]] = []
        self.requests = 0
        self.hashes: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.requests += 1
                for name in ("Authorization", "Payment-Authorization"):
                    for value in self.headers.get_all(name) or []:
                        outer.credentials.append((name, value))
                        if outer._paid(value):
                            receipt = payment.b64url(b'{"status":"success"}')
                            return self._answer(200, [("Payment-Receipt", receipt)], b'{"paid":true}')
                invoice, payment_hash = new_invoice()
                outer.hashes.add(payment_hash)
                offer = Offer(invoice, payment_hash, amount_sat, f"127.0.0.1:{outer.port}")
                self._answer(402, [("WWW-Authenticate", line) for line in lines(offer)], b"{}")

            def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(Handler)
        self.port = self._server.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _paid(self, value: str) -> bool:
        scheme, _, rest = value.partition(" ")
        if scheme == "Payment":
            import json

            preimage = json.loads(payment.unb64url(rest.rstrip("=")))["payload"]["preimage"]
        else:
            preimage = rest.rpartition(":")[2]
        return hashlib.sha256(bytes.fromhex(preimage)).hexdigest() in self.hashes

    def stop(self) -> None:
        self._server.stop()
