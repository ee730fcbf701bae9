"""Bodies that are larger than memory should ever be, both ways at once, paid for and not bound to a
digest: they pass through in pieces. OCTROI_LARGE_MIB: how large; 1,024 is what is promised."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from harness.process import environment
from harness.settings import service

SIZE = int(os.environ.get("OCTROI_LARGE_MIB", "256")) << 20
GROWTH = 16 << 20


class Echo:
    """Sends back what it gets while it gets it, over HTTP/1.1."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port = self._listener.getsockname()[1]
        self.received = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock:
            head = b""
            while b"\r\n\r\n" not in head:
                if not (piece := sock.recv(65536)):
                    return
                head += piece
            head, _, rest = head.partition(b"\r\n\r\n")
            length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])  # type: ignore[index]
            self.received += len(rest)  # before it is sent on: who has all of it back may read this
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % length + rest)
            left = length - len(rest)
            buffer = bytearray(1 << 18)
            while left > 0 and (n := sock.recv_into(buffer)):
                self.received += n
                sock.sendall(memoryview(buffer)[:n])
                left -= n

    def stop(self) -> None:
        self._listener.close()


def status(pid: int, name: str) -> int:
    return int(re.search(rf"(?m)^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024  # type: ignore[index]


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_a_large_body_passes_in_little_memory(gateway, payer, workdir, version):
    echo = Echo()
    upload = workdir / "upload"
    with upload.open("wb") as file:
        file.truncate(SIZE)
    try:
        price = service("paid", "^/paid", f"http://127.0.0.1:{echo.port}", schemes=["payment"], digest="off", max_body="2GiB")
        server = gateway([price])

        def send(file: Path) -> int:
            credential = server.buy("/paid", payer, "PUT")
            words = ["curl", "-sS", version, "-H", "Expect:", "-H", f"Authorization: {credential}", "-T", file, "-o", "/dev/null"]
            done = subprocess.run(
                [*map(str, words), "-w", "%{http_code} %{size_upload} %{size_download}", f"{server.url}/paid"],
                capture_output=True, text=True, timeout=280, env=environment(),
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            code, up, down = map(int, done.stdout.split())
            assert (code, up, down) == (200, file.stat().st_size, file.stat().st_size)
            return up

        small = workdir / "small"
        small.write_bytes(bytes(4 << 20))
        send(small)  # what the process takes once, it has taken by now
        pid = server.program.pid
        before = status(pid, "VmRSS")
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
        began = time.monotonic()
        echo.received = 0
        send(upload)
        seconds = time.monotonic() - began
        grown = status(pid, "VmHWM") - before
        print(f"{version}: {SIZE >> 20} MiB both ways in {seconds:.1f} s, {grown / 2**20:.1f} MiB more memory")
        assert echo.received == SIZE
        assert grown <= GROWTH
    finally:
        echo.stop()
        upload.unlink()
