"""An upstream that streams: bare events, and answers shaped as the vendors of language models shape
theirs. It writes down when it sent each piece, and how far it came."""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from .serving import Server

OPENAI_USAGE = {"prompt_tokens": 120, "completion_tokens": 380, "total_tokens": 500}
ANTHROPIC_USAGE = {"input_tokens": 40, "cache_creation_input_tokens": 10, "cache_read_input_tokens": 50, "output_tokens": 400}
WORDS = ["It ", "is ", "sunny ", "in ", "Paris", "."]


def sse(data: object, event: str = "") -> bytes:
    text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
    return ((f"event: {event}\n" if event else "") + f"data: {text}\n\n").encode()


def openai_stream(usage: bool = True) -> list[bytes]:
    def chunk(**more: object) -> bytes:
        return sse({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "small", "usage": None, **more})

    out = [chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])]
    out += [chunk(choices=[{"index": 0, "delta": {"content": word}, "finish_reason": None}]) for word in WORDS]
    out.append(chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]))
    if usage:
        out.append(chunk(choices=[], usage=OPENAI_USAGE))
    return [*out, sse("[DONE]")]


def anthropic_stream() -> list[bytes]:
    def event(kind: str, **more: object) -> bytes:
        return sse({"type": kind, **more}, kind)

    begin = {**ANTHROPIC_USAGE, "output_tokens": 1}
    return [
        event("message_start", message={"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": begin}),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("ping"),
        *[event("content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in WORDS],
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": ANTHROPIC_USAGE["output_tokens"]}),
        event("message_stop"),
    ]


def openai_body() -> dict:
    message = {"role": "assistant", "content": "".join(WORDS)}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": OPENAI_USAGE,
    }


def anthropic_body() -> dict:
    return {"id": "msg_1", "type": "message", "content": [{"type": "text", "text": "".join(WORDS)}], "usage": ANTHROPIC_USAGE}


class ModelUpstream:
    """`/events?n=30&gap=0.1` sends events, `&die=5` goes away after so many of them, `&end=` leaves the last
    word out; `/chat` and `/messages` answer a POST as its `stream` says, `/chat?usage=` without usage;
    `/error` is a 502; `/bytes?n=…&size=…&gap=…` sends pieces of no stream; `&gzip=` pretends to compress."""

    def __init__(self) -> None:
        self.sent: list[float] = []  # when each piece of the last answers was written
        self.gone = 0  # answers that nobody wanted to read on
        self.requests: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}"))

            def _answer(self, body: dict) -> None:
                outer.requests.append({name.lower(): value for name, value in self.headers.items()})
                url = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
                kind = "text/event-stream"
                path = "/" + url.path.rsplit("/", 1)[-1]
                if path == "/chat":
                    if not body.get("stream"):
                        return self._whole(openai_body())
                    pieces = openai_stream("usage" not in query)
                elif path == "/messages":
                    if not body.get("stream"):
                        return self._whole(anthropic_body())
                    pieces = anthropic_stream()
                elif path == "/bytes":
                    kind = "application/octet-stream"
                    pieces = [b"x" * int(query.get("size", "1024"))] * int(query.get("n", "1"))
                elif path == "/events":
                    pieces = [sse(f"event {n}") for n in range(1, int(query.get("n", "3")) + 1)]
                    if "end" not in query:
                        pieces.append(sse("[DONE]"))
                elif path == "/error":
                    return self._whole({"error": "not today"}, 502)
                else:
                    return self._whole({"upstream": "ok"})
                self._stream(pieces, kind, query)

            def _whole(self, value: dict, status: int = 200) -> None:
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def _stream(self, pieces: list[bytes], kind: str, query: dict[str, str]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Transfer-Encoding", "chunked")
                if "gzip" in query:
                    self.send_header("Content-Encoding", "gzip")
                self.end_headers()
                die = int(query.get("die", "-1"))
                try:
                    for at, piece in enumerate(pieces):
                        if at == die:
                            self.close_connection = True
                            return
                        outer.sent.append(time.monotonic())
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                        self.wfile.flush()
                        time.sleep(float(query.get("gap", "0")))
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    outer.gone += 1
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(Handler)
        self.port = self._server.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self._server.stop()
