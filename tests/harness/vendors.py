"""Mocks of vendors' APIs that others made, each as a program on this machine that is ended by its
process id, and the drivers that speak to them through a vendor's own SDK."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, Sequence

from .peers import NODE_HOME, node_program
from .process import ROOT, TEST_ENV, Program, environment, free_port, wait_for
from .vault import Call, Reply, Vendor
from .web import request

MODULES = NODE_HOME / "node_modules"
DRIVERS = ROOT / "tests" / "interop" / "vault_sdks"


class Mock:
    """A program that serves HTTP on `port`; `ready` is a path that it answers, with whatever status."""

    def __init__(self, name: str, directory: Path, argv: Callable[[int], Sequence[str | Path]],
                 env: Callable[[int], dict[str, str]] = lambda port: {}, cwd: Path | None = None) -> None:
        self.port = free_port()
        for part in argv(self.port):
            if isinstance(part, Path) and not part.exists():
                raise RuntimeError(f"{name} is missing ({part.name}); run script/bootstrap --tests")
        self.program = Program(name, argv(self.port), directory, environment(**env(self.port)), cwd)

        def listens() -> bool:
            self.program.must_run()
            return request(f"http://127.0.0.1:{self.port}/", timeout=10).status < 600

        try:
            wait_for(listens, 60, name)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.program.stop()


def stripe_mock(directory: Path) -> Mock:
    """Stripe's own: validates every request by the published specification, remembers nothing."""
    return Mock("stripe-mock", directory, lambda port: [TEST_ENV / "bin" / "stripe-mock", "-http-addr", f"127.0.0.1:{port}"])


def prism(directory: Path) -> Mock:
    """Prism with Twilio's specification: demands what it demands, answers with its examples."""
    specification = MODULES / "@twilio-alpha/mcp/twilio-oai/spec/json/twilio_api_v2010.json"
    program = MODULES / "@stoplight/prism-cli/dist/index.js"
    return Mock("prism", directory,
                lambda port: [node_program(), program, "mock", "-h", "127.0.0.1", "-p", str(port), specification])


def resend_local(directory: Path) -> Mock:
    """resend-local's server as its own starter runs it, but on this machine alone and with its database here."""
    app = MODULES / "resend-local/dist/app"
    directory.mkdir(parents=True, exist_ok=True)
    database = directory / "resend-local.sqlite"
    shutil.copyfile(app / database.name, database)
    return Mock(
        "resend-local", directory, lambda port: [node_program(), "server.js"],
        lambda port: {"HOSTNAME": "127.0.0.1", "PORT": str(port), "DATABASE_URL": f"file:{database}", "NEXT_TELEMETRY_DISABLED": "1"},
        app,
    )


class Driver:
    """A program around one SDK (tests/interop/vault_sdks), which does what it is told line by line."""

    def __init__(self, vendor: str, language: str, errors: Path, before: Sequence[str] = (), **env: str) -> None:
        python = language == "python"
        script = DRIVERS / f"{vendor}_driver.{'py' if python else 'cjs'}"
        self.name = f"{vendor}-{language}"
        self._errors = errors
        errors.parent.mkdir(parents=True, exist_ok=True)
        with errors.open("ab") as err:
            self.process = subprocess.Popen(
                [*before, sys.executable if python else node_program(), str(script)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True,
                env=environment(PYTHONDONTWRITEBYTECODE="1", NODE_NO_WARNINGS="1", NODE_PATH=str(MODULES), **env),
            )

    def __call__(self, act: str, **words: Any) -> dict[str, Any]:
        """{"value"} or {"error": {"class", "status", "message"}}, once the SDK has given up or succeeded."""
        assert self.process.stdin and self.process.stdout
        # An SDK that waits for ever is ended here, not by the end of the whole run.
        guard = threading.Timer(120, self.process.kill)
        guard.start()
        try:
            self.process.stdin.write(json.dumps({"do": act, **words}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        finally:
            guard.cancel()
        if not line:
            raise RuntimeError(f"{self.name} ended with {self.process.wait(30)}: {self._errors.read_text()[-3000:]}")
        return json.loads(line)  # type: ignore[no-any-return]

    def close(self) -> None:
        """It ends when it has nothing more to read."""
        assert self.process.stdin
        self.process.stdin.close()

    def end(self) -> None:
        assert self.process.stdout
        self.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process.stdout.close()


class Before(Vendor):
    """Writes down every call and passes it on to the mock that `mock` is at the moment. The next
    writes get what is in `faults` instead."""

    def __init__(self) -> None:
        super().__init__()
        self.mock = 0
        self.faults: list[Reply] = []
        self.reply = lambda call: self.faults.pop(0) if self.faults and call.method != "GET" else self._pass(call)

    def begin(self) -> None:
        """For another client: nothing was written down, and nothing goes wrong."""
        self.calls.clear()
        self.faults.clear()

    @property
    def writes(self) -> list[Call]:
        """Without what octroi itself asks, which may come at any time: prices that come late."""
        return [call for call in self.calls if call.method != "GET"]

    def _pass(self, call: Call) -> Reply:
        link = http.client.HTTPConnection("127.0.0.1", self.mock, timeout=60)
        skip = {"host", "content-length", "connection"}
        link.request(call.method, call.target, call.body, {k: v for k, v in call.headers if k.lower() not in skip})
        answer = link.getresponse()
        body = answer.read()
        link.close()
        keep = tuple((k, v) for k, v in answer.getheaders() if k.lower() in ("content-type", "etag", "x-amzn-requestid"))
        return Reply(answer.status, keep, body)
