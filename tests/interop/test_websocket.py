"""WebSockets through an upgrade that was paid for: PyPI's websockets and npm's ws at either end, in
every combination. octroi carries bytes and knows nothing of frames; what must hold is that neither
end can tell.
"""

from __future__ import annotations

import asyncio
import json
import os
import queue
import socket
import threading
from typing import Any, Callable, Iterator

import pytest
import websockets
import websockets.sync.client
import websockets.sync.server
from websockets.exceptions import ConnectionClosed, InvalidStatus

from harness import peers
from harness.process import Program, wait_for
from harness.settings import service

LARGE = 16 * 1024 * 1024
CODES = [1000, 1001, 1011, 3000]


# ---- servers ------------------------------------------------------------------------------------


class PythonServer:
    """Echoes; paths that end otherwise make it close, vanish or ping. Says how connections ended."""

    def __init__(self) -> None:
        self.ended: queue.Queue[dict[str, Any]] = queue.Queue()
        self.heads: list[Any] = []
        self._server = websockets.sync.server.serve(
            self._serve, "127.0.0.1", 0, max_size=2 * LARGE, subprotocols=["chat"], close_timeout=2
        )
        self.port = self._server.socket.getsockname()[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _serve(self, connection: websockets.sync.server.ServerConnection) -> None:
        assert connection.request
        self.heads.append(connection.request)
        path = connection.request.path
        kind, _, code = path.removeprefix("/").partition("/")[2].partition("/")
        try:
            for message in connection:
                if kind == "close":
                    connection.close(int(code), f"bye {code}")
                elif kind == "abrupt":
                    connection.socket.shutdown(socket.SHUT_RDWR)
                elif kind == "ping":
                    connection.ping(message).wait(10)
                    connection.send(f"pong {message}")
                else:
                    connection.send(message)
        except (ConnectionClosed, OSError):
            pass
        self.ended.put({"path": path, "code": connection.close_code, "reason": connection.close_reason})

    def stop(self) -> None:
        self._server.shutdown()


class NodeServer:
    def __init__(self, workdir) -> None:
        home = peers.prepare_scripts()
        self._program = Program("ws-server", [peers.node_program(), home / "websocket.mjs", "serve"], workdir)
        self._read = 0
        self.port = int(wait_for(self._next, 20, "the server's port")["port"])
        self.ended = self

    def _next(self) -> dict[str, Any] | None:
        self._program.must_run()
        lines = self._program.stdout_path.read_text().splitlines(keepends=True)[self._read :]
        if not lines or not lines[0].endswith("\n"):
            return None
        self._read += 1
        return json.loads(lines[0])

    def get(self, timeout: float) -> dict[str, Any]:
        return wait_for(self._next, timeout, "the end of a connection")  # type: ignore[return-value]

    def stop(self) -> None:
        self._program.stop()


@pytest.fixture(params=["websockets", "ws"])
def far(request, workdir, node_peers) -> Iterator[Any]:
    made = PythonServer() if request.param == "websockets" else NodeServer(workdir)
    yield made
    made.stop()


# ---- clients: each does one thing over one connection and reports --------------------------------


def python_client(what: str, url: str, authorization: str, code: int = 1000) -> dict[str, Any]:
    with websockets.sync.client.connect(
        url,
        additional_headers={"Authorization": authorization},
        max_size=2 * LARGE,
        subprotocols=["other", "chat"],  # type: ignore[list-item]
        compression=None if what == "plain" else "deflate",
        proxy=None,
    ) as connection:
        report = converse(connection, what, code)
    return report | {"closed": {"code": connection.close_code, "reason": connection.close_reason}}


def converse(connection: websockets.sync.client.ClientConnection, what: str, code: int) -> dict[str, Any]:
    report: dict[str, Any] = {
        "extensions": ",".join(one.name for one in connection.protocol.extensions),
        "protocol": connection.subprotocol,
    }
    if what in ("echo", "plain"):
        messages = ["grüße", "", bytes(range(256)), os.urandom(LARGE), "ä" * (LARGE // 2), bytes(LARGE)]
        # One after the other: this library reads nothing while it writes, at either end.
        for message in messages:
            connection.send(message)
            got = connection.recv(30)
            assert type(got) is type(message) and got == message, f"a message of {len(message)} changed"
        report["messages"] = len(messages)
        connection.close()
    elif what == "fragments":

        def words() -> Iterator[str]:
            yield "one "
            connection.ping("between")
            yield "two "
            yield "three"

        connection.send(words())
        report["answer"] = connection.recv(20)
        connection.send(bytes([number % 256]) * number for number in range(1000))
        report["length"] = len(connection.recv(20))
        connection.close()
    elif what == "ping":
        assert connection.ping("mine").wait(10)
        report["pong"] = "mine"
        connection.send("yours")
        report["answer"] = connection.recv(20)
        connection.close()
    elif what == "closes":
        connection.send("here")
        connection.recv(20)
        connection.close(code, f"bye {code}")
    elif what == "closed":
        connection.send("now")
        with pytest.raises(ConnectionClosed):
            connection.recv(20)
    elif what == "vanishes":
        connection.send("here")
        connection.recv(20)
        connection.socket.shutdown(socket.SHUT_RDWR)
    return report


def node_client(what: str, url: str, authorization: str, code: int = 1000) -> dict[str, Any]:
    return peers.node_script("websocket.mjs", "client", what, url, authorization, str(code))


@pytest.fixture(params=[python_client, node_client], ids=["websockets", "ws"])
def near(request, node_peers) -> Callable[..., dict[str, Any]]:
    return request.param


@pytest.fixture
def paid(gateway, far, payer):
    """`paid("l402", "echo")`: URL and credential; a charge is bought for each connection."""
    upstream = f"http://127.0.0.1:{far.port}"
    server = gateway(
        [
            service("l402", "^/l402/", upstream, schemes=["l402"]),
            service("payment", "^/payment/", upstream, schemes=["payment"]),
        ]
    )
    tokens: list[str] = []

    def make(scheme: str, what: str) -> tuple[str, str]:
        path = f"/{scheme}/{what}"
        if scheme == "payment":
            credential = server.buy(path, payer)
        else:
            tokens[:] = tokens or [server.buy_token(path, payer)]
            credential = tokens[0]
        return f"ws://127.0.0.1:{server.port}{path}", credential

    make.server = server  # type: ignore[attr-defined]
    return make


# ---- what must hold -----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["l402", "payment"])
@pytest.mark.parametrize("what", ["echo", "plain"])
def test_messages_of_every_size(near, far, paid, scheme, what):
    """Text and binary, empty and of 16 MiB, compressed and not."""
    report = near(what, *paid(scheme, "echo"))
    assert report["messages"] == 6 and report["protocol"] == "chat"
    assert ("permessage-deflate" in report["extensions"]) == (what == "echo")
    assert report["closed"]["code"] == 1000
    assert far.ended.get(timeout=10)["code"] == 1000


def test_fragments(near, far, paid):
    report = near("fragments", *paid("payment", "echo"))
    assert report["answer"] == "one two three" and report["length"] == sum(range(1000))


def test_pings_of_both_ends(near, far, paid):
    report = near("ping", *paid("l402", "ping"))
    assert (report["pong"], report["answer"]) == ("mine", "pong yours")


@pytest.mark.parametrize("code", CODES)
def test_the_clients_close_code_arrives(near, far, paid, code):
    report = near("closes", *paid("l402", "echo"), code)
    assert report["closed"]["code"] == code
    end = far.ended.get(timeout=10)
    assert (end["code"], end["reason"]) == (code, f"bye {code}")


@pytest.mark.parametrize("code", CODES)
def test_the_servers_close_code_arrives(near, far, paid, code):
    report = near("closed", *paid("l402", f"close/{code}"))
    assert report["closed"] == {"code": code, "reason": f"bye {code}"}


def test_an_end_without_close_is_seen_by_the_other(near, far, paid):
    assert near("closed", *paid("l402", "abrupt"))["closed"]["code"] == 1006
    far.ended.get(timeout=10)
    near("vanishes", *paid("l402", "echo"))
    assert far.ended.get(timeout=10)["code"] in (1006, None)


def test_a_charge_opens_one_connection(far, paid):
    url, credential = paid("payment", "ping")
    assert python_client("ping", url, credential)["pong"] == "mine"
    with pytest.raises(InvalidStatus) as refused:
        python_client("ping", url, credential)
    assert refused.value.response.status_code == 402


def test_no_token_no_connection(far, paid):
    url, _ = paid("l402", "echo")
    with pytest.raises(InvalidStatus) as refused:
        python_client("echo", url, "Bearer nothing")
    assert refused.value.response.status_code == 402
    assert "L402 " in refused.value.response.headers.get_all("WWW-Authenticate")[0]


def test_many_at_once(far, paid):
    """300 connections, each talking; the answers never cross."""
    url, token = paid("l402", "echo")

    async def one(number: int) -> int:
        async with websockets.connect(
            url, additional_headers={"Authorization": token}, subprotocols=["chat"], proxy=None, open_timeout=30
        ) as connection:
            for turn in range(10):
                message = f"{number} {turn} " + "x" * (number * 10)
                await connection.send(message)
                assert await connection.recv() == message
        return number

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(one(number) for number in range(300)))

    assert asyncio.run(asyncio.wait_for(all_of_them(), 60)) == list(range(300))
    assert {far.ended.get(timeout=10)["code"] for _ in range(300)} == {1000}


def test_the_upstream_sees_the_handshake_but_no_credential(gateway, payer, node_peers):
    far = PythonServer()
    try:
        server = gateway([service("ws", "^/l402/", f"http://127.0.0.1:{far.port}", schemes=["l402"])])
        token = server.buy_token("/l402/echo", payer)
        python_client("ping", f"ws://127.0.0.1:{server.port}/l402/ping", token)
        head = far.heads[0].headers
        assert head["Upgrade"] == "websocket" and head["Connection"].lower() == "upgrade"
        assert "permessage-deflate" in head["Sec-WebSocket-Extensions"]
        assert "Authorization" not in head
    finally:
        far.stop()


# ---- half-closed tunnels: what WebSockets never do, other protocols do ----------------------------


@pytest.mark.parametrize("first", ["client", "upstream"])
def test_one_direction_ends_before_the_other(gateway, payer, first):
    """Whoever has said everything closes its side, and still gets all that the other has to say."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = gateway([service("raw", "^/raw", f"http://127.0.0.1:{listener.getsockname()[1]}", schemes=["l402"])])
    token = server.buy_token("/raw", payer)
    much = os.urandom(4 * 1024 * 1024)

    def read_all(sock: socket.socket) -> bytes:
        got = b""
        while piece := sock.recv(1 << 20):
            got += piece
        return got

    def says_all(sock: socket.socket) -> None:
        sock.sendall(much)
        sock.shutdown(socket.SHUT_WR)

    seen: list[bytes] = []

    def far() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(20)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += sock.recv(1)
            sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: raw\r\nConnection: Upgrade\r\n\r\n")
            if first == "upstream":
                says_all(sock)
                seen.append(read_all(sock))
            else:
                seen.append(read_all(sock))
                says_all(sock)

    thread = threading.Thread(target=far)
    thread.start()
    with listener, socket.create_connection(("127.0.0.1", server.port), timeout=20) as sock:
        sock.sendall(
            f"GET /raw HTTP/1.1\r\nHost: a\r\nUpgrade: raw\r\nConnection: Upgrade\r\nAuthorization: {token}\r\n\r\n".encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1)
        assert head.startswith(b"HTTP/1.1 101")
        if first == "client":
            says_all(sock)
            assert read_all(sock) == much
        else:
            assert read_all(sock) == much
            says_all(sock)
        thread.join(20)
    assert seen == [much]
