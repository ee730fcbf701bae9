"""octroi under test: the binary, a running gateway, and a client that pays it."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Sequence

from . import payment, web
from .process import ROOT, Program, environment, free_port, wait_for
from .settings import dump

SECRET_BYTES = 32


def find_binary(name: str = "octroi") -> Path | None:
    """$OCTROI_BIN, else the release build, else the development build."""
    if given := os.environ.get("OCTROI_BIN"):
        path = Path(given) if name == "octroi" else Path(given).with_name(name)
        return path if path.exists() else None
    for preset in ("release", "dev"):
        path = ROOT / "build" / preset / name
        if path.exists():
            return path
    return None


def run(binary: Path, *words: str | Path, timeout: float = 60, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(binary), *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env=kwargs.pop("env", environment()),
        **kwargs,
    )


class Gateway:
    """`octroi serve` with a configuration of its own, on free ports, in a folder of its own. It can
    be stopped or killed and started again over the same store."""

    def __init__(
        self,
        binary: Path,
        directory: Path,
        services: Sequence[dict[str, Any]],
        lightning: dict[str, Any],
        leaks,
        paywall: dict[str, Any] | None = None,
        top: dict[str, Any] | None = None,
    ):
        directory.mkdir(parents=True, exist_ok=True)
        self.binary = binary
        self.directory = directory
        self.port = free_port()
        self.admin_port = free_port()
        self._leaks = leaks
        secret = os.urandom(SECRET_BYTES).hex()
        leaks.register(secret, "paywall secret")
        key_file = directory / "mpp.key"
        key_file.write_text(secret)
        key_file.chmod(0o600)
        leaks.exempt(key_file)
        token = os.urandom(SECRET_BYTES).hex()
        leaks.register(token, "admin token")
        self.admin_token = token
        token_file = directory / "admin.token"
        token_file.write_text(token)
        token_file.chmod(0o600)
        leaks.exempt(token_file)
        self.config: dict[str, Any] = {
            "environment": "development",
            "listen": f"127.0.0.1:{self.port}",
            "store": f"sqlite://{directory}/octroi.db",
            "lightning": copy.deepcopy(lightning),
            "paywall": {
                "realm": f"127.0.0.1:{self.port}",
                "secret": f"file://{key_file}",
                **copy.deepcopy(paywall or {}),
                "services": copy.deepcopy(list(services)),
            },
            "log": {"level": "debug", "format": "json", "file": str(directory / "octroi.log")},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}", "auth": {"token": f"file://{token_file}"}},
            "telemetry": {"metrics": "public"},
            **copy.deepcopy(top or {}),
        }
        self.config_file = directory / "octroi.yaml"
        self.program: Program | None = None
        self._starts = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def realm(self) -> str:
        return self.config["paywall"]["realm"]

    def start(self, ready: bool = True) -> "Gateway":
        self.config_file.write_text(dump(self.config))
        self._starts += 1
        program = Program(
            f"serve-{self._starts}", [self.binary, "serve", "--config", self.config_file], self.directory
        )
        self.program = program

        def answers() -> bool:
            program.must_run()
            return web.request(self.admin_url + "/readyz", timeout=2).status == 200

        if ready:
            try:
                wait_for(answers, 20, "octroi's /readyz")
            except BaseException as why:
                program.kill()
                raise RuntimeError(f"octroi serve did not get ready: {why}\n{program.output()[-4000:]}") from None
        return self

    def stop(self) -> int:
        return self.program.stop() if self.program else 0

    def kill(self) -> None:
        assert self.program
        self.program.kill()

    def restart(self) -> "Gateway":
        self.stop()
        return self.start()

    # -- talking to it

    def request(self, path: str, method: str = "GET", headers: web.Headers = (), body: bytes | str | None = None, **kw: Any):
        return web.request(self.url + path, method, headers, body, **kw)

    def unpaid(self, path: str, method: str = "GET", headers: web.Headers = (), body: bytes | str | None = None) -> "Unpaid":
        answer = self.request(path, method, headers, body)
        assert answer.status == 402, f"a 402 was expected: {answer} {answer.text[:300]}"
        return Unpaid(answer)

    def buy(self, path: str, payer, method: str = "GET", body: bytes | str | None = None, headers: web.Headers = ()) -> str:
        """Asks, pays the Payment offer and returns the credential, not yet shown to anyone."""
        offer = self.unpaid(path, method, headers, body).payment
        credential = payment.credential(offer, payer.pay(offer.invoice))
        self._leaks.register(credential.removeprefix("Payment "), "Payment credential")
        return credential

    def buy_token(self, path: str, payer) -> str:
        """The same for L402: the value of `Authorization`, good for as long as the token is."""
        offer = self.unpaid(path).l402
        return payment.l402(offer, payer.pay(offer.invoice))

    def metric(self, name: str, **labels: str) -> float:
        """The sum over all series of a metric that carry these labels."""
        answer = web.request(self.admin_url + "/metrics")
        assert answer.status == 200, answer
        total = 0.0
        for line in answer.text.splitlines():
            match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\d+)?", line)
            if not match or match[1] != name:
                continue
            found = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
            if all(found.get(key) == value for key, value in labels.items()):
                total += float(match[3])
        return total


class Unpaid:
    """A 402 and the offers in it."""

    def __init__(self, answer: web.Response):
        self.answer = answer
        self.challenges = payment.parse_challenges(answer.all("WWW-Authenticate"))

    def _one(self, scheme: str) -> payment.Challenge:
        found = payment.of_scheme(self.challenges, scheme)
        assert len(found) == 1, f"{len(found)} {scheme} challenges in {self.answer}"
        return found[0]

    @property
    def l402(self) -> payment.Challenge:
        return self._one("L402")

    @property
    def lsat(self) -> payment.Challenge:
        return self._one("LSAT")

    @property
    def payment(self) -> payment.Challenge:
        return self._one("Payment")


class Conformance:
    """`octroi-conformance`: one JSON object a line in, one out."""

    def __init__(self, binary: Path):
        self._process = subprocess.Popen(
            [str(binary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(), bufsize=1
        )

    def ask(self, op: str, value: Any) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({"op": op, "input": value}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"octroi-conformance ended at {op}"
        return json.loads(line)

    def value(self, op: str, value: Any) -> Any:
        answer = self.ask(op, value)
        assert answer.get("ok") is True, f"{op} refused: {answer}"
        return answer["value"]

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)
