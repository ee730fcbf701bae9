"""Clients that go on whatever happens to the replicas and their database, and the books that must agree
with what they were told afterwards."""

from __future__ import annotations

import http.client
import itertools
import random
import threading
import time
from typing import Any, Sequence

from . import web
from .octroi import Gateway
from .process import wait_for
from .session import Client, Session

AWAY = (500, 502, 503, 504)


def ask(server: Gateway, path: str, credential: str, timeout: float = 30) -> web.Response | None:
    """None: nobody knows what came of it. A refused connection carried nothing, and raises."""
    try:
        return server.request(path, headers={"Authorization": credential}, timeout=timeout)
    except ConnectionRefusedError:
        raise
    except (OSError, http.client.HTTPException):
        return None


class Draw:
    """So many clients, each a thread, draw on one session at all replicas, one request after the other, each
    with a path of its own. Whoever is told that nothing is left tops up, as long as there are top-ups."""

    def __init__(self, servers: Sequence[Gateway], session: Session, top_ups: list[str], price: int, deposit: int,
                 clients: int = 64, pace: float = 0.1):
        self.served: list[str] = []  # paths that were answered with what they asked for
        self.unknown: list[str] = []  # nobody told the client what came of it
        self.topped_up = 0
        self.refused = 0  # told that nothing is left
        self._servers, self._session, self._price, self._deposit, self._pace = servers, session, price, deposit, pace
        self._top_ups = list(top_ups)
        self._bearer = session.bearer()
        self._lock = threading.Lock()
        self._may_end = threading.Event()
        self._failed: list[BaseException] = []
        self._numbers = itertools.count()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(clients)]
        for one in self._threads:
            one.start()

    def _run(self, n: int) -> None:
        chance = random.Random(n)
        try:
            while not self._failed and not self._one(chance.choice(self._servers)):
                pass
        except BaseException as why:  # noqa: BLE001: told by finish()
            self._failed.append(why)

    def _one(self, server: Gateway) -> bool:
        """True: this client has had enough."""
        path = f"/api/draw/{next(self._numbers)}"
        try:
            answer = ask(server, path, self._bearer)
        except ConnectionRefusedError:
            time.sleep(0.05)
            return False
        if answer is None or answer.status in AWAY:
            with self._lock:
                self.unknown.append(path)
            time.sleep(0.1)
            return False
        if answer.status == 200:
            with self._lock:
                self.served.append(path)
            self._may_end.wait(self._pace)
            return False
        assert answer.status == 402 and answer.problem == "lightning/insufficient-balance", (answer, answer.text[:300])
        with self._lock:
            self.refused += 1
            value = self._top_ups.pop() if self._top_ups and not self._may_end.is_set() else None
        if value:
            self._top_up(value)
        elif self._may_end.is_set():
            return True
        else:
            time.sleep(0.02)
        return False

    def _top_up(self, value: str) -> None:
        """Until it is told that it is done, at whichever replica answers."""

        def done() -> bool:  # a refused connection is not yet
            answer = ask(random.choice(self._servers), "/api/top-up", value)
            return answer is not None and answer.status == 200

        wait_for(done, 60, "a top-up", 0.2)
        with self._lock:
            self.topped_up += 1

    def wait_for_served(self, more: int, seconds: float = 30) -> None:
        """So many more answers from now on; the money must last for them."""
        until = len(self.served) + more

        def enough() -> bool:
            return bool(self._failed) or len(self.served) >= until

        wait_for(enough, seconds, f"{more} more answers")

    def finish(self, seconds: float = 60) -> None:
        """Draws what is left to the last unit."""
        self._may_end.set()
        end = time.monotonic() + seconds
        for one in self._threads:
            one.join(max(0.0, end - time.monotonic()))
        if self._failed:
            raise self._failed[0]
        assert not any(one.is_alive() for one in self._threads), "clients do not come to an end"

    def abandon(self) -> None:
        """The clients go away, wherever they are."""
        self._failed.append(RuntimeError("abandoned"))
        for one in self._threads:
            one.join(60)

    def check(self, upstream) -> dict[str, Any]:
        """Call it after finish(). Returns the session's row."""
        row = self._session.row(self._servers[0])
        assert row
        deposits = self._deposit * (1 + self.topped_up)
        assert row["deposit_msat"] == deposits * 1000, f"{self.topped_up} top-ups, each once: {row}"
        spent = row["spent_msat"] // 1000
        assert spent == deposits, "to the last unit, and not one more"
        reached: dict[str, int] = {}
        for seen in upstream.seen:
            reached[seen.target] = reached.get(seen.target, 0) + 1
        reached = {path: count for path, count in reached.items() if path.startswith("/api/draw/")}
        assert set(self.served) <= set(reached) and len(self.served) == len(set(self.served))
        assert set(reached) <= {*self.served, *self.unknown}, "nobody is told that it was not served when it was"
        times = spent // self._price - 1  # but for the request that opened it
        assert sum(reached.values()) <= times, "whatever the upstream did was debited"
        assert times <= len(self.served) + len(self.unknown), "and nothing else"
        return row
