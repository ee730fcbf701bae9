"""A plain HTTP/1.1 client that keeps what tests look at: repeated headers, their order, raw bytes."""

from __future__ import annotations

import http.client
import json as json_module
import socket
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping
from urllib.parse import urlsplit

Headers = Mapping[str, str] | Iterable[tuple[str, str]]

# Called with every answer; the leak check listens here, so that no test can forget to.
observers: list[Callable[["Response"], None]] = []


@dataclass
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    reason: str = ""
    request: tuple[str, str] = field(default=("", ""))

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name: str, default: str | None = None) -> str | None:
        values = self.all(name)
        return ", ".join(values) if values else default

    def tokens(self, name: str) -> set[str]:
        """The members of a comma-separated header, without parameters, in lower case."""
        text = self.get(name) or ""
        return {part.split(";")[0].strip().lower() for part in text.split(",") if part.strip()}

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json_module.loads(self.body)

    @property
    def problem(self) -> str:
        """The last parts of the problem type, for example `lightning/unknown-challenge`."""
        kind = self.json()["type"]
        base = "https://paymentauth.org/problems/"
        assert kind.startswith(base), kind
        return kind[len(base) :]

    def __repr__(self) -> str:  # no header values: they may be credentials
        return f"<{self.status} to {' '.join(self.request)}, {len(self.body)} bytes, {self.get('content-type')}>"


def request(
    url: str,
    method: str = "GET",
    headers: Headers = (),
    body: bytes | str | None = None,
    timeout: float = 30.0,
    connection: http.client.HTTPConnection | None = None,
) -> Response:
    """One request; a new connection unless one is given."""
    parts = urlsplit(url)
    own = connection is None
    if connection is None:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    data = body.encode() if isinstance(body, str) else body
    try:
        names = {name.lower() for name, _ in pairs}
        connection.putrequest(method, target, skip_host="host" in names, skip_accept_encoding=True)
        for name, value in pairs:
            connection.putheader(name, value)
        if data is not None and not {"content-length", "transfer-encoding"} & names:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        answer = connection.getresponse()
        response = Response(answer.status, answer.getheaders(), answer.read(), answer.reason, (method, parts.path))
    finally:
        if own:
            connection.close()
    for observe in observers:
        observe(response)
    return response


def raw_exchange(
    host: str, port: int, data: bytes, timeout: float = 5.0, limit: int = 1 << 20, half_close: bool = True
) -> bytes:
    """Sends bytes as they are and returns everything until the server closes, or goes quiet. Closes
    its own sending side after them unless told otherwise, so that a server need not wait for more."""
    received = b""
    with socket.create_connection((host, port), timeout=timeout) as sock:
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before we were done: the answer is still to be read
        while len(received) < limit:
            try:
                chunk = sock.recv(65536)
            except (TimeoutError, ConnectionResetError):
                break
            if not chunk:
                break
            received += chunk
    return received


def status_of(raw: bytes) -> int | None:
    """The status of the first answer in `raw`, None when there is none."""
    line = raw.split(b"\r\n", 1)[0].split(b" ")
    return int(line[1]) if len(line) > 1 and line[0].startswith(b"HTTP/1.") and line[1].isdigit() else None
