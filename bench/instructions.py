"""Counts the instructions of the gate's own work with callgrind and compares them with the committed
figures: the same on any machine, so a rise is the change's and not the neighbours'.

    script/bench --instructions            fails when a case costs over 5 % more than bench/instructions.json
    script/bench --instructions --accept   writes what was counted into that file, to be committed with
                                           the change that explains it

A fall of over 5 % is told, so that the file follows improvements too. Instructions inside libcrypto
stand apart: processors hash with instructions that valgrind does not know, and what it runs in their
place would hide everything else. Processor features that not every machine has are switched off, so
that OpenSSL and the C library take the same paths everywhere.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "bench/instructions.json"
COUNT = 400
ALLOWED = 0.05
FLOOR = 20  # instructions; below it a percentage says nothing

SAME_EVERYWHERE = {
    "OPENSSL_ia32cap": "~0x0:0",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-AVX512VL,-AVX512BW,-ERMS,-FSRM,-BMI1,-BMI2,-LZCNT,-MOVBE",
}


def by_library(profile: str) -> dict[str, int]:
    """Self cost by where the code is: "crypto" is libcrypto, "own" the rest. The format is told in
    valgrind's manual: cost lines belong to the last `ob=`; the line after `calls=` is the callee's."""
    names: dict[str, str] = {}
    cost = {"own": 0, "crypto": 0}
    where, skip = "own", False
    for line in profile.splitlines():
        if line.startswith("ob="):
            number, _, name = line[3:].partition(" ")
            name = names.setdefault(number, name)
            where = "crypto" if "libcrypto" in name else "own"
        elif line.startswith("cob="):
            number, _, name = line[4:].partition(" ")
            if name:
                names[number] = name
        elif line.startswith("calls="):
            skip = True
        elif line and line[0] in "0123456789+-*":
            if not skip:
                cost[where] += int(line.split()[1])
            skip = False
    return cost


def count(binary: Path, case: str) -> dict[str, int]:
    with tempfile.NamedTemporaryFile(prefix="callgrind-") as out:
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={out.name}",
             "-q", str(binary), case, str(COUNT)],
            capture_output=True, text=True, env={**os.environ, **SAME_EVERYWHERE}, timeout=300,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(f"instructions: {case} failed:\n{done.stderr[-2000:]}")
        profile = Path(out.name).read_text()
    cost = by_library(profile)
    found = re.search(r"^(?:summary|totals): (\d+)", profile, re.M)
    if found is None or sum(cost.values()) != int(found[1]) or not cost["own"]:
        raise SystemExit(f"instructions: {case}: callgrind's figures do not add up")
    return {where: round(value / COUNT) for where, value in cost.items()}


def compare(now: dict[str, dict], before: dict[str, dict]) -> list[str]:
    """Prints a table; returns the names of what became dearer."""
    dearer = []
    print("| case | where | instructions | committed | change |\n|---|---|---|---|---|")
    for name, costs in now.items():
        for where, value in costs.items():
            old = before.get(name, {}).get(where)
            if old is None:
                print(f"| {name} | {where} | {value:,} | – | new |")
                dearer.append(name)
                continue
            change = (value - old) / max(1, old)
            outside = abs(change) > ALLOWED and abs(value - old) > FLOOR
            verdict = "" if not outside else " **too dear**" if change > 0 else " cheaper: accept it"
            print(f"| {name} | {where} | {value:,} | {old:,} | {change:+.1%}{verdict} |")
            if outside and change > 0:
                dearer.append(name)
    return sorted(set(dearer))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accept", action="store_true", help="write the new figures")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/release/octroi_gate_instructions")
    options = parser.parse_args()
    cases = subprocess.run([options.binary], capture_output=True, text=True, check=True).stdout.split()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        now = dict(zip(cases, pool.map(lambda case: count(options.binary, case), cases), strict=True))
    before = json.loads(FIGURES.read_text())["instructions"] if FIGURES.exists() else {}
    dearer = compare(now, before)
    gone = sorted(set(before) - set(now))
    if options.accept:
        FIGURES.write_text(json.dumps({"preset": "release", "per": "turn", "instructions": now}, indent=1) + "\n")
        print(f"\nwritten to {FIGURES.relative_to(ROOT)}")
        return 0
    if gone:
        print(f"\ninstructions: no such case any more: {', '.join(gone)}")
    if dearer or gone:
        print(
            f"\ninstructions: {', '.join(dearer + gone)}: not as committed."
            "\nMake it cheaper, or run script/bench --instructions --accept and say in the commit why it has to cost more."
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
