"""A server of the Model Context Protocol ("Streamable HTTP") as a vendor behind the vault, and a client
that speaks to a program over its stdin, as hosts do."""

from __future__ import annotations

import json
import subprocess
import threading
from dataclasses import dataclass
from typing import Any, Callable

from .process import environment, wait_for
from .vault import Call, Reply, Vault, Vendor

VERSION = "2025-06-18"
JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}


def text(value: Any, *, is_error: bool = False) -> dict[str, Any]:
    """The result of a tool that says one thing."""
    said = value if isinstance(value, str) else json.dumps(value)
    return {"content": [{"type": "text", "text": said}], **({"isError": True} if is_error else {})}


@dataclass
class ToolCall:
    name: str
    arguments: dict[str, Any]
    request: Call
    message: dict[str, Any]


class McpServer:
    """Tools by name. A tool gives its result, a dict with only `error` in it, or a Reply as it is."""

    def __init__(self, **tools: Callable[[dict[str, Any]], Any]) -> None:
        self.tools = tools
        self.called: list[ToolCall] = []
        self.methods: list[str] = []
        self.session = "session-1"
        self.stream = False  # answers are event streams, with a notification before
        self._lock = threading.Lock()
        self.vendor = Vendor()
        self.vendor.reply = self._reply
        self.port = self.vendor.port

    def stop(self) -> None:
        self.vendor.stop()

    def _reply(self, call: Call) -> Reply:
        if call.method != "POST":
            with self._lock:
                self.methods.append(call.method)
            return Reply(405)
        message = json.loads(call.body)
        one = message[0] if isinstance(message, list) else message
        with self._lock:
            self.methods.append(one.get("method", "(answer)"))
        if "id" not in one or "method" not in one:
            return Reply(202, (), b"")
        said = self._answer(one, call)
        if isinstance(said, Reply):
            return said
        whole: Any = {"jsonrpc": "2.0", "id": one["id"], **said}
        headers = (("Mcp-Session-Id", self.session),) if one["method"] == "initialize" else ()
        if isinstance(message, list):
            whole = [whole]
        if not self.stream:
            return Reply(200, (("Content-Type", "application/json"), *headers), json.dumps(whole).encode())
        before = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}}
        pieces = tuple(f"event: message\ndata: {json.dumps(m)}\n\n".encode() for m in (before, whole))
        return Reply(200, (("Content-Type", "text/event-stream"), *headers), pieces=pieces)

    def _answer(self, message: dict[str, Any], call: Call) -> Any:
        method, params = message["method"], message.get("params", {})
        if method == "initialize":
            return {"result": {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                               "serverInfo": {"name": "fake", "version": "1"}}}
        if method == "tools/list":
            return {"result": {"tools": [{"name": n, "inputSchema": {"type": "object"}} for n in sorted(self.tools)]}}
        if method != "tools/call":
            return {"result": {}}
        with self._lock:
            self.called.append(ToolCall(params["name"], params.get("arguments", {}), call, message))
        given = self.tools[params["name"]](params.get("arguments", {}))
        if isinstance(given, Reply) or set(given) == {"error"}:
            return given
        return {"result": given}


def tool_rows(vault: Vault, count: int, *words: str) -> list[tuple[Any, ...]]:
    """What became of so many calls of tools, in no order: rows are written after the answers."""

    def rows() -> list[dict[str, Any]] | None:
        found = [r for r in vault.audit(*words) if r["kind"] == "call.outcome" and not r["operation"].startswith("mcp.")]
        return found if len(found) >= count else None

    found = wait_for(rows, 60, "the rows of tools")
    return sorted((r["operation"], r["verdict"], r.get("reason") or "", r.get("server") or "") for r in found)


class Stdio:
    """A program that speaks the protocol over stdin and stdout, behind `octroi run` or without it."""

    def __init__(self, command: list[str], **env: str) -> None:
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, env=environment(**env))
        self._id = 0
        # Reading waits for as long as the program lives.
        self._watchdog = threading.Timer(120, self.child.kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        try:
            self.ask("initialize", protocolVersion=VERSION, capabilities={}, clientInfo={"name": "test", "version": "1"})
            self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        except BaseException:
            self._watchdog.cancel()
            self.child.kill()
            raise

    def send(self, message: dict[str, Any]) -> None:
        assert self.child.stdin
        self.child.stdin.write(json.dumps(message) + "\n")
        self.child.stdin.flush()

    def ask_whole(self, method: str, **params: Any) -> dict[str, Any]:
        self._id += 1
        self.send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        assert self.child.stdout and self.child.stderr
        for line in self.child.stdout:
            answer = json.loads(line)
            if answer.get("id") == self._id:
                return answer
        raise AssertionError("the server ended: " + self.child.stderr.read())

    def ask(self, method: str, **params: Any) -> Any:
        return self.ask_whole(method, **params)["result"]

    def call_whole(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return self.ask("tools/call", name=tool, arguments=arguments)

    def call(self, tool: str, **arguments: Any) -> str:
        return self.call_whole(tool, **arguments)["content"][0]["text"]

    def end(self) -> int:
        assert self.child.stdin
        self._watchdog.cancel()
        self.child.stdin.close()
        self.child.terminate()
        return self.child.wait(30)
