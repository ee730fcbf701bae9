"""Malformed input of any kind gets a 4xx or a closed connection, never an answer from the upstream,
a server error or more than 64 MiB (acceptance point 7 of the first issue, guarantee 8)."""

from __future__ import annotations

import base64
import random

import pytest

from harness import payment, web
from harness.octroi import Gateway
from harness.process import run_dir
from harness.settings import service
from harness.upstream import Upstream

ALLOWED_GROWTH_KIB = 64 * 1024


@pytest.fixture(scope="module")
def shared(octroi_binary, leaks, worker):
    """One server for the whole file, so that what leaks with each bad request adds up, and its
    upstream and size when idle."""
    folder = run_dir() / f"malformed-{worker}"
    node = {"backend": "sim", "sim": {"file": str(folder / "sim.db"), "account": "merchant"}}
    upstream = Upstream()
    # The bound would turn most 402s into 429, a 4xx too, but then nothing behind it would be reached.
    services = [service("api", "^/api/", upstream.url)]
    made = Gateway(octroi_binary, folder, services, node, leaks, paywall={"max_unpaid": 0}).start()
    for _ in range(50):
        made.request("/api/x")
    yield made, upstream, made.program.resident_kib()
    assert made.stop() == 0
    upstream.stop()


@pytest.fixture
def server(shared):
    return shared[0]


@pytest.fixture
def bounded(shared):
    """Checks, after the test, what must hold after any malformed input."""
    server, upstream, idle = shared
    yield
    assert server.program.running(), server.program.output()[-2000:]
    grown = server.program.resident_kib() - idle
    assert grown <= ALLOWED_GROWTH_KIB, f"grew by {grown} KiB"
    assert upstream.count == 0
    assert server.request("/api/x").status == 402, "still serving"


def send(server, data: bytes, **kw) -> int | None:
    raw = web.raw_exchange("127.0.0.1", server.port, data, **kw)
    status = web.status_of(raw)
    assert status is not None or raw == b"", raw[:80]
    return status


HEAD = b"GET /api/x HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /api/x HTTP/1.1\r\nHost: a\r\n"
FRAMING = {
    "no host": b"GET /api/x HTTP/1.1\r\n\r\n",
    "two hosts": HEAD + b"Host: b\r\n\r\n",
    "bad host": b"GET /api/x HTTP/1.1\r\nHost: a b/c\r\n\r\n",
    "bare line feeds": b"GET /api/x HTTP/1.1\nHost: a\n\n",
    "bare line feed in the middle": HEAD + b"X: 1\nY: 2\r\n\r\n",
    "bare carriage return": HEAD + b"X: 1\rY: 2\r\n\r\n",
    "folded line": HEAD + b"X: 1\r\n  2\r\n\r\n",
    "space before the colon": HEAD + b"X : 1\r\n\r\n",
    "space before the first header": b"GET /api/x HTTP/1.1\r\n Host: a\r\n\r\n",
    "no colon": HEAD + b"nonsense\r\n\r\n",
    "empty name": HEAD + b": x\r\n\r\n",
    "zero byte": HEAD + b"X: a\0b\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "two lengths in one": POST + b"Content-Length: 1, 2\r\n\r\nab",
    "length and chunks": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": POST + b"Content-Length: -1\r\n\r\n",
    "signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "length with a comma": POST + b"Content-Length: 3,\r\n\r\nabc",
    "huge length": POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "unknown coding": POST + b"Transfer-Encoding: gzipped\r\n\r\n",
    "chunked is not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in disguise": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "vertical tab before chunked": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in 1.0": b"POST /api/x HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bad chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    "negative chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
    "huge chunk size": POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "chunk longer than said": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n",
    "chunk with a bare line feed": POST + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    "no version": b"GET /api/x\r\nHost: a\r\n\r\n",
    "lower-case version": b"GET /api/x http/1.1\r\nHost: a\r\n\r\n",
    "bad method": b"GE\x01T /api/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "two spaces": b"GET  /api/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab for a space": b"GET\t/api/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "no target": b"GET HTTP/1.1\r\nHost: a\r\n\r\n",
    "fragment": b"GET /api/x#y HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad escape": b"GET /api/%zz HTTP/1.1\r\nHost: a\r\n\r\n",
    "escaped zero": b"GET /api/%00 HTTP/1.1\r\nHost: a\r\n\r\n",
    "raw eight-bit target": b"GET /api/\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "long target": b"GET /api/" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "long header": HEAD + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "many headers": HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(20_000)) + b"\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303") + bytes(300),
    "binary": bytes(range(256)) * 16,
}


