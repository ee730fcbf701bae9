"""Tickets and policies of two replicas that share a database: asked at one, decided at the other, and
taken once over both."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.postgres import Postgres
from harness.process import wait_for
from harness.vault import REAL_STRIPE_KEY, Key, Vault

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def pair(make_vault, capture, workdir) -> Any:
    postgres = Postgres()
    store = postgres.database()
    vaults: list[Vault] = []
    policy = {"vendor": "stripe", "endpoints": ["charges.create", "customers.*"], "approve_over": "10 usd"}
    for _ in range(2):
        vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": policy}, approvals={"wait": "60s"}, key_file=str(workdir / "vault.key"))
        vault.config["store"] = store
        vaults.append(vault.start())
    yield vaults
    for vault in vaults:
        vault.stop()
    postgres.stop()


def charge(vault: Vault, key: Key, amount: int) -> Any:
    return vault.request("/stripe/v1/charges", key, "POST", FORM, f"amount={amount}&currency=usd&customer=cus_1".encode())


def known(vault: Vault, key: Key) -> None:
    wait_for(lambda: vault.request("/stripe/v1/customers", key).status == 200, 20, "the key at the other replica")


def test_asked_here_and_decided_there(pair, capture):
    here, there = pair
    key = here.issue("stripe", "bot")
    known(there, key)
    capture.calls.clear()
    with ThreadPoolExecutor(8) as pool:
        # The same request waits at both, many times; one ticket, and one of them passes.
        waiting = [pool.submit(charge, vault, key, 1500) for vault in (here, there) for _ in range(4)]
        (ticket,) = wait_for(lambda: there.command("approval", "list")["approvals"], 20, "the ticket")
        there.command("approval", "approve", ticket["id"])
        states = [w.result(80).status for w in waiting]
    assert sorted(states) == [200] + [403] * 7
    assert len(capture.calls) == 1
    shown = here.command("approval", "show", ticket["id"])
    assert shown["state"] == "used"


def test_policies_spread(pair, capture):
    here, there = pair
    text = {"vendor": "stripe", "endpoints": ["charges.create", "customers.*"], "max_amount": "5 usd"}
    here.command("policy", "add", "live", "--file", "-", stdin=json.dumps(text))
    key = here.issue("stripe", "live")
    known(there, key)
    assert charge(there, key, 501).status == 403
    here.command("policy", "set", "live", "--file", "-", stdin=json.dumps({**text, "max_amount": "6 usd"}))
    wait_for(lambda: charge(there, key, 501).status == 200, 20, "the new policy at the other replica")
    child = there.issue("stripe", "bot", "--parent", key.id)
    known(here, child)
    here.command("key", "revoke", key.id)
    wait_for(lambda: there.request("/stripe/v1/customers", child).status == 401, 20, "the end of the key below it")
