"""The vault door under test: octroi with only a `vault:` section, and an upstream that writes down
what it was sent and, when it stands before a mock of the vendor, passes it on."""

from __future__ import annotations

import functools
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Callable, Iterable

from . import octroi, web
from .process import Program, environment, free_port, wait_for
from .serving import Server
from .settings import dump

REAL_STRIPE_KEY = "sk_test_51TheRealKeyThatNoAgentMayEverSee0123456789"


@dataclass(frozen=True)
class Call:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    at: float = field(default=0.0, compare=False)  # when it had come, as time.monotonic()

    @property
    def asked(self) -> bytes:
        """The body as the agent's request was judged: without the mark that octroi puts behind it."""
        return re.sub(rb"&?metadata%5Boctroi_call%5D=[a-z]+_[0-9a-f]+$", b"", self.body)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


@dataclass
class Reply:
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)
    body: bytes = b"{}"
    pieces: Iterable[bytes] | None = None  # instead of the body: sent in chunks, one after the other
    drop: bool = False  # take the request and close the connection without an answer
    before: Callable[[], None] | None = None  # runs before the answer


class Vendor:
    """Records every call. `reply` makes the answer; without one, the call goes on to `behind`."""

    def __init__(self, behind: int | None = None) -> None:
        self.behind = behind
        self.calls: list[Call] = []
        self.reply: Callable[[Call], Reply | None] = lambda call: None if behind else Reply()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                at = time.monotonic()
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                call = Call(self.command, self.path, tuple(self.headers.items()), body, at)
                with outer._lock:
                    outer.calls.append(call)
                reply = outer.reply(call)
                if reply is None:
                    reply = outer._ask(behind, call)
                if reply.before:
                    reply.before()
                if reply.drop:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                if reply.pieces is not None:
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    for piece in reply.pieces:
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.write(b"0\r\n\r\n")
                    return
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(reply.body)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(Handler)
        self.port = self._server.port

    @staticmethod
    def _ask(port: int | None, call: Call) -> Reply:
        assert port
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        keep = {"authorization", "content-type", "stripe-version", "idempotency-key"}
        link.request(call.method, call.target, call.body, {k: v for k, v in call.headers if k.lower() in keep})
        answer = link.getresponse()
        body = answer.read()
        link.close()
        return Reply(answer.status, (("Content-Type", answer.getheader("Content-Type", "application/json")),), body)

    def stop(self) -> None:
        self._server.stop()


