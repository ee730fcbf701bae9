"""One counted token at two gateways over one PostgreSQL database: together they serve what was sold and
no more, also while one of them is killed."""

from __future__ import annotations

import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable

import pytest

from harness.octroi import Gateway
from harness.settings import service
from harness.sse import Stream

AHEAD = 16  # units that a killed gateway may have counted for a stream and not delivered


@pytest.fixture
def replicas(gateway, model, postgres) -> Callable[..., list[Gateway]]:
    def make(**meter) -> list[Gateway]:
        one = service("api", "^/", model.url, "100 sat", schemes=["l402"], token={"meter": meter})
        store = postgres.database()
        made: list[Gateway] = []
        for _ in range(2):
            made.append(gateway([one], start=False))
            made[-1].config["store"] = store
            for ring in ("secret", "l402_keys"):
                made[-1].config["paywall"].pop(ring, None)
            made[-1].config["paywall"]["realm"] = made[0].realm
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda g: g.start(), made))
        return made

    return make


def test_two_replicas_serve_what_was_sold_once(replicas, payer, model):
    both = replicas(unit="request", count=50)
    token = both[0].buy_token("/x", payer)

    def ask(n: int) -> int:
        return both[n % 2].request(f"/x?{n}", headers={"Authorization": token}, timeout=30).status

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(ask, range(64)))
    assert (answers.count(200), answers.count(402)) == (50, 14)
    assert len(model.requests) == 50


def test_streams_at_both_never_deliver_more_than_was_sold(replicas, payer):
    both = replicas(unit="chunk", count=200)
    token = both[0].buy_token("/x", payer)

    def run(n: int) -> Stream:
        return Stream(both[n % 2].url + "/events?n=20&gap=0.01", {"Authorization": token}).wait(60)

    with ThreadPoolExecutor(32) as pool:
        streams = list(pool.map(run, range(32)))
    assert {one.status for one in streams} <= {200, 402}
    delivered = sum(one.data.startswith("event ") for stream in streams if stream.status == 200 for one in stream.events)
    assert delivered <= 200
    # What a stream had set aside while another ran dry came back, and is still good.
    last = Stream(both[1].url + "/events?n=250", {"Authorization": token}).wait(60)
    delivered += sum(one.data.startswith("event ") for one in last.events) if last.status == 200 else 0
    assert delivered == 200


def test_a_killed_replica_served_nothing_that_was_not_counted(replicas, payer, model):
    both = replicas(unit="request", count=60)
    token = both[0].buy_token("/x", payer)
    answered: list[int] = []
    begin = threading.Barrier(17)

    def storm(n: int) -> None:
        begin.wait()
        for turn in range(3):
            try:
                answered.append(both[n % 2].request(f"/x?{n}.{turn}", headers={"Authorization": token}, timeout=30).status)
            except (OSError, http.client.HTTPException):
                return

    with ThreadPoolExecutor(16) as pool:
        sent = [pool.submit(storm, n) for n in range(16)]
        begin.wait()
        time.sleep(0.03)
        both[0].kill()
        for one in sent:
            one.result()
    while (status := both[1].request("/x?last", headers={"Authorization": token}, timeout=30).status) == 200:
        answered.append(status)
        assert len(answered) <= 200
    assert status == 402
    served = answered.count(200)
    assert 60 - 8 <= served <= 60, "one request of each client of the dead one at most was lost"
    assert len(model.requests) <= 60
