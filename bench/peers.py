"""The servers of the benchmark: the upstream, octroi, and what octroi is measured against. Every
proxy has as many workers as every other (one, on one CPU, unless --workers says otherwise),
connections to its upstream kept alive, no access log, and gives the upstream X-Forwarded-For and
X-Request-Id, as octroi does."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from credentials import PRICE_SAT, REALM, Keys
from measure import LOAD_CPUS, PROXY_CPUS, Process, Syncs, free_port

CONNECTIONS = 11_000
POOL_SIZES = {"quick": 2_048, "full": 4_096}  # invoices of one price and service
VENDOR_KEY = "real_key_of_the_vendor_0123456789abcdef"
LISTS = 8  # services of each kind of 402: each has a pool of its own


class Server:
    """A running proxy: where it listens for what, and how its paths begin."""

    def __init__(self, name: str, process: Process, ports: dict[str, int], syncs: Syncs | None = None):
        self.name = name
        self.process = process
        self.ports = ports
        self.syncs = syncs
        self.stop = process.stop
        self.authorization: str | None = None  # of its clients, where each server has its own

    def url(self, kind: str, path: str) -> str:
        scheme = "https" if kind in ("tls", "h2tls") else "http"
        return f"{scheme}://127.0.0.1:{self.ports[kind]}{path}"


class Site:
    """Everything that the servers share: files, keys, upstreams."""

    def __init__(self, directory: Path, octroi: Path, paygate: Path, shim: Path, pool: int, workers: int = 1):
        self.directory = directory
        self.octroi_binary = octroi
        self.paygate = paygate
        self.shim = shim
        self.pool = pool
        self.workers = workers
        # Several workers are not pinned: they, the load and the upstream share all CPUs.
        every = PROXY_CPUS | LOAD_CPUS
        self.proxy_cpus, self.load_cpus = (PROXY_CPUS, LOAD_CPUS) if workers == 1 else (every, every)
        self.running: list[Process] = []
        self.keys = Keys(directory)
        directory.chmod(0o755)
        self._certificate()
        self._upstreams()

    def start(self, words: list[str], name: str, cpus: set[int] | None = None, env: dict[str, str] | None = None) -> Process:
        log = self.directory / f"{name}.log"
        process = Process([str(w) for w in words], log, cpus or self.proxy_cpus, env)
        self.running.append(process)
        return process

    def close(self) -> None:
        for process in reversed(self.running):
            process.stop()

    def _certificate(self) -> None:
        self.cert, self.key = self.directory / "cert.pem", self.directory / "key.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", "/CN=bench.example", "-addext", "subjectAltName=IP:127.0.0.1,DNS:bench.example",
             "-keyout", self.key, "-out", self.cert],
            check=True, capture_output=True,
        )  # fmt: skip
        self.key.chmod(0o600)
        self.both_pem = self.directory / "both.pem"
        self.both_pem.write_bytes(self.cert.read_bytes() + self.key.read_bytes())
        self.both_pem.chmod(0o600)

    def _upstreams(self) -> None:
        www = self.directory / "www"
        www.mkdir()
        for name, size in (("1k", 1 << 10), ("64k", 1 << 16), ("10m", 10 << 20)):
            (www / name).write_bytes(b"x" * size)
        self.upstream, self.events = free_port(), free_port()
        files = self._nginx(
            "upstream", f"server {{ listen 127.0.0.1:{self.upstream} reuseport; root {www}; open_file_cache max=16;"
            f" location ~ ^/s[0-9]+/(.*)$ {{ alias {www}/$1; }} }}",
            self.load_cpus,
        )  # fmt: skip
        events = self.start([self.paygate, "sse", f"127.0.0.1:{self.events}"], "events", self.load_cpus)
        files.wait_port(self.upstream)
        events.wait_port(self.events)

    def _nginx(self, name: str, body: str, cpus: set[int]) -> Process:
        where = self.directory / name
        where.mkdir()
        conf = where / "nginx.conf"
        temporary = "".join(
            f"{kind}_temp_path {where}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        conf.write_text(
            f"daemon off; master_process on; worker_processes {self.workers}; pid {where}/pid; error_log {where}/error.log;\n"
            f"worker_rlimit_nofile {2 * CONNECTIONS}; events {{ worker_connections {2 * CONNECTIONS}; }}\n"
            f"http {{ access_log off; sendfile on; keepalive_timeout 600s; keepalive_requests 1000000000;\n"
            f"{temporary}\n{body}\n}}\n"
        )
        return self.start(["nginx", "-p", where, "-c", conf], name, cpus)

    # ---- proxies that check nothing --------------------------------------------------------------

    def nginx(self) -> Server:
        ports = {kind: free_port() for kind in ("h1", "tls", "h2", "h2tls")}
        common = (
            'location / { proxy_pass http://files; proxy_http_version 1.1; proxy_set_header Connection "";'
            " proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Request-Id $request_id;"
            " proxy_max_temp_file_size 0; }"
            f' location /vendor/ {{ proxy_pass http://files/; proxy_http_version 1.1; proxy_set_header Connection "";'
            f' proxy_set_header Authorization "Bearer {VENDOR_KEY}"; }}'
            ' location = /sse { proxy_pass http://events; proxy_http_version 1.1; proxy_set_header Connection "";'
            " proxy_buffering off; }"
        )
        tls = f"ssl_certificate {self.cert}; ssl_certificate_key {self.key}; ssl_protocols TLSv1.3;"
        servers = "".join(
            f"server {{ listen 127.0.0.1:{ports[kind]} reuseport {words}; {tls if 'ssl' in words else ''} {common} }}\n"
            for kind, words in (("h1", ""), ("tls", "ssl"), ("h2", "http2"), ("h2tls", "ssl http2"))
        )
        process = self._nginx(
            "nginx",
            f"upstream files {{ server 127.0.0.1:{self.upstream}; keepalive 512; keepalive_requests 1000000000; }}\n"
            f"upstream events {{ server 127.0.0.1:{self.events}; keepalive 64; }}\n{servers}",
            self.proxy_cpus,
        )
        for port in ports.values():
            process.wait_port(port)
        return Server("nginx", process, ports)

    def haproxy(self) -> Server:
        ports = {kind: free_port() for kind in ("h1", "tls")}
        conf = self.directory / "haproxy.cfg"
        conf.write_text(
            f"""global
  nbthread {self.workers}
  no strict-limits
  maxconn {CONNECTIONS}
  ssl-default-bind-options ssl-min-ver TLSv1.3
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 60s
  timeout http-keep-alive 600s
  http-reuse always
  option forwardfor
