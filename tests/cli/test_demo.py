"""`octroi demo` shows the main job without configuration, network or node."""

from __future__ import annotations

import json
import re
import time

from harness import octroi
from harness.timing import best_of


def test_demo(octroi_binary, workdir):
    def once() -> float:
        began = time.monotonic()
        done = octroi.run(octroi_binary, "demo", cwd=workdir, timeout=60)
        took = time.monotonic() - began
        assert done.returncode == 0, done.stderr[-2000:]
        for word in ("402", "200", "L402", "Payment", "lnbcrt"):
            assert word in done.stdout, word
        return took

    best_of(3, 10, once)


def test_demo_shows_no_whole_secret(octroi_binary, workdir):
    """Macaroons, invoices and preimages are cut to eight characters."""
    done = octroi.run(octroi_binary, "demo", cwd=workdir)
    assert not re.search(r"[0-9a-f]{64}", done.stdout + done.stderr)
    assert not re.search(r"lnbcrt[0-9a-z]{40}", done.stdout + done.stderr)
    assert not re.search(r"AgE[A-Za-z0-9+/_-]{40}", done.stdout + done.stderr)


def test_demo_as_json(octroi_binary, workdir):
    done = octroi.run(octroi_binary, "demo", "--json", cwd=workdir)
    assert done.returncode == 0
    assert isinstance(json.loads(done.stdout), dict)


def test_demo_leaves_nothing_behind(octroi_binary, workdir):
    before = sorted(path.name for path in workdir.iterdir())
    octroi.run(octroi_binary, "demo", cwd=workdir)
    assert sorted(path.name for path in workdir.iterdir()) == before
