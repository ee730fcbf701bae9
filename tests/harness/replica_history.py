"""Histories: what clients asked and what they were told, with the times of both, for the judge in
tests/faults/linear (porcupine)."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable

from .process import TEST_ENV

JUDGE = TEST_ENV / "bin" / "linear"


class History:
    def __init__(self) -> None:
        self.operations: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def add(self, model: str, key: str, client: int, call: int, end: int, **rest: Any) -> None:
        """`end` 0: nobody knows how it ended, or whether it did."""
        with self._lock:
            self.operations.append({"model": model, "key": key, "client": client, "call": call, "return": end, **rest})

    def run(self, model: str, key: str, client: int, ask: Callable[[], dict[str, Any] | None], **what: Any) -> dict[str, Any] | None:
        """Asks, and writes down question and answer; None: the outcome is not known."""
        call = time.monotonic_ns()
        try:
            told = ask()
        except (OSError, http.client.HTTPException):
            told = None
        self.add(model, key, client, call, time.monotonic_ns() if told else 0, **what, **(told or {}))
        return told

    def of(self, result: str, op: str | None = None) -> list[dict[str, Any]]:
        return [one for one in self.operations if one.get("result") == result and one["return"] and op in (None, one["op"])]

    @property
    def unknown(self) -> int:
        return sum(1 for one in self.operations if not one["return"])

    def judge(self, folder: Path) -> dict[str, Any]:
        return judge(self.operations, folder)


def judge(operations: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """What porcupine says: `verdict` is "ok", "illegal" or "unknown", `bad` the keys that were not ok."""
    assert JUDGE.exists(), f"{JUDGE.name} is not built; run script/bootstrap --peers"
    text = "\n".join(json.dumps(one) for one in operations)
    (folder / "history.jsonl").write_text(text)
    done = subprocess.run([JUDGE, "-draw", folder / "history.html"], input=text, capture_output=True, text=True, timeout=240)
    assert done.returncode in (0, 1), done.stderr
    told = json.loads(done.stdout)
    print(told)  # for whoever runs it with -s
    return told
