"""A price source as somebody else would write one: the six calls of `pricesrpc.Prices`, over HTTP with
JSON or over gRPC. It knows the messages by their field numbers only, and none of octroi's code."""

from __future__ import annotations

import base64
import json
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler
from typing import Any, Callable

import grpc

from .serving import Server

STRING, INT, BOOL, BYTES = "string", "int", "bool", "bytes"

# name → (path of the HTTP call, what is asked, what is answered), fields by number
CALLS: dict[str, tuple[str, dict[int, tuple[str, str]], dict[int, tuple[str, str]]]] = {
    "GetPrice": (
        "/v1/aperture/price",
        {1: ("path", STRING), 2: ("http_request_text", STRING)},
        {1: ("price_sats", INT)},
    ),
    "ChallengeMinted": (
        "/v1/aperture/challenge-minted",
        {1: ("path", STRING), 2: ("http_request_text", STRING), 3: ("token_id", STRING), 4: ("price_sats", INT), 5: ("service_name", STRING)},
        {},
    ),
    "AuthorizeRequest": (
        "/v1/aperture/authorize",
        {1: ("path", STRING), 2: ("http_request_text", STRING), 3: ("token_id", STRING), 4: ("service_name", STRING)},
        {1: ("allowed", BOOL), 2: ("price_sats", INT), 3: ("reason", STRING), 4: ("reserved_estimate", INT)},
    ),
    "ReportUsage": (
        "/v1/aperture/usage",
        {
            1: ("token_id", STRING), 2: ("path", STRING), 3: ("service_name", STRING), 4: ("http_status", INT),
            5: ("content_type", STRING), 6: ("complete", BOOL), 7: ("response_tail", BYTES),
            8: ("content_encoding", STRING), 9: ("reserved_estimate", INT),
        },
        {1: ("debited_sats", INT), 2: ("remaining_sats", INT)},
    ),
    "QuoteSession": (
        "/v1/aperture/session/quote",
        {1: ("path", STRING), 2: ("http_request_text", STRING), 3: ("service_name", STRING), 4: ("session_id", STRING)},
        {1: ("unit_price_sats", INT), 2: ("deposit_sats", INT)},
    ),
    "SettleSession": (
        "/v1/aperture/session/settle",
        {
            1: ("session_id", STRING), 2: ("path", STRING), 3: ("service_name", STRING), 4: ("http_status", INT),
            5: ("content_type", STRING), 6: ("content_encoding", STRING), 7: ("complete", BOOL),
            8: ("response_tail", BYTES), 9: ("estimate_sats", INT), 10: ("http_request_text", STRING),
        },
        {1: ("cost_sats", INT)},
    ),
}  # fmt: skip


def _varint(n: int) -> bytes:
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def encode(fields: dict[int, tuple[str, str]], message: dict[str, Any]) -> bytes:
    out = b""
    for number, (name, kind) in fields.items():
        value = message.get(name)
        if not value:
            continue
        if kind in (INT, BOOL):
            out += _varint(number << 3) + _varint(int(value))
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(raw)) + raw
    return out


def decode(fields: dict[int, tuple[str, str]], raw: bytes) -> dict[str, Any]:
    zero = {STRING: "", INT: 0, BOOL: False, BYTES: b""}
    out: dict[str, Any] = {name: zero[kind] for name, kind in fields.values()}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = raw[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(raw):
        key = varint()
        name, kind = fields[key >> 3]
        if key & 7 == 0:
            number = varint()
            number -= (1 << 64) if number >> 63 else 0
            out[name] = bool(number) if kind == BOOL else number
        else:
            assert key & 7 == 2, f"wire type of {name}"
            length = varint()
            value = raw[at : at + length]
            at += length
            out[name] = value.decode() if kind == STRING else value
    return out


class Pricer:
    """Answers from `say[call](ask)`; what is in `broken` fails. Every call is kept in `calls`."""

    token = "the pricer's own token"

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any], str]] = []
        self.broken: set[str] = set()
        self.release = threading.Event()
        self.release.set()
        self.raw: str | None = None  # answered instead, as it is (HTTP)
        self.tokens_seen: list[str] = []
        self.lock = threading.Lock()
        self.say: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "GetPrice": lambda ask: {"price_sats": 7},
            "ChallengeMinted": lambda ask: {},
            "AuthorizeRequest": lambda ask: {"allowed": True, "reserved_estimate": 42},
            "ReportUsage": lambda ask: {"debited_sats": 1, "remaining_sats": 6},
            "QuoteSession": lambda ask: {"unit_price_sats": 5, "deposit_sats": 50},
            "SettleSession": lambda ask: {"cost_sats": 2},
        }

    def of(self, call: str) -> list[dict[str, Any]]:
        with self.lock:
            return [ask for name, ask, _ in self.calls if name == call]

    def keys(self, call: str) -> list[str]:
        with self.lock:
            return [key for name, _, key in self.calls if name == call]

    def answer(self, call: str, ask: dict[str, Any], key: str) -> dict[str, Any] | None:
        with self.lock:
            self.calls.append((call, ask, key))
            broken = call in self.broken
        self.release.wait(20)
        return None if broken else self.say[call](ask)

    def source(self) -> dict[str, Any]:
        """As `paywall.price_sources` names it."""
        raise NotImplementedError


class HttpPricer(Pricer):
    def __init__(self, port: int = 0) -> None:
        super().__init__()
        outer = self
        by_path = {path: name for name, (path, _, _) in CALLS.items()}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                call = by_path.get(self.path)
                status, text = 404, "{}"
                if call:
                    ask = json.loads(body)
                    if "response_tail" in ask:
                        ask["response_tail"] = base64.b64decode(ask["response_tail"])
                    outer.tokens_seen.append(self.headers.get("Authorization", ""))
                    said = outer.answer(call, ask, self.headers.get("Idempotency-Key", ""))
                    # Integers as strings, as JSON of protocol buffers has them.
                    status = 500 if said is None else 200
                    text = outer.raw or json.dumps(
                        {k: str(v) if type(v) is int else v for k, v in (said or {}).items()}
                    )
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *args: Any) -> None:
                pass

        self._server = Server(Handler, port)
        self.port = self._server.port

    def source(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self.port}"}

    def stop(self) -> None:
        self.release.set()
        self._server.stop()


class GrpcPricer(Pricer):
    def __init__(self) -> None:
        super().__init__()

        def handler(call: str) -> grpc.RpcMethodHandler:
            _, asked, answered = CALLS[call]

            def serve(raw: bytes, context: grpc.ServicerContext) -> bytes:
                metadata = dict(context.invocation_metadata())
                self.tokens_seen.append(metadata.get("authorization", ""))
                said = self.answer(call, decode(asked, raw), metadata.get("idempotency-key", ""))
                if said is None:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
                return encode(answered, said or {})

            return grpc.unary_unary_rpc_method_handler(serve)

        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        handlers = {call: handler(call) for call in CALLS}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("pricesrpc.Prices", handlers),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def source(self) -> dict[str, Any]:
        return {"url": f"http://127.0.0.1:{self.port}", "protocol": "grpc"}

    def stop(self) -> None:
        self.release.set()
        self._server.stop(None).wait(5)
