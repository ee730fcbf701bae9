"""One process with both doors, and each of them alone from the same file."""

from __future__ import annotations

import json
import subprocess

from harness import web
from harness.process import Program, environment, free_port, wait_for
from harness.settings import service
from harness.vault import REAL_STRIPE_KEY


def test_a_paywall_and_a_vault_in_one_process(gateway, upstream, capture, leaks, workdir):
    leaks.register(REAL_STRIPE_KEY, "real key")
    secret = workdir / "stripe.key"
    secret.write_text(REAL_STRIPE_KEY)
    leaks.exempt(secret)
    port = free_port()
    vault = {
        "listen": f"127.0.0.1:{port}",
        "vendors": {"stripe": {"upstream": f"http://127.0.0.1:{capture.port}", "credential": f"file://{secret}"}},
        "policies": {"bot": {"vendor": "stripe", "endpoints": ["customers.*"], "daily_cap": "1 usd"}},
    }
    both = gateway([service("weather", "^/w/", f"http://127.0.0.1:{upstream.port}")], top={"vault": vault})
    made = subprocess.run(
        [str(both.binary), "key", "issue", "--vendor", "stripe", "--policy", "bot", "--test", "--json", "--config", str(both.config_file)],
        capture_output=True, text=True, env=environment(), timeout=60,
    )
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["key"]
    leaks.register(key, "vault key")
    headers = {"Authorization": f"Bearer {key}"}
    assert web.request(f"http://127.0.0.1:{port}/stripe/v1/customers", headers=headers).status == 200
    assert both.request("/w/x").status == 402
    # Neither door knows the other's keys or paths.
    assert web.request(f"http://127.0.0.1:{port}/w/x", headers=headers).status in (400, 403)
    assert both.stop() == 0

    alone = Program("vault-alone", [both.binary, "serve", "--only", "vault", "--config", both.config_file], both.directory)
    try:
        wait_for(lambda: web.request(f"http://127.0.0.1:{port}/stripe/v1/customers", headers=headers).status == 200, 20, "the vault alone")
        try:
            reached = web.request(both.url + "/w/x", timeout=2).status
        except OSError:
            reached = 0
        assert reached == 0
    finally:
        alone.stop()
