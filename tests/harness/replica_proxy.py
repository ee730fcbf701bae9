"""Stands between replicas and their database and does what networks do: delays, stalls, closes and
resets connections, and cuts them where it hurts, before or after a COMMIT. One listener a replica, so
that each has a network of its own. The file runs itself as a process.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

if __package__:
    from .process import environment

COMMIT = b"COMMIT\0"
FAULTS = ("cut", "reset", "delay", "stall", "refuse", "before_commit", "after_commit")


class Proxy:
    """`ports` are where the replicas find the database that listens on the socket `target`."""

    def __init__(self, target: Path, replicas: int = 3):
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(target), str(replicas)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, bufsize=1, env=environment(), start_new_session=True)
        assert self._process.stdout
        self.ports = [int(word) for word in self._process.stdout.readline().split()]
        assert len(self.ports) == replicas

    def do(self, fault: str, replica: int, seconds: float = 0) -> None:
        """`delay` every piece and `stall` or `refuse` everything for some seconds; the others need none."""
        assert self._process.stdin and fault in FAULTS
        self._process.stdin.write(f"{fault} {replica} {seconds}\n")

    def close(self) -> None:
        self._process.kill()
        self._process.wait(10)


class Trouble:
    """A network that is never well: one fault after the other at one replica or another, until it is
    told to stop. The same seed makes the same list."""

    def __init__(self, proxy: Proxy, seed: int, every: float = 0.15):
        self.count = 0
        self._proxy = proxy
        self._chance = random.Random(seed)
        self._every = every
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._end.wait(self._chance.uniform(0.5, 1.5) * self._every):
            fault = FAULTS[self.count % len(FAULTS)]
            seconds = {"delay": 0.003, "stall": 0.3, "refuse": 0.2}.get(fault, 0) * self._chance.uniform(0.5, 1.5)
            self._proxy.do(fault, self._chance.randrange(len(self._proxy.ports)), seconds)
            self.count += 1

    def stop(self) -> None:
        """And everything flows again."""
        self._end.set()
        self._thread.join(10)
        for replica in range(len(self._proxy.ports)):
            self._proxy.do("delay", replica, 0)


class _Pair:
    def __init__(self, line: "_Line", near: asyncio.StreamWriter, far: asyncio.StreamWriter):
        self.line, self.near, self.far = line, near, far
        self.mute = False  # what the server says is lost

    def end(self, reset: bool = False) -> None:
        for writer in (self.near, self.far):
            sock = writer.get_extra_info("socket")
            if reset and sock is not None and sock.family == socket.AF_INET:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort() if reset else writer.close()


class _Line:
    """One replica's network."""

    def __init__(self, target: str):
        self.target = target
        self.pairs: set[_Pair] = set()
        self.delay = 0.0
        self.refusing = False
        self.flows = asyncio.Event()
        self.flows.set()
        self.at_commit = ""

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            there, far = await asyncio.open_unix_connection(self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = _Pair(self, writer, far)
        self.pairs.add(pair)
        await asyncio.gather(self.pass_on(pair, reader, far, True), self.pass_on(pair, there, writer, False))
        self.pairs.discard(pair)

    async def pass_on(self, pair: _Pair, source: asyncio.StreamReader, sink: asyncio.StreamWriter, asks: bool) -> None:
        try:
            while data := await source.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self.flows.wait()
                if asks and self.at_commit and COMMIT in data:
                    self.commit(pair, data)
                    continue
                if not (pair.mute and not asks):
                    sink.write(data)
                    await sink.drain()
        except OSError:
            pass
        finally:
            pair.near.close()
            pair.far.close()

    def commit(self, pair: _Pair, data: bytes) -> None:
        fault, self.at_commit = self.at_commit, ""
        if fault == "before_commit":
            pair.end(reset=True)
            return
        # It gets there, and nobody here ever hears of it.
        pair.mute = True
        pair.far.write(data)
        asyncio.get_running_loop().call_later(0.05, pair.end, True)

    async def do(self, fault: str, seconds: float) -> None:
        if fault in ("cut", "reset"):
            for pair in list(self.pairs):
                pair.end(fault == "reset")
        elif fault in ("before_commit", "after_commit"):
            self.at_commit = fault
        elif fault == "delay":
            self.delay = seconds
        elif fault == "stall":
            self.flows.clear()
            await asyncio.sleep(seconds)
            self.flows.set()
        elif fault == "refuse":
            self.refusing = True
            await asyncio.sleep(seconds)
            self.refusing = False


async def _main(target: str, replicas: int) -> None:
    lines = [_Line(target) for _ in range(replicas)]
    servers = [await asyncio.start_server(line.accept, "127.0.0.1", 0) for line in lines]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    running = set()
    while words := (await orders.readline()).split():
        task = asyncio.create_task(lines[int(words[1])].do(words[0].decode(), float(words[2])))
        running.add(task)
        task.add_done_callback(running.discard)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