class LocalStripe:
    """The stateful mock of Stripe from PyPI."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        directory.mkdir(parents=True, exist_ok=True)
        self.program = Program(
            "localstripe",
            [sys.executable, "-m", "localstripe", "--from-scratch", "--port", str(self.port)],
            directory,
        )

        def listens() -> bool:
            self.program.must_run()
            return web.request(f"http://127.0.0.1:{self.port}/", timeout=2).status < 600

        wait_for(listens, 30, "localstripe")

    def stop(self) -> None:
        self.program.stop()


@functools.cache
def noon() -> str:
    """A time zone whose day does not end while the tests run; one for them all, as other zones have other days."""
    ahead = 12 - time.gmtime().tm_hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"


class Vault:
    """`octroi serve` with a vault section alone."""

    def __init__(self, binary: Path, directory: Path, leaks: Any, vendors: dict[str, Any], policies: dict[str, Any], **more: Any):
        directory.mkdir(parents=True, exist_ok=True)
        self.binary, self.directory, self._leaks = binary, directory, leaks
        self.port, self.admin_port = free_port(), free_port()
        token = os.urandom(32).hex()
        leaks.register(token, "admin token")
        token_file = directory / "admin.token"
        token_file.write_text(token)
        token_file.chmod(0o600)
        leaks.exempt(token_file)
        self.config: dict[str, Any] = {
            "store": f"sqlite://{directory}/octroi.db",
            "workers": 2,
            "vault": {
                "listen": f"127.0.0.1:{self.port}",
                "vendors": vendors,
                "policies": {n: {"time_zone": noon(), **p} for n, p in policies.items()},
                **more,
            },
            "log": {"level": "debug", "format": "json", "file": str(directory / "octroi.log")},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}", "auth": {"token": f"file://{token_file}"}},
            "telemetry": {"metrics": "public"},
        }
        self.file = directory / "octroi.yaml"
        self.program: Program | None = None
        self._starts = 0

    def secret(self, name: str, value: str) -> str:
        """A reference to a file that holds this real key."""
        self._leaks.register(value, "real key")
        path = self.directory / f"{name}.key"
        path.write_text(value)
        path.chmod(0o600)
        self._leaks.exempt(path)
        return f"file://{path}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def write(self) -> None:
        self.file.write_text(dump(self.config))

    def start(self) -> "Vault":
        self.write()
        self._starts += 1
        self.program = program = Program(
            f"serve-{self._starts}", [self.binary, "serve", "--config", self.file], self.directory
        )

        def ready() -> bool:
            program.must_run()
            return web.request(f"http://127.0.0.1:{self.admin_port}/readyz", timeout=2).status == 200

        try:
            wait_for(ready, 20, "octroi's /readyz")
        except BaseException as why:
            program.kill()
            raise RuntimeError(f"octroi serve did not get ready: {why}\n{program.output()[-4000:]}") from None
        return self

    def stop(self) -> int:
        return self.program.stop() if self.program else 0

    def kill(self) -> None:
        assert self.program
        self.program.kill()

    def command(self, *words: str, stdin: str | None = None, ok: bool = True) -> Any:
        done = subprocess.run(
            [str(self.binary), *words, "--config", str(self.file), "--json"],
            capture_output=True, text=True, timeout=60, env=environment(), input=stdin or "",
        )
        assert not ok or done.returncode == 0, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
        return json.loads(done.stdout) if ok else done

    def issue(self, vendor: str, policy: str, *words: str, test: bool = True) -> "Key":
        made = self.command("key", "issue", "--vendor", vendor, "--policy", policy, *(["--test"] if test else []), *words)
        self._leaks.register(made["key"], "vault key")
        return Key(made["id"], made["key"], made)

    def revoke(self, key: "Key") -> Any:
        return self.command("key", "revoke", key.id)

    def revoke_at_once(self, key: "Key") -> float:
        """By the admin API, without a process of its own; when it returned."""
        token = (self.directory / "admin.token").read_text()
        answer = web.request(f"http://127.0.0.1:{self.admin_port}/api/v1/vault/keys/{key.id}/revoke", "POST",
                             {"Authorization": f"Bearer {token}"})  # fmt: skip
        returned = time.monotonic()
        assert answer.status == 200, answer.text
        return returned

    def audit(self, *words: str) -> list[dict[str, Any]]:
        done = subprocess.run(
            [str(self.binary), "audit", "export", *words, "--config", str(self.file)],
            capture_output=True, text=True, timeout=60, env=environment(), stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        return [row for row in rows if str(row.get("kind", "")).startswith(("call.", "admin.", "tunnel."))]

    def audit_rows(self, *words: str) -> list[dict[str, Any]]:
        """What `audit query` shows, oldest first."""
        done = subprocess.run(
            [str(self.binary), "audit", "query", *words, "--config", str(self.file), "--json"],
            capture_output=True, text=True, timeout=60, env=environment(), stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        return list(reversed(rows[0]["rows"] if len(rows) == 1 and "rows" in rows[0] else rows))

    def request(self, path: str, key: "Key | None" = None, method: str = "GET", headers: Any = (), body: Any = None, **kw: Any):
        all_headers = list(headers.items() if isinstance(headers, dict) else headers)
        if key is not None:
            all_headers.append(("Authorization", f"Bearer {key.text}"))
        return web.request(self.url + path, method, all_headers, body, **kw)


@dataclass(frozen=True)
class Key:
    id: str
    text: str
    whole: dict[str, Any]


__all__ = ["Call", "Key", "LocalStripe", "REAL_STRIPE_KEY", "Reply", "Vault", "Vendor", "noon", "octroi"]
