"""A client of prepaid sessions (Payment scheme, method lightning, intent session) that knows the
draft and nothing of `src/`: it opens, shows bearers, tops up and closes, and hands back the answers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from . import payment, web
from .process import wait_for


def deposit_invoice(challenge: payment.Challenge) -> str:
    assert challenge["intent"] == "session", challenge["intent"]
    return challenge.request["depositInvoice"]


def credential(challenge: payment.Challenge, leaks, **payload: str) -> str:
    """The value of `Authorization` over this challenge; `payload` has the action and its members."""
    value = payment.credential_of({"challenge": challenge.fields, "payload": payload})
    leaks.register(value.removeprefix("Payment "), "session credential")
    return value


@dataclass
class Session:
    """One that was opened: its id is the payment hash of the first deposit."""

    client: "Client"
    id: str
    preimage: str
    challenge: payment.Challenge  # the last one seen; bearers may show any that has not expired
    answer: web.Response
    opened_with: str

    def bearer(self, challenge: payment.Challenge | None = None) -> str:
        return self.client.credential(
            challenge or self.challenge, action="bearer", sessionId=self.id, preimage=self.preimage
        )

    def get(self, path: str | None = None, challenge: payment.Challenge | None = None, **more: Any) -> web.Response:
        return self.client.show(self.bearer(challenge), path, **more)

    def top_up_credential(self) -> str:
        challenge = self.client.challenge()
        preimage = self.client.payer.pay(deposit_invoice(challenge))
        return self.client.credential(challenge, action="topUp", sessionId=self.id, topUpPreimage=preimage)

    def close_credential(self, challenge: payment.Challenge | None = None) -> str:
        return self.client.credential(
            challenge or self.client.challenge(), action="close", sessionId=self.id, preimage=self.preimage
        )

    def close(self) -> web.Response:
        return self.client.show(self.close_credential())

    def row(self, server: Any = None) -> dict[str, Any] | None:
        """As the ledger has it now, read at `server` or at its own; None: it cannot be read there."""
        at = server or self.client.server
        answer = web.request(f"{at.admin_url}/api/v1/sessions/{self.id}", timeout=30,
                             headers={"Authorization": f"Bearer {at.admin_token}"})  # fmt: skip
        return answer.json() if answer.status == 200 else None

    def spent_sat(self, server: Any = None) -> int:
        row = self.row(server)
        assert row, "the session is not in the ledger"
        return -(-row["spent_msat"] // 1000)  # a refund is of whole satoshi

    def comes_to(self, sat: int) -> None:
        """What an answer that was cut set aside and did not use is given back a moment later."""
        wait_for(lambda: self.spent_sat() == sat, 20, f"{sat} sat, and no more, to be spent")


class Client:
    def __init__(self, server, payer, leaks, path: str = "/api/x"):
        self.server = server
        self.payer = payer
        self.path = path
        self._leaks = leaks

    def credential(self, challenge: payment.Challenge, **payload: str) -> str:
        return credential(challenge, self._leaks, **payload)

    def show(self, value: str, path: str | None = None, **more: Any) -> web.Response:
        headers = {"Authorization": value, **more.pop("headers", {})}
        return self.server.request(path or self.path, headers=headers, **more)

    def challenge(self, path: str | None = None) -> payment.Challenge:
        """What an unauthenticated request is answered: a deposit invoice of its own."""
        return self.server.unpaid(path or self.path, headers={"Accept-Payment": "lightning/session"}).payment

    def return_invoice(self, amount: str = "0", expiry: str = "30d") -> str:
        made = self.payer.run("wallet", "invoice", "--amount", amount, "--expiry", expiry, "--json")
        return json.loads(made.stdout)["invoice"]

    def open_credential(self, challenge: payment.Challenge, return_invoice: str | None = None) -> tuple[str, str]:
        """Pays the deposit; the credential and the preimage."""
        preimage = self.payer.pay(deposit_invoice(challenge))
        value = self.credential(
            challenge, action="open", preimage=preimage, returnInvoice=return_invoice or self.return_invoice()
        )
        return value, preimage

    def open(self, path: str | None = None) -> Session:
        challenge = self.challenge(path)
        value, preimage = self.open_credential(challenge)
        answer = self.show(value, path)
        assert answer.status == 200, f"{answer} {answer.text[:300]}"
        return Session(self, challenge.request["paymentHash"], preimage, challenge, answer, value)
