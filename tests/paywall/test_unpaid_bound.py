"""10,000 unpaid requests of one client make no more invoices than twice the pool and the client's
bound together: 256 with the defaults (acceptance point 5 of the first issue)."""

from __future__ import annotations

import http.client
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import web
from harness.settings import service

REQUESTS = 10_000
CLIENTS = 8


def flood(server, path: str, count: int = REQUESTS) -> tuple[Counter, set]:
    """Sends `count` unpaid requests over a few kept-alive connections."""

    def run(share: int) -> tuple[Counter, set]:
        statuses: Counter = Counter()
        retry: set = set()
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        for _ in range(share):
            answer = web.request(server.url + path, connection=connection)
            statuses[answer.status] += 1
            if answer.status == 429:
                retry.add(answer.get("Retry-After"))
        connection.close()
        return statuses, retry

    total: Counter = Counter()
    retries: set = set()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for statuses, retry in pool.map(run, [count // CLIENTS] * CLIENTS):
            total += statuses
            retries |= retry
    return total, retries


def check(statuses: Counter, retries: set, schemes: int) -> None:
    assert sum(statuses.values()) == REQUESTS
    assert set(statuses) == {402, 429}, statuses
    # The bound is one a scheme; a 402 at the edge may carry one scheme's last offer only.
    assert 1 <= statuses[402] <= 64 * schemes, statuses
    assert all(value and int(value) >= 1 for value in retries), retries


@pytest.mark.parametrize("schemes", [["l402"], ["payment"], ["l402", "payment"]], ids="+".join)
def test_simulated(gateway, upstream, schemes):
    server = gateway([service("api", "^/api/", upstream.url, schemes=schemes)])
    check(*flood(server, "/api/x"), len(schemes))
    assert 1 <= server.metric("octroi_invoices_created_total") <= 256
    assert upstream.count == 0


def test_lnd(gateway, upstream, network, lnd_lightning):
    before = len(network.merchant.invoices())
    server = gateway([service("api", "^/api/", upstream.url)], lightning=lnd_lightning)
    check(*flood(server, "/api/x"), 2)
    made = len(network.merchant.invoices()) - before
    assert 1 <= made <= 256
    assert made == server.metric("octroi_invoices_created_total")


def test_paying_makes_room(gateway, upstream, payer):
    server = gateway([service("api", "^/api/", upstream.url, schemes=["payment"])], paywall={"max_unpaid": 3})
    offers = [server.unpaid("/api/x").payment for _ in range(3)]
    assert server.request("/api/x").status == 429
    from harness import payment

    credential = payment.credential(offers[0], payer.pay(offers[0].invoice))
    assert server.request("/api/x", headers={"Authorization": credential}).status == 200, "a full bound stops no payer"
    assert server.request("/api/x").status == 402


def test_the_bound_can_be_off(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url, schemes=["payment"])], paywall={"max_unpaid": 0})
    assert Counter(server.request("/api/x").status for _ in range(100)) == {402: 100}


def test_forwarded_addresses_count_only_from_trusted_proxies(gateway, upstream):
    def clients(server) -> set[int]:
        return {server.request("/api/x", headers={"X-Forwarded-For": f"203.0.113.{i}"}).status for i in range(8)}

    one = [service("api", "^/api/", upstream.url, schemes=["l402"])]
    assert 429 in clients(gateway(one, paywall={"max_unpaid": 3}))
    trusting = gateway(one, paywall={"max_unpaid": 3}, top={"trusted_proxies": ["127.0.0.0/8"]})
    assert clients(trusting) == {402}
