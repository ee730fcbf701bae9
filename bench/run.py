"""Measures octroi beside the proxies that people already run, and beside a Go program that sells the
same way: one machine, one run, taking turns, several rounds.

    script/bench                     every case, five rounds of eight seconds
    script/bench --quick             three rounds of two seconds, within ten minutes
    script/bench --case l402_valid --case forged --rounds 2 --seconds 1
    script/bench --list              the names of the cases

What is compared is the CPU time of the proxy's processes (user and system) per request, because it
says what a request costs whatever else the machine does. Requests per second and latencies are told
too; where proxy, load and upstream share few CPUs they say more about the machine than about the
proxy. Each proxy has one worker on the first CPU, load and upstream have the others; with --workers N
each has N and nothing is pinned. Writes
bench/results/latest.json and latest.md. How each case is made: docs/benchmark.md.
"""

from __future__ import annotations

import argparse
import http.client
import re
import shutil
import signal
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import loads
import report
from credentials import forged_token, malformed_token, record_in_go, record_in_octroi, record_session, write_pool
from loads import IdleConnections, LoadFailed, build_go, h2load, load, openssl_config, sync_shim, wrk
from measure import measured, raise_file_limit, settle
from peers import LISTS, POOL_SIZES, Server, Site, machine, versions

ROOT = Path(__file__).resolve().parent.parent
TOKENS = 100_000
IDLE = 10_000
SLOW_FSYNC_US = 2_000
POOL_REST = 61  # seconds without demand after which a pool wants no more than it has

CASES = (
    "passthrough_h1_1k", "passthrough_tls_1k", "passthrough_h2_1k", "passthrough_h2_tls_1k",
    "passthrough_h1_64k", "passthrough_h1_10m", "passthrough_sse",
    "l402_valid", "l402_many",
    "charge_redeem", "charge_redeem_2ms", "charge_lone", "charge_lone_2ms", "session_bearer",
    "challenge_l402", "challenge_payment", "challenge", "forged_fresh",
    "vault_call", "vault_lone", "vault_lone_nosync",
    "not_found", "forged", "malformed", "p99_half_load", "services_10", "services_1000", "services_10000",
    "idle_10k",
)  # fmt: skip

# What has no target; a quick run does it in its first round only.
EXTRAS = {"passthrough_h2_tls_1k", "passthrough_h1_64k", "passthrough_h1_10m", "passthrough_sse", "forged_fresh"}


@dataclass
class Case:
    """What each proxy is asked, and which answers are right."""

    name: str
    runs: dict[str, tuple[Callable[[], Server], Callable[[Server], dict]]] = field(default_factory=dict)
    expect: str = "good"  # good: 2xx; refused: 4xx
    before: Callable[[], None] | None = None  # at the start of each round
    once: bool = False  # in the first round only, and the run itself says what was used


