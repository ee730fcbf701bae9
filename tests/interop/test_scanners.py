"""What scanners by others say: of the TLS listener, and of how clients that dawdle are treated."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness import web
from harness.process import environment

from .test_http2 import certificate  # noqa: F401: a fixture


def run(*words: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    if shutil.which(str(words[0])) is None:
        pytest.fail(f"{words[0]} is missing; run script/bootstrap --tests", pytrace=False)
    return subprocess.run(
        list(map(str, words)), capture_output=True, text=True, timeout=timeout, env=environment(TERM="dumb"),
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def free(upstream):
    return {"name": "free", "match": {"path": "/free/.*"}, "upstream": upstream.url, "auth": "off"}


# ---- TLS ----------------------------------------------------------------------------------------

OLD = {"sslv2", "sslv3", "tlsv1.0", "tlsv1.1"}


def test_sslscan_finds_nothing_old_or_weak(gateway, free, certificate, workdir):  # noqa: F811
    server = gateway([free], top={"tls": certificate})
    report = workdir / "sslscan.xml"
    done = run("sslscan", "--no-colour", f"--xml={report}", "--show-certificate", f"127.0.0.1:{server.port}")
    text = report.read_text()
    enabled = {f"{kind}v{number}".lower() for kind, number in re.findall(r'<protocol type="(\w+)" version="([\d.]+)" enabled="1"', text)}
    assert enabled == {"tlsv1.2", "tlsv1.3"}, done.stdout
    ciphers = re.findall(r'<cipher status="\w+" sslversion="([^"]+)" bits="(\d+)" cipher="([^"]+)"', text)
    assert len(ciphers) >= 4
    for version, bits, cipher in ciphers:
        assert int(bits) >= 128, cipher
        if version == "TLSv1.2":
            assert cipher.startswith("ECDHE-") and re.search(r"GCM|CHACHA20", cipher), f"{cipher}: no forward secrecy, or CBC"
    assert 'compression supported="1"' not in text
    assert 'renegotiation supported="0"' in text or 'secure="1"' in text
    assert not re.search(r'<heartbleed [^>]*vulnerable="1"', text)


# What testssl calls worse than "low" and this test's own certificate is the cause of.
OWN_CERTIFICATE = re.compile(r"^(cert_|overall_grade|grade_cap|final_score|cert-|OCSP|DNS_|HSTS|security_headers|.*certificate)")


@pytest.mark.slow
def test_testssl_finds_no_weakness(gateway, free, certificate, workdir):  # noqa: F811
    server = gateway([free], top={"tls": certificate})
    report = workdir / "testssl.json"
    words = ["--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", "--fast", "-p", "-s", "-f", "-U"]
    done = run("testssl", *words, "--jsonfile", report, f"127.0.0.1:{server.port}", timeout=280)
    found = json.loads(report.read_text())
    by_id = {one["id"]: one for one in found}
    assert {"TLS1_2", "TLS1_3", "heartbleed", "ROBOT", "SWEET32"} <= set(by_id), done.stdout[-3000:]
    for old in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert "not offered" in by_id[old]["finding"], by_id[old]
    bad = [one for one in found if one["severity"] in ("MEDIUM", "HIGH", "CRITICAL") and not OWN_CERTIFICATE.match(one["id"])]
    assert not bad, bad


# ---- clients that dawdle ------------------------------------------------------------------------

CONNECTIONS = 200
# slowhttptest's own names: headers without end, a body that trickles, an answer that nobody reads.
WAYS = {
    "headers": ["-H", "-i", "1", "-x", "24", "-t", "GET"],
    "body": ["-B", "-i", "1", "-s", "8192", "-x", "10", "-t", "POST"],
    "read": ["-X", "-w", "256", "-y", "512", "-n", "5", "-z", "16", "-k", "3", "-t", "GET"],
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_slow_clients_hold_nobody_up(gateway, free, way):
    """While 200 clients dawdle others are served as ever, and in the end the server has let go of those."""
    server = gateway([free])
    target = f"{server.url}/free/x" + ("?size=200000" if way == "read" else "")
    waits: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            began = time.monotonic()
            assert web.request(f"{server.url}/free/ok", timeout=20).status == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.05)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        done = run("slowhttptest", "-c", CONNECTIONS, "-r", "100", "-l", "45", "-p", "5", *WAYS[way], "-u", target, timeout=120)
    finally:
        over.set()
        thread.join()
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    ended = re.search(r"Test ended on (\d+)\w+ second\s+Exit status: *(.*)", text)
    assert ended, text[-1500:]
    print(f"{way}: {ended[2].strip()} after {ended[1]} s; others waited {1000 * max(waits):.0f} ms at most, {len(waits)} requests")
    if way == "read":
        # The kernel goes on trying to deliver what was written; octroi itself has let go.
        assert server.program
        sockets = [one for one in Path(f"/proc/{server.program.pid}/fd").iterdir() if str(one.readlink()).startswith("socket:")]
        assert len(sockets) < CONNECTIONS / 4, f"{len(sockets)} sockets are still open"
    else:
        assert "No open connections left" in ended[2], text[-1500:]
    assert not re.search(r"service available: +NO", text)
    assert len(waits) > 100 and max(waits) < 2.0
