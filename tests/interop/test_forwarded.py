"""What octroi forwards and what it answers, judged by h11, a strict HTTP/1.1 engine of others."""

from __future__ import annotations

import http.client
import socket
import threading

import h11
import pytest

from harness import web
from harness.settings import service


class Referee:
    """An upstream whose connection is an h11 state machine: whatever h11 does not accept is written
    down as a fault and ends the connection."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, list[tuple[str, str]], bytes]] = []
        self.faults: list[str] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        engine = h11.Connection(h11.SERVER)
        with sock:
            try:
                while self._one(sock, engine):
                    engine.start_next_cycle()
            except h11.RemoteProtocolError as fault:
                self.faults.append(str(fault))
            except OSError:
                pass

    def _one(self, sock: socket.socket, engine: h11.Connection) -> bool:
        request, body = None, b""
        while True:
            event = engine.next_event()
            if event is h11.NEED_DATA:
                if engine.they_are_waiting_for_100_continue:
                    sock.sendall(engine.send(h11.InformationalResponse(status_code=100, headers=[])))
                engine.receive_data(sock.recv(65536))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                return False
        assert request
        headers = [(name.decode(), value.decode()) for name, value in request.headers]
        self.requests.append((request.method.decode(), request.target.decode(), headers, body))
        chunked = b"chunked=1" in request.target
        answer = b"the answer"
        framing = ("Transfer-Encoding", "chunked") if chunked else ("Content-Length", str(len(answer)))
        head = h11.Response(status_code=200, headers=[("Content-Type", "text/plain"), framing])
        data = engine.send(head)
        if request.method != b"HEAD":
            data += engine.send(h11.Data(data=answer))
        sock.sendall((data or b"") + (engine.send(h11.EndOfMessage()) or b""))
        return engine.our_state is h11.DONE and engine.their_state is h11.DONE

    def stop(self) -> None:
        self._listener.close()


@pytest.fixture
def referee():
    made = Referee()
    yield made
    made.stop()
    assert made.faults == []


@pytest.fixture
def server(gateway, referee):
    free = service("free", "^/free/", referee.url, auth="off")
    del free["price"], free["schemes"]
    return gateway([free, service("paid", "^/paid/", referee.url, schemes=["l402", "payment"])])


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
def test_methods(server, referee, method):
    body = b"a body" if method in ("POST", "PUT", "PATCH") else None
    answer = server.request("/free/x?a=b%20c", method, body=body)
    assert answer.status == 200
    assert answer.body == (b"" if method == "HEAD" else b"the answer")
    seen_method, target, _, seen = referee.requests[0]
    assert (seen_method, target, seen) == (method, "/free/x?a=b%20c", body or b"")


def test_chunked_bodies(server, referee):
    raw = web.raw_exchange(
        "127.0.0.1",
        server.port,
        b"POST /free/x?chunked=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
        b"Trailer: X-Sum\r\n\r\n5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
        half_close=False,
    )
    assert web.status_of(raw) == 200 and b"the answer" in raw
    assert referee.requests[0][3] == b"hello world"


def test_expect_continue(server, referee):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(b"POST /free/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert sock.recv(1024).startswith(b"HTTP/1.1 100")
        sock.sendall(b"hello")
        rest = b""
        while chunk := sock.recv(65536):
            rest += chunk
    assert rest.startswith(b"HTTP/1.1 200")
    assert referee.requests[0][3] == b"hello"


def test_hop_by_hop_headers_stay(server, referee):
    answer = server.request(
        "/free/x",
        headers=[
            ("Connection", "keep-alive, X-Private"),
            ("X-Private", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Authorization", "Basic eA=="),
            ("Proxy-Connection", "keep-alive"),
            ("TE", "trailers, deflate"),
            ("X-Public", "2"),
            ("Cookie", "a=b"),
        ],
    )
    assert answer.status == 200
    names = {name.lower() for name, _ in referee.requests[0][2]}
    assert not names & {"x-private", "keep-alive", "proxy-authorization", "proxy-connection"}
    assert {"x-public", "cookie", "host"} <= names


def test_both_sides_keep_their_connections(server, referee):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    for number in range(20):
        assert web.request(f"{server.url}/free/{number}", connection=connection).status == 200
    assert connection.sock is not None
    connection.close()
    assert len(referee.requests) == 20
    assert referee.connections <= 2, "the upstream's connection is used again"


def test_pipelined_requests_are_answered_in_order(server, referee):
    raw = web.raw_exchange(
        "127.0.0.1",
        server.port,
        b"".join(b"GET /free/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(5))
        + b"GET /free/5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        half_close=False,
    )
    assert raw.count(b"HTTP/1.1 200") == 6
    assert [target for _, target, _, _ in referee.requests] == [f"/free/{number}" for number in range(6)]


@pytest.mark.parametrize("path", ["/free/x", "/free/x?chunked=1", "/paid/x", "/nowhere"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_answers_are_well_framed(server, path, method):
    """The whole of what octroi sends, read by h11 as a client."""
    engine = h11.Connection(h11.CLIENT)
    sent = engine.send(h11.Request(method=method, target=path, headers=[("Host", "a"), ("Connection", "close")]))
    sent += engine.send(h11.EndOfMessage()) or b""
    engine.receive_data(web.raw_exchange("127.0.0.1", server.port, sent, half_close=False))
    events = []
    engine.receive_data(b"")
    while not isinstance(event := engine.next_event(), (h11.EndOfMessage, h11.ConnectionClosed)):
        assert event is not h11.NEED_DATA
        events.append(event)
    assert isinstance(events[0], h11.Response)
    assert engine.next_event() in (h11.PAUSED, h11.ConnectionClosed()) or engine.their_state in (h11.DONE, h11.CLOSED, h11.MUST_CLOSE)
    assert engine.trailing_data == (b"", True)


def test_a_websocket_passes_after_payment(gateway, payer):
    """The tunnel opens for whoever paid, and carries bytes both ways."""
    listener = socket.create_server(("127.0.0.1", 0))

    def echo() -> None:
        sock, _ = listener.accept()
        with sock:
            head = b""
            while b"\r\n\r\n" not in head:
                head += sock.recv(4096)
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            while data := sock.recv(4096):
                sock.sendall(data.upper())

    threading.Thread(target=echo, daemon=True).start()
    server = gateway([service("ws", "^/ws", f"http://127.0.0.1:{listener.getsockname()[1]}", schemes=["l402"])])
    token = server.buy_token("/ws", payer)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(
            b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Authorization: " + token.encode() + b"\r\n\r\n"
        )
        head = sock.recv(4096)
        assert head.startswith(b"HTTP/1.1 101")
        for word in (b"hello", b"again" * 10_000):
            sock.sendall(word)
            got = b""
            while len(got) < len(word):
                got += sock.recv(65536)
            assert got == word.upper()
    listener.close()
