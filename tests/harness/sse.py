"""Reads an answer while it comes: bytes, events and the time of each."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

OURS = ("payment-need-topup", "session-timeout", "payment-receipt")


@dataclass
class Event:
    type: str
    data: str
    at: float  # of its last byte, monotonic

    def json(self) -> Any:
        return json.loads(self.data)


def events_of(raw: bytes, at: float = 0) -> list[Event]:
    out = []
    for block in raw.decode().replace("\r\n", "\n").split("\n\n")[:-1]:
        lines = [line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":")]
        data = "\n".join(value for name, value in lines if name == "data")
        kind = "".join(value for name, value in lines if name == "event")
        if any(name == "data" for name, _ in lines):
            out.append(Event(kind, data, at))
    return out


class Stream:
    """Begins the request; a thread reads on. `whole`: the answer ended as it should."""

    def __init__(self, url: str, headers: dict[str, str], method: str = "GET", body: Any = None):
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=60)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        data = json.dumps(body).encode() if body is not None else None
        self._connection.request(method, target, data, headers)
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        self.headers = self._answer.headers
        self.raw = b""
        self.events: list[Event] = []
        self.whole = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            while piece := self._answer.read1(65536):
                self.raw += piece
                known = len(self.events)
                self.events += events_of(self.raw, time.monotonic())[known:]
            self.whole = True
        except (http.client.HTTPException, OSError, ValueError, AttributeError):
            pass

    def until(self, type: str, timeout: float = 20) -> Event:
        """The first event of that type."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if found := next((one for one in self.events if one.type == type), None):
                return found
            if not self._thread.is_alive():
                break
            time.sleep(0.01)
        found = next((one for one in self.events if one.type == type), None)
        assert found, f"no {type!r} among {[one.type for one in self.events]}"
        return found

    def wait(self, timeout: float = 30) -> "Stream":
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "the answer does not end"
        return self

    def leave(self) -> None:
        if self._connection.sock:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def of(self, type: str) -> list[Event]:
        return [one for one in self.events if one.type == type]

    @property
    def sold(self) -> list[str]:
        """What the upstream sent, without its last word."""
        return [one.data for one in self.events if one.type not in OURS and one.data != "[DONE]"]
