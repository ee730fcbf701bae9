"""Starting, stopping and standing by."""

from __future__ import annotations

import threading
import time

from harness import octroi, web
from harness.settings import dump, service


def test_drain_on_sigterm(gateway, upstream, payer):
    """A request that is on its way is answered; the process then ends with 0."""
    server = gateway([service("api", "^/api/", upstream.url, schemes=["payment"])])
    credential = server.buy("/api/x?delay=1.5", payer)
    answers = []
    caller = threading.Thread(
        target=lambda: answers.append(server.request("/api/x?delay=1.5", headers={"Authorization": credential}))
    )
    caller.start()
    time.sleep(0.5)
    assert server.stop() == 0
    caller.join(10)
    assert answers and answers[0].status == 200


def test_admin_listener(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url)])
    assert web.request(server.admin_url + "/healthz").status == 200
    assert web.request(server.admin_url + "/readyz").status == 200
    server.request("/api/x")
    assert server.metric("octroi_challenges_total", service="api") >= 1
    assert server.metric("octroi_node_up") == 1


def test_metrics_need_the_token_unless_public(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url)], top={"telemetry": {"metrics": True}})
    assert web.request(server.admin_url + "/metrics").status == 401
    answer = web.request(server.admin_url + "/metrics", headers={"Authorization": f"Bearer {server.admin_token}"})
    assert answer.status == 200


def test_loss_of_the_node(gateway, upstream, network, lnd_lightning, lnd_payer):
    """New challenges are refused with 503, tokens already paid go on working, and it comes back."""
    from harness.process import wait_for

    server = gateway([service("api", "^/api/", upstream.url)], lightning=lnd_lightning, paywall={"invoice_pool": 0})
    token = server.buy_token("/api/x", lnd_payer)
    assert server.request("/api/x", headers={"Authorization": token}).status == 200
    network.stop_merchant()
    try:
        wait_for(lambda: web.request(server.admin_url + "/readyz").status == 503, 60, "/readyz says the node is gone", 0.2)
        answer = server.request("/api/x", timeout=30)
        assert answer.status == 503 and not answer.all("WWW-Authenticate")
        assert server.request("/api/x", headers={"Authorization": token}).status == 200
    finally:
        network.restart_merchant()
    wait_for(lambda: web.request(server.admin_url + "/readyz").status == 200, 90, "/readyz says the node is back", 0.2)
    assert server.request("/api/x").status == 402
    assert server.request("/api/x", headers={"Authorization": server.buy("/api/x", lnd_payer)}).status == 200


def test_a_second_server_at_the_address_is_refused(gateway, upstream):
    """The kernel would give each of them a part of the calls, since the workers of one share it."""
    one = gateway([service("api", "^/api/", upstream.url, price="0 sat", auth="off")])
    other = gateway([service("api", "^/api/", upstream.url)], start=False)
    other.config["listen"] = one.config["listen"]
    other.config_file.write_text(dump(other.config))
    done = octroi.run(other.binary, "serve", "--config", other.config_file)
    assert done.returncode not in (0, -15), done.stderr
    assert one.config["listen"] in done.stderr and "in use" in done.stderr.lower(), done.stderr
    assert {one.request("/api/x").status for _ in range(20)} == {200}
