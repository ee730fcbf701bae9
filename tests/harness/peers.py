"""Programs by others, as the tests call them: Node packages and the scripts of tests/node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from .lightning import LndRest
from .process import ROOT, TEST_ENV, environment

NODE_HOME = TEST_ENV / "node"
SCRIPTS = ROOT / "tests" / "node"


def node_program() -> str:
    own = TEST_ENV / "bin" / "node"
    return str(own) if own.exists() else (shutil.which("node") or "node")


def node_missing() -> str | None:
    return None if (NODE_HOME / "node_modules").exists() else "the Node packages are missing; run script/bootstrap --tests"


def prepare_scripts() -> Path:
    """A copy of tests/node in the folder of the installed packages, where Node looks for modules."""
    home = NODE_HOME / "scripts"
    home.mkdir(exist_ok=True)
    for script in SCRIPTS.glob("*.mjs"):
        target = home / script.name
        if not target.exists() or target.read_bytes() != script.read_bytes():
            fresh = target.with_suffix(f".{os.getpid()}.{id(script)}.tmp")
            shutil.copyfile(script, fresh)
            fresh.replace(target)
    return home


def node_script(name: str, *words: str, wallet: LndRest | None = None, timeout: float = 90) -> Any:
    """Runs tests/node/NAME and returns the one JSON object it prints."""
    home = prepare_scripts()
    extra = {"NODE_NO_WARNINGS": "1"}
    if wallet:
        extra |= {
            "LND_URL": wallet.url,
            "LND_TLS_CERT": str(wallet.tls_cert),
            "LND_MACAROON": str(wallet.macaroon_file()),
        }
    done = subprocess.run(
        [node_program(), str(home / name), *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0 or not done.stdout.strip():
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def npx(package_bin: str, *words: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """One of the installed packages' own commands."""
    program = (NODE_HOME / "node_modules" / ".bin" / package_bin).resolve()
    return subprocess.run(
        [node_program(), str(program), *words],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(NODE_NO_WARNINGS="1", CI="true"),
        stdin=subprocess.DEVNULL,
        cwd=NODE_HOME,
    )


def venv(name: str) -> Path:
    return TEST_ENV / "venv" / "bin" / name
