"""Whoever pays an invoice for a test: the simulated network through octroi's own wallet, or lnd."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Protocol

from . import sim
from .lightning import LndRest
from .process import environment
from .settings import dump


class Payer(Protocol):
    def pay(self, invoice: str) -> str:
        """Pays and returns the preimage, 64 lower-case hexadecimal digits."""


class SimPayer:
    """Pays from an account of a simulated network, with `octroi wallet pay`."""

    def __init__(self, binary: Path, directory: Path, network: Path, leaks, account: str = "agent"):
        self._binary = binary
        self._leaks = leaks
        directory.mkdir(parents=True, exist_ok=True)
        self.config = directory / f"wallet-{account}.yaml"
        self.config.write_text(dump(wallet_config(directory / f"wallet-{account}", network, account)))

    def run(self, *words: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self._binary), "--config", str(self.config), *words],
            capture_output=True,
            text=True,
            timeout=timeout,
            env=environment(),
            stdin=subprocess.DEVNULL,
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"octroi {' '.join(words[:2])} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done

    def pay(self, invoice: str) -> str:
        paid = json.loads(self.run("wallet", "pay", invoice, "--json").stdout)
        assert paid["status"] == "settled", paid["status"]
        self._leaks.register(paid["preimage"], "preimage")
        return paid["preimage"]

    def balance_msat(self) -> int:
        return int(json.loads(self.run("wallet", "balance", "--json").stdout)["balance_msat"])


class QuickPayer(SimPayer):
    """For tests with hundreds of payments: pays in the network's file itself."""

    def __init__(self, binary: Path, directory: Path, network: Path, leaks, account: str = "agent"):
        super().__init__(binary, directory, network, leaks, account)
        self._network, self._account = network, account
        self.balance_msat()  # which makes the account

    def pay(self, invoice: str) -> str:
        preimage = sim.pay(self._network, self._account, invoice)
        self._leaks.register(preimage, "preimage")
        return preimage


class LndPayer:
    def __init__(self, node: LndRest, leaks):
        self._node = node
        self._leaks = leaks
        leaks.register(node.macaroon_hex(), "node macaroon")

    def pay(self, invoice: str) -> str:
        preimage = self._node.pay(invoice).preimage
        self._leaks.register(preimage, "preimage")
        return preimage


def wallet_config(store: Path, network: Path, account: str) -> dict:
    return {
        "environment": "development",
        "wallet": {
            "lightning": {"backend": "sim", "sim": {"file": str(network), "account": account}},
            "store": str(store),
            "limits": {
                "per_payment": "1000000 sat",
                "per_minute": "9000000 sat",
                "per_day": "9000000 sat",
            },
        },
    }
