"""Vaults in front of a mock of Stripe."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from harness.leaks import Leaks
from harness.vault import REAL_STRIPE_KEY, LocalStripe, Vault, Vendor


@pytest.fixture
def make_vault(octroi_binary: Path, workdir: Path, leaks: Leaks) -> Iterator[Callable[..., Vault]]:
    """`make_vault({"stripe": (vendor, real_key)}, {"bot": {…}})`, not started yet."""
    made: list[Vault] = []

    def make(vendors: dict[str, Any], policies: dict[str, Any], **more: Any) -> Vault:
        vault = Vault(octroi_binary, workdir / f"vault-{len(made)}", leaks, {}, policies, **more)
        for name, (vendor, key, extra) in vendors.items():
            entry = {"upstream": f"http://127.0.0.1:{vendor.port}", **extra}
            if key is not None:
                entry["credential"] = vault.secret(name, key)
            vault.config["vault"]["vendors"][name] = entry
        made.append(vault)
        return vault

    yield make
    for vault in made:
        vault.stop()


@pytest.fixture
def capture() -> Iterator[Vendor]:
    vendor = Vendor()
    yield vendor
    vendor.stop()


@pytest.fixture
def localstripe(workdir: Path) -> Iterator[Vendor]:
    """The stateful mock, behind what writes down every call."""
    mock = LocalStripe(workdir / "localstripe")
    vendor = Vendor(behind=mock.port)
    yield vendor
    vendor.stop()
    mock.stop()


POLICY: dict[str, Any] = {
    "vendor": "stripe",
    "endpoints": ["charges.create", "charges.retrieve", "charges.list", "customers.*"],
    "daily_cap": "50 usd",
    "max_amount": "20 usd",
}


@pytest.fixture
def stripe_vault(make_vault: Callable[..., Vault], capture: Vendor) -> Callable[..., Vault]:
    """A started vault before a vendor that says yes to everything: `stripe_vault(max_amount="1 usd")`."""

    def make(vendor: Vendor | None = None, **changes: Any) -> Vault:
        policy = {k: v for k, v in {**POLICY, **changes}.items() if v is not None}
        return make_vault({"stripe": (vendor or capture, REAL_STRIPE_KEY, {})}, {"bot": policy}).start()

    return make
