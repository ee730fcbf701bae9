"""Services of the store at two gateways over one PostgreSQL database."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import web
from harness.process import wait_for
from harness.settings import service
from harness.timing import best_of


@pytest.fixture
def replicas(gateway, upstream, postgres):
    made = []
    store = postgres.database()
    for _ in range(2):
        one = gateway([service("file", "^/file/", upstream.url, "1 sat")], start=False)
        one.config["store"] = store
        del one.config["paywall"]["secret"]
        if made:
            one.config["paywall"]["realm"] = made[0].realm
        made.append(one)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda g: g.start(), made))
    return made


def api(server, path: str = "", method: str = "GET", body=None, **headers: str):
    return web.request(
        f"{server.admin_url}/api/v1/services{path}", method,
        {"Authorization": f"Bearer {server.admin_token}", **{k.replace("_", "-"): v for k, v in headers.items()}},
        None if body is None else json.dumps(body),
    )


def keys(upstream, name: str, price: str = "3 sat"):
    return {"service": {"name": name, "upstream": upstream.url, "match": {"path": f"^/{name}/"}, "price": price,
                        "schemes": ["payment"]}}


def test_what_one_is_told_the_other_serves(replicas, upstream, payer):
    one, other = replicas

    def until_both_serve(name: str) -> float:
        assert api(one, "", "POST", keys(upstream, name)).status == 201
        told = time.monotonic()
        assert one.request(f"/{name}/x").status == 402, "its own at once"
        wait_for(lambda: other.request(f"/{name}/x").status == 402, 20, "the other replica", pause=0.01)
        return time.monotonic() - told

    names = iter(["new", "newer", "newest"])
    best_of(3, 0.25, lambda: until_both_serve(next(names)))
    credential = one.buy("/new/x", payer)
    assert other.request("/new/x", headers={"Authorization": credential}).status == 200
    assert api(other, "/new", "DELETE").status == 200
    assert other.request("/new/x").status == 404
    wait_for(lambda: one.request("/new/x").status == 404, 5, "the removal")


def test_of_changes_at_both_one_wins(replicas, upstream):
    one, other = replicas
    assert api(one, "", "POST", keys(upstream, "new")).status == 201
    for round_ in range(3):
        tag = api(one, "/new").get("ETag")

        def edit(number: int) -> int:
            body = keys(upstream, "new", f"{round_ * 10 + number + 10} sat")
            return api(replicas[number % 2], "/new", "PUT", body, If_Match=tag).status

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(edit, range(8)))
        assert statuses.count(200) == 1 and set(statuses) <= {200, 412}, statuses
    with ThreadPoolExecutor(8) as pool:  # different ones do not get into each other's way
        assert set(pool.map(lambda n: api(replicas[n % 2], "", "POST", keys(upstream, f"s{n}")).status, range(8))) == {201}
    wait_for(lambda: [row["name"] for row in api(one).json()["services"]] ==
             [row["name"] for row in api(other).json()["services"]], 5, "the same list")
    for number in range(8):
        wait_for(lambda: {s.request(f"/s{number}/x").status for s in replicas} == {402}, 5, f"s{number} at both")


def test_a_replica_that_was_away_serves_what_the_store_has(replicas, upstream):
    one, other = replicas
    other.stop()
    assert api(one, "", "POST", keys(upstream, "new")).status == 201
    other.start()
    assert other.request("/new/x").status == 402
