"""Answers that come bit by bit: each event of a stream reaches the client at once, in either version of
HTTP, free and paid, and so do interim answers."""

from __future__ import annotations

import socket
import subprocess
import threading
import time

import h2.config
import h2.connection
import h2.events
import pytest

from harness.process import environment
from harness.settings import service
from harness.timing import best_of

EVENTS = 20
LATE = 0.05


class Speaker:
    """An upstream over plain sockets: /events says one event each 30 ms with the time in it, /hints has
    an interim answer first, anything else asks for its body with 100 (Continue)."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.bodies: list[bytes] = []
        self.final = 0.0  # when it began to send what comes after a hint
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (byte := sock.recv(1)):
                    return
                head += byte
            target = head.split(b" ")[1]
            if target.endswith(b"/events"):
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(EVENTS):
                    time.sleep(0.03)
                    event = b"data: %.6f\n\n" % time.monotonic()
                    sock.sendall(b"%x\r\n%s\r\n" % (len(event), event))
                sock.sendall(b"0\r\n\r\n")
            elif target.endswith(b"/hints"):
                sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
                time.sleep(0.3)
                self.final = time.monotonic()
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            else:
                if b"100-continue" in head.lower():
                    sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                self.bodies.append(sock.recv(4096))
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def stop(self) -> None:
        self._listener.close()


@pytest.fixture
def served(gateway):
    speaker = Speaker()
    free = service("free", "^/free/", speaker.url, "0 sat", auth="off")
    yield speaker, gateway([free, service("paid", "^/paid/", speaker.url)])
    speaker.stop()


def http1(port: int, path: str, credential: str | None):
    """(time, bytes) as they come, the head too."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        shown = f"Authorization: {credential}\r\n" if credential else ""
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{shown}\r\n".encode())
        while piece := sock.recv(65536):
            yield time.monotonic(), piece


def http2(port: int, path: str, credential: str | None):
    engine = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        engine.initiate_connection()
        head = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)]
        engine.send_headers(1, head + ([("authorization", credential)] if credential else []), end_stream=True)
        sock.sendall(engine.data_to_send())
        while piece := sock.recv(65536):
            now = time.monotonic()
            for event in engine.receive_data(piece):
                if isinstance(event, h2.events.InformationalResponseReceived):
                    yield now, f"HTTP/2 {dict(event.headers)[':status']} {dict(event.headers)}".encode()
                elif isinstance(event, h2.events.ResponseReceived):
                    yield now, f"HTTP/2 {dict(event.headers)[':status']}".encode()
                elif isinstance(event, h2.events.DataReceived):
                    yield now, event.data
                elif isinstance(event, h2.events.StreamEnded):
                    return
                elif isinstance(event, h2.events.StreamReset):
                    raise AssertionError(f"reset: {event.error_code}")
            sock.sendall(engine.data_to_send())


def credential(server, payer, kind: str, path: str) -> str | None:
    if kind == "free":
        return None
    return server.buy_token(path, payer) if kind == "l402" else server.buy(path, payer)


@pytest.mark.parametrize("kind", ["free", "l402", "payment"])
@pytest.mark.parametrize("ask", [http1, http2])
def test_each_event_comes_at_once(served, payer, ask, kind):
    _, server = served
    path = "/free/events" if kind == "free" else "/paid/events"

    def once() -> float:
        delays = []
        for now, piece in ask(server.port, path, credential(server, payer, kind, path)):
            for line in piece.split(b"\n"):
                if line.startswith(b"data: "):
                    delays.append(now - float(line[6:]))
        assert len(delays) == EVENTS
        print(f"{ask.__name__} {kind}: {1000 * sorted(delays)[EVENTS // 2]:.2f} ms, at most {1000 * max(delays):.2f} ms")
        return max(delays)

    best_of(3, LATE, once)


@pytest.mark.parametrize("kind", ["free", "l402"])
@pytest.mark.parametrize("ask", [http1, http2])
def test_early_hints_come_early(served, payer, ask, kind):
    speaker, server = served
    path = "/free/hints" if kind == "free" else "/paid/hints"
    pieces = list(ask(server.port, path, credential(server, payer, kind, path)))
    assert b" 103" in pieces[0][1] and b"</style.css>" in pieces[0][1]
    assert b" 200" in b"".join(piece for _, piece in pieces[1:])
    assert pieces[0][0] < speaker.final


@pytest.mark.parametrize("kind", ["free", "payment"])
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_curl_is_told_to_continue(served, payer, version, kind):
    speaker, server = served
    path = "/free/body" if kind == "free" else "/paid/body"
    shown = []
    if kind == "payment":
        shown = ["-H", f"Authorization: {server.buy(path, payer, 'POST', 'a=b')}"]
    done = subprocess.run(
        ["curl", "-sSv", version, "-H", "Expect: 100-continue", "--expect100-timeout", "5", *shown, "-d", "a=b",
         "-w", "%{http_code}", f"{server.url}{path}"],
        capture_output=True, text=True, timeout=30, env=environment(),
    )  # fmt: skip
    assert done.stdout == "ok200", done.stderr
    assert " 100" in done.stderr
    assert speaker.bodies == [b"a=b"]
