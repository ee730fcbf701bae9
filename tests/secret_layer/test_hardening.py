"""What the system keeps of a running server's memory: no core dump, and locked pages where it allows them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from harness.process import Program, wait_for
from harness.vault import REAL_STRIPE_KEY

CAP_IPC_LOCK = 14


@pytest.fixture
def served(serving, leaks, monkeypatch):
    leaks.register(REAL_STRIPE_KEY, "real key")
    monkeypatch.setenv("REAL_KEY_OF_TESTS", REAL_STRIPE_KEY)
    return serving("env://REAL_KEY_OF_TESTS")


def limits(pid: int) -> dict[str, tuple[str, str]]:
    out = {}
    for line in Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]:
        soft, hard = line[26:].split()[:2]
        out[line[:26].strip()] = (soft, hard)
    return out


def test_a_running_server_leaves_no_core(served):
    vault = served.start()
    assert limits(vault.program.pid)["Max core file size"] == ("0", "0")


def test_it_starts_where_nothing_may_be_locked_and_says_so(served):
    served.write()
    # Root may lock whatever the limit says, unless that right is taken away as well.
    drop = "setpriv --bounding-set=-ipc_lock " if os.geteuid() == 0 and shutil.which("setpriv") else ""
    served.program = program = Program(
        "serve-unlocked",
        ["/bin/sh", "-c", f'ulimit -l 0; exec {drop}"{served.binary}" serve --config "{served.file}"'],
        served.directory,
    )

    def listens() -> bool:
        program.must_run()
        return "vault listens" in (served.directory / "octroi.log").read_text()

    wait_for(listens, 30, "its start")
    status = Path(f"/proc/{program.pid}/status").read_text().splitlines()
    (effective,) = [int(line.split()[1], 16) for line in status if line.startswith("CapEff:")]
    if not effective >> CAP_IPC_LOCK & 1:
        assert "not locked into memory" in (served.directory / "octroi.log").read_text()
