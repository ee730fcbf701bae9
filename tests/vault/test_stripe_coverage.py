"""The report of what the Stripe pack knows is what its tables say, and they say something about every
published operation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_report_is_of_these_tables():
    done = subprocess.run([sys.executable, str(ROOT / "script/stripe-coverage"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