frontend in
  bind 127.0.0.1:{ports["h1"]}
  bind 127.0.0.1:{ports["tls"]} ssl crt {self.both_pem} alpn h2,http/1.1
  http-request set-header X-Request-Id %[uuid()]
  use_backend events if {{ path /sse }}
  default_backend files
backend files
  server one 127.0.0.1:{self.upstream} pool-max-conn 512
backend events
  server one 127.0.0.1:{self.events}
"""
        )
        process = self.start(["haproxy", "-db", "-f", conf], "haproxy")
        for port in ports.values():
            process.wait_port(port)
        # The preface tells HTTP/2 from HTTP/1.1 on the same port.
        return Server("haproxy", process, {**ports, "h2": ports["h1"], "h2tls": ports["tls"]})

    def nghttpx(self) -> Server:
        ports = {kind: free_port() for kind in ("h1", "tls")}
        process = self.start(
            ["nghttpx", "--conf=/dev/null", f"--workers={self.workers}", "--no-ocsp", "--log-level=WARN",
             "--frontend-keep-alive-timeout=600", "--frontend-http2-read-timeout=600", "--frontend-read-timeout=600",
             "--backend-connections-per-host=512", "--add-x-forwarded-for", "--strip-incoming-x-forwarded-for",
             f"-f127.0.0.1,{ports['h1']};no-tls", f"-f127.0.0.1,{ports['tls']}",
             f"-b127.0.0.1,{self.upstream};/", f"-b127.0.0.1,{self.events};/sse", self.key, self.cert],
            "nghttpx",
        )  # fmt: skip
        for port in ports.values():
            process.wait_port(port)
        return Server("nghttpx", process, {**ports, "h2": ports["h1"], "h2tls": ports["tls"]})

    # ---- proxies that sell -----------------------------------------------------------------------

    SERVICES = (
        ("free", False, False),
        ("l402", True, False),
        ("charge", False, True),
        *((f"ask_l402_{i}", True, False) for i in range(LISTS)),
        *((f"ask_payment_{i}", False, True) for i in range(LISTS)),
        *((f"ask_both_{i}", True, True) for i in range(LISTS)),
    )

    def go(self, name: str = "go", *, tls: bool = False, delay_us: int | None = None) -> Server:
        port = free_port()
        where = self.directory / name
        where.mkdir(exist_ok=True)
        config = {
            "listen": f"127.0.0.1:{port}",
            "realm": REALM,
            "upstream": f"http://127.0.0.1:{self.upstream}",
            "events": f"http://127.0.0.1:{self.events}",
            "secret_file": str(self.keys.payment_file),
            "l402_key_file": str(self.keys.l402_file),
            "database": str(where / "paygate.db"),
            "invoices": str(self.directory / "pool.jsonl"),
            "challenge_ttl_seconds": 900,
            "token_ttl_seconds": 30 * 86_400,
            "services": [
                {"name": n, "prefix": f"/{n}/", "price_sat": PRICE_SAT * (l402 or payment), "l402": l402, "payment": payment}
                for n, l402, payment in self.SERVICES
            ],
        }
        if tls:
            config |= {"tls_cert": str(self.cert), "tls_key": str(self.key)}
        path = where / "config.json"
        path.write_text(json.dumps(config, indent=1))
        env, syncs = self._sync_env(name, delay_us)
        env["GOMAXPROCS"] = str(self.workers)
        process = self.start([self.paygate, path], name, env=env)
        process.wait_port(port)
        return Server("go", process, dict.fromkeys(("tls", "h2tls") if tls else ("h1", "h2"), port), syncs)

    def octroi_config(
        self, name: str, *, tls: bool = False, max_unpaid: int = 0, many_services: int = 0
    ) -> tuple[Path, int, int]:
        where = self.directory / name
        where.mkdir(exist_ok=True)
        port, admin = free_port(), free_port()
        upstream = f"upstream: http://127.0.0.1:{self.upstream}"
        services = []
        if many_services:
            services += [
                f"  - {{name: s{i}, match: {{path: ^/s{i}/}}, {upstream}, auth: off}}"  # a file may have 1 MiB
                for i in range(many_services)
            ]
        else:
            events = f"upstream: http://127.0.0.1:{self.events}"
            services.append(f"    - {{ name: events, match: {{ path: '^/free/sse' }}, {events}, auth: off, rewrite: {{ strip: /free }} }}")
            for n, l402, payment in self.SERVICES:
                schemes = ", ".join(["l402"] * l402 + ["payment"] * payment)
                terms = f"price: {PRICE_SAT} sat, schemes: [{schemes}], lsat: off" if schemes else "auth: off"
                services.append(
                    f"    - {{ name: {n}, match: {{ path: '^/{n}/' }}, {upstream}, {terms}, rewrite: {{ strip: /{n} }} }}"
                )
            services.append(
                f"    - {{ name: session, match: {{ path: '^/session/' }}, {upstream}, price: {PRICE_SAT} sat, schemes: [payment],"
                f" payment: {{ intents: [session] }}, session: {{ price: {PRICE_SAT} sat }}, rewrite: {{ strip: /session }} }}"
            )
        lines = [
            "environment: development",
            f"listen: 127.0.0.1:{port}",
            f"workers: {self.workers}",
            f"store: sqlite://{where}/octroi.db",
            f"lightning: {{ backend: sim, sim: {{ file: {where}/sim.db, account: merchant }} }}",
            f"tls: {{ cert: 'file://{self.cert}', key: 'file://{self.key}' }}" if tls else "",
            "paywall:",
            f"  realm: {REALM}",
            f"  secret: file://{self.keys.payment_file}",
            f"  l402_keys: [file://{self.keys.l402_file}]",
            f"  max_unpaid: {max_unpaid}",
            f"  invoice_pool: {self.pool}",
            "  services:",
            *services,
            f"admin: {{ listen: '127.0.0.1:{admin}', auth: {{ token: 'file://{self.keys.admin_file}' }} }}",
            "log: { level: warn }",
            "telemetry: { metrics: public, access_log: off }",
        ]
        path = where / "octroi.yaml"
        path.write_text("\n".join(line for line in lines if line) + "\n")
        return path, port, admin

    def octroi(self, name: str = "octroi", *, delay_us: int | None = None, before=None, **config) -> Server:
        """`before` gets the path of the database, which then exists, to put invoices into it."""
        path, port, admin = self.octroi_config(name, **config)
        words = [self.octroi_binary, "serve", "--config", path]
        if before is not None:
            first = self.start(words, f"{name}.first")
            first.wait_port(admin)
            first.stop()
            before(path.parent / "octroi.db")
        env, syncs = self._sync_env(name, delay_us)
        process = self.start(words, name, env=env)
        process.wait_port(port)
        process.wait_port(admin)
        kinds = ("tls", "h2tls") if config.get("tls") else ("h1", "h2")
        return Server("octroi", process, {**dict.fromkeys(kinds, port), "admin": admin}, syncs)

    def vault(self, name: str, *, durable: bool) -> Server:
        """The vault door alone, before the upstream that serves files: each call is counted under a
        cap and has two rows in the audit. `authorization` of the server is an agent's vault key."""
        where = self.directory / name
        where.mkdir(exist_ok=True)
        port, admin = free_port(), free_port()
        real = where / "vendor.key"
        real.write_text(VENDOR_KEY)
        real.chmod(0o600)
        config = {
            "environment": "development",
            "store": f"sqlite://{where}/octroi.db",
            "workers": self.workers,
            "vault": {
                "listen": f"127.0.0.1:{port}",
                "vendors": {"files": {"upstream": f"http://127.0.0.1:{self.upstream}", "auth": "bearer", "credential": f"file://{real}"}},
                "policies": {"reader": {"vendor": "files", "endpoints": ["GET /**"], "caps": [{"per": "day", "calls": 1_000_000_000}]}},
            },
            "admin": {"listen": f"127.0.0.1:{admin}", "auth": {"token": f"file://{self.keys.admin_file}"}},
            "log": {"level": "warn"},
            "telemetry": {"metrics": "public", "access_log": "off"},
        }
        path = where / "octroi.yaml"
        path.write_text(json.dumps(config, indent=1))  # which is YAML, too
        env, syncs = self._sync_env(name, 0)
        if not durable:
            env["SLOW_FSYNC_SKIP"] = "1"
        process = self.start([self.octroi_binary, "serve", "--config", path], name, env=env)
        process.wait_port(port)
        process.wait_port(admin)
        issue = [self.octroi_binary, "key", "issue", "--vendor", "files", "--policy", "reader", "--config", path, "--json"]
        key = json.loads(subprocess.run(issue, check=True, capture_output=True, text=True).stdout)["key"]
        server = Server("octroi", process, {"h1": port, "admin": admin}, syncs)
        server.authorization = f"Bearer {key}"
        return server

    def _sync_env(self, name: str, delay_us: int | None) -> tuple[dict[str, str], Syncs | None]:
        if delay_us is None:
            return {}, None
        counter = self.directory / f"{name}.syncs"
        env = {"LD_PRELOAD": str(self.shim), "SLOW_FSYNC_COUNTER": str(counter), "SLOW_FSYNC_US": str(delay_us)}
        return env, Syncs(counter)


def versions(site: Site) -> dict[str, str]:
    """One line each, for the report."""

    def first_line(*words: str) -> str:
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=20)
        except OSError:
            return "not found"
        return ((done.stdout + done.stderr).strip().splitlines() or ["?"])[0]

    return {
        "octroi": first_line(str(site.octroi_binary), "version"),
        "nginx": first_line("nginx", "-v"),
        "haproxy": first_line("haproxy", "-v"),
        "nghttpx": first_line("nghttpx", "--version"),
        "go": first_line("go", "version"),
        "wrk": first_line("wrk", "-v"),
    }


def machine(site: Site) -> dict[str, object]:
    model = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
        "unknown",
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // (1 << 20)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": memory,
        "kernel": os.uname().release,
        "workers": site.workers,
        "proxy_cpus": sorted(site.proxy_cpus),
        "load_cpus": sorted(site.load_cpus),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
