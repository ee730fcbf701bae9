"""`octroi store backup`."""

from __future__ import annotations

import json
import stat
import subprocess

from harness.process import environment
from harness.settings import service


def backup(binary, config, target):
    return subprocess.run(
        [str(binary), "--config", str(config), "--json", "store", "backup", str(target)],
        capture_output=True, text=True, env=environment(), timeout=30,
    )


def test_a_backup_is_a_store(gateway, upstream, payer, octroi_binary):
    """It is refused while a server runs and over a file that is there; what was spent stays spent in it."""
    server = gateway([service("api", "^/api/", upstream.url, schemes=["payment"])])
    credential = server.buy("/api/x", payer)
    assert server.request("/api/x", headers={"Authorization": credential}).status == 200
    copy = server.directory / "copy.db"
    busy = backup(octroi_binary, server.config_file, copy)
    assert busy.returncode == 1 and not copy.exists(), busy.stderr
    server.stop()
    done = backup(octroi_binary, server.config_file, copy)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"backup": str(copy)}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert backup(octroi_binary, server.config_file, copy).returncode == 1
    server.config["store"] = f"sqlite://{copy}"
    server.start()
    assert server.request("/api/x", headers={"Authorization": credential}).status == 402