class Bench:
    def __init__(self, site: Site, options: argparse.Namespace):
        self.site = site
        self.options = options
        self.seconds: float = options.seconds
        self.servers: dict[str, Server] = {}
        self.rounds_done = 0
        self.charges_used: dict[str, int] = {}
        self.pool_filled_at = 0.0
        self.tls = openssl_config(site.directory / "openssl.cnf")
        self.tokens = site.directory / "tokens"
        self.charges = site.directory / "charges"
        self.hashes: list[bytes] = []
        self.charge_count = 15_000 if options.quick else 30_000
        self.peak: dict[str, list[float]] = {}

    # ---- servers, started when first needed ---------------------------------------------------

    def server(self, name: str, make: Callable[[], Server]) -> Callable[[], Server]:
        def get() -> Server:
            if name not in self.servers:
                self.servers[name] = make()
            return self.servers[name]

        return get

    def prepare_credentials(self) -> None:
        """Tokens and charges for the whole run; they are written once and serve every gateway."""
        keys = self.site.keys
        began = time.monotonic()
        with self.tokens.open("w") as out:
            for _ in range(TOKENS):
                payment_hash, line = keys.token("l402")
                self.hashes.append(payment_hash)
                out.write(line + "\n")
        bolt11 = self._one_invoice()
        count = (self.options.rounds + 1) * self.charge_count + 2_000
        with self.charges.open("w") as out:
            for payment_hash, line in keys.charges("charge", "/charge/1k", bolt11, count):
                self.hashes.append(payment_hash)
                out.write(line + "\n")
        with self.tokens.open() as lines:
            self.token = lines.readline().rstrip("\n")
        self.session, self.bearer = keys.session("session", bolt11)
        self.hashes.append(self.session)
        self.pool_hashes = write_pool(self.site.directory / "pool.jsonl", keys, bolt11, 20_000)
        note(f"{TOKENS} tokens and {count} charges made in {time.monotonic() - began:.1f} s")

    def _one_invoice(self) -> str:
        """The text of a real invoice, so that challenges have their real length."""
        server = self.site.octroi("invoice")
        try:
            urllib.request.urlopen(server.url("h1", "/l402/1k"), timeout=20)
        except urllib.error.HTTPError as error:
            line = error.headers["WWW-Authenticate"]
        server.stop()
        return re.search(r'invoice="([^"]+)"', line)[1]

    def make_octroi(self, name: str = "octroi", **options) -> Server:
        def record(database: Path) -> None:
            record_in_octroi(database, self.hashes)
            record_session(database, self.session, "session")

        return self.site.octroi(name, before=record, **options)

    def make_go(self, name: str = "go", **options) -> Server:
        where = self.site.directory / name
        where.mkdir(exist_ok=True)
        record_in_go(where / "paygate.db", self.hashes + self.pool_hashes)
        return self.site.go(name, **options)

    def charge_run(self, server: Server, *, count: int, **options) -> dict:
        """Redeems credentials that this server has not seen; each of them once."""
        first = self.charges_used.get(server.process.log_path.name, 0)
        self.charges_used[server.process.log_path.name] = first + count
        return self.with_syncs(
            server, lambda: load(server.ports["h1"], "/charge/1k", credentials=self.charges, first=first, count=count, **options)
        )

    def session_run(self, server: Server) -> dict:
        """One session, 64 clients: each request is a durable debit of it."""
        return self.with_syncs(server, lambda: wrk(server.url("h1", "/session/1k"), self.seconds, self.bearer, connections=64))

    def with_syncs(self, server: Server, run: Callable[[], dict]) -> dict:
        calls, spent = server.syncs.read()
        row = run()
        settle(server.process)
        more, spent_after = server.syncs.read()
        row["fsyncs"] = more - calls
        row["fsyncs_per_request"] = (more - calls) / max(1, row["requests"])
        row["fsync_ms"] = (spent_after - spent) / max(1, more - calls)
        return row

    # ---- the pool of ready invoices -----------------------------------------------------------

    def pool(self, server: Server) -> tuple[int, int]:
        """How many invoices are ready, and how many the node has made."""
        text = urllib.request.urlopen(f"http://127.0.0.1:{server.ports['admin']}/metrics", timeout=10).read().decode()
        value = {m[1]: float(m[2]) for m in re.finditer(r"^(\w+) ([\d.e+]+)$", text, re.M)}
        return int(value.get("octroi_invoice_pool", 0)), int(value.get("octroi_invoices_created_total", 0))

    def fill_pools(self) -> None:
        """Drives demand until the pools of every kind of challenge are filled, then lets a minute pass
        in which other cases run: after it a pool wants no more than it has, and the challenges that are
        measured are answered from it without the node. A pool fills to half of the last minute's
        demand and is topped up when it has less than half of a new demand, so a third of that demand
        can be taken in peace."""
        server = self.servers["octroi"]
        for kind, each in (("l402", 1), ("payment", 1), ("both", 2)):
            load(server.ports["h1"], f"/ask_{kind}_#/1k", count=LISTS * self.site.pool // each, connections=64, paths=LISTS)
        last, steady = -1, 0
        while steady < 5:
            time.sleep(0.2)
            ready = self.pool(server)[0]
            steady = steady + 1 if ready == last else 0
            last = ready
        settle(server.process, 60)  # rows of those challenges
        self.pool_filled_at = time.monotonic()
        note(f"{last} invoices ready")

    def need_full_pools(self) -> None:
        age = time.monotonic() - self.pool_filled_at
        if age > 200:  # an invoice is handed out for five minutes
            self.fill_pools()
            age = 0
        if age < POOL_REST:
            time.sleep(POOL_REST - age)

    def challenge_run(self, server: Server, kind: str) -> dict:
        count = LISTS * (self.site.pool // 3 - 50) // (2 if kind == "both" else 1)
        path = f"/ask_{kind}_#/1k"
        if server.name != "octroi":
            return load(server.ports["h1"], path, count=count, paths=LISTS)
        made = self.pool(server)[1]
        row = load(server.ports["h1"], path, count=count, paths=LISTS)
        settle(server.process)
        row["invoices_made"] = self.pool(server)[1] - made
        return row

    # ---- cases --------------------------------------------------------------------------------

    def cases(self) -> list[Case]:
        """In the order of CASES. Between l402_valid and the challenges the pools rest."""
        return [
            *self.passthrough_cases(),
            *self.l402_cases(),
            *self.charge_cases(),
            *self.challenge_cases(),
            *self.vault_cases(),
            *self.refusal_cases(),
            self.latency_case(),
            *self.services_cases(),
            self.idle_case(),
        ]

    def main(self, who: str) -> Callable[[], Server]:
        """The server that most cases use."""
        site = self.site
        make = {
            "octroi": lambda: self.make_octroi(delay_us=0),
            "go": lambda: self.make_go(delay_us=0),
            "nginx": site.nginx,
            "haproxy": site.haproxy,
            "nghttpx": site.nghttpx,
        }
        return self.server(who, make[who])

    def both(self, run, octroi: Callable[[], Server] | None = None, go: Callable[[], Server] | None = None) -> dict:
        """The same for octroi and the Go program."""
        return {"octroi": (octroi or self.main("octroi"), run), "go": (go or self.main("go"), run)}

    def passthrough_cases(self) -> list[Case]:
        def case(name: str, kind: str, file: str, run) -> Case:
            servers = {who: self.main(who) for who in ("octroi", "nginx", "haproxy", "nghttpx", "go")}
            if kind in ("tls", "h2tls"):
                servers["octroi"] = self.server("octroi_tls", lambda: self.site.octroi("octroi_tls", tls=True))
                servers["go"] = self.server("go_tls", lambda: self.site.go("go_tls", tls=True))
            runs = {}
            for who, get in servers.items():
                path = f"/free{file}" if who in ("octroi", "go") else file
                runs[who] = (get, lambda s, p=path: run(s.url(kind, p)))
            return Case(name, runs)

        seconds = self.seconds
        return [
            case("passthrough_h1_1k", "h1", "/1k", lambda u: wrk(u, seconds)),
            case("passthrough_tls_1k", "tls", "/1k", lambda u: wrk(u, seconds, tls=self.tls)),
            case("passthrough_h2_1k", "h2", "/1k", lambda u: h2load(u, seconds)),
            case("passthrough_h2_tls_1k", "h2tls", "/1k", lambda u: h2load(u, seconds, tls=self.tls)),
            case("passthrough_h1_64k", "h1", "/64k", lambda u: wrk(u, seconds)),
            case("passthrough_h1_10m", "h1", "/10m", lambda u: wrk(u, seconds, connections=8)),
            case("passthrough_sse", "h1", "/sse", lambda u: wrk(u, max(2, seconds))),
        ]

    def l402_cases(self) -> list[Case]:
        def one(path: str):
            return lambda s: wrk(s.url("h1", path), self.seconds, self.token)

        def many(path: str):
            return lambda s: load(s.ports["h1"], path, seconds=self.seconds, credentials=self.tokens)

        nginx = self.main("nginx")
        return [
            Case("l402_valid", {**self.both(one("/l402/1k")), "nginx": (nginx, one("/1k"))}, before=self.fill_pools),
            Case("l402_many", {**self.both(many("/l402/1k")), "nginx": (nginx, many("/1k"))}, before=self.show_tokens_once),
        ]

    def charge_cases(self) -> list[Case]:
        slow = {
            "octroi": self.server("octroi_slow", lambda: self.make_octroi("octroi_slow", delay_us=SLOW_FSYNC_US)),
            "go": self.server("go_slow", lambda: self.make_go("go_slow", delay_us=SLOW_FSYNC_US)),
        }

        def at_once(count: int):
            return lambda s: self.charge_run(s, connections=64, count=count)

        def lone(s: Server) -> dict:
            return self.charge_run(s, connections=1, pause_ms=20, count=50)

        return [
            Case("charge_redeem", self.both(at_once(self.charge_count))),
            Case("charge_redeem_2ms", self.both(at_once(self.charge_count // 2), **slow)),
            Case("charge_lone", self.both(lone)),
            Case("charge_lone_2ms", self.both(lone, **slow)),
            Case("session_bearer", {"octroi": (self.main("octroi"), self.session_run)}),
        ]

    def challenge_cases(self) -> list[Case]:
        def case(name: str, kind: str) -> Case:
            runs = self.both(lambda s: self.challenge_run(s, kind))
            return Case(name, runs, expect="refused", before=self.need_full_pools)

        return [
            case("challenge_l402", "l402"),
            case("challenge_payment", "payment"),
            case("challenge", "both"),
            self.refusal_case("forged_fresh", "/l402/1k", forged_token(self.token), self.main("octroi")),
        ]

    def vault_cases(self) -> list[Case]:
        """A call through the vault door, beside nginx that only sets the header."""
        durable = self.server("vault", lambda: self.site.vault("vault", durable=True))
        quick = self.server("vault_nosync", lambda: self.site.vault("vault_nosync", durable=False))

        def path(s: Server) -> str:
            return "/vendor/1k" if s.name == "nginx" else "/files/1k"

        def counted(s: Server, run: Callable[[], dict]) -> dict:
            return self.with_syncs(s, run) if s.syncs else run()

        def at_once(s: Server) -> dict:
            return counted(s, lambda: wrk(s.url("h1", path(s)), self.seconds, s.authorization, 64))

        def lone(s: Server) -> dict:
            return counted(s, lambda: wrk(s.url("h1", path(s)), self.seconds, s.authorization, 1))

        nginx = self.main("nginx")
        return [
            Case("vault_call", {"octroi": (durable, at_once), "nginx": (nginx, at_once)}),
            Case("vault_lone", {"octroi": (durable, lone), "nginx": (nginx, lone)}),
            Case("vault_lone_nosync", {"octroi": (quick, lone), "nginx": (nginx, lone)}),
        ]

    def refusal_case(self, name: str, path: str, header: str | None, octroi: Callable[[], Server]) -> Case:
        return Case(name, self.both(lambda s: wrk(s.url("h1", path), self.seconds, header), octroi), expect="refused")

    def refusal_cases(self) -> list[Case]:
        bounded = self.server("octroi_default", lambda: self.make_octroi("octroi_default", max_unpaid=64))
        return [
            self.refusal_case("not_found", "/nowhere/1k", None, bounded),
            self.refusal_case("forged", "/l402/1k", forged_token(self.token), bounded),
            self.refusal_case("malformed", "/l402/1k", malformed_token(self.token), bounded),
        ]

    def latency_case(self) -> Case:
        def run(path: str):
            return lambda s: load(s.ports["h1"], path, seconds=max(2, self.seconds), rate=self.half_load())

        paths = {"octroi": "/free/1k", "nginx": "/1k", "haproxy": "/1k", "nghttpx": "/1k", "go": "/free/1k"}
        return Case("p99_half_load", {who: (self.main(who), run(path)) for who, path in paths.items()})

    def services_cases(self) -> list[Case]:
        def case(count: int) -> Case:
            name = f"services_{count}"
            get = self.server(name, lambda: self.site.octroi(name, many_services=count))
            return Case(name, {"octroi": (get, lambda s: wrk(s.url("h1", f"/s{count - 1}/1k"), self.seconds))})

        return [case(10), case(1_000), case(10_000)]

    def idle_case(self) -> Case:
        servers = {
            "octroi": self.server("octroi_idle", lambda: self.site.octroi("octroi_idle")),
            **{who: self.main(who) for who in ("nginx", "haproxy", "nghttpx")},
            "go": self.server("go_idle", lambda: self.make_go("go_idle")),
        }
        return Case("idle_10k", {who: (get, self.idle_run) for who, get in servers.items()}, once=True)

    def idle_run(self, server: Server) -> dict:
        path = "/free/1k" if server.name in ("octroi", "go") else "/1k"
        before = server.process.resident_mib()
        connections = IdleConnections(server.ports["h1"], path, IDLE)
        try:
            time.sleep(2)
            cpu = server.process.cpu_seconds()
            time.sleep(2)
            row = dict(connections.row)
            row["idle_cpu_percent"] = round((server.process.cpu_seconds() - cpu) * 50, 2)
            row["rss_mib"] = server.process.resident_mib()
            row["rss_before_mib"] = before
            row["good"], row["refused"] = row["requests"], 0
            return row
        finally:
            connections.close()

    def show_tokens_once(self) -> None:
        """A token's first sight is a look-up and a claim in the store; what is measured is later ones."""
        for who in ("octroi", "go"):
            if who in self.servers and not getattr(self, f"_shown_{who}", False):
                row = load(self.servers[who].ports["h1"], "/l402/1k", count=TOKENS, connections=256, credentials=self.tokens)
                if row["good"] != TOKENS:
                    raise LoadFailed(f"{who} refused {TOKENS - row['good']} of its tokens")
                setattr(self, f"_shown_{who}", True)
                note(f"{who}: first sight of {TOKENS} tokens at {row['rps']:.0f} a second")

    def half_load(self) -> float:
        """Half of what both octroi and nginx can do here."""
        peaks = [max(self.peak[who]) for who in ("octroi", "nginx") if self.peak.get(who)]
        if not peaks:
            for who, path in (("octroi", "/free/1k"), ("nginx", "/1k")):
                row = wrk(self.servers[who].url("h1", path), 2)
                self.peak.setdefault(who, []).append(row["rps"])
            return self.half_load()
        return min(peaks) / 2

    # ---- running ------------------------------------------------------------------------------

    def one(self, case: Case, who: str) -> dict:
        get, run = case.runs[who]
        server = get()
        row = run(server) if case.once else measured(server.process, lambda: run(server))
        wrong = row["requests"] - row[case.expect] + row["broken"]
        if wrong > 0:
            raise LoadFailed(f"{wrong} of {row['requests']} answers were not what they should be")
        if case.name == "passthrough_h1_1k":
            self.peak.setdefault(who, []).append(row["rps"])
        return row

    def all(self, cases: list[Case]) -> dict[str, dict[str, list[dict]]]:
        results: dict[str, dict[str, list[dict]]] = {case.name: {} for case in cases}
        self.failures: dict[str, dict[str, str]] = {}
        for number in range(self.options.rounds):
            for case in cases:
                if number > 0 and (case.once or (self.options.quick and case.name in EXTRAS)):
                    continue
                began = time.monotonic()
                names = list(case.runs)
                # Who comes first changes, so that nobody always has the quiet or the warm turn.
                names = names[number % len(names) :] + names[: number % len(names)]
                names = [who for who in names if who not in self.failures.get(case.name, {})]
                for who in names:  # servers start before what a case needs of them
                    case.runs[who][0]()
                if case.before:
                    case.before()
                for who in names:
                    try:
                        results[case.name].setdefault(who, []).append(self.one(case, who))
                    except (LoadFailed, OSError, http.client.HTTPException) as error:
                        self.failures.setdefault(case.name, {})[who] = str(error)
                        note(f"{case.name}: {who}: {error}")
                note(f"round {number + 1}: {case.name} {time.monotonic() - began:.1f} s")
        return results


def note(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three rounds of two seconds")
    parser.add_argument("--rounds", type=int, help="how often each case is run (5; quick 3)")
    parser.add_argument("--seconds", type=float, help="how long each run takes (8; quick 2)")
    parser.add_argument("--workers", type=int, default=1, help="of each proxy; several are not pinned to CPUs (1)")
    parser.add_argument("--case", action="append", default=[], metavar="NAME", help="only this case; may be repeated")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/octroi")
    parser.add_argument("--out", type=Path, default=ROOT / "bench/results", help="where latest.json and latest.md go")
    parser.add_argument("--keep", action="store_true", help="leave the working directory")
    options = parser.parse_args()
    options.rounds = options.rounds or (3 if options.quick else 5)
    options.seconds = options.seconds or (2 if options.quick else 8)
    return options


def main() -> int:
    options = arguments()
    raise_file_limit()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # servers are stopped on the way out
    if options.list:
        print("\n".join(CASES))
        return 0
    unknown = set(options.case) - set(CASES)
    if unknown:
        raise SystemExit(f"bench: no case {', '.join(sorted(unknown))}; see --list")
    directory = Path(tempfile.mkdtemp(prefix="octroi-bench-"))
    site = Site(directory, options.binary, build_go(), sync_shim(), POOL_SIZES["quick" if options.quick else "full"], options.workers)
    loads.cpus = site.load_cpus
    began = time.monotonic()
    try:
        bench = Bench(site, options)
        bench.prepare_credentials()
        cases = bench.cases()
        assert tuple(case.name for case in cases) == CASES
        chosen = [case for case in cases if not options.case or case.name in options.case]
        results = bench.all(chosen)
        facts = {
            "machine": machine(site),
            "versions": versions(site),
            "rounds": options.rounds,
            "seconds": options.seconds,
            "took_seconds": round(time.monotonic() - began),
            "whole": not options.case,
        }
        missed = report.write(options.out, facts, results, bench.failures)
        return 1 if missed else 0
    finally:
        site.close()
        if options.keep:
            note(f"kept {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
