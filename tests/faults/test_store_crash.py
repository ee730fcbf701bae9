"""The store alone, killed with SIGKILL in the middle of a storm of redemptions, or of debits, top-ups
and refunds of prepaid sessions, again and again over the same file: nothing that was acknowledged is
lost, nothing happens twice, and the books balance.

Runs `octroi_store_crash`, `octroi_session_crash`, `octroi_audit_crash`, `octroi_spend_crash` and
`octroi_wallet_crash` of the build under test. Also runs without pytest:
    python3 tests/faults/test_store_crash.py [build folder] [rounds]
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HASHES = 4000
SESSIONS = 600
THREADS = 8


def crash_program(name: str = "octroi_store_crash") -> Path:
    """Beside $OCTROI_BIN, else in the release build, else in the development build."""
    given = os.environ.get("OCTROI_BIN")
    folders = [Path(given).parent] if given else []
    folders += [ROOT / "build" / preset for preset in ("release", "dev")]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{name} is not built: script/build, or ninja unit_tests")


def storm_and_kill(program: Path, store: Path, said: Path, seed: int, alive: float,
                   things: int) -> None:
    """What the storm printed is appended to `said`; a file keeps what a killed process wrote."""
    with said.open("ab") as out:
        command = [program, "storm", store, str(seed), str(THREADS), str(things)]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE)
        try:
            time.sleep(alive)
            assert process.poll() is None, f"the storm ended by itself: {process.stderr.read()!r}"
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stderr.close()


def verify(program: Path, store: Path, said: Path) -> dict:
    with said.open("rb") as lines:
        done = subprocess.run([program, "verify", store], stdin=lines, capture_output=True, timeout=120)
    assert done.stdout, done.stderr.decode()
    return json.loads(done.stdout) | {"exit": done.returncode}


def run_rounds(folder: Path, program: Path, rounds: int, seed: int, things: int = HASHES) -> dict:
    chance = random.Random(seed)
    store, said = folder / "octroi.db", folder / "said"
    for round_number in range(rounds):
        # Short lives hit opening, recovery and migration; longer ones commits and checkpoints.
        alive = chance.choice([0.005, 0.02, 0.1, 0.3]) * chance.uniform(0.5, 1.5)
        storm_and_kill(program, store, said, seed + round_number, alive, things)
    return verify(program, store, said)


def test_nothing_acknowledged_is_lost_and_nothing_accepted_twice(tmp_path: Path) -> None:
    found = run_rounds(tmp_path, crash_program(), rounds=40, seed=1)
    assert found["consumed"] > 100, f"the storm was a breeze: {found}"
    assert found["finished"] > 20, found
    assert (found["lost"], found["twice"], found["wrong"], found["exit"]) == (0, 0, 0, 0), found


def test_every_row_of_the_audit_that_was_acknowledged_is_there(tmp_path: Path) -> None:
    found = run_rounds(tmp_path, crash_program("octroi_audit_crash"), rounds=30, seed=1,
                       things=1_000_000)
    assert found["said"] > 200, f"the storm was a breeze: {found}"
    assert found["writers"] > 5 and found["checkpoints"] > 5, found
    assert (found["lost"], found["wrong"], found["valid"], found["exit"]) == (0, 0, True, 0), found


def test_sessions_keep_every_debit_and_send_each_refund_once(tmp_path: Path) -> None:
    program = crash_program("octroi_session_crash")
    for batch in range(10):  # the busier the machine, the less a life of its own length does
        found = run_rounds(tmp_path, program, rounds=40, seed=1 + 100 * batch, things=SESSIONS)
        assert (found["lost"], found["twice"], found["wrong"], found["exit"]) == (0, 0, 0, 0), found
        if found["debited"] > 50 and found["closed"] > 20 and found["paid"] > 20:
            return
    raise AssertionError(f"the storm was a breeze: {found}")


def test_what_vault_keys_spend_is_counted_and_no_cap_is_passed(tmp_path: Path) -> None:
    found = run_rounds(tmp_path, crash_program("octroi_spend_crash"), rounds=40, seed=1)
    assert found["held"] > 100 and found["settled"] > 20, f"the storm was a breeze: {found}"
    assert (found["lost"], found["wrong"], found["exit"]) == (0, 0, 0), found


def test_what_a_wallet_pays_has_its_rows_whenever_it_is_killed(tmp_path: Path) -> None:
    program = crash_program("octroi_wallet_crash")
    for batch in range(20):  # the busier the machine, the less a life of its own length does
        found = run_rounds(tmp_path, program, rounds=15, seed=1 + 100 * batch, things=1_000_000)
        assert (found["lost"], found["wrong"], found["valid"], found["exit"]) == (0, 0, True, 0), found
        assert found["writers"] <= 1, found
        if found["said"] > 100 and found["cut"] > 5:
            return
    raise AssertionError(f"nothing was cut between intent and outcome: {found}")


def test_a_second_process_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    program, store = crash_program(), tmp_path / "octroi.db"
    first = subprocess.Popen([program, "storm", store, "1", "1", "10"], stdout=subprocess.PIPE)
    try:
        assert first.stdout.readline(), "the first must be at work"
        second = subprocess.run([program, "verify", store], stdin=subprocess.DEVNULL,
                                capture_output=True, timeout=60)
        assert second.returncode == 1
        assert str(store).encode() in second.stderr
        assert str(first.pid).encode() in second.stderr
    finally:
        first.kill()
        first.wait()
        first.stdout.close()
    after = subprocess.run([program, "verify", store], stdin=subprocess.DEVNULL, capture_output=True,
                           timeout=60)
    assert after.returncode == 0, "the lock went with the process"


def main() -> int:
    build = Path(sys.argv[1]) if len(sys.argv) > 1 else crash_program().parent
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 40
    with tempfile.TemporaryDirectory(prefix="octroi-crash-") as folder:
        found = run_rounds(Path(folder), build / "octroi_store_crash", rounds, seed=int(time.time()))
    print(json.dumps(found))
    return found["exit"]


if __name__ == "__main__":
    sys.exit(main())
