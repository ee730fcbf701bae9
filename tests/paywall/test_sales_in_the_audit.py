"""What the paywall sold stands in the audit: once for each sale, whatever happens to the process."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from harness.postgres import Postgres
from harness.process import environment, wait_for
from harness.settings import service


def sales(server: Any) -> list[dict[str, Any]]:
    done = subprocess.run(
        [str(server.binary), "audit", "query", "--kind", "sale", "--json", "--config", str(server.config_file)],
        capture_output=True, text=True, timeout=60, env=environment(), stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    return rows[0]["rows"] if len(rows) == 1 and "rows" in rows[0] else rows


def test_each_sale_has_one_row(gateway, upstream, payer):
    server = gateway([service("api", "^/api/", upstream.url, schemes=["payment", "l402"], price="3 sat")])
    for _ in range(2):
        credential = server.buy("/api/x", payer)
        assert server.request("/api/x", headers={"Authorization": credential}).status == 200
    token = server.buy_token("/api/x", payer)
    assert server.request("/api/x", headers={"Authorization": token}).status == 200
    server.unpaid("/api/x")  # nothing was sold
    wait_for(lambda: len(sales(server)) == 3, 30, "three sales in the audit")
    told = sales(server)
    assert sorted(r["operation"] for r in told) == ["l402", "mpp_charge", "mpp_charge"]
    assert {(r["amount"], r["currency"], r["server"]) for r in told} == {(3000, "msat", "api")}
    assert len({r["id"] for r in told}) == 3

    # One that is settled when the process dies is told by the next one; the others are not told again.
    credential = server.buy("/api/x", payer)
    assert server.request("/api/x", headers={"Authorization": credential}).status == 200
    server.kill()
    server.start()
    wait_for(lambda: len(sales(server)) >= 4, 30, "the fourth sale in the audit")
    assert len({r["id"] for r in sales(server)}) == len(sales(server)) == 4
    verified = subprocess.run(
        [str(server.binary), "audit", "verify", "--store", "--config", str(server.config_file)],
        capture_output=True, text=True, timeout=60, env=environment(), stdin=subprocess.DEVNULL,
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_replicas_tell_each_sale_once(gateway, upstream, payer):
    postgres = Postgres()
    try:
        store = postgres.database()
        replicas = []
        for _ in range(2):
            one = gateway([service("api", "^/api/", upstream.url, schemes=["payment"], price="3 sat")], start=False)
            one.config["store"] = store
            del one.config["paywall"]["secret"]
            if replicas:
                one.config["paywall"]["realm"] = replicas[0].realm
            replicas.append(one.start())
        for server in replicas * 3:
            credential = server.buy("/api/x", payer)
            assert server.request("/api/x", headers={"Authorization": credential}).status == 200
        wait_for(lambda: len(sales(replicas[0])) >= 6, 30, "six sales in the audit")
        assert len({r["id"] for r in sales(replicas[1])}) == len(sales(replicas[1])) == 6
        for server in replicas:
            assert server.stop() == 0
    finally:
        postgres.stop()
