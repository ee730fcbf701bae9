"""The four ways to a vault, and what a client of its proxy must trust."""

from __future__ import annotations

import base64
import http.client
import ssl
import subprocess
from pathlib import Path
from typing import Any, Callable

import httpx

from . import web
from .process import environment, wait_for
from .vault import Key, Vault

STRIPE = "api.stripe.com"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def authority(vault: Vault) -> Path:
    """What `octroi vault ca` prints, in a file."""
    path = vault.directory / "ca-as-printed.pem"
    done = subprocess.run(
        [str(vault.binary), "vault", "ca", "--config", str(vault.file)],
        capture_output=True, text=True, timeout=60, env=environment(), stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    path.write_text(done.stdout)
    return path


def trust(vault: Vault) -> ssl.SSLContext:
    """As strict as newer Pythons are."""
    context = ssl.create_default_context(cafile=str(authority(vault)))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def tunnel(vault: Vault, host: str = STRIPE, port: int = 443, proxy: str | None = None,
           context: ssl.SSLContext | None = None) -> http.client.HTTPSConnection:
    """A connection inside CONNECT; `proxy` is the Proxy-Authorization."""
    link = http.client.HTTPSConnection("127.0.0.1", vault.port, timeout=30, context=context or trust(vault))
    link.set_tunnel(host, port, {"Proxy-Authorization": proxy} if proxy else {})
    return link


def outcomes(vault: Vault, count: int, *words: str) -> list[dict[str, Any]]:
    """The rows of what became of calls, once there are so many: they are written after the answer."""

    def rows() -> list[dict[str, Any]] | None:
        found = [row for row in vault.audit(*words) if row["kind"] == "call.outcome"]
        return found if len(found) >= count else None

    return wait_for(rows, 20, "the outcomes")  # type: ignore[return-value]


Ask = Callable[[str, str, "dict[str, str]", "str | None"], web.Response]


def _plain(vault: Vault, prefix: str, host: str | None) -> Ask:
    def ask(method: str, path: str, headers: dict[str, str], body: str | None) -> web.Response:
        more = {"Host": host} if host else {}
        return web.request(vault.url + prefix + path, method, {**more, **headers}, body)

    return ask


def _absolute(vault: Vault) -> Ask:
    def ask(method: str, path: str, headers: dict[str, str], body: str | None) -> web.Response:
        link = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=30)
        link.request(method, f"http://{STRIPE}{path}", body, {"Host": STRIPE, **headers})
        answer = link.getresponse()
        return web.Response(answer.status, answer.getheaders(), answer.read())

    return ask


def _connect(vault: Vault) -> Ask:
    link = tunnel(vault)

    def ask(method: str, path: str, headers: dict[str, str], body: str | None) -> web.Response:
        link.request(method, path, body, headers)
        answer = link.getresponse()
        return web.Response(answer.status, answer.getheaders(), answer.read())

    return ask


def _h2(vault: Vault) -> Ask:
    client = httpx.Client(http2=True, proxy=vault.url, verify=trust(vault), timeout=30, trust_env=False)

    def ask(method: str, path: str, headers: dict[str, str], body: str | None) -> web.Response:
        answer = client.request(method, f"https://{STRIPE}{path}", headers=headers, content=body)
        assert answer.http_version == "HTTP/2"
        return web.Response(answer.status_code, list(answer.headers.multi_items()), answer.content)

    return ask


WAYS: dict[str, Callable[[Vault], Ask]] = {
    "path": lambda vault: _plain(vault, "/stripe", None),
    "host": lambda vault: _plain(vault, "", STRIPE),
    "key": lambda vault: _plain(vault, "", None),
    "absolute": _absolute,
    "connect": _connect,
    "connect-h2": _h2,
}


def charge(key: Key | str, amount: int = 100, **fields: Any) -> tuple[str, str, dict[str, str], str]:
    """Method, path, headers and body of a charge."""
    text = key if isinstance(key, str) else key.text
    body = "&".join(f"{k}={v}" for k, v in {"amount": amount, "currency": "usd", "customer": "cus_1", **fields}.items())
    return "POST", "/v1/charges", {**FORM, "Authorization": f"Bearer {text}"}, body
