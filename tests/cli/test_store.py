"""`octroi store backup` and `restore`, `octroi migrate schema`."""

from __future__ import annotations

import json
import stat
import subprocess

from harness.process import environment
from harness.settings import service


def run(binary, config, *words):
    return subprocess.run(
        [str(binary), "--config", str(config), "--json", *map(str, words)],
        capture_output=True, text=True, env=environment(), timeout=30,
    )


def backup(binary, config, target):
    return run(binary, config, "store", "backup", target)


def test_a_backup_is_a_store(gateway, upstream, payer, octroi_binary):
    """Also one that is made while a server runs. Nothing is overwritten; what was spent stays spent in it."""
    server = gateway([service("api", "^/api/", upstream.url, schemes=["payment"])])
    credential = server.buy("/api/x", payer)
    assert server.request("/api/x", headers={"Authorization": credential}).status == 200
    copy = server.directory / "copy.db"
    done = backup(octroi_binary, server.config_file, copy)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"backup": str(copy)}
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert backup(octroi_binary, server.config_file, copy).returncode == 1
    server.stop()
    stopped = server.directory / "stopped.db"
    assert backup(octroi_binary, server.config_file, stopped).returncode == 0
    assert stopped.stat().st_size == copy.stat().st_size
    server.config["store"] = f"sqlite://{copy}"
    server.start()
    assert server.request("/api/x", headers={"Authorization": credential}).status == 402


def test_a_backup_is_restored_where_nothing_is(gateway, upstream, payer, octroi_binary):
    """Not over a store, not from what is no store; what was spent stays spent."""
    server = gateway([service("api", "^/api/", upstream.url, schemes=["payment"])])
    credential = server.buy("/api/x", payer)
    assert server.request("/api/x", headers={"Authorization": credential}).status == 200
    server.stop()
    copy = server.directory / "copy.db"
    assert backup(octroi_binary, server.config_file, copy).returncode == 0
    taken = run(octroi_binary, server.config_file, "store", "restore", copy)
    assert taken.returncode == 1 and "there already" in taken.stderr, taken.stderr
    for file in server.directory.glob("octroi.db*"):
        file.unlink()
    bad = server.directory / "bad.db"
    bad.write_bytes(copy.read_bytes()[:5000])
    assert run(octroi_binary, server.config_file, "store", "restore", bad).returncode == 1
    assert not (server.directory / "octroi.db").exists()
    done = run(octroi_binary, server.config_file, "store", "restore", copy)
    assert done.returncode == 0 and json.loads(done.stdout) == {"restored": str(copy)}, done.stderr
    server.start()
    assert server.request("/api/x", headers={"Authorization": credential}).status == 402


def test_a_postgresql_store_is_kept_by_its_own_tools(octroi_binary, workdir):
    config = workdir / "octroi.yaml"
    config.write_text("store: postgresql://octroi@/x?host=/nowhere\n")
    for words, tool in ((("store", "backup", "f"), "pg_dump"), (("store", "restore", "f"), "pg_restore")):
        told = run(octroi_binary, config, *words)
        assert told.returncode != 0 and tool in told.stderr, told.stderr


def test_the_schema_is_printed_without_a_store(octroi_binary, workdir):
    for engine, word in (("sqlite", "BLOB"), ("postgresql", "BYTEA")):
        told = run(octroi_binary, workdir / "none.yaml", "migrate", "schema", "--engine", engine)
        assert told.returncode == 0 and word in told.stdout, told.stderr
