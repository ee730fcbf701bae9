"""An OpenTelemetry collector that keeps what it is sent, as bytes and as OpenTelemetry's own message types."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Callable, Iterator

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .serving import Server


@dataclass(frozen=True)
class Post:
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def message(self) -> Any:
        """Fails at an unknown field, a wrong type, or an enumerator that does not exist."""
        kind = ExportTraceServiceRequest if self.path.endswith("/v1/traces") else ExportMetricsServiceRequest
        return json_format.Parse(_ids_in_base64(self.body), kind())


def _ids_in_base64(body: bytes) -> str:
    """OTLP writes ids in hexadecimal, where the rules of protobuf would have base64: the one deviation."""
    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(one) for one in value]
        if not isinstance(value, dict):
            return value
        out = {}
        for key, one in value.items():
            if key in ("traceId", "spanId", "parentSpanId"):
                assert len(one) == (32 if key == "traceId" else 16) and one == one.lower(), (key, one)
                out[key] = base64.b64encode(bytes.fromhex(one)).decode()
            else:
                out[key] = walk(one)
        return out

    return json.dumps(walk(json.loads(body)))


@dataclass(frozen=True)
class SpanSeen:
    resource: dict[str, Any]
    raw: dict[str, Any]

    @property
    def attributes(self) -> dict[str, Any]:
        return attributes_of(self.raw)

    @property
    def name(self) -> str:
        return self.raw["name"]

    @property
    def kind(self) -> int:
        return self.raw["kind"]

    @property
    def trace(self) -> str:
        return self.raw["traceId"]

    @property
    def id(self) -> str:
        return self.raw["spanId"]

    @property
    def parent(self) -> str:
        return self.raw.get("parentSpanId", "")

    @property
    def failed(self) -> bool:
        return self.raw["status"].get("code") == 2


SERVER, CLIENT, INTERNAL = 2, 3, 1


def attributes_of(raw: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for one in raw.get("attributes", []):
        (form, value), = one["value"].items()
        out[one["key"]] = int(value) if form == "intValue" else value
    return out


class Collector:
    """`answer` says how a message is answered: a status, and headers."""

    def __init__(self, port: int = 0) -> None:
        self.posts: list[Post] = []
        self.answer: Callable[[Post], tuple[int, dict[str, str]]] = lambda post: (200, {})
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                post = Post(self.path, tuple(self.headers.items()), body)
                status, headers = outer.answer(post)
                if status < 300:
                    with outer._lock:
                        outer.posts.append(post)
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(Handler, port)
        self.port = self._server.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def taken(self, signal: str) -> list[Post]:
        with self._lock:
            return [post for post in self.posts if post.path.endswith(f"/v1/{signal}")]

    def spans(self, kind: int | None = None) -> list[SpanSeen]:
        out = []
        for post in self.taken("traces"):
            for resource in json.loads(post.body)["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    out += [SpanSeen(attributes_of(resource["resource"]), span) for span in scope["spans"]]
        return [span for span in out if kind is None or span.kind == kind]

    def stop(self) -> None:
        self._server.stop()


# A trace that somebody else has begun, and how a request says so.
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


def collecting(folder: Path) -> Iterator[Collector]:
    """One for a test; what it was sent is left in `folder`, where the search for leaks at the end of the run looks."""
    made = Collector()
    yield made
    made.stop()
    (folder / "exported").write_bytes(b"\n".join(post.body for post in made.posts))
