"""What is over goes after its retention, what can still be valid stays, and the sums do not change."""

from __future__ import annotations

import json
import sqlite3
import subprocess

import pytest

from harness.process import environment, wait_for
from harness.session import Client
from harness.settings import service

FORTY_DAYS = 40 * 86_400_000


@pytest.fixture
def shop(gateway, upstream, payer, leaks):
    """Sells single requests, tokens and sessions, and keeps rows for thirty days."""
    single = service("single", "^/single/", upstream.url, "3 sat")
    prepaid = service("api", "^/api/", upstream.url, "10 sat", schemes=["payment"], payment={"intents": ["session"]},
                      session={"price": "2 sat", "deposit": "40 sat", "idle_timeout": "30d"})
    return Client(gateway([single, prepaid], top={"retention": {"transactions": "30d", "sessions": "30d"}}), payer, leaks)


@pytest.fixture
def octroi(octroi_binary, shop):
    def run(*words: str):
        done = subprocess.run([str(octroi_binary), "--config", str(shop.server.config_file), "--json", *words],
                              capture_output=True, text=True, env=environment(), timeout=60)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    return run


def make_old(server) -> None:
    """As if forty days had passed since everything that is over."""
    with sqlite3.connect(server.directory / "octroi.db") as db:
        db.execute("UPDATE transactions SET settled_at = settled_at - ?", (FORTY_DAYS,))
        db.execute("UPDATE sessions SET closed_at = closed_at - ?, refund_at = refund_at - ? WHERE state = 'closed'",
                   (FORTY_DAYS, FORTY_DAYS))


def sums(totals: dict) -> dict:
    return {(row["day"], row["service"], row["auth_type"]): (row["sales"], row["amount_msat"]) for row in totals["revenue"]}


def test_old_rows_go_and_their_money_stays(shop, octroi, payer):
    server = shop.server
    credential = server.buy("/single/a", payer)
    assert server.request("/single/a", headers={"Authorization": credential}).status == 200
    used, unused = server.buy_token("/single/b", payer), server.buy_token("/single/c", payer)
    assert server.request("/single/b", headers={"Authorization": used}).status == 200
    over, still_open = shop.open(), shop.open()
    assert over.get().status == 200 and still_open.get().status == 200
    assert over.close().status == 200
    # The node tells of the token that nobody has used yet.
    wait_for(lambda: octroi("transaction", "totals")["sales"] == 5, 10, "five sales")
    wait_for(lambda: octroi("session", "totals")["refunded_msat"] == 36_000, 10, "the refund")
    revenue, books = octroi("transaction", "totals"), octroi("session", "totals")
    assert revenue["amount_msat"] == 3 * 3_000 + 2 * 40_000
    assert sum(msat for (_, _, scheme), (_, msat) in sums(revenue).items() if scheme == "mpp_session") == books["deposits_msat"]

    server.stop()
    assert octroi("store", "prune")["transactions"] == 0, "nothing is old yet"
    make_old(server)
    pruned = octroi("store", "prune")
    assert (pruned["transactions"], pruned["sessions"]) == (5, 1)
    server.start()
    assert octroi("transaction", "list", "--state", "settled")["transactions"] == []
    assert [one["id"] for one in octroi("session", "list")["sessions"]] == [still_open.id]
    for again in (False, True):
        assert sums(octroi("transaction", "totals")) == sums(revenue)
        now = octroi("session", "totals")
        spent_since = now["spent_msat"] - books["spent_msat"]
        assert now["deposits_msat"] == books["deposits_msat"] and now["refunded_msat"] == books["refunded_msat"]
        assert now["open_balances_msat"] == books["open_balances_msat"] - spent_since
        assert now["deposits_msat"] == sum(now[name] for name in (
            "spent_msat", "refunded_msat", "rounding_msat", "open_balances_msat", "unpaid_refunds_msat"))
        # What can still be valid is, and nothing is sold twice by it.
        for path, token in (("/single/b", used), ("/single/c", unused)):
            assert server.request(path, headers={"Authorization": token}).status == 200
        assert still_open.get().status == 200
        assert server.request("/single/a", headers={"Authorization": credential}).status == 402
    assert over.get().status == 402


def test_the_server_prunes_by_itself_when_it_starts(shop, octroi, payer):
    server = shop.server
    server.config["retention"] = {"transactions": "forever"}
    credential = server.buy("/single/a", payer)
    assert server.request("/single/a", headers={"Authorization": credential}).status == 200
    before = sums(octroi("transaction", "totals"))
    server.stop()
    make_old(server)
    server.start()
    assert len(octroi("transaction", "list", "--state", "settled")["transactions"]) == 1, "for good"
    server.config["retention"] = {"transactions": "30d"}
    server.restart()
    wait_for(lambda: octroi("transaction", "list", "--state", "settled")["transactions"] == [], 10, "the broom")
    assert sums(octroi("transaction", "totals")) == before


def test_a_refund_that_has_not_ended_is_never_pruned(shop, octroi, sim_file):
    from harness import sim

    session = shop.open()
    sim.fault(sim_file, "merchant", "pay", "fail")
    assert octroi("session", "close", session.id)["session"]["refund"]["status"] == "failed"
    shop.server.stop()
    make_old(shop.server)
    assert octroi("store", "prune")["sessions"] == 0
    shop.server.start()
    assert octroi("session", "retry-refund", session.id)["session"]["refund"]["status"] == "succeeded"
    shop.server.stop()
    make_old(shop.server)
    assert octroi("store", "prune")["sessions"] == 1
