"""PyPI l402-requests with an lnd node as its wallet."""

from __future__ import annotations

from l402_requests.client import L402Client
from l402_requests.wallets import WalletBase

from .lightning import LndRest


class LndWallet(WalletBase):
    def __init__(self, node: LndRest):
        self._node = node
        self.preimages: list[str] = []

    async def pay_invoice(self, bolt11: str) -> str:
        return self.pay_invoice_sync(bolt11)

    def pay_invoice_sync(self, bolt11: str) -> str:
        preimage = self._node.pay(bolt11).preimage
        self.preimages.append(preimage)
        return preimage


def client(node: LndRest) -> tuple[L402Client, LndWallet]:
    wallet = LndWallet(node)
    return L402Client(wallet=wallet, timeout=30.0, trust_env=False), wallet
