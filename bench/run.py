"""Measures octroi beside nginx in one run, over loopback, alternating, several rounds.

What is compared is the CPU time of the proxy's processes per request (user and system, from
/proc/PID/stat), because it says what a request costs whatever else the machine does; requests per
second and latencies are told too. The upstream is an nginx of its own with a 1 KiB file.

  passthrough_h1_1k   a service with auth off, beside nginx as a plain reverse proxy
  l402_valid          one valid L402 token on every request, beside the same nginx (which checks nothing)
  challenge_l402      402s with an L402 offer, prefilled pool, max_unpaid 0 (no peer)
  challenge           402s with L402, LSAT and Payment (no peer)
  forged              L402 tokens whose signature is wrong, answered by a 402 (no peer)

Writes bench/results/latest.json and prints a Markdown table. Load from wrk.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_port(port: int, seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"bench: nothing listens on {port}")


def family(pid: int) -> list[int]:
    """The process and its children: nginx works in children."""
    out = [pid]
    for task in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = task.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            out.append(int(task.parent.name))
    return out


def cpu_seconds(pid: int) -> float:
    total = 0
    for one in family(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def rss_mib(pid: int) -> float:
    kib = 0
    for one in family(pid):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                kib += int(line.split()[1])
    return round(kib / 1024, 1)


class Process:
    def __init__(self, words: list[str], log: Path):
        self.log = log.open("w")
        self.process = subprocess.Popen(words, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.pid = self.process.pid

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


NGINX = """daemon off; master_process on; worker_processes 2; pid {dir}/{name}.pid; error_log {dir}/{name}.err;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
  uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; keepalive_requests 1000000000; sendfile on;
  {body}
}}
"""


def nginx(directory: Path, name: str, body: str) -> Process:
    conf = directory / f"{name}.conf"
    conf.write_text(NGINX.format(dir=directory, name=name, body=body))
    return Process(["nginx", "-p", str(directory), "-c", str(conf)], directory / f"{name}.log")


def octroi_config(directory: Path, port: int, admin: int, upstream: int) -> Path:
    (directory / "token").write_text("0123456789abcdef" * 4)
    (directory / "token").chmod(0o600)
    service = "upstream: http://127.0.0.1:%d" % upstream
    path = directory / "octroi.yaml"
    path.write_text(
        f"""environment: development
listen: 127.0.0.1:{port}
workers: 2
store: sqlite://{directory}/octroi.db
lightning: {{ backend: sim, sim: {{ file: {directory}/sim.db, account: merchant }} }}
paywall:
  realm: 127.0.0.1:{port}
  max_unpaid: 0
  invoice_pool: 4096
  services:
    - {{ name: free, match: {{ path: "^/free/" }}, {service}, auth: off, rewrite: {{ strip: /free }} }}
    - {{ name: l402, match: {{ path: "^/l402/" }}, {service}, price: 1 sat, schemes: [l402], lsat: false, rewrite: {{ strip: /l402 }} }}
    - {{ name: both, match: {{ path: "^/both/" }}, {service}, price: 1 sat, schemes: [l402, payment], rewrite: {{ strip: /both }} }}
wallet:
  lightning: {{ backend: sim, sim: {{ file: {directory}/sim.db, account: agent }} }}
  store: {directory}/wallet
