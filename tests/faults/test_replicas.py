"""Two gateways over one PostgreSQL database: what one accepted the other knows, whatever is killed
or cut (guarantees 1, 6 and 9; acceptance point 2 of the issue of sessions)."""

from __future__ import annotations

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest

from harness import web
from harness.octroi import Gateway
from harness.postgres import Postgres
from harness.process import wait_for
from harness.settings import service
from harness.timing import best_of

AT_ONCE = 64


@pytest.fixture
def replicas(gateway: Callable[..., Gateway], upstream, postgres: Postgres) -> Callable[..., list[Gateway]]:
    """Makes gateways that differ only in their ports; the keys are those that the store keeps."""

    def make(count: int = 2, url: str | None = None, **more: Any) -> list[Gateway]:
        store = url or postgres.database()
        made: list[Gateway] = []
        for _ in range(count):
            one = gateway([service("api", "^/api/", upstream.url, "1 sat", **more)],
                          paywall={"max_unpaid": 10_000}, start=False)
            one.config["store"] = store
            del one.config["paywall"]["secret"]
            if made:
                one.config["paywall"]["realm"] = made[0].realm
            made.append(one)
        with ThreadPoolExecutor(count) as pool:  # at once: they race for the schema and the keys
            list(pool.map(lambda g: g.start(), made))
        return made

    return make


def at_once(jobs: list[Callable[[], int]]) -> list[int]:
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], int]) -> int:
        start.wait()
        try:
            return job()
        except (OSError, http.client.HTTPException):
            return 0  # the server died under it

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


def redeem(server: Gateway, path: str, credential: str, **headers: str) -> int:
    return server.request(path, headers={"Authorization": credential, **headers}, timeout=30).status


def test_a_charge_is_worth_one_answer_over_all_replicas(replicas, upstream, payer):
    """Sixty-four at once, half of them at each."""
    servers = replicas(schemes=["payment"])
    for round_ in range(3):
        path = f"/api/once/{round_}"
        credential = servers[round_ % 2].buy(path, payer)
        statuses = at_once([lambda n=n: redeem(servers[n % 2], path, credential) for n in range(AT_ONCE)])
        assert statuses.count(200) == 1, statuses
        assert set(statuses) <= {200, 402, 429}, sorted(statuses)
        assert len(upstream.of_path(path)) == 1


def test_an_answer_is_replayed_by_the_other_replica(replicas, payer):
    servers = replicas(schemes=["payment"])
    credential = servers[0].buy("/api/kept", payer)
    assert redeem(servers[0], "/api/kept", credential, **{"Idempotency-Key": "k"}) == 200
    wait_for(lambda: redeem(servers[1], "/api/kept", credential, **{"Idempotency-Key": "k"}) == 200, 5, "the replay")


def test_a_token_is_good_everywhere_and_revoked_everywhere(replicas, payer):
    """Within 250 ms of the answer to the revocation."""
    servers = replicas(schemes=["l402"])
    admin = {"Authorization": f"Bearer {servers[0].admin_token}"}

    def once() -> float:
        token = servers[0].buy_token("/api/t", payer)
        assert [redeem(s, "/api/t", token) for s in servers] == [200, 200]
        rows = web.request(servers[0].admin_url + "/api/v1/transactions?state=settled", headers=admin).json()
        token_id = next(row["token_id"] for row in rows["transactions"] if row.get("token_id"))
        assert web.request(f"{servers[0].admin_url}/api/v1/tokens/{token_id}/revoke", "POST", headers=admin).status == 200
        revoked = time.monotonic()
        assert redeem(servers[0], "/api/t", token) == 403
        wait_for(lambda: redeem(servers[1], "/api/t", token) == 403, 20, "the other replica's refusal", pause=0.01)
        return time.monotonic() - revoked

    best_of(5, 0.25, once)


@pytest.mark.parametrize("moment", [0.02, 0.1, 0.4])
def test_a_replica_killed_in_a_storm(replicas, upstream, payer, moment):
    """The other goes on, and nothing that either answered is sold again."""
    servers = replicas(schemes=["payment"])
    paths = [f"/api/storm/{n}" for n in range(24)]
    with ThreadPoolExecutor(4) as pool:
        bought = dict(zip(paths, pool.map(lambda p: servers[0].buy(p, payer), paths)))
    killer = threading.Timer(moment, servers[0].kill)
    killer.start()
    jobs = [lambda p=p, s=s: redeem(s, p + "?delay=0.05", bought[p]) for p in paths for s in servers]
    statuses = at_once(jobs)
    killer.join()
    servers[0].start()
    for number, path in enumerate(paths):
        answers = statuses[2 * number : 2 * number + 2]
        assert answers.count(200) <= 1, (path, answers)
        assert len(upstream.of_path(path)) <= 1, path
        if 200 in answers:
            assert [redeem(s, path, bought[path]) for s in servers] == [402, 402], path
    fresh = servers[1].buy("/api/after", payer)
    assert redeem(servers[0], "/api/after", fresh) == 200


def test_a_restart_of_the_database_in_a_storm(replicas, upstream, payer, postgres):
    """While it is away everything is refused with 503 and nothing is consumed; it heals by itself."""
    servers = replicas(schemes=["payment"])
    paths = [f"/api/restart/{n}" for n in range(24)]
    with ThreadPoolExecutor(4) as pool:
        bought = dict(zip(paths, pool.map(lambda p: servers[0].buy(p, payer), paths)))
    restart = threading.Timer(0.05, postgres.restart)
    restart.start()
    statuses = at_once([lambda p=p, s=s: redeem(s, p, bought[p]) for p in paths for s in servers])
    restart.join()
    assert set(statuses) <= {200, 402, 503}, statuses
    for server in servers:
        wait_for(lambda: web.request(server.admin_url + "/readyz", timeout=5).status == 200, 20, "/readyz")
    for number, path in enumerate(paths):
        answers = statuses[2 * number : 2 * number + 2]
        assert answers.count(200) <= 1, (path, answers)
        # Each connection finds the database again by itself, within half a second.
        later = [wait_for(lambda s=s: (r := redeem(s, path, bought[path])) != 503 and r, 10, "an answer") for s in servers]
        assert (answers + later).count(200) <= 1, (path, answers, later)
        assert len(upstream.of_path(path)) <= 1, path
        if answers.count(200) == 0 and not upstream.of_path(path) and 402 not in answers:
            assert 200 in later or 502 in later or 402 in later, (path, later)


def test_without_the_database_the_door_is_shut(replicas, payer, postgres):
    (server,) = replicas(1, schemes=["payment"])
    credential = server.buy("/api/x", payer)
    postgres.stop()
    try:
        assert redeem(server, "/api/x", credential) == 503
        assert web.request(server.admin_url + "/readyz", timeout=5).status == 503
        assert web.request(server.admin_url + "/healthz", timeout=5).status == 200
    finally:
        postgres.start()
    wait_for(lambda: redeem(server, "/api/x", credential) == 200, 20, "the door to open again")


def test_behind_pgbouncer_in_transaction_mode(replicas, upstream, payer, postgres):
    """It keeps no statement and no setting between transactions: none may be relied upon."""
    servers = replicas(url=postgres.through_pgbouncer(postgres.database()), schemes=["payment"])
    for round_ in range(3):
        path = f"/api/pooled/{round_}"
        credential = servers[0].buy(path, payer)
        statuses = at_once([lambda n=n: redeem(servers[n % 2], path, credential) for n in range(AT_ONCE)])
        assert statuses.count(200) == 1, statuses
        assert len(upstream.of_path(path)) == 1
