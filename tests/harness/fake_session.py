"""A seller of prepaid sessions that knows the draft and nothing else, and that can be told to
misbehave: to lose answers, to keep refunds, to let streams run dry, to refuse.

It stands in for other people's servers when the wallet is tested. Its deposits are invoices of a
simulated node, made through `octroi wallet invoice`.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from . import payment, sim
from .payers import SimPayer
from .serving import Server

PROBLEMS = "https://paymentauth.org/problems/lightning/"


@dataclass
class Session:
    id: str
    deposit: int
    return_invoice: str
    spent: int = 0
    open: bool = True
    credit: threading.Condition = field(default_factory=threading.Condition)


class FakeSessions:
    """`node` is the seller's account. Every path sells; `/stream?n=5` answers n events of one unit
    each; `/other` knows no session."""

    def __init__(self, node: SimPayer, network: Path, account: str, leaks, unit: int = 2, deposit: int = 10, ttl: int = 300):
        self.node = node
        self.network = network
        self.account = account
        self.leaks = leaks
        self.unit = unit
        self.deposit = deposit
        self.ttl = ttl
        self.hold = 10.0
        self.drop_open = 0  # answers to open that are lost after it happened
        self.fail_before_open = 0  # connections that are cut before it happens
        self.drop_top_up = 0
        self.refuse_open: str | None = None
        self.refuse_top_up: str | None = None
        self.refund_lie = 0  # satoshi that are said to be paid back and are not
        self.refund_status: str | None = None
        self.lying_receipt = False
        self.busy = False  # answers 429 to bearers
        self.challenges: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, Session] = {}
        self.used: set[str] = set()
        self.actions: list[tuple[str, str]] = []  # action or "none", path
        self.methods: list[tuple[str, bytes]] = []
        self.accept: list[str | None] = []
        self._lock = threading.RLock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.methods.append((self.command, body))
                outer.accept.append(self.headers.get("Accept-Payment"))
                outer.serve(self)

            do_GET = do_POST = handle_one

            def answer(self, status: int, body: bytes, headers: list[tuple[str, str]] = []) -> None:
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def cut(self) -> None:
                self.close_connection = True
                self.connection.close()

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(Handler)
        self.port = self._server.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.stop()

    def count(self, action: str) -> int:
        return sum(1 for one, _ in self.actions if one == action)

    # -- the draft

    def challenge(self) -> tuple[str, str]:
        made = json.loads(self.node.run("wallet", "invoice", "--amount", f"{self.deposit} sat", "--json").stdout)
        request = {
            "amount": str(self.unit),
            "currency": "sat",
            "depositAmount": str(self.deposit),
            "depositInvoice": made["invoice"],
            "idleTimeout": "300",
            "paymentHash": made["payment_hash"],
        }
        one = {
            "id": payment.b64url(os.urandom(32)),
            "realm": f"127.0.0.1:{self.port}",
            "method": "lightning",
            "intent": "session",
            "request": payment.b64url(payment.json_text(request).encode()),
            "expires": (datetime.now(timezone.utc) + timedelta(seconds=self.ttl)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        with self._lock:
            self.challenges[one["id"]] = {**one, "hash": made["payment_hash"], "unit": self.unit, "deposit": self.deposit}
        return one["id"], "Payment " + ", ".join(f'{key}="{value}"' for key, value in one.items())

    def problem(self, handler: Any, kind: str, **more: Any) -> None:
        _, line = self.challenge()
        body = json.dumps({"type": PROBLEMS + kind, "title": kind, "status": 402, "detail": kind, **more}).encode()
        handler.answer(
            402, body, [("WWW-Authenticate", line), ("Content-Type", "application/problem+json"), ("Cache-Control", "no-store")]
        )

    def receipt(self, session: str, challenge: str, **more: Any) -> tuple[str, str]:
        value = {
            "challengeId": challenge,
            "method": "lightning",
            "reference": session,
            "status": "success",
            "timestamp": "2026-01-01T00:00:00Z",
            **more,
        }
        return "Payment-Receipt", payment.b64url(payment.json_text(value).encode())

    def serve(self, handler: Any) -> None:
        path = handler.path.split("?")[0]
        value = handler.headers.get("Authorization")
        if not value or not value.startswith("Payment "):
            self.actions.append(("none", path))
            return self.problem(handler, "payment-required")
        credential = json.loads(payment.unb64url(value.removeprefix("Payment ").rstrip("=")))
        payload, echo = credential["payload"], credential["challenge"]
        self.actions.append((payload["action"], path))
        self.leaks.register(payload.get("preimage") or payload["topUpPreimage"], "preimage")
        known = self.challenges.get(echo["id"])
        if not known or any(echo.get(name) != known[name] for name in ("realm", "method", "intent", "request", "expires")):
            return self.problem(handler, "unknown-challenge")
        if datetime.now(timezone.utc) >= datetime.fromisoformat(known["expires"].replace("Z", "+00:00")):
            return self.problem(handler, "challenge-expired")
        getattr(self, "_" + payload["action"])(handler, path, known, payload)

    def _open(self, handler: Any, path: str, known: dict[str, Any], payload: dict[str, Any]) -> None:
        if self.fail_before_open > 0:
            self.fail_before_open -= 1
            return handler.cut()
        if self.refuse_open:
            return self.problem(handler, self.refuse_open)
        if hashlib.sha256(bytes.fromhex(payload["preimage"])).hexdigest() != known["hash"]:
            return self.problem(handler, "invalid-preimage")
        with self._lock:
            if known["id"] in self.used:
                return self.problem(handler, "unknown-challenge")
            self.used.add(known["id"])
            session = Session(known["hash"], known["deposit"], payload["returnInvoice"])
            self.sessions[session.id] = session
        if self.drop_open > 0:
            self.drop_open -= 1
            session.spent += self.unit
            return handler.cut()
        self._deliver(handler, path, known, session)

    def _find(self, handler: Any, path: str, payload: dict[str, Any], member: str = "preimage") -> Session | None:
        session = self.sessions.get(payload["sessionId"])
        if session is None or path.startswith("/other"):
            self.problem(handler, "session-not-found")
            return None
        if not session.open:
            self.problem(handler, "session-closed")
            return None
        if member == "preimage" and hashlib.sha256(bytes.fromhex(payload[member])).hexdigest() != session.id:
            self.problem(handler, "invalid-preimage")
            return None
        return session

    def _bearer(self, handler: Any, path: str, known: dict[str, Any], payload: dict[str, Any]) -> None:
        if self.busy:
            return handler.answer(429, b"", [("Retry-After", "1")])
        if session := self._find(handler, path, payload):
            if known["unit"] != self.unit:
                return self.problem(handler, "unknown-challenge")
            self._deliver(handler, path, known, session)

    def _topUp(self, handler: Any, path: str, known: dict[str, Any], payload: dict[str, Any]) -> None:
        if self.refuse_top_up:
            return self.problem(handler, self.refuse_top_up)
        session = self._find(handler, path, payload, "topUpPreimage")
        if session is None:
            return
        if hashlib.sha256(bytes.fromhex(payload["topUpPreimage"])).hexdigest() != known["hash"]:
            return self.problem(handler, "invalid-preimage")
        with session.credit:
            if known["id"] not in self.used:
                self.used.add(known["id"])
                session.deposit += known["deposit"]
                session.credit.notify_all()
        if self.drop_top_up > 0:
            self.drop_top_up -= 1
            return handler.cut()
        handler.answer(200, b'{"status":"ok"}', [self.receipt(session.id, known["id"])])

    def _close(self, handler: Any, path: str, known: dict[str, Any], payload: dict[str, Any]) -> None:
        session = self._find(handler, path, payload)
        if session is None:
            return
        session.open = False
        rest = session.deposit - session.spent
        status = self.refund_status or ("succeeded" if rest > 0 else "skipped")
        if status == "succeeded" and rest > self.refund_lie:
            self.pay_back(session, rest - self.refund_lie)
        said = {"refundSats": rest, "refundStatus": status}
        shown = {**said, "refundSats": rest + 1} if self.lying_receipt else said
        handler.answer(
            200, json.dumps({"status": "closed", **said}).encode(), [self.receipt(session.id, known["id"], **shown)]
        )

    def pay_back(self, session: Session, sat: int) -> None:
        sim.pay_amountless(self.network, self.account, session.return_invoice, sat)

    def expire(self, session: Session) -> None:
        """As a reaper would: ended, and paid back."""
        session.open = False
        self.pay_back(session, session.deposit - session.spent)

    # -- what is sold

    def _deliver(self, handler: Any, path: str, known: dict[str, Any], session: Session) -> None:
        if path.startswith("/stream"):
            return self._stream(handler, known, session)
        with session.credit:
            if session.spent + self.unit > session.deposit:
                return self.problem(
                    handler, "insufficient-balance", sessionId=session.id, balanceSpent=session.spent, balanceRequired=self.unit
                )
            session.spent += self.unit
        handler.answer(
            200,
            json.dumps({"path": path, "spent": session.spent}).encode(),
            [self.receipt(session.id, known["id"]), ("Content-Type", "application/json")],
        )

    def _stream(self, handler: Any, known: dict[str, Any], session: Session) -> None:
        wanted = int(handler.path.split("n=")[1]) if "n=" in handler.path else 3
        name, value = self.receipt(session.id, known["id"])
        handler.close_connection = True
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header(name, value)
        handler.send_header("Connection", "close")
        handler.end_headers()

        def event(kind: str, data: dict[str, Any]) -> None:
            handler.wfile.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())
            handler.wfile.flush()

        def balance() -> dict[str, Any]:
            return {"sessionId": session.id, "balanceSpent": session.spent, "balanceRequired": self.unit}

        sold = 0
        for number in range(wanted):
            with session.credit:
                if session.spent + self.unit > session.deposit:
                    event("payment-need-topup", balance())
                    if not session.credit.wait_for(lambda: session.spent + self.unit <= session.deposit, self.hold):
                        event("session-timeout", balance())
                        return
                session.spent += self.unit
            sold += 1
            handler.wfile.write(f"data: part {number}\n\n".encode())
            handler.wfile.flush()
        event(
            "payment-receipt",
            {"method": "lightning", "reference": session.id, "status": "success", "timestamp": "2026-01-01T00:00:00Z", "spent": sold * self.unit, "units": sold},
        )
        handler.wfile.write(b"data: [DONE]\n\n")
