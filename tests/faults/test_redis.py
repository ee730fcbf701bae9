"""Three gateways over one PostgreSQL database and one Redis: what they count they count together, and
a Redis that is lost, flushed or hangs makes them stricter, never laxer (acceptance point 2 of the issue
of sessions; guarantee 6)."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Iterator

import pytest

from harness import web
from harness.octroi import Gateway
from harness.postgres import Postgres
from harness.process import wait_for
from harness.redis import Redis
from harness.replica_set import make_replicas, wait_until_ready
from harness.settings import service
from harness.timing import best_of

RULE = {"requests": 20, "per": "1h", "by": "ip"}


@pytest.fixture
def redis() -> Iterator[Redis]:
    server = Redis()
    yield server
    server.close()


@pytest.fixture
def replicas(gateway: Callable[..., Gateway], upstream, postgres: Postgres, redis: Redis) -> Callable[..., list[Gateway]]:
    def make(count: int = 3, shared: Redis | None = redis, url: str = "", **more: Any) -> list[Gateway]:
        services = [service("limited", "^/limited/", upstream.url, "1 sat", rate_limits=[RULE]),
                    service("api", "^/api/", upstream.url, "1 sat", schemes=["l402"])]
        made = make_replicas(gateway, services, [url or postgres.database()] * count, shared, **more)
        wait_until_ready(made)
        return made

    return make


def at_once(jobs: list[Callable[[], int]]) -> list[int]:
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], int]) -> int:
        start.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def ask(server: Gateway, path: str, credential: str = "") -> web.Response:
    return server.request(path, headers={"Authorization": credential} if credential else {}, timeout=30)


def everywhere(servers: list[Gateway], path: str, times: int) -> list[int]:
    return at_once([lambda n=n: ask(servers[n % len(servers)], path).status for n in range(times)])


def revoke(server: Gateway) -> None:
    admin = {"Authorization": f"Bearer {server.admin_token}"}
    rows = web.request(server.admin_url + "/api/v1/transactions?state=settled", headers=admin).json()
    token_id = next(row["token_id"] for row in rows["transactions"] if row.get("token_id"))
    assert web.request(f"{server.admin_url}/api/v1/tokens/{token_id}/revoke", "POST", headers=admin).status == 200


def until_all_refuse(servers: list[Gateway], payer, by: Gateway) -> float:
    """Seconds from the end of a revocation until no replica takes the token."""
    token = servers[0].buy_token("/api/t", payer)
    assert [ask(s, "/api/t", token).status for s in servers] == [200] * 3
    revoke(by)
    revoked = time.monotonic()
    assert ask(by, "/api/t", token).status == 403
    wait_for(lambda: {ask(s, "/api/t", token).status for s in servers} == {403}, 20, "all refusals", pause=0.01)
    return time.monotonic() - revoked


def test_a_rate_limit_is_exact_over_replicas(replicas):
    servers = replicas()
    statuses = everywhere(servers, "/limited/x", 45)
    assert (statuses.count(402), statuses.count(429)) == (20, 25), statuses
    assert int(ask(servers[0], "/limited/x").get("Retry-After")) > 0
    assert all(s.metric("octroi_shared_up") == 1 for s in servers)
    assert servers[0].metric("octroi_shared_seconds_count", operation="take_rates") > 0


def test_unpaid_challenges_are_bounded_over_replicas(replicas, payer):
    servers = replicas(paywall={"max_unpaid": 5})
    statuses = everywhere(servers, "/api/x", 12)
    assert (statuses.count(402), statuses.count(429)) == (5, 7), statuses


def test_what_is_paid_at_one_replica_frees_its_place_at_all(replicas, payer):
    servers = replicas(paywall={"max_unpaid": 2})
    token = servers[0].buy_token("/api/x", payer)
    assert ask(servers[1], "/api/x").status in (402, 429)  # as soon as the node told, or not yet
    assert ask(servers[2], "/api/x", token).status == 200
    wait_for(lambda: ask(servers[1], "/api/x").status == 402, 10, "the place")
    wait_for(lambda: {ask(s, "/api/x").status for s in servers} == {429}, 10, "the bound to be full again")


def test_a_revocation_is_seen_by_all(replicas, payer):
    servers = replicas()
    best_of(5, 0.25, lambda: until_all_refuse(servers, payer, by=servers[0]))


def test_a_flush_gives_nobody_anything_twice(replicas, redis):
    servers = replicas(paywall={"max_unpaid": 30})
    assert everywhere(servers, "/limited/x", 21).count(402) == 20
    assert everywhere(servers, "/api/x", 15).count(402) == 10
    redis.flush()
    # At the first question after it, before any replica could have noticed otherwise.
    assert set(everywhere(servers, "/limited/x", 12)) == {429}
    assert set(everywhere(servers, "/api/x", 12)) <= {429, 503}
    # Nobody is counted while the replicas tell what they have out; then the bound is what it was.
    wait_for(lambda: {ask(s, "/api/x").status for s in servers} == {429}, 10, "the bound")
    assert sum(s.metric("octroi_shared_forgotten_total") for s in servers) >= 3
    wait_until_ready(servers)


def test_a_redis_that_was_killed(replicas, redis, payer):
    """What it counts is refused, and nothing else; it heals by itself."""
    servers = replicas()
    token = servers[0].buy_token("/api/t", payer)
    redis.kill()
    wait_for(lambda: {web.request(s.admin_url + "/readyz").status for s in servers} == {503}, 10, "/readyz")
    assert "redis" in web.request(servers[0].admin_url + "/readyz").text
    assert [ask(s, "/api/t", token).status for s in servers] == [200] * 3
    answers = [ask(s, "/limited/x") for s in servers]
    assert [a.status for a in answers] == [503] * 3
    assert all(int(a.get("Retry-After")) >= 1 for a in answers)
    assert ask(servers[0], "/api/x").status == 503  # an unpaid challenge could not be counted
    assert servers[0].metric("octroi_shared_up") == 0
    revoke(servers[0])  # by the ledger alone
    wait_for(lambda: {ask(s, "/api/t", token).status for s in servers} == {403}, 20, "all refusals", pause=0.01)
    redis.start()
    wait_until_ready(servers)
    # Its memory is gone: 20 an hour from nothing is none yet.
    assert set(everywhere(servers, "/limited/x", 6)) == {429}
    wait_for(lambda: ask(servers[0], "/api/x").status == 402, 10, "a challenge")


def test_a_redis_that_hangs_is_on_nobody_s_way(replicas, redis, payer):
    servers = replicas()
    token = servers[0].buy_token("/api/t", payer)
    redis.hang()
    try:
        began = time.monotonic()
        # The first sight of the token at each, and then any.
        assert [ask(s, "/api/t", token).status for s in servers * 3] == [200] * 9
        assert time.monotonic() - began < 5
        assert [ask(s, "/limited/x").status for s in servers] == [503] * 3
        wait_for(lambda: {web.request(s.admin_url + "/readyz").status for s in servers} == {503}, 10, "/readyz")
    finally:
        redis.go_on()
    wait_until_ready(servers)
    # It forgot nothing, though what it was asked while it hung may have been counted.
    assert 17 <= everywhere(servers, "/limited/x", 24).count(402) <= 20


def test_redis_must_not_be_there_for_the_start(replicas, redis):
    """A replica starts without it, not ready, and is as soon as it is there."""
    (server,) = replicas(1)
    server.stop()
    redis.kill()
    server.start(ready=False)
    wait_for(lambda: "redis" in web.request(server.admin_url + "/readyz", timeout=5).text, 20, "/readyz")
    assert ask(server, "/limited/x").status == 503
    redis.start()
    wait_until_ready([server])


def test_a_password_that_is_wrong_stands_nowhere(replicas, postgres, leaks, tmp_path):
    """The right one neither; the leak check looks for both in every file of the run."""
    server = Redis("--requirepass", "right-password-of-redis-4711")
    try:
        for word in ("right-password-of-redis-4711", "wrong-password-of-redis-0815"):
            leaks.register(word, "redis password")
        file = tmp_path / "redis.password"
        file.write_text("wrong-password-of-redis-0815")
        (one,) = replicas(1, shared=None)
        one.stop()
        one.config["shared"] = server.url
        one.config["shared_password"] = f"file://{file}"
        one.start(ready=False)
        wait_for(lambda: "shared_password" in web.request(one.admin_url + "/readyz", timeout=5).text, 20, "/readyz")
        one.stop()
        file.write_text("right-password-of-redis-4711")
        one.start()
        assert ask(one, "/limited/x").status == 402
    finally:
        server.close()


def test_without_redis_revocations_come_over_the_database(replicas, payer):
    servers = replicas(shared=None)
    best_of(5, 0.25, lambda: until_all_refuse(servers, payer, by=servers[1]))


def test_behind_a_pooler_replicas_look(replicas, payer, postgres):
    """There is no LISTEN through it, which the log says."""
    servers = replicas(2, shared=None, url=postgres.through_pgbouncer(postgres.database()))
    token = servers[0].buy_token("/api/t", payer)
    assert [ask(s, "/api/t", token).status for s in servers] == [200] * 2
    revoke(servers[1])
    wait_for(lambda: {ask(s, "/api/t", token).status for s in servers} == {403}, 20, "all refusals", pause=0.01)
    assert all("cannot LISTEN" in (s.directory / "octroi.log").read_text() for s in servers)


def test_a_replica_that_does_not_know_what_is_revoked_does_not_serve(replicas, payer, postgres):
    """Its database gone, it knows nothing of the others; it serves again once it has asked."""
    servers = replicas(2, shared=None)
    token = servers[0].buy_token("/api/t", payer)
    assert [ask(s, "/api/t", token).status for s in servers] == [200] * 2
    postgres.stop(signal.SIGQUIT)
    try:
        for s in servers:
            refused = wait_for(lambda s=s: (a := ask(s, "/api/t", token)).status == 503 and a, 10, "a refusal")
            assert int(refused.get("Retry-After")) >= 1
    finally:
        postgres.start()
    for s in servers:
        wait_for(lambda s=s: ask(s, "/api/t", token).status == 200, 20, "the door to open again")
