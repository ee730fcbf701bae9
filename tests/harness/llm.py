"""A mock of OpenAI's and Anthropic's APIs, as far as their SDKs need it: answers with `usage`, and
streams that go on until they are done, held back or left."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any, Iterator

from .serving import Server
from .vault import Call


class Models:
    """Says `words` one after the other. `fail` are statuses that the next calls get instead."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.words = ["one ", "two ", "three ", "four "]
        self.tokens = (100, 10)  # what a whole answer says that it cost, in and out
        self.fail: list[int] = []
        self.hold_after: int | None = None  # words; then a stream waits for `go`
        self.go = threading.Event()
        self.left = threading.Event()  # somebody stopped reading
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.whole(200, {"object": "list", "data": [], "has_more": False, "first_id": None, "last_id": None})

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with outer._lock:
                    outer.calls.append(Call(self.command, self.path, tuple(self.headers.items()), body))
                    status = outer.fail.pop(0) if outer.fail else 200
                if status != 200:
                    return self.whole(status, {"type": "error", "error": {"type": "api_error", "message": "mock"}})
                asked = json.loads(body)
                if asked.get("stream"):
                    return self.events(outer._events(self.path, asked))
                self.whole(200, outer._answer(self.path, asked))

            def whole(self, status: int, answer: Any) -> None:
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def events(self, events: Iterator[tuple[str, Any]]) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for kind, data in events:
                        text = (f"event: {kind}\n" if kind else "") + "data: "
                        text += data if isinstance(data, str) else json.dumps(data)
                        chunk = (text + "\n\n").encode()
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                        self.wfile.flush()
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    outer.left.set()
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(Handler)
        self.port = self._server.port

    def stop(self) -> None:
        self.go.set()
        self._server.stop()

    def _held(self) -> Iterator[str]:
        for i, word in enumerate(self.words):
            if i == self.hold_after:
                # What is said meanwhile tells whether anybody still listens.
                while not self.go.wait(0.02):
                    yield ""
            yield word

    def _answer(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        text, (sent, made) = "".join(self.words), self.tokens
        chat = {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made}
        plain = {"input_tokens": sent, "output_tokens": made}
        if path.endswith("/messages"):
            return {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "stop_reason": "end_turn",
                    "stop_sequence": None, "content": [{"type": "text", "text": text}], "usage": plain}
        if path.endswith("/responses"):
            return {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": asked["model"],
                    "output": [{"type": "message", "id": "m", "role": "assistant", "status": "completed",
                                "content": [{"type": "output_text", "text": text, "annotations": []}]}],
                    "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": {**plain, "total_tokens": sent + made}}
        if path.endswith("/embeddings"):
            return {"object": "list", "model": asked["model"], "data": [{"object": "embedding", "index": 0, "embedding": [0.1] * 30_000}],
                    "usage": {"prompt_tokens": sent, "total_tokens": sent}}
        return {"id": "chatcmpl_1", "object": "chat.completion", "created": 1, "model": asked["model"], "usage": chat,
                "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}]}

    def _events(self, path: str, asked: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        sent, made = self.tokens
        if path.endswith("/messages"):
            yield "message_start", {"type": "message_start", "message": {
                "id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "content": [],
                "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": sent, "output_tokens": 1}}}
            yield "content_block_start", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
            for word in self._held():
                yield ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}) if word else ("ping", {"type": "ping"})
            yield "content_block_stop", {"type": "content_block_stop", "index": 0}
            yield "message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": made}}
            yield "message_stop", {"type": "message_stop"}
            return
        chunk = {"id": "chatcmpl_1", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}
        for word in self._held():
            yield "", {**chunk, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}] if word else []}
        yield "", {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        if (asked.get("stream_options") or {}).get("include_usage"):
            yield "", {**chunk, "choices": [], "usage": {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made}}
        yield "", "[DONE]"
