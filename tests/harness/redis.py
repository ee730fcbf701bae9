"""A Redis server of the tests' own, on a free port, with nothing on disk."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from .process import environment, free_port, wait_for


class Redis:
    def __init__(self, *more: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="octroi-redis-"))
        self.port = free_port()
        self._more = more
        self._server: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.directory / "log").open("ab") as log:
            self._server = subprocess.Popen(
                ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                 "--dir", str(self.directory), *self._more],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory, env=environment(),
                start_new_session=True)
        wait_for(lambda: self.command("PING").startswith(("+PONG", "-NOAUTH")), 20, "Redis")

    def command(self, *words: str, seconds: float = 5) -> str:
        """The first piece of its answer, as it stands on the wire."""
        out = f"*{len(words)}\r\n" + "".join(f"${len(w.encode())}\r\n{w}\r\n" for w in words)
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(out.encode())
            return connection.recv(65536).decode(errors="replace")

    def clients(self) -> int:
        """Connections of others."""
        return self.command("CLIENT", "LIST").count("id=") - 1

    def commands(self) -> int:
        """How many it has run, this one not counted."""
        info = self.command("INFO", "stats")
        return int(info.split("total_commands_processed:")[1].split("\r")[0])

    def flush(self) -> None:
        assert self.command("FLUSHALL").startswith("+OK")

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        assert self._server
        self._server.wait(20)

    def hang(self) -> None:
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, what: int) -> None:
        if self._server and self._server.poll() is None:
            os.kill(self._server.pid, what)

    def close(self) -> None:
        self._signal(signal.SIGCONT)
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)
