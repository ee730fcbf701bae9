"""A backup that is taken while clients pay: everything that was acknowledged before it began is in it,
nothing in it happened twice, and a gateway goes on from it. SQLite by octroi's own command, PostgreSQL
by PostgreSQL's (`octroi store backup` refuses it: tests/cli/test_store.py)."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import octroi
from harness.payers import QuickPayer
from harness.postgres import Postgres, program
from harness.process import environment
from harness.replica_traffic import Draw
from harness.session import Client
from harness.settings import service

PRICE, DEPOSIT = 2, 10_000


@pytest.fixture
def postgres(request):
    server = Postgres()
    yield server
    server.close()


def totals(binary, server) -> dict:
    done = octroi.run(binary, "--config", server.config_file, "--json", "session", "totals")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_backup_under_load_is_a_moment_of_the_store(engine, request, gateway, octroi_binary, upstream, workdir, sim_file, leaks):
    services = [
        service("api", "^/api/", upstream.url, schemes=["payment"], payment={"intents": ["session"]},
                session={"price": f"{PRICE} sat", "deposit": f"{DEPOSIT} sat", "idle_timeout": "600s"}),
        service("once", "^/once/", upstream.url, "1 sat", schemes=["payment"]),
    ]
    server = gateway(services, start=False)
    if engine == "postgresql":
        postgres = request.getfixturevalue("postgres")
        server.config["store"] = postgres.database()
    server.start()
    payer = QuickPayer(octroi_binary, workdir / "payer", sim_file, leaks)
    client = Client(server, payer, leaks, path="/api/x")
    session = client.open()
    with ThreadPoolExecutor(4) as pool:
        paths = [f"/once/{n}" for n in range(20)]
        bought = dict(zip(paths, pool.map(lambda p: server.buy(p, payer), paths)))
    for path in paths[:10]:
        assert server.request(path, headers={"Authorization": bought[path]}).status == 200

    draw = Draw([server], session, [], PRICE, DEPOSIT, clients=16, pace=0.01)
    draw.wait_for_served(100)
    before = len(draw.served)
    if engine == "sqlite":
        copy = workdir / "copy.db"
        done = octroi.run(octroi_binary, "--config", server.config_file, "store", "backup", copy)
        assert done.returncode == 0, done.stderr
    else:
        dump = workdir / "copy.dump"
        words = [program("pg_dump"), "-Fc", "-f", str(dump), server.config["store"]]
        subprocess.run(words, check=True, env=environment(), timeout=60)
    draw.wait_for_served(50)  # nobody was held up for good
    after = len(draw.served) + len(draw.unknown) + 16
    server.kill()
    draw.abandon()

    if engine == "sqlite":
        server.config["store"] = f"sqlite://{workdir}/restored/octroi.db"
        server.config_file.write_text(octroi.dump(server.config))
        done = octroi.run(octroi_binary, "--config", server.config_file, "store", "restore", copy)
        assert done.returncode == 0, done.stderr
    else:
        server.config["store"] = postgres.database()
        subprocess.run([program("pg_restore"), "--no-owner", "-d", server.config["store"], str(dump)], check=True,
                       env=environment(), timeout=60)
    server.start()
    books = totals(octroi_binary, server)
    assert books["deposits_msat"] == DEPOSIT * 1000
    assert books["deposits_msat"] == books["spent_msat"] + books["open_balances_msat"]
    assert PRICE * (1 + before) <= books["spent_msat"] // 1000 <= PRICE * (1 + after)
    for n, path in enumerate(paths):
        assert server.request(path, headers={"Authorization": bought[path]}).status == (402 if n < 10 else 200), path
    assert session.get().status == 200, "the session goes on"
