"""Where octroi may get secrets from: a program, 1Password's op, and a server with a key-value and a transit
engine, all ours."""

from __future__ import annotations

import base64
import json
import os
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import urlsplit

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from harness.leaks import Leaks
from harness.serving import Server
from harness.vault import Vault, Vendor
from vault.conftest import POLICY, capture, make_vault  # noqa: F401: fixtures

TOKEN = "hvs.OnlyThisTokenMayReadTheEngine0123456789"
ROLE_ID = "0d6b1c1e-role-of-octroi"
SECRET_ID = "5f2c8a77-secret-id-that-nobody-may-see"


class Transit:
    """Keys that never leave it, in versions; the engine is mounted at `transit/`."""

    def __init__(self, leaks: Leaks) -> None:
        self.keys: dict[str, list[AESGCM]] = {}
        self.status = 0  # instead of an answer
        self.leaks = leaks

    def rotate(self, name: str) -> None:
        self.keys.setdefault(name, []).append(AESGCM(AESGCM.generate_key(256)))

    def answer(self, operation: str, name: str, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.status:
            return self.status, {"errors": ["what an engine says of itself"]}
        versions = self.keys.get(name)
        if not versions:
            return 400, {"errors": ["encryption key not found"]}
        if operation == "encrypt":
            plain = base64.b64decode(body["plaintext"], validate=True)
            self.leaks.register(plain, "data key")
            nonce = os.urandom(12)
            sealed = base64.b64encode(nonce + versions[-1].encrypt(nonce, plain, None)).decode()
            return 200, {"data": {"ciphertext": f"vault:v{len(versions)}:{sealed}", "key_version": len(versions)}}
        who, version, sealed = body["ciphertext"].split(":")
        raw = base64.b64decode(sealed, validate=True)
        try:
            assert who == "vault"
            plain = versions[int(version.removeprefix("v")) - 1].decrypt(raw[:12], raw[12:], None)
        except (InvalidTag, IndexError):
            return 400, {"errors": ["what an engine says of itself"]}
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}


class Engine:
    """A key-value engine of the second version at `kv/` and a transit engine, for one token, which may be
    that of a login with an AppRole."""

    def __init__(self, leaks: Leaks) -> None:
        self.data: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.status = 0  # instead of an answer
        self.token = TOKEN
        self.secret_id = SECRET_ID
        self.logins = 0
        self.transit = Transit(leaks)
        self.leaks = leaks
        engine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                engine.asked.append(path)
                self.tell(*engine.answer(path, self.headers.get("X-Vault-Token")))

            def do_POST(self) -> None:
                engine.asked.append(self.path)
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.tell(*engine.answer_post(self.path, self.headers.get("X-Vault-Token"), body))

            def tell(self, status: int, body: dict[str, Any]) -> None:
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
        if token != self.token:
            return 403, {"errors": ["permission denied"]}
        if path.startswith("/v1/sys/internal/ui/mounts/kv/"):
            return 200, {"data": {"path": "kv/", "type": "kv", "options": {"version": "2"}}}
        name = path.removeprefix("/v1/kv/data/")
        if path.startswith("/v1/kv/data/") and name in self.data:
            return 200, {"data": {"data": self.data[name], "metadata": {"version": 1}}}
        return 404, {"errors": []}

    def answer_post(self, path: str, token: str | None, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.status:
            return self.status, {"errors": ["what an engine says of itself"]}
        if path == "/v1/auth/approle/login":
            if body != {"role_id": ROLE_ID, "secret_id": self.secret_id}:
                return 400, {"errors": ["invalid role or secret ID"]}
            self.logins += 1
            self.token = f"hvs.TokenOfALoginThatOnlyItsHolderKnows{self.logins}"
            self.leaks.register(self.token, "token of a login")
            return 200, {"auth": {"client_token": self.token, "lease_duration": 600, "renewable": True}}
        if token != self.token:
            return 403, {"errors": ["permission denied"]}
        parts = path.removeprefix("/v1/transit/").split("/")
        if path.startswith("/v1/transit/") and len(parts) == 2 and parts[0] in ("encrypt", "decrypt"):
            return self.transit.answer(parts[0], parts[1], body)
        return 404, {"errors": []}

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def engine(leaks: Leaks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    leaks.register(TOKEN, "token of the engine")
    leaks.register(SECRET_ID, "secret id of an AppRole")
    made = Engine(leaks)
    monkeypatch.setenv("VAULT_ADDR", made.url)
    monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    yield made
    made.stop()


@pytest.fixture
def app_role(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The server of `engine` for who logs in: no token is known beforehand."""
    engine.token = "none"
    monkeypatch.delenv("VAULT_TOKEN")
    monkeypatch.setenv("VAULT_ROLE_ID", ROLE_ID)
    monkeypatch.setenv("VAULT_SECRET_ID", SECRET_ID)
    return engine


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


AWS = "AKIAREALREALREALREAL:SecretOfTheRealKeyForTheTests0123456789AB"


@pytest.fixture
def all_sealed(make_vault: Callable[..., Vault], capture: Vendor, engine: Engine, leaks: Leaks) -> Callable[..., Vault]:  # noqa: F811
    """A vault that keeps everything that is ever sealed: a key that is to be registered, the proxy's authority
    and what the secrets of keys that sign are derived from. A reference reads `aws` of `kv/o`."""
    leaks.register(AWS, "real key")

    def make(**sealing: str) -> Vault:
        engine.data.setdefault("o", {})["aws"] = AWS
        aws = {"pack": "aws", "credential": "vault://kv/o#aws"}
        vault = make_vault(
            {"stripe": (capture, None, {}), "aws": (capture, None, aws)},
            {
                "bot": {"vendor": "stripe", "endpoints": ["customers.*"]},
                "ops": {"vendor": "aws", "endpoints": ["ses.SendEmail"]},
            },
            **sealing,
        )
        vault.config["vault"]["proxy"] = {"ca_file": str(vault.directory / "vault-ca.pem")}
        return vault

    return make


def path_with(folder: Path) -> str:
    return f"{folder}:{os.environ['PATH']}"
