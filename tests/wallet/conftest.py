"""The wallet's commands as an agent calls them."""

from __future__ import annotations

import json

import pytest

from harness import sim


@pytest.fixture
def paid(sim_file):
    return lambda: sim.deposits_paid(sim_file, "agent")


@pytest.fixture
def fetch(payer, leaks):
    def run(*words: str, status: int = 0, session: bool = True):
        given = ["--session"] if session else []
        done = payer.run("fetch", *given, "--json", *words, check=False)
        assert done.returncode == status, f"exit {done.returncode}: {done.stdout[-800:]} {done.stderr[-1500:]}"
        if status:
            return json.loads(done.stderr)["error"]
        answer = json.loads(done.stdout)
        if answer.get("receipt"):
            leaks.register(str(answer["receipt"]), "Payment-Receipt")
        return answer

    return run


@pytest.fixture
def sessions(payer):
    def run(*words: str, status: int = 0):
        done = payer.run("wallet", "sessions", *words, "--json", check=False)
        assert done.returncode == status, f"exit {done.returncode}: {done.stdout[-800:]} {done.stderr[-1500:]}"
        return json.loads(done.stdout)["sessions"]

    return run
