"""A PostgreSQL of three nodes under patroni changes its leader in the middle of payments: planned, by the
loss of the leader's machine, and by its freezing. Nothing that was acknowledged is lost, nothing
happens twice, and the gateways go on by themselves within a bounded time."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Iterator

import pytest

from harness import postgres_cluster
from harness.octroi import Gateway
from harness.payers import QuickPayer
from harness.postgres_cluster import Cluster
from harness.process import wait_for
from harness.replica_history import History
from harness.replica_set import make_replicas, start_supervised, wait_until_ready
from harness.replica_traffic import Draw, ask
from harness.session import Client
from harness.settings import service

PRICE, DEPOSIT = 2, 1000
# Patroni notices a leader's silence after its TTL; a frozen one keeps connections open until octroi
# gives an answer up (10 s), and its address is tried for 3 s by each connection that is made again.
HEALED = {"switched over": 15, "killed": postgres_cluster.TTL + 15, "frozen": postgres_cluster.TTL + 30}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if reason := postgres_cluster.missing():
        pytest.fail(reason, pytrace=False)
    made = Cluster()
    yield made
    made.close()


class Buyers:
    """Show one paid charge after the other, each to one replica, and keep what they were told."""

    def __init__(self, servers: list[Gateway], bought: dict[str, str], threads: int = 4):
        self.history = History()
        self._servers, self._bought = servers, bought
        self._paths = iter(list(bought))
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(threads)]
        for one in self._threads:
            one.start()

    def _run(self, n: int) -> None:
        for at in itertools.count():
            with self._lock:
                path = next(self._paths, None)
            if path is None or self._end.wait(0.1):
                return
            if self.show(path, n, (n + at) % len(self._servers)) == "unknown" and self._end.wait(0.5):
                return

    def show(self, path: str, client: int, replica: int) -> str:
        def redeem() -> dict[str, Any] | None:
            answer = ask(self._servers[replica], path, self._bought[path])
            if answer is None or answer.status >= 500:
                return None
            if answer.status == 200:
                return {"result": "ok", "answer": str(answer.json()["n"])}
            assert answer.status == 402, answer
            return {"result": "taken"}

        told = self.history.run("claim", path, client, redeem, op="claim", id="", gate=str(replica))
        return told["result"] if told else "unknown"

    def stop(self) -> None:
        self._end.set()
        for one in self._threads:
            one.join(60)
        with self._lock:
            self._paths = iter(())


@pytest.mark.parametrize("how", ["switched over", "killed", "frozen"])
@pytest.mark.slow
@pytest.mark.xdist_group("cluster")
def test_payments_go_on_when_the_leader_is(how, gateway, octroi_binary, upstream, cluster, workdir, sim_file, leaks):
    cluster.wait_until_whole()
    payer = QuickPayer(octroi_binary, workdir / "payer", sim_file, leaks)
    services = [
        service("api", "^/api/", upstream.url, schemes=["payment"], payment={"intents": ["session"]},
                session={"price": f"{PRICE} sat", "deposit": f"{DEPOSIT} sat", "idle_timeout": "600s"}),
        service("once", "^/once/", upstream.url, "1 sat", schemes=["payment"]),
    ]
    servers = make_replicas(gateway, services, [cluster.database(how.split()[0])] * 3)
    client = Client(servers[0], payer, leaks, path="/api/x")
    session = client.open()
    with ThreadPoolExecutor(4) as pool:
        top_ups = list(pool.map(lambda _: session.top_up_credential(), range(24)))  # more than are needed
        paths = [f"/once/{n}" for n in range(150)]
        bought = dict(zip(paths, pool.map(lambda p: servers[0].buy(p, payer), paths)))

    draw, buyers = Draw(servers, session, top_ups, PRICE, DEPOSIT, clients=32, pace=0.15), Buyers(servers, bought)
    draw.wait_for_served(50)
    wait_for(lambda: len(buyers.history.of("ok")) >= 10, 20, "ten charges")
    old = cluster.wait_for_leader()
    before = [one.program.pid for one in servers]
    began = time.monotonic()
    if how == "switched over":
        cluster.switch_over()
    elif how == "killed":
        old.kill()
    else:
        old.signal(signal.SIGSTOP)
    # All that the old leader acknowledged has been answered by now.
    cluster.wait_for_leader(other_than=old)
    draw.wait_for_served(150, HEALED[how])
    print(f"{how}: 150 more answers after {time.monotonic() - began:.1f} s")
    wait_until_ready(servers)
    assert [one.program.pid for one in servers] == before, "none was started again"
    if how == "frozen":
        # It never wakes up again: one that does is to be fenced (a watchdog), as this patroni takes its
        # lock back then, and what its successor acknowledged meanwhile is gone.
        old.kill()
    if how == "killed":  # a gateway that starts now finds the new one by itself
        servers[2].kill()
        start_supervised(servers[2])
    draw.wait_for_served(50)
    buyers.stop()
    draw.finish()
    draw.check(upstream)

    shown = {one["key"] for one in buyers.history.operations}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: [buyers.show(path, 100, replica) for replica in (0, 2)], shown))
    assert all(len(upstream.of_path(path)) <= 1 for path in shown)
    told = buyers.history.judge(workdir)
    assert told["verdict"] == "ok", told

    if how != "switched over":  # whoever led before follows then
        old.start()
