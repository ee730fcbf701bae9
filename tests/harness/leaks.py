"""Looks for secrets where none may be: every value that a test saw and that only its holder may
know is registered here, and when the session ends all logs, captured output and stored files of the
run are searched for it, as text, hexadecimal, base64 and raw bytes (acceptance point 10 of the first
issue, guarantee 5 of the architecture).

Exempt are only files that tests themselves made to hand a secret over (configuration, key files),
and what is not octroi's (the nodes' own data), which lies outside the run's folder.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
import threading
from pathlib import Path
from typing import Iterable

_SHORTEST = 12  # bytes; below that a value could turn up by chance


class Leaks:
    def __init__(self, run: Path, values: Path, worker: str):
        self.run = run
        self._file = values / f"{worker}.jsonl"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def register(self, value: str | bytes, kind: str) -> None:
        text = value.hex() if isinstance(value, bytes) else value
        if not text:
            return
        with self._lock:
            if text in self._known:
                return
            self._known.add(text)
            with self._file.open("a") as out:
                out.write(json.dumps({"value": text, "kind": kind}) + "\n")

    def exempt(self, path: Path) -> None:
        with self._lock, self._file.open("a") as out:
            out.write(json.dumps({"exempt": str(path.resolve())}) + "\n")


def forms(value: str) -> set[bytes]:
    """Every spelling under which `value` could have been written down."""
    found: set[bytes] = {value.encode()}
    raws: list[bytes] = []
    if len(value) % 2 == 0 and re.fullmatch(r"[0-9a-fA-F]+", value):
        raws.append(bytes.fromhex(value))
    elif re.fullmatch(r"[A-Za-z0-9+/_\-]+=*", value) and len(value.rstrip("=")) % 4 != 1:
        try:
            text = value.rstrip("=").replace("-", "+").replace("_", "/")
            raws.append(base64.b64decode(text + "=" * (-len(text) % 4)))
        except binascii.Error:
            pass
    if not raws:
        raws.append(value.encode())
    for raw in raws:
        found |= {raw, raw.hex().encode(), raw.hex().upper().encode()}
        # The last group of base64 depends on what follows, so the tail is left away.
        whole = raw[: len(raw) - len(raw) % 3]
        found |= {base64.b64encode(whole), base64.urlsafe_b64encode(whole)}
    return {one for one in found if len(one) >= _SHORTEST}


def _pattern(form: bytes) -> bytes | None:
    """grep takes one pattern a line, so a form with a line break is searched by its longest line."""
    longest = max(form.split(b"\n"), key=len)
    return longest if len(longest) >= _SHORTEST else None


def registered(values: Path) -> tuple[dict[str, str], set[str]]:
    kinds: dict[str, str] = {}
    exempt: set[str] = set()
    for file in sorted(values.glob("*.jsonl")):
        for line in file.read_text().splitlines():
            entry = json.loads(line)
            if "exempt" in entry:
                exempt.add(entry["exempt"])
            else:
                kinds[entry["value"]] = entry["kind"]
    return kinds, exempt


def scan(run: Path, values: Path, more: Iterable[Path] = ()) -> tuple[int, int, list[str]]:
    """Returns how many values and files were looked at, and one line for each finding. Findings
    name the kind of the value and the file, never the value."""
    kinds, exempt = registered(values)
    files = [
        path
        for top in (run, *more)
        for path in sorted(top.rglob("*"))
        if path.is_file() and not path.is_symlink() and str(path.resolve()) not in exempt
    ]
    by_pattern: dict[bytes, str] = {}
    for value, kind in kinds.items():
        for form in forms(value):
            if pattern := _pattern(form):
                by_pattern[pattern] = kind
    if not by_pattern or not files:
        return len(kinds), len(files), []
    patterns = values / "patterns"
    patterns.write_bytes(b"\n".join(sorted(by_pattern)) + b"\n")
    findings: list[str] = []
    try:
        names = b"\0".join(os.fsencode(path) for path in files)
        hits = subprocess.run(
            ["xargs", "-0", "grep", "-a", "-l", "-F", "-Z", "-f", str(patterns), "--", "/dev/null"],
            input=names,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            timeout=600,
        )
        # grep says 1 for "nothing found"; xargs turns that into 123.
        if hits.returncode not in (0, 1, 123) or hits.stderr.strip():
            raise RuntimeError(f"the search itself failed: {hits.stderr.decode(errors='replace')[:500]}")
        for name in filter(None, hits.stdout.split(b"\0")):
            data = Path(os.fsdecode(name)).read_bytes()
            seen: dict[str, int] = {}
            where: dict[str, int] = {}
            for pattern, kind in by_pattern.items():
                if (offset := data.find(pattern)) >= 0:
                    seen[kind] = seen.get(kind, 0) + 1
                    where.setdefault(kind, offset)
            findings += [
                f"{os.fsdecode(name)}: {count} spelling(s) of {kind}, the first at byte {where[kind]}"
                for kind, count in sorted(seen.items())
            ]
    finally:
        patterns.unlink(missing_ok=True)
    return len(kinds), len(files), findings
