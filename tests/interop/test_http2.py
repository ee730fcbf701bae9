"""HTTP/2 as programs that we did not write see it: h2spec's 145 cases, curl and nghttp2's clients."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from harness import payment
from harness.process import TEST_ENV, environment
from harness.settings import service

H2SPEC = TEST_ENV / "bin" / "h2spec"

# A clear-text listener speaks HTTP/1.1 too, and tells whoever sends neither preface so in HTTP/1.1;
# h2spec takes the bytes of that answer for frames.
ANSWERED_IN_HTTP1 = {"Sends invalid connection preface"}
# A 402 can be out, and its stream closed, before the second of two updates comes; what comes for a
# closed stream is ignored.
ANSWERED_BEFORE = {"Sends multiple WINDOW_UPDATE frames increasing the flow control window to above 2^31-1 on a stream"}


def run(*words: object, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    program = shutil.which(str(words[0])) or str(words[0])
    if not Path(program).exists():
        pytest.fail(f"{words[0]} is missing; run script/bootstrap --tests", pytrace=False)
    return subprocess.run(
        [program, *map(str, words[1:])], capture_output=True, text=True, timeout=timeout, env=environment(),
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def certificate(workdir) -> dict[str, str]:
    """The `tls` section, over a certificate of this test's own."""
    cert, key = workdir / "tls.crt", workdir / "tls.key"
    made = run(
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert,
    )
    assert made.returncode == 0, made.stderr
    key.chmod(0o600)
    return {"cert": f"file://{cert}", "key": f"file://{key}"}


@pytest.fixture
def serving(gateway, upstream, certificate):
    """A gateway with a free and a priced path, in clear text or over TLS."""

    def serve(tls: bool):
        services = [
            {"name": "free", "match": {"path": "/free/.*"}, "upstream": upstream.url, "auth": "off"},
            service("priced", "/priced/.*", upstream.url),
        ]
        return gateway(services, top={"tls": certificate} if tls else None)

    return serve


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("path", ["/free/a", "/priced/a"])
def test_h2spec(serving, workdir, tls, path):
    octroi = serving(tls)
    report = workdir / "h2spec.xml"
    words = ["-h", "127.0.0.1", "-p", octroi.port, "-P", path, "-o", 3, "-j", report, *(["-t", "-k"] if tls else [])]
    done = run(H2SPEC, *words, timeout=300)
    cases = list(xml.parse(report).iter("testcase"))
    failed = {
        case.get("classname", "") for case in cases if case.find("failure") is not None or case.find("error") is not None
    }
    assert len(cases) == 145, done.stdout[-2000:]
    allowed = set() if tls else ANSWERED_IN_HTTP1
    if path.startswith("/priced"):
        allowed = allowed | ANSWERED_BEFORE
    assert not failed - allowed, done.stdout[-4000:]


def curl(octroi, path: str, *more: str) -> tuple[str, str, str]:
    """Version and status, head, body."""
    scheme = "https" if "tls" in octroi.config else "http"
    version = "--http2" if scheme == "https" else "--http2-prior-knowledge"
    done = run("curl", "-sS", "-k", "-i", version, *more, f"{scheme}://127.0.0.1:{octroi.port}{path}")
    assert done.returncode == 0, done.stderr
    head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    return head.split("\n")[0].strip(), head, body


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_curl_pays_with_both_schemes(serving, upstream, payer, tls):
    """The challenges are those of HTTP/1.1, each in a field of its own, and what they buy is served."""
    octroi = serving(tls)
    assert curl(octroi, "/free/a")[0] == "HTTP/2 200"
    for scheme in ("L402", "Payment"):
        status, head, body = curl(octroi, "/priced/a", "-d", "x=1")
        assert status == "HTTP/2 402", head
        assert json.loads(body)["status"] == 402
        offers = payment.parse_challenges(re.findall(r"(?mi)^www-authenticate: (.*)$", head))
        offer = payment.of_scheme(offers, scheme)[0]
        preimage = payer.pay(offer.invoice)
        shown = payment.l402(offer, preimage) if scheme == "L402" else payment.credential(offer, preimage)
        status, head, body = curl(octroi, "/priced/a", "-d", "x=1", "-H", f"Authorization: {shown}")
        assert status == "HTTP/2 200", head
        assert json.loads(body)["path"] == "/priced/a"
    seen = upstream.of_path("/priced/a")
    assert [s.body for s in seen] == [b"x=1"] * 2
    assert all(not s.all("Authorization") for s in seen)


def test_large_bodies_and_trailers(serving, workdir):
    octroi = serving(False)
    size = 5_000_000
    upload = workdir / "upload"
    upload.write_bytes(b"u" * size)
    status, _, body = curl(octroi, f"/free/a?size={size}", "--data-binary", f"@{upload}")
    assert status == "HTTP/2 200"
    assert body == "x" * size
    done = run("nghttp", "-nv", "-d", str(upload), "--trailer", "x-sum: 1", f"{octroi.url}/free/a")
    assert ":status: 200" in done.stdout


def test_h2load_is_served_by_every_connection(serving):
    octroi = serving(False)
    done = run("h2load", "-n", "3000", "-c", "4", "-m", "50", f"{octroi.url}/free/a", timeout=120)
    assert "3000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert "status codes: 3000 2xx" in done.stdout
