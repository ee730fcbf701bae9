"""Sixty-four clients draw on one session at three replicas while everything is killed, cut and restarted,
one after the other: what was served was debited, what was debited had been deposited, and each top-up
counts once (guarantees 1, 2 and 9; acceptance point 2 of the issue of sessions)."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.octroi import Gateway
from harness.payers import QuickPayer
from harness.process import wait_for
from harness.replica_proxy import Trouble
from harness.replica_set import make_replicas, start_supervised, through, wait_until_ready
from harness.replica_traffic import Draw
from harness.session import Client
from harness.settings import service

PRICE, DEPOSIT = 2, 200


@pytest.fixture
def payer(octroi_binary, workdir, sim_file, leaks) -> QuickPayer:
    return QuickPayer(octroi_binary, workdir / "payer", sim_file, leaks)


def kill_and_start(server: Gateway) -> None:
    server.kill()
    start_supervised(server)


def test_64_clients_of_a_session_while_everything_dies(gateway, upstream, postgres, proxy, shared, payer, leaks):
    api = service("api", "^/api/", upstream.url, schemes=["payment"], payment={"intents": ["session"]},
                  session={"price": f"{PRICE} sat", "deposit": f"{DEPOSIT} sat", "idle_timeout": "600s"})
    url = postgres.database()
    servers = make_replicas(gateway, [api], [through(postgres, url, port) for port in proxy.ports], shared)
    client = Client(servers[0], payer, leaks, path="/api/x")
    session = client.open()
    with ThreadPoolExecutor(4) as pool:
        top_ups = list(pool.map(lambda _: session.top_up_credential(), range(60)))  # more than are needed
    draw = Draw(servers, session, top_ups, PRICE, DEPOSIT, pace=0.15)

    draw.wait_for_served(50)
    trouble = Trouble(proxy, seed=5, every=0.3)
    for server in servers:  # kill -9 of each
        kill_and_start(server)
        draw.wait_for_served(20)
    wait_for(lambda: trouble.count >= 3, 30, "three faults of the network")
    trouble.stop()
    postgres.restart()
    draw.wait_for_served(20)
    postgres.stop(signal.SIGQUIT)  # as after a loss of power: it recovers from its log
    servers[1].kill()
    postgres.start()
    start_supervised(servers[1])
    draw.wait_for_served(20)
    if shared is not None:
        shared.kill()
        shared.start()
        draw.wait_for_served(20)
    with ThreadPoolExecutor(3) as pool:  # all at once
        list(pool.map(kill_and_start, servers))
    draw.wait_for_served(20)

    wait_until_ready(servers)
    draw.finish()
    draw.check(upstream)
    assert draw.unknown and draw.topped_up >= 1
    closed = session.close()
    assert closed.json()["refundSats"] == 0, "nothing is left"
