"""The three load generators: wrk, h2load, and load.c for what those two cannot make. Each returns
requests, rps, p50_ms, p99_ms and a count of answers by class or status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

from measure import LOAD_CPUS

ROOT = Path(__file__).resolve().parent.parent


cpus = LOAD_CPUS  # of the load; a run with several workers a proxy pins nothing


class LoadFailed(Exception):
    pass


def _run(words: list[str], seconds: float, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        env={**os.environ, **(env or {})},
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )
    if done.returncode != 0:
        raise LoadFailed(f"{words[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-400:]}")
    return done.stdout


def openssl_config(path: Path) -> Path:
    """Makes wrk and h2load speak one version and one cipher with every server."""
    path.write_text(
        "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = only\n"
        "[only]\nMinProtocol = TLSv1.3\nCiphersuites = TLS_AES_128_GCM_SHA256\nGroups = P-256\n"
    )
    return path


def wrk(url: str, seconds: float, header: str | None = None, connections: int = 32, tls: Path | None = None) -> dict:
    words = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "10s"]
    if header:
        words += ["-H", f"Authorization: {header}"]
    out = _run([*words, url], seconds, {"OPENSSL_CONF": str(tls)} if tls else None)

    def millis(share: str) -> float:
        number, unit = re.search(rf"{share}%\s+([\d.]+)(us|ms|s|m)", out).groups()
        return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}[unit]

    requests = int(re.search(r"(\d+) requests in", out)[1])
    bad = int((re.search(r"Non-2xx or 3xx responses: (\d+)", out) or [0, 0])[1])
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    return {
        "requests": requests,
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
        "p50_ms": millis("50"),
        "p99_ms": millis("99"),
        "good": requests - bad,
        "refused": bad,
        "broken": sum(map(int, broken.groups())) if broken else 0,
    }


def h2load(url: str, seconds: float, clients: int = 8, streams: int = 4, tls: Path | None = None) -> dict:
    """HTTP/2, with as many requests at once as the other cases have."""
    with tempfile.NamedTemporaryFile(prefix="h2load-") as log:
        out = _run(
            ["h2load", "-t1", f"-c{clients}", f"-m{streams}", f"-D{max(1, round(seconds))}", f"--log-file={log.name}", url],
            seconds,
            {"OPENSSL_CONF": str(tls)} if tls else None,
        )
        micros = sorted(int(line.split("\t")[2]) for line in Path(log.name).read_text().splitlines())
    codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", out)
    good, _, refused, failed = (int(x) for x in codes.groups())
    errored = int(re.search(r"(\d+) failed, \d+ errored", out)[1])
    requests = good + refused + failed
    if requests == 0:
        raise LoadFailed("h2load got no answer")
    return {
        "requests": requests,
        "rps": float(re.search(r"finished in [^,]+, ([\d.]+) req/s", out)[1]),
        "p50_ms": micros[len(micros) // 2] / 1000,
        "p99_ms": micros[len(micros) * 99 // 100] / 1000,
        "good": good,
        "refused": refused,
        "broken": failed + errored,
    }


def _tool(source: str, target: str, words: list[str]) -> Path:
    path = ROOT / "build/bench" / target
    code = Path(__file__).parent / source
    if not path.exists() or path.stat().st_mtime < code.stat().st_mtime:
        path.parent.mkdir(parents=True, exist_ok=True)
        compiler = "clang-19" if Path("/usr/bin/clang-19").exists() else "cc"
        subprocess.run([compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", *words, "-o", path, code], check=True)
    return path


def load_tool() -> Path:
    return _tool("load.c", "load", [])


def sync_shim() -> Path:
    return _tool("slow_fsync.c", "slow_fsync.so", ["-shared", "-fPIC"])


def build_go() -> Path:
    """The Go peer; the go command itself knows whether it is current."""
    path = ROOT / "build/bench/paygate"
    own = ROOT / "build/test-env/go/bin"
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "1"}
    if own.exists():
        env["PATH"] = f"{own}:{env['PATH']}"
    subprocess.run(
        ["go", "build", "-trimpath", "-buildvcs=false", "-o", path, "."],
        cwd=ROOT / "bench/go",
        env=env,
        check=True,
    )
    return path


def load(
    port: int,
    path: str,
    *,
    seconds: float = 0,
    count: int = 0,
    connections: int = 32,
    rate: float = 0,
    credentials: Path | None = None,
    first: int = 0,
    authorization: str | None = None,
    pause_ms: int = 0,
    paths: int = 0,
) -> dict:
    words = [str(load_tool()), f"-c{connections}"]
    if count:
        words += ["-n", str(count)]
    if seconds:
        words += ["-s", str(seconds)]
    if rate:
        words += ["-r", str(max(1, int(rate)))]
    if credentials:
        words += ["-f", str(credentials), "-o", str(first)]
    if authorization:
        words += ["-a", authorization]
    if paths:
        words += ["-k", str(paths)]
    if pause_ms:
        words += ["-p", str(pause_ms)]
    row = json.loads(_run([*words, str(port), path], seconds or 300))
    statuses = row["status"]
    row["good"] = sum(n for code, n in statuses.items() if code.startswith("2"))
    row["refused"] = sum(n for code, n in statuses.items() if code.startswith("4"))
    row["broken"] += sum(n for code, n in statuses.items() if code.startswith("5"))
    return row


class IdleConnections:
    """Connections that have each had one answer and stay open."""

    def __init__(self, port: int, path: str, count: int):
        self.process = subprocess.Popen(
            [str(load_tool()), "-i", f"-c{count}", str(port), path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )
        first = self.process.stdout.readline()
        if not first or self.process.stdout.readline().strip() != "open":
            self.close()
            raise LoadFailed(f"{count} connections could not be opened")
        self.row = json.loads(first)
        if self.row["broken"]:
            self.close()
            raise LoadFailed(f"{self.row['broken']} of {count} connections got no answer")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(30)
