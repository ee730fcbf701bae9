"""Where octroi may get secrets from: a program, 1Password's op, and a key-value engine, all ours."""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import urlsplit

import pytest

from harness.leaks import Leaks
from harness.serving import Server
from harness.vault import Vault, Vendor
from vault.conftest import POLICY, capture, make_vault  # noqa: F401: fixtures

TOKEN = "hvs.OnlyThisTokenMayReadTheEngine0123456789"


class Engine:
    """A key-value engine of the second version at `kv/`, for one token."""

    def __init__(self) -> None:
        self.data: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.status = 0  # instead of an answer
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                engine.asked.append(path)
                status, body = engine.answer(path, self.headers.get("X-Vault-Token"))
                raw = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(Handler)
        self.url = f"http://127.0.0.1:{self._server.port}"

    def answer(self, path: str, token: str | None) -> tuple[int, dict[str, Any]]:
        if self.status:
            return self.status, {"errors": ["what an engine says of itself"]}
        if token != TOKEN:
            return 403, {"errors": ["permission denied"]}
        if path.startswith("/v1/sys/internal/ui/mounts/kv/"):
            return 200, {"data": {"path": "kv/", "type": "kv", "options": {"version": "2"}}}
        name = path.removeprefix("/v1/kv/data/")
        if path.startswith("/v1/kv/data/") and name in self.data:
            return 200, {"data": {"data": self.data[name], "metadata": {"version": 1}}}
        return 404, {"errors": []}

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def engine(leaks: Leaks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    leaks.register(TOKEN, "token of the engine")
    made = Engine()
    monkeypatch.setenv("VAULT_ADDR", made.url)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    yield made
    made.stop()


@pytest.fixture
def program(workdir: Path, leaks: Leaks) -> Callable[[str, str, str], Path]:
    """`program("op", "…shell…", value)`: one that prints `value`, which `$VALUE_FILE` in its lines holds."""

    def make(name: str, lines: str, value: str) -> Path:
        folder = workdir / "bin"
        folder.mkdir(exist_ok=True)
        kept = folder / f"{name}.value"
        kept.write_text(value)
        leaks.register(value, "what a program prints")
        leaks.exempt(kept)
        file = folder / name
        file.write_text(f"#!/bin/sh\nVALUE_FILE={kept}\n{lines}\n")
        file.chmod(0o755)
        return file

    return make


@pytest.fixture
def serving(make_vault: Callable[..., Vault], capture: Vendor) -> Callable[..., Vault]:  # noqa: F811
    """A vault, not started yet, in front of a vendor whose real key comes from `credential`; without
    one it is registered."""

    def make(credential: str | None, **more: Any) -> Vault:
        vault = make_vault({"stripe": (capture, None, {})}, {"bot": POLICY}, **more)
        if credential:
            vault.config["vault"]["vendors"]["stripe"]["credential"] = credential
        return vault

    return make


def path_with(folder: Path) -> str:
    return f"{folder}:{os.environ['PATH']}"
