"""One of several processes that serve the same: it can be killed, come back on its port, fall ill,
or close each connection after one answer. The file runs itself as that process."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

if __package__:
    from . import web
    from .process import Program, free_port, wait_for


class Replica:
    def __init__(self, name: str, directory: Path):
        self.name = name
        self.port = free_port()
        self._directory = directory
        self._starts = 0
        self.program: Program | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._starts += 1
        words = [sys.executable, __file__, str(self.port), self.name]
        self.program = Program(f"replica-{self.name}-{self._starts}", words, self._directory)

        def listens() -> bool:
            assert self.program
            self.program.must_run()
            return self.set().status == 200

        wait_for(listens, 10, f"replica {self.name}")

    def kill(self) -> None:
        assert self.program
        self.program.kill()

    def stop(self) -> None:
        if self.program and self.program.running():
            self.program.kill()

    def set(self, **values: int) -> web.Response:
        """`status` of every answer, `health` of `/healthz`, `close_after` (ms): closes unannounced."""
        query = "&".join(f"{key}={value}" for key, value in values.items())
        return web.request(f"{self.url}/_set?{query}", timeout=2)

    @property
    def count(self) -> int:
        """Requests but for health checks and our own."""
        return self.set().json()["count"]


class _Server:
    def __init__(self, name: str):
        self.name = name
        self.count = 0
        self.values = {"status": 200, "health": 200, "close_after": -1}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                length = next((int(x[15:]) for x in lines if x.lower().startswith("content-length:")), 0)
                await reader.readexactly(length)
                parts = urlsplit(target)
                status, text = self.answer(parts)
                body = b"" if method == "HEAD" else text
                # In one piece: killed in between, the answer is whole or was never begun.
                writer.write(
                    f"HTTP/1.1 {status} Any\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode() + body
                )
                await writer.drain()
                if self.values["close_after"] >= 0 and parts.path != "/_set":
                    await asyncio.sleep(self.values["close_after"] / 1000)
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, parts) -> tuple[int, bytes]:
        if parts.path == "/_set":
            self.values |= {key: int(value[0]) for key, value in parse_qs(parts.query).items()}
            return 200, json.dumps({"count": self.count}).encode()
        if parts.path == "/healthz":
            return self.values["health"], b"{}"
        self.count += 1
        return self.values["status"], json.dumps({"upstream": "ok", "replica": self.name}).encode()


async def _main(port: int, name: str) -> None:
    server = _Server(name)
    async with await asyncio.start_server(server.serve, "127.0.0.1", port, backlog=512):
        await asyncio.Event().wait()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2]))