admin: {{ listen: "127.0.0.1:{admin}", auth: {{ token: "file://{directory}/token" }} }}
log: {{ level: warn }}
telemetry: {{ metrics: public, access_log: off }}
"""
    )
    return path


def buy_token(binary: Path, config: Path, url: str) -> str:
    """Pays the L402 offer of `url` and returns the Authorization value."""
    try:
        urllib.request.urlopen(url, timeout=10)
    except urllib.error.HTTPError as error:
        line = next(v for v in error.headers.get_all("WWW-Authenticate") if v.startswith("L402"))
    macaroon = re.search(r'macaroon="([^"]+)"', line)[1]
    invoice = re.search(r'invoice="([^"]+)"', line)[1]
    paid = subprocess.run(
        [binary, "wallet", "pay", invoice, "--json", "--config", config], capture_output=True, text=True, check=True
    )
    return f"L402 {macaroon}:{json.loads(paid.stdout)['preimage']}"


def forge(authorization: str) -> str:
    """The same token with its last signature byte changed."""
    macaroon, preimage = authorization.removeprefix("L402 ").split(":")
    raw = bytearray(base64.b64decode(macaroon))
    raw[-1] ^= 1
    return f"L402 {base64.b64encode(bytes(raw)).decode()}:{preimage}"


def wrk(url: str, seconds: int, header: str | None) -> dict:
    words = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency"]
    if header:
        words += ["-H", f"Authorization: {header}"]
    out = subprocess.run([*words, url], capture_output=True, text=True, check=True).stdout

    def millis(name: str) -> float:
        number, unit = re.search(rf"{name}%\s+([\d.]+)(us|ms|s)", out).groups()
        return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]

    return {
        "requests": int(re.search(r"(\d+) requests in", out)[1]),
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
        "p50_ms": millis("50"),
        "p99_ms": millis("99"),
        "bad": int((re.search(r"Non-2xx or 3xx responses: (\d+)", out) or [0, 0])[1]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three rounds of two seconds")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/octroi")
    options = parser.parse_args()
    rounds, seconds = (3, 2) if options.quick else (5, 8)

    directory = Path(tempfile.mkdtemp(prefix="octroi-bench-"))
    processes: list[Process] = []
    try:
        (directory / "www").mkdir()
        (directory / "www" / "1k").write_bytes(b"x" * 1024)
        directory.chmod(0o755)
        up, peer, port, admin = (free_port() for _ in range(4))
        processes.append(nginx(directory, "upstream", f"server {{ listen 127.0.0.1:{up} reuseport; root {directory}/www; }}"))
        proxy = nginx(
            directory,
            "proxy",
            f"upstream u {{ server 127.0.0.1:{up}; keepalive 64; keepalive_requests 1000000000; }}"
            f" server {{ listen 127.0.0.1:{peer} reuseport; location / {{ proxy_pass http://u;"
            ' proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr;'
            " proxy_set_header X-Request-Id $request_id; } }",
        )
        processes.append(proxy)
        config = octroi_config(directory, port, admin, up)
        octroi = Process([str(options.binary), "serve", "--config", str(config)], directory / "octroi.log")
        processes.append(octroi)
        for one in (up, peer, port, admin):
            wait_port(one)
        base = f"http://127.0.0.1:{port}"
        time.sleep(1)
        token = buy_token(options.binary, config, f"{base}/l402/1k")
        for path in ("l402", "both"):  # the first demand fills the pool
            wrk(f"{base}/{path}/1k", 1, None)

        plain = ("nginx", proxy, f"http://127.0.0.1:{peer}/1k", None, True)
        cases = {
            "passthrough_h1_1k": [("octroi", octroi, f"{base}/free/1k", None, True), plain],
            "l402_valid": [("octroi", octroi, f"{base}/l402/1k", token, True), plain],
            "challenge_l402": [("octroi", octroi, f"{base}/l402/1k", None, False)],
            "challenge": [("octroi", octroi, f"{base}/both/1k", None, False)],
            "forged": [("octroi", octroi, f"{base}/l402/1k", forge(token), False)],
        }
        results: dict[str, dict[str, list[dict]]] = {name: {} for name in cases}
        for number in range(rounds):
            for name, runs in cases.items():
                for who, process, url, header, good in runs if number % 2 == 0 else reversed(runs):
                    before = cpu_seconds(process.pid)
                    row = wrk(url, seconds, header)
                    row["cpu_us_per_request"] = (cpu_seconds(process.pid) - before) * 1e6 / max(1, row["requests"])
                    if good and row["bad"]:
                        raise SystemExit(f"bench: {name}: {who} answered {row['bad']} errors")
                    if not good and row["bad"] != row["requests"]:
                        raise SystemExit(f"bench: {name}: an unpaid request was answered without an error")
                    results[name].setdefault(who, []).append(row)
        memory = {"octroi": rss_mib(octroi.pid), "nginx": rss_mib(proxy.pid)}
        report(results, memory, rounds, seconds)
    finally:
        for process in reversed(processes):
            process.stop()
        shutil.rmtree(directory, ignore_errors=True)


def report(results: dict, memory: dict, rounds: int, seconds: int) -> None:
    cases = []
    print(f"\n{rounds} rounds of {seconds} s, {os.cpu_count()} cores, medians (least to most)\n")
    print("| case | proxy | CPU µs/request | of nginx | requests/s | p50 ms | p99 ms |\n|---|---|---|---|---|---|---|")
    for name, proxies in results.items():
        entry: dict[str, dict] = {}
        for who, rows in proxies.items():
            keys = ("rps", "p50_ms", "p99_ms", "cpu_us_per_request")
            entry[who] = {k: round(statistics.median(r[k] for r in rows), 3) for k in keys}
            entry[who]["rss_mib"] = memory[who]
        nginx_cpu = entry.get("nginx", {}).get("cpu_us_per_request")
        for who, row in entry.items():
            spread = [r["cpu_us_per_request"] for r in proxies[who]]
            ratio = f"{row['cpu_us_per_request'] / nginx_cpu:.2f}" if nginx_cpu else "–"
            print(
                f"| {name} | {who} | {row['cpu_us_per_request']:.1f} ({min(spread):.1f}–{max(spread):.1f}) | {ratio} |"
                f" {row['rps']:.0f} | {row['p50_ms']:.2f} | {row['p99_ms']:.2f} |"
            )
        cases.append({"name": name, "proxies": entry})
    target = ROOT / "bench/results/latest.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"cores": os.cpu_count(), "rounds": rounds, "seconds": seconds, "cases": cases}, indent=1) + "\n")
    print(f"\nwritten to {target.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
