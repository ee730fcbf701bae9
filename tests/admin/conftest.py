"""Both doors in one process with an admin listener, and its dashboard."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from harness import peers, web
from harness.dashboard import Dashboard
from harness.leaks import Leaks
from harness.octroi import Gateway
from harness.process import environment, free_port
from harness.settings import service
from harness.vault import REAL_STRIPE_KEY, Key, Vendor, noon
from vault.conftest import capture  # noqa: F401: a fixture

POLICY: dict[str, Any] = {
    "vendor": "stripe",
    "endpoints": ["charges.create", "customers.*"],
    "daily_cap": "50 usd",
    "max_amount": "20 usd",
    "approve_over": "10 usd",
}


class Doors:
    """A paywall and a vault, and the way of an agent and of an administrator to them."""

    def __init__(self, gateway: Gateway, vault_port: int, capture: Vendor, leaks: Leaks) -> None:
        self.gateway, self.capture, self._leaks = gateway, capture, leaks
        self.vault_url = f"http://127.0.0.1:{vault_port}"
        self.token = gateway.admin_token
        self.url = gateway.admin_url

    def api(self, method: str, path: str, body: Any = None) -> Any:
        answer = web.request(
            self.url + "/api/v1/" + path, method, {"Authorization": f"Bearer {self.token}"}, None if body is None else json.dumps(body)
        )
        assert answer.status == 200, answer.body
        return answer.json()

    def issue(self, **fields: Any) -> Key:
        made = self.api("POST", "vault/keys", {"vendor": "stripe", "policy": "bot", "test": True, **fields})
        self._leaks.register(made["key"], "vault key")
        return Key(made["id"], made["key"], made)

    def charge(self, key: Key, amount: int = 500, customer: str = "cus_1") -> web.Response:
        headers = {"Authorization": f"Bearer {key.text}", "Content-Type": "application/x-www-form-urlencoded"}
        body = f"amount={amount}&currency=usd&customer={customer}"
        return web.request(self.vault_url + "/stripe/v1/charges", "POST", headers, body, timeout=120)

    def verify(self, text: str, directory: Path) -> dict[str, Any]:
        """What `octroi audit verify` says of an export."""
        key = self.api("GET", "audit/writers")["public_key"]
        file = directory / "export.jsonl"
        file.write_text(text)
        done = subprocess.run(
            [str(self.gateway.binary), "audit", "verify", str(file), "--key", key, "--json"],
            capture_output=True, text=True, timeout=120, env=environment(), stdin=subprocess.DEVNULL,
        )
        assert done.stdout, done.stderr
        return json.loads(done.stdout)


def log_in(tab: Dashboard, doors: Doors, keep: bool = False) -> None:
    tab.log_in(doors.token, keep)
    tab.sees("Overview", "main h1")
    tab.sees("ready", "#ready")


def settled(tab: Dashboard) -> None:
    """Nothing is under way, and the next turn waits for its time."""
    tab.wait(lambda: tab.do("quiet") and tab.do("timers"), "a page at rest")


@pytest.fixture
def make_doors(gateway, upstream, capture: Vendor, leaks: Leaks, workdir: Path) -> Callable[..., Doors]:  # noqa: F811
    def make(wait: str | None = None, **changes: Any) -> Doors:
        leaks.register(REAL_STRIPE_KEY, "real key")
        secret = workdir / "stripe.key"
        secret.write_text(REAL_STRIPE_KEY)
        secret.chmod(0o600)
        leaks.exempt(secret)
        port = free_port()
        vault: dict[str, Any] = {
            "listen": f"127.0.0.1:{port}",
            "vendors": {"stripe": {"upstream": f"http://127.0.0.1:{capture.port}", "credential": f"file://{secret}"}},
            "policies": {"bot": {"time_zone": noon(), **POLICY, **changes}},
        }
        if wait:
            vault["approvals"] = {"wait": wait, "expires": "10m"}
        one = gateway([service("weather", "^/w/", f"http://127.0.0.1:{upstream.port}")], top={"vault": vault})
        return Doors(one, port, capture, leaks)

    return make


@pytest.fixture
def dashboard(workdir: Path) -> Iterator[Callable[[str], Dashboard]]:
    """`dashboard(url)`: the page, loaded."""
    if why := peers.node_missing():
        pytest.fail(why, pytrace=False)
    made: list[Dashboard] = []

    def make(url: str, path: str = "") -> Dashboard:
        made.append(Dashboard(url, workdir))
        return made[-1].load(path)

    yield make
    for tab in made:
        tab.close()