# Well-framed all the same: what follows on the connection is another request.
SOUND_FRAMES = {"bad escape", "escaped zero"}
# RFC 9112, section 6.1: a transfer coding that the server does not know may be answered with 501.
UNKNOWN_CODING = {"unknown coding", "chunked in disguise"}


@pytest.mark.parametrize("name", FRAMING)
def test_framing(server, bounded, name):
    status = send(server, FRAMING[name], timeout=8)
    assert status is None or 400 <= status < 500 or (status == 501 and name in UNKNOWN_CODING), status


@pytest.mark.parametrize("name", [name for name in FRAMING if name not in SOUND_FRAMES])
def test_nothing_after_bad_framing_is_answered(server, bounded, name):
    """A request smuggled behind a broken one is not seen: the connection ends with the refusal."""
    raw = web.raw_exchange("127.0.0.1", server.port, FRAMING[name] + b"GET /api/smuggled HTTP/1.1\r\nHost: a\r\n\r\n", timeout=8)
    assert raw.count(b"HTTP/1.1 ") <= 1


def test_http2_preface_over_cleartext_is_not_understood_as_http1(server, bounded):
    """The whole preface begins HTTP/2, whose first frame is SETTINGS (type 4); anything else that
    calls itself HTTP/2.0 is refused."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    smuggled = b"GET /api/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    # Who closes at once may have left before SETTINGS come.
    raw = web.raw_exchange("127.0.0.1", server.port, preface, timeout=3, half_close=False)
    assert raw[3:5] == b"\x04\x00" and b"HTTP/1.1" not in raw
    # What follows is no frame: the connection ends, and its reset may overtake the reason.
    for broken in (preface, preface[:-3] + b"\r\n", preface.replace(b"SM", b"XM"), b"PRI /x HTTP/2.0\r\n\r\n"):
        raw = web.raw_exchange("127.0.0.1", server.port, broken + smuggled, timeout=8)
        in_http2 = raw[3:5] == b"\x04\x00" and b"HTTP/1.1" not in raw
        assert not raw or in_http2 or 400 <= (web.status_of(raw) or 0) < 600, raw[:80]
        assert b"smuggled" not in raw and b"\nHTTP/1.1 " not in raw


def mutations(seed: int, count: int, parts: list[bytes]):
    """Valid requests with a few bytes changed, doubled, cut or swapped; the same for each seed."""
    dice = random.Random(seed)
    for _ in range(count):
        data = bytearray(dice.choice(parts))
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(data))
            match dice.randrange(5):
                case 0:
                    data[at] = dice.randrange(256)
                case 1:
                    del data[at : at + dice.randint(1, 8)]
                case 2:
                    data[at:at] = dice.choice([b"\r\n", b"\0", b" ", b":", b"\xff", b"=" * 9, b",", b'"', b"%"])
                case 3:
                    data[at:at] = data[at : at + dice.randint(1, 64)]
                case 4:
                    data[at : at + 1] = bytes([data[at] ^ 1 << dice.randrange(8)])
            if not data:
                data = bytearray(b"\r\n")
        yield bytes(data)


def test_mutated_requests(server, bounded):
    """A mutation may be a well-formed request for something else, so 404 and 405 are fine: what may
    not be is an answer by the upstream or a server error."""
    offer = server.unpaid("/api/x")
    credential = payment.credential(offer.payment, "00" * 32).encode()
    token = payment.l402(offer.l402, "00" * 32).encode()
    parts = [
        HEAD + b"Authorization: " + credential + b"\r\n\r\n",
        HEAD + b"Authorization: " + token + b"\r\n\r\n",
        HEAD + b"Accept-Payment: lightning/charge;q=0.5, */*\r\nConnection: keep-alive, x\r\n\r\n",
        POST + b"Content-Length: 5\r\n\r\nhello",
        POST + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: x\r\n\r\n",
    ]
    for data in mutations(402, 1500, parts):
        status = send(server, data, timeout=8)
        assert status is None or 400 <= status < 500 or status in (501, 505), (status, data[:200])


def credentials():
    dice = random.Random(7)
    ok = {"id": "A" * 43, "realm": "r", "method": "lightning", "intent": "charge", "request": "e30", "expires": "2099-01-01T00:00:00Z"}
    yield "deep", payment.b64url(b'{"challenge":' + b"[" * 20_000 + b"]" * 20_000 + b"}")
    yield "wide", payment.b64url(b'{"challenge":{' + b",".join(b'"k%d":1' % n for n in range(3000)) + b"}}")
    yield "64 KiB", payment.b64url(payment.json_text({"challenge": ok, "payload": {"preimage": "0" * 60_000}}).encode())
    yield "above 64 KiB", payment.b64url(payment.json_text({"challenge": ok, "payload": {"preimage": "0" * 70_000}}).encode())
    yield "numbers for strings", payment.b64url(b'{"challenge":{"id":1,"realm":2,"method":3,"intent":4,"request":5},"payload":6}')
    yield "huge number", payment.b64url(b'{"challenge":' + b"9" * 5000 + b'e999999,"payload":{}}')
    yield "bad UTF-8", payment.b64url(b'{"challenge":{"id":"\xff\xfe"},"payload":{}}')
    yield "lone surrogate", payment.b64url(b'{"challenge":{"id":"\\ud800"},"payload":{}}')
    yield "twice the same key", payment.b64url(b'{"challenge":{"id":"a","id":"b"},"payload":{}}')
    yield "trailing bits", "e31"
    yield "standard base64", base64.b64encode(b'{"challenge":{"id":">>>???"}}').decode()
    yield "request is not base64", payment.b64url(payment.json_text({"challenge": {**ok, "request": "!!!"}, "payload": {"preimage": "0" * 64}}).encode())
    yield "request is no object", payment.b64url(payment.json_text({"challenge": {**ok, "request": payment.b64url(b"[1]")}, "payload": {"preimage": "0" * 64}}).encode())
    for expires in ("yesterday", "2099-13-45T99:99:99Z", "2099-01-01T00:00:00", "0000-00-00T00:00:00Z", "9" * 500):
        yield f"expires {expires[:12]}", payment.b64url(payment.json_text({"challenge": {**ok, "expires": expires}, "payload": {"preimage": "0" * 64}}).encode())
    for number in range(10):
        yield f"noise {number}", payment.b64url(dice.randbytes(dice.randrange(1, 4000)))


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in credentials()])
def test_payment_credentials(server, bounded, text):
    status = send(server, HEAD + b"Authorization: Payment " + text.encode() + b"\r\n\r\n")
    assert status is not None and 400 <= status < 500


def macaroons():
    dice = random.Random(11)
    for name, raw in {
        "empty": b"",
        "version 1": b"\x01" + bytes(70),
        "only the version": b"\x02",
        "endless varint": b"\x02" + b"\xff" * 64,
        "length past the end": b"\x02\x02\xff\xff\xff\x7fab",
        "no signature": b"\x02\x02\x02ab\x00\x00",
        "short signature": b"\x02\x02\x02ab\x00\x00\x06\x04abcd",
        "trailing bytes": b"\x02\x02\x02ab\x00\x00\x06\x20" + bytes(33),
        "caveats without end": b"\x02\x02\x02ab\x00" + b"\x02\x01a\x00" * 4000,
        "third-party caveat": b"\x02\x02\x02ab\x00\x02\x01a\x04\x01b\x00\x00\x06\x20" + bytes(32),
        **{f"noise {number}": b"\x02" + dice.randbytes(dice.randrange(2, 2000)) for number in range(8)},
    }.items():
        yield pytest.param(base64.b64encode(raw).decode(), id=name)


@pytest.mark.parametrize("text", macaroons())
def test_macaroons(server, bounded, text):
    for header in (b"Authorization: L402 %s:%s" % (text.encode(), b"0" * 64), b"Macaroon: " + base64.b64decode(text).hex().encode()):
        status = send(server, HEAD + header + b"\r\n\r\n")
        assert status is not None and 400 <= status < 500


def test_many_slow_connections(server, bounded):
    """Half a request on 300 connections costs memory for 300 heads, no more, and stops nobody."""
    import socket

    held = []
    try:
        for _ in range(300):
            sock = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            sock.sendall(HEAD + b"X-Slow: " + b"x" * 4000)
            held.append(sock)
        assert server.request("/api/x", timeout=5).status == 402
    finally:
        for sock in held:
            sock.close()
