"""`octroi session list | show | totals | close | retry-refund`: over a running server's admin listener,
and on the store itself while none runs."""

from __future__ import annotations

import json
import subprocess

import pytest

from harness import sim, web
from harness.process import environment, wait_for
from harness.session import Client
from harness.settings import service


@pytest.fixture
def sold(gateway, upstream, payer, leaks):
    """A server that sells sessions of 40 sat at 2 sat a request."""
    prepaid = service("api", "^/api/", upstream.url, "10 sat", schemes=["payment"],
                      payment={"intents": ["session"]},
                      session={"price": "2 sat", "deposit": "40 sat", "idle_timeout": "300s"})
    return Client(gateway([prepaid]), payer, leaks)


@pytest.fixture
def octroi(octroi_binary, sold):
    def run(*words: str, status: int = 0):
        done = subprocess.run(
            [str(octroi_binary), "--config", str(sold.server.config_file), "--json", "session", *words],
            capture_output=True, text=True, env=environment(), timeout=60,
        )
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout) if status == 0 else done.stderr + done.stdout

    return run


def balanced(totals: dict) -> bool:
    return totals["deposits_msat"] == sum(
        totals[name] for name in ("spent_msat", "refunded_msat", "rounding_msat", "open_balances_msat", "unpaid_refunds_msat")
    )


def test_sessions_are_listed_and_shown_with_and_without_a_server(sold, octroi):
    first, second = sold.open(), sold.open()
    assert first.get().status == 200
    for running in (True, False):
        if not running:
            sold.server.stop()
        listed = octroi("list")["sessions"]
        assert [one["id"] for one in listed] == [second.id, first.id], "newest first"
        row = listed[1]
        assert (row["service"], row["state"], row["refund"]) == ("api", "open", None)
        assert (row["deposit_msat"], row["spent_msat"]) == (40_000, 4_000)
        page = octroi("list", "--limit", "1")
        assert page["next_before"] == second.id
        assert [one["id"] for one in octroi("list", "--before", page["next_before"])["sessions"]] == [first.id]
        assert octroi("list", "--state", "closed")["sessions"] == []
        assert octroi("list", "--service", "no such")["sessions"] == []
        shown = octroi("show", first.id)
        assert shown["balance_msat"] == 36_000 and shown["return_invoice"].startswith("ln")
        totals = octroi("totals")
        assert totals["deposits_msat"] == 80_000 and totals["open_balances_msat"] == 74_000 and balanced(totals)
        assert "no such session" in octroi("show", "ab" * 32, status=1)
        assert "64 hexadecimal digits" in octroi("show", "5f3c", status=2)


def test_the_operator_closes_a_session_and_its_client_is_paid(sold, octroi, payer):
    session = sold.open()
    before = payer.balance_msat()
    closed = octroi("close", session.id)
    assert closed["outcome"] == "applied"
    refund = closed["session"]["refund"]
    assert (refund["status"], refund["amount_msat"], refund["attempts"]) == ("succeeded", 38_000, 1)
    assert closed["session"]["close_reason"] == "operator"
    assert payer.balance_msat() - before == 38_000
    refused = session.get()
    assert refused.status == 402 and refused.problem == "lightning/session-closed"
    assert octroi("close", session.id)["outcome"] == "replayed"
    assert "nothing to retry" in octroi("retry-refund", session.id, status=1)
    assert payer.balance_msat() - before == 38_000, "once"
    totals = octroi("totals")
    assert totals["refunded_msat"] == 38_000 and balanced(totals)


def test_a_close_without_a_server_is_paid_by_the_next_one(sold, octroi, payer):
    session = sold.open()
    before = payer.balance_msat()
    sold.server.stop()
    closed = octroi("close", session.id)
    assert closed["outcome"] == "applied" and closed["session"]["refund"]["status"] == "due"
    assert payer.balance_msat() == before, "nobody is there to send it"
    assert "octroi serve" in octroi("retry-refund", session.id, status=1)
    sold.server.start()
    wait_for(lambda: octroi("show", session.id)["refund"]["status"] == "succeeded", 15, "the refund")
    assert payer.balance_msat() - before == 38_000


def test_a_failed_refund_is_sent_again_when_the_operator_says_so(sold, octroi, payer, sim_file):
    session = sold.open()
    before = payer.balance_msat()
    sim.fault(sim_file, "merchant", "pay", "fail")
    refund = octroi("close", session.id)["session"]["refund"]
    assert (refund["status"], refund["attempts"]) == ("failed", 1) and refund["detail"]
    assert [one["id"] for one in octroi("list", "--refund", "failed")["sessions"]] == [session.id]
    assert octroi("totals")["unpaid_refunds_msat"] == 38_000
    again = octroi("retry-refund", session.id)
    assert again["outcome"] == "applied"
    assert (again["session"]["refund"]["status"], again["session"]["refund"]["attempts"]) == ("succeeded", 2)
    assert payer.balance_msat() - before == 38_000


def test_the_admin_api_needs_the_token(sold):
    session = sold.open()
    server = sold.server
    for method, path in (("GET", ""), ("GET", "/totals"), ("GET", f"/{session.id}"), ("POST", f"/{session.id}/close"),
                         ("POST", f"/{session.id}/retry-refund")):
        assert web.request(f"{server.admin_url}/api/v1/sessions{path}", method).status == 401, path
    answer = web.request(f"{server.admin_url}/api/v1/sessions/{session.id}",
                         headers={"Authorization": f"Bearer {server.admin_token}"})
    assert answer.status == 200 and answer.json()["state"] == "open"


def test_deposits_and_top_ups_are_settled_transactions_and_the_books_agree(sold, octroi, octroi_binary):
    session = sold.open()
    assert sold.show(session.top_up_credential()).status == 200
    assert session.close().status == 200
    totals = octroi("totals")
    done = subprocess.run(
        [str(octroi_binary), "--config", str(sold.server.config_file), "--json", "transaction", "list", "--state", "settled",
         "--scheme", "mpp_session"], capture_output=True, text=True, env=environment(), timeout=60,
    )
    rows = json.loads(done.stdout)["transactions"]
    assert len(rows) == 2 and sum(row["amount_msat"] for row in rows) == totals["deposits_msat"] == 80_000
    assert balanced(totals) and totals["refunded_msat"] == 78_000
