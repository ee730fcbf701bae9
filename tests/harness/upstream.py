"""The service behind octroi: it answers and writes down every request exactly as it came."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from .serving import Server


@dataclass(frozen=True)
class Seen:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Upstream:
    """Answers JSON. The query steers it: `status=503`, `delay=0.5` (seconds before the answer),
    `size=100000` (that many bytes of body), `header=Name:value`."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self._body()
                seen = Seen(self.command, self.path, tuple(self.headers.items()), body)
                with outer._lock:
                    outer.seen.append(seen)
                    number = len(outer.seen)
                query = parse_qs(urlsplit(self.path).query)
                if "delay" in query:
                    time.sleep(float(query["delay"][0]))
                text = json.dumps({"upstream": "ok", "n": number, "method": self.command, "path": self.path}).encode()
                if "size" in query:
                    text = b"x" * int(query["size"][0])
                self.send_response(int(query.get("status", ["200"])[0]))
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                for pair in query.get("header", []):
                    name, _, value = pair.partition(":")
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            def _body(self) -> bytes:
                if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
                    data = b""
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        data += self.rfile.read(size)
                        self.rfile.readline()
                    while self.rfile.readline().strip():
                        pass
                    return data
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(Handler)
        self.port = self._server.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def count(self) -> int:
        with self._lock:
            return len(self.seen)

    def of_path(self, path: str) -> list[Seen]:
        with self._lock:
            return [one for one in self.seen if urlsplit(one.target).path == path]

    def clear(self) -> None:
        with self._lock:
            self.seen.clear()

    def stop(self) -> None:
        self._server.stop()
