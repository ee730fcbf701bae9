"""Processes under measurement: started on their CPU, and what the kernel says they used."""

from __future__ import annotations

import os
import resource
import signal
import socket
import statistics
import struct
import subprocess
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def raise_file_limit() -> int:
    """As many open files as the machine lets us have, up to what ten thousand connections need."""
    wanted = 65_536
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def cpu_sets() -> tuple[set[int], set[int]]:
    """The CPU of the proxy that is measured, and those of the load and the upstream."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) == 1:
        return set(cpus), set(cpus)
    return {cpus[0]}, set(cpus[1:])


PROXY_CPUS, LOAD_CPUS = cpu_sets()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Process:
    """A server in the background, with its children."""

    def __init__(self, words: list[str], log: Path, cpus: set[int], env: dict[str, str] | None = None):
        self.name = Path(words[0]).name
        self.log_path = log
        self.log = log.open("w")
        self.process = subprocess.Popen(
            words,
            stdout=self.log,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, cpus),
        )
        self.pid = self.process.pid

    def wait_port(self, port: int, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 0.2).close()
                return
            except OSError:
                time.sleep(0.02)
        tail = self.log_path.read_text(errors="replace")[-2000:]
        raise SystemExit(f"bench: {self.name} does not listen on {port}\n{tail}")

    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()

    def family(self) -> list[int]:
        """The process and all that it started."""
        parents: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            parents.setdefault(parent, []).append(int(stat.parent.name))
        out = [self.pid]
        for one in out:
            out += parents.get(one, [])
        return out

    def cpu_seconds(self) -> float:
        """User and system time. The scheduler's own count is exact; where the kernel does not show
        it, that of /proc/PID/stat, in hundredths of a second."""
        return sum(_cpu_seconds(pid) for pid in self.family())

    def peak_mib(self) -> float:
        return _status_mib(self.family(), "VmHWM:")

    def resident_mib(self) -> float:
        return _status_mib(self.family(), "VmRSS:")

    def reset_peak(self) -> None:
        for pid in self.family():
            try:
                Path(f"/proc/{pid}/clear_refs").write_text("5")
            except OSError:
                pass  # then the peak is that of the whole run


def _cpu_seconds(pid: int) -> float:
    exact = 0
    try:
        for one in Path(f"/proc/{pid}/task").iterdir():
            exact += int((one / "schedstat").read_text().split()[0])
    except OSError:
        exact = 0
    if exact:
        return exact / 1e9
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def _status_mib(pids: list[int], key: str) -> float:
    kib = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(key):
                    kib += int(line.split()[1])
        except OSError:
            continue
    return round(kib / 1024, 1)


class Syncs:
    """What slow_fsync.c counts in one process."""

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> tuple[int, float]:
        raw = self.path.read_bytes() if self.path.exists() else b""
        if len(raw) < 16:
            return 0, 0.0
        calls, nanoseconds = struct.unpack("=QQ", raw[:16])
        return calls, nanoseconds / 1e6


class Instructions:
    """Instructions of a process while a load runs, where the machine counts them."""

    available: bool | None = None

    def __init__(self, process: Process):
        self.perf = None
        if Instructions.available is None:
            Instructions.available = _can_count()
        if Instructions.available:
            pids = ",".join(str(p) for p in process.family())
            self.perf = subprocess.Popen(
                ["perf", "stat", "-x", ",", "-e", "instructions", "-p", pids],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            time.sleep(0.1)

    def stop(self) -> int | None:
        if self.perf is None:
            return None
        self.perf.send_signal(signal.SIGINT)
        return _instructions(self.perf.communicate(timeout=10)[1])


def _instructions(text: str) -> int | None:
    for line in text.splitlines():
        fields = line.split(",")
        if len(fields) > 2 and fields[2].startswith("instructions") and fields[0].isdigit():
            return int(fields[0])
    return None


def _can_count() -> bool:
    try:
        run = subprocess.run(
            ["perf", "stat", "-x", ",", "-e", "instructions", "true"], capture_output=True, text=True, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return _instructions(run.stderr) is not None


def settle(process: Process, seconds: float = 15) -> None:
    """Waits until the process rests: what it does after the last answer (rows, fsyncs) counts too."""
    end = time.monotonic() + seconds
    used = process.cpu_seconds()
    while time.monotonic() < end:
        time.sleep(0.1)
        now = process.cpu_seconds()
        if now - used < 0.004:
            return
        used = now


def measured(process: Process, load) -> dict:
    """One run of a load, with what the process used for it."""
    settle(process)
    process.reset_peak()
    counter = Instructions(process)
    before = process.cpu_seconds()
    row = load()
    settle(process)
    used = process.cpu_seconds() - before
    instructions = counter.stop()
    if not process.alive():
        raise SystemExit(f"bench: {process.name} died; see {process.log_path}")
    requests = max(1, row["requests"])
    row["cpu_us_per_request"] = used * 1e6 / requests
    row["instructions_per_request"] = None if instructions is None else instructions / requests
    row["rss_mib"] = process.peak_mib()
    return row


def median(rows: list[dict], key: str) -> float | None:
    values = [row[key] for row in rows if row.get(key) is not None]
    return statistics.median(values) if values else None
