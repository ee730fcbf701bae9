"""Gateways that are replicas of each other: they differ in their ports and in how they reach their one
database, and keep their keys there. With `shared` they also share what Redis keeps."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Iterator, Sequence

import pytest

from . import octroi, web
from .octroi import Gateway
from .postgres import Postgres
from .process import wait_for
from .settings import dump


@functools.cache
def takes_redis(binary: Path, folder: Path) -> bool:
    """Whether this octroi knows `shared: redis://`."""
    file = folder / "takes-redis.yaml"
    file.write_text(dump({"shared": "redis://127.0.0.1:6379"}))
    done = octroi.run(binary, "check", "--config", file)
    return "not available in this version" not in done.stdout + done.stderr


def shared_or_skip(name: str, binary: Path, folder: Path) -> Iterator[Any]:
    """For a fixture with the parameters "alone" and "redis": a running Redis, or None."""
    if name == "alone":
        yield None
        return
    if not takes_redis(binary, folder):
        pytest.skip("this octroi does not take shared: redis://")
    from .redis import Redis  # type: ignore[import-not-found]

    server = Redis()
    yield server
    server.close()


def start_together(gateways: Sequence[Gateway]) -> None:
    with ThreadPoolExecutor(len(gateways)) as pool:  # at once: they race for the schema and the keys
        list(pool.map(lambda g: g.start(), gateways))


def make_replicas(gateway: Callable[..., Gateway], services: list[dict[str, Any]], stores: Sequence[str],
                  shared: Any = None, **options: Any) -> list[Gateway]:
    """One for each URL of the store, all running."""
    paywall = {"max_unpaid": 10_000, **options.pop("paywall", {})}
    made: list[Gateway] = []
    for store in stores:
        one = gateway(services, paywall=paywall, start=False, **options)
        one.config["store"] = store
        if shared is not None:
            one.config["shared"] = shared.url
        del one.config["paywall"]["secret"]
        if made:
            one.config["paywall"]["realm"] = made[0].realm
        made.append(one)
    start_together(made)
    return made


def wait_until_ready(gateways: Sequence[Gateway], seconds: float = 30) -> None:
    for one in gateways:
        wait_for(lambda: web.request(one.admin_url + "/readyz", timeout=5).status == 200, seconds, "/readyz")


def start_supervised(one: Gateway, seconds: float = 30) -> None:
    """Starts it again and again, as a supervisor does: without its database it ends at once."""

    def started() -> bool:
        one.start()
        return True

    wait_for(started, seconds, "a start")


def through(postgres: Postgres, url: str, port: int) -> str:
    """The same database over a proxy's port."""
    name = url.split("/")[3].split("?")[0]
    return f"postgresql://octroi@127.0.0.1:{port}/{name}?sslmode=disable&gssencmode=disable"
