"""Many connections: what a gateway in front of many clients must hold."""

from __future__ import annotations

import re
import resource
import socket
from pathlib import Path

REQUEST = b"GET /free/a HTTP/1.1\r\nHost: a\r\n\r\n"


def service(upstream) -> dict:
    return {"name": "free", "match": {"path": "^/free/"}, "upstream": upstream.url, "auth": "off"}


def ask(connection: socket.socket) -> bytes:
    """One request and the whole of its answer, which may come in pieces."""
    connection.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head


def test_soft_descriptor_limit_is_raised(gateway, upstream):
    """Most systems start services with a soft limit of 1,024 descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = gateway([service(upstream)])
    server.stop()
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    connections = []
    try:
        for _ in range(400):
            connection = socket.create_connection(("127.0.0.1", server.port), 10)
            connections.append(connection)
            assert ask(connection).startswith(b"HTTP/1.1 200 "), len(connections)
        assert ask(connections[0]).startswith(b"HTTP/1.1 200 ")
    finally:
        for connection in connections:
            connection.close()


def resident(pid: int) -> int:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


def test_idle_connections_are_cheap(gateway, upstream):
    """Ten thousand kept-alive connections shall fit in 100 MiB: ten kilobytes each, all in all."""
    server = gateway([service(upstream)])
    connections = []
    try:
        for number in range(1100):
            connection = socket.create_connection(("127.0.0.1", server.port), 10)
            connections.append(connection)
            assert ask(connection).startswith(b"HTTP/1.1 200 ")
            if number == 99:  # what the process takes once, it has taken by now
                before = resident(server.program.pid)
        grown = resident(server.program.pid) - before
        assert grown < 1000 * 10 * 1024, grown
    finally:
        for connection in connections:
            connection.close()
