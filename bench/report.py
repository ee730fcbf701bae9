"""What a run found: latest.json, latest.md, and which targets were met."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from measure import median

NUMBERS = ("rps", "p50_ms", "p99_ms", "cpu_us_per_request", "instructions_per_request", "rss_mib")
EXTRA = ("fsyncs_per_request", "fsync_ms", "invoices_made", "idle_cpu_percent", "rss_before_mib", "max_ms")
DIGITS = {"rps": 0, "instructions_per_request": 0, "rss_mib": 1}

ABOUT = {
    "passthrough_h1_1k": "HTTP/1.1, 1 KiB",
    "passthrough_tls_1k": "HTTP/1.1 over TLS 1.3, 1 KiB",
    "passthrough_h2_1k": "HTTP/2 in, HTTP/1.1 to the upstream, 1 KiB",
    "passthrough_h2_tls_1k": "the same over TLS 1.3",
    "passthrough_h1_64k": "HTTP/1.1, 64 KiB",
    "passthrough_h1_10m": "HTTP/1.1, 10 MiB",
    "passthrough_sse": "a stream of 100 events, one a millisecond; a request is a stream",
    "l402_valid": "one valid L402 token; nginx passes the request through",
    "l402_many": "100,000 valid L402 tokens in turn; nginx passes through",
    "charge_redeem": "Payment charges, each once, durable, 64 at once",
    "charge_redeem_2ms": "the same, 2 ms slower fsync",
    "charge_lone": "one charge at a time, 20 ms between",
    "charge_lone_2ms": "the same, 2 ms slower fsync",
    "session_bearer": "requests on one prepaid session, each debited durably, 64 at once",
    "vault_call": "a call through the vault: decided, held, audited, settled, durable, 64 at once; nginx only sets the header",
    "vault_lone": "the same, one call at a time",
    "vault_lone_nosync": "the same with fsync left out, for the cost without the disk",
    "not_found": "404",
    "forged": "a token with a wrong signature, default limits",
    "malformed": "a token cut short, default limits",
    "p99_half_load": "1 KiB at half of peak load, requests at fixed times",
    "services_10": "the last of 10 services, HTTP/1.1, 1 KiB",
    "services_1000": "the last of 1,000 services",
    "services_10000": "the last of 10,000 services",
    "challenge_l402": "402 with L402",
    "challenge_payment": "402 with Payment",
    "challenge": "402 with both",
    "forged_fresh": "a wrong signature answered by a fresh 402, no limits",
    "idle_10k": "10,000 idle connections (memory)",
}


def summary(rows: list[dict]) -> dict:
    out: dict = {}
    for key in NUMBERS:
        value = median(rows, key)
        out[key] = None if value is None else round(value, DIGITS.get(key, 3))
        if key in ("cpu_us_per_request", "rps", "p99_ms") and value is not None:
            values = [row[key] for row in rows if row.get(key) is not None]
            out[f"{key}_range"] = [round(min(values), 3), round(max(values), 3)]
    for key in EXTRA:
        value = median(rows, key)
        if value is not None:
            out[key] = round(value, 4)
    out["requests"] = sum(row["requests"] for row in rows)
    return out


class Figures:
    """Medians by case and proxy, or nothing where something was not measured."""

    def __init__(self, cases: dict[str, dict[str, dict]]):
        self.cases = cases

    def of(self, case: str, who: str, key: str = "cpu_us_per_request") -> float | None:
        return self.cases.get(case, {}).get(who, {}).get(key)

    def ratio(self, one: float | None, other: float | None) -> float | None:
        return None if one is None or not other else one / other


def targets(f: Figures) -> list[dict]:
    out: list[dict] = []

    def add(name: str, value: float | None, limit: float, unit: str = "ratio", at_least: bool = False) -> None:
        held = None if value is None else (value >= limit if at_least else value <= limit)
        shown = None if value is None else round(value, 3)
        out.append({"target": name, "value": shown, "limit": limit, "unit": unit, "at_least": at_least, "held": held})

    def cpu(case: str, who: str, limit: float, other: str | None = None, name: str = "") -> None:
        add(name or f"{case}: CPU of {who}'s", f.ratio(f.of(case, "octroi"), f.of(other or case, who)), limit)

    cpu("passthrough_h1_1k", "nginx", 0.80)
    cpu("passthrough_tls_1k", "nginx", 0.80)
    cpu("passthrough_h2_1k", "nghttpx", 1.0)
    for case in ("l402_valid", "l402_many"):
        cpu(case, "nginx", 1.0)
        cpu(case, "go", 0.15)
    for case in ("challenge_l402", "challenge_payment", "challenge"):
        cpu(case, "go", 0.20)
    made = [f.of(case, "octroi", "invoices_made") for case in ("challenge_l402", "challenge_payment", "challenge")]
    measured = [m for m in made if m is not None]
    add("402: invoices asked of the node meanwhile", max(measured) if measured else None, 0, "invoices")
    add("charge_redeem: fsyncs a redemption", f.of("charge_redeem", "octroi", "fsyncs_per_request"), 1 / 16, "fsyncs")
    slow_sync = f.of("charge_redeem_2ms", "octroi", "fsync_ms")
    one_each = 1000 / slow_sync if slow_sync else None  # a second
    add("charge_redeem_2ms: rate, of one fsync a request's", f.ratio(f.of("charge_redeem_2ms", "octroi", "rps"), one_each), 10, at_least=True)
    # The injected delay shows once in the wait of a lone redemption for each fsync that it waits for.
    waits = [f.of(case, "octroi", "p50_ms") for case in ("charge_lone", "charge_lone_2ms")]
    syncs = [f.of(case, "octroi", "fsync_ms") for case in ("charge_lone", "charge_lone_2ms")]
    waited = None if None in waits + syncs else f.ratio(waits[1] - waits[0], syncs[1] - syncs[0])
    if waited is not None and waited < 0.5:
        waited = None  # it waits for one at least: something else was in the way of the faster case
    add("charge_lone: fsyncs that a lone redemption waits for", waited, 1.25, "fsyncs")
    cpu("session_bearer", "octroi", 2.0, "l402_valid", "session_bearer: CPU of l402_valid's")
    add("session_bearer: fsyncs a request", f.of("session_bearer", "octroi", "fsyncs_per_request"), 1 / 16, "fsyncs")
    cpu("vault_call", "octroi", 2.0, "passthrough_h1_1k", "vault_call: CPU of passthrough_h1_1k's")
    add("vault_call: audited calls a second", f.of("vault_call", "octroi", "rps"), 5_000, "a second", at_least=True)
    for case, syncs, limit in (("vault_lone", 2, 0.150), ("vault_lone_nosync", 0, 0.060)):
        took = [f.of(case, who, "p50_ms") for who in ("octroi", "nginx")]
        one = f.of(case, "octroi", "fsync_ms") if syncs else 0
        added = None if None in (*took, one) else took[0] - took[1] - syncs * one
        add(f"{case}: p50 over nginx's{', less two fsyncs' if syncs else ''}", added, limit, "ms")
    cpu("forged", "octroi", 1.3, "not_found", "forged: CPU of a 404's")
    nginx_p99 = f.of("p99_half_load", "nginx", "p99_ms")
    add("p99_half_load: p99 of nginx's", f.ratio(f.of("p99_half_load", "octroi", "p99_ms"), nginx_p99), 1.0)
    cpu("services_1000", "octroi", 1.10, "services_10", "services_1000: CPU of services_10's")
    cpu("services_10000", "octroi", 1.10, "services_10", "services_10000: CPU of services_10's")
    add("idle_10k: memory", f.of("idle_10k", "octroi", "rss_mib"), 100, "MiB")
    return out


def _table(cases: dict[str, dict[str, dict]], failures: dict) -> list[str]:
    lines = [
        "| case | proxy | CPU µs a request (range) | octroi's share | requests/s | p50 ms | p99 ms | memory MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]

    def text(value, digits: int) -> str:
        return "–" if value is None else f"{value:,.{digits}f}"

    for name, proxies in cases.items():
        own = proxies.get("octroi", {}).get("cpu_us_per_request")
        for who, row in proxies.items():
            cpu, spread = row.get("cpu_us_per_request"), row.get("cpu_us_per_request_range")
            measured = "–" if cpu is None else f"{cpu:,.1f} ({spread[0]:,.1f}–{spread[1]:,.1f})"
            share = f"{own / cpu:.2f}" if own and cpu and who != "octroi" else ""
            lines.append(
                f"| {name} | {who} | {measured} | {share} | {text(row.get('rps'), 0)} | {text(row.get('p50_ms'), 2)} |"
                f" {text(row.get('p99_ms'), 2)} | {text(row.get('rss_mib'), 0)} |"
            )
        for who, why in failures.get(name, {}).items():
            lines.append(f"| {name} | {who} | not measured: {why.splitlines()[0][:90]} | | | | | |")
    return lines


def _targets_table(found: list[dict]) -> list[str]:
    lines = ["| target | measured | limit | held |", "|---|---|---|---|"]
    for t in found:
        sign = "≥" if t["at_least"] else "≤"
        held = "not measured" if t["held"] is None else "yes" if t["held"] else "**no**"
        unit = "" if t["unit"] == "ratio" else f" {t['unit']}"
        value = "–" if t["value"] is None else f"{t['value']:g}{unit}"
        lines.append(f"| {t['target']} | {value} | {sign} {t['limit']:g}{unit} | {held} |")
    return lines


def write(where: Path, facts: dict, results: dict, failures: dict) -> int:
    """Writes both files and prints the Markdown; returns how many targets were missed."""
    cases = {name: {who: summary(rows) for who, rows in by.items() if rows} for name, by in results.items()}
    found = targets(Figures(cases))
    if not facts["whole"]:
        found = [t for t in found if t["held"] is not None]
    machine = facts["machine"]
    text = [
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']};"
        f" {facts['versions']['octroi']}; {machine['workers']} worker(s) a proxy; {facts['rounds']} rounds of {facts['seconds']:g} s, medians (least–most).",
        "",
        *_table(cases, failures),
        "",
        *_targets_table(found),
        "",
        "What the cases are: " + "; ".join(f"`{name}` {ABOUT[name]}" for name in cases) + ".",
    ]
    document = "\n".join(text) + "\n"
    where.mkdir(parents=True, exist_ok=True)
    shape = [
        {"name": name, "about": ABOUT[name], "proxies": proxies, **({"failed": failures[name]} if name in failures else {})}
        for name, proxies in cases.items()
    ]
    (where / "latest.json").write_text(json.dumps({**facts, "targets": found, "cases": shape}, indent=1) + "\n")
    (where / "latest.md").write_text(document)
    print(document)
    print(f"bench: written to {where}/latest.json and latest.md, in {facts['took_seconds']} s", file=sys.stderr)
    return sum(1 for t in found if t["held"] is False)
