"""Starting and stopping the programs under test: free ports, waiting, ending by process id."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, Sequence, TextIO

ROOT = Path(__file__).resolve().parents[2]
TEST_ENV = ROOT / "build" / "test-env"


def run_dir() -> Path:
    """Where this run's programs write; kept for whoever has to look, replaced by the next run."""
    return ROOT / "build" / "test-run" / os.environ.get("OCTROI_TEST_RUN", "manual")


def _own_ports() -> range:
    """Below the ports that the system gives to clients, and a part of them for each of pytest's workers:
    a port that was free a moment ago may be anybody's by the time a server takes it, and octroi's
    workers share theirs, so that two servers could take the same one without either noticing."""
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    first, last = (16000, low) if low >= 20000 else (low, 65536)
    count = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    share = (last - first) // count
    mine = first + share * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return range(mine, mine + share)


_ports = _own_ports()
_next_port = os.getpid() % len(_ports)  # another run beside this one begins elsewhere
_given_lock = threading.Lock()
_claims: list[TextIO] = []


def keep_to_part_of_ports(folder: Path, parts: int) -> None:
    """For a program of the tests that runs several times at once, each unknown to the others: from now on
    this process hands out one of so many parts of the ports, which is nobody else's of those that share
    the folder."""
    global _ports, _next_port
    for part in range(parts):
        claim = open(folder / f"ports-{part}", "w")  # noqa: SIM115: held until the process ends
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _claims.append(claim)
            _ports, _next_port = _ports[part::parts], 0
            return
    raise RuntimeError(f"all {parts} parts of the ports are taken")


def free_port() -> int:
    """A port that nothing listens on, and that is not handed out again before all others were."""
    global _next_port
    for _ in range(len(_ports)):
        with _given_lock:
            port = _ports[_next_port]
            _next_port = (_next_port + 1) % len(_ports)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise RuntimeError("no port is free")


class ProgramEnded(RuntimeError):
    """It ended while something waited for it; there is nothing left to wait for."""


def wait_for(condition: Callable[[], object], seconds: float, what: str, pause: float = 0.05) -> object:
    """Calls `condition` until it returns something true; exceptions count as not yet, except
    that of a program that has ended."""
    deadline = time.monotonic() + seconds
    last: BaseException | None = None
    while True:
        try:
            value = condition()
            if value:
                return value
        except ProgramEnded:
            raise
        except Exception as error:  # noqa: BLE001: whatever it is, it is reported at the deadline
            last = error
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:g} s" + (f"; last error: {last!r}" if last else ""))
        time.sleep(pause)


def environment(**extra: str) -> dict[str, str]:
    """Our environment without what would change how the programs under test behave."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("OCTROI_", "MPP_", "XDG_")) and key.lower() not in ("http_proxy", "https_proxy", "all_proxy")
    }
    kept["LC_ALL"] = "C.UTF-8"
    kept["NO_PROXY"] = kept["no_proxy"] = "127.0.0.1,localhost,::1"
    kept.update(extra)
    return kept


class Program:
    """A child process whose output goes to files and that is ended by its own process id."""

    def __init__(self, name: str, argv: Sequence[str | Path], directory: Path, env: dict[str, str] | None = None,
                 cwd: Path | None = None):
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.stdout_path = directory / f"{name}.stdout.log"
        self.stderr_path = directory / f"{name}.stderr.log"
        with self.stdout_path.open("ab") as out, self.stderr_path.open("ab") as err:
            self.process = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=cwd or directory,
                env=env if env is not None else environment(),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def running(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self.stdout_path.read_text(errors="replace") + self.stderr_path.read_text(errors="replace")

    def must_run(self) -> None:
        if not self.running():
            raise ProgramEnded(f"{self.name} ended with {self.process.returncode}:\n{self.output()[-4000:]}")

    def stop(self, seconds: float = 15.0) -> int:
        """SIGTERM, then SIGKILL; returns the exit status."""
        if self.running():
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(10)

    def kill(self) -> None:
        """SIGKILL: the program gets no chance to tidy up."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)

    def resident_kib(self) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise RuntimeError(f"{self.name} has no memory figures: not running?")
