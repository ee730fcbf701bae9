"""`octroi audit tail | query | export | verify | key`: over a running server, and on its store while none runs."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import sqlite3
import stat
import subprocess

import pytest

from harness import web
from harness.process import environment, wait_for
from harness.settings import service


@pytest.fixture
def server(gateway, upstream):
    return gateway([service("api", "^/api/", upstream.url)])


@pytest.fixture
def octroi(octroi_binary, server):
    def run(*words, status: int = 0, stdin: str | None = None, json_out: bool = True) -> str:
        options = ["--config", str(server.config_file), *(["--json"] if json_out else [])]
        done = subprocess.run([str(octroi_binary), *options, "audit", *map(str, words)], input=stdin,
                              capture_output=True, text=True, env=environment(), timeout=60)
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if status in (0, 1) and done.stdout else done.stderr

    return run


def change(server, times: int = 1) -> None:
    """What leaves a row: an administrator's change."""
    for _ in range(times):
        done = web.request(server.admin_url + "/api/v1/reload", method="POST",
                           headers={"Authorization": f"Bearer {server.admin_token}"})
        assert done.status == 200, done.body


def rows_of(export: str) -> list[dict]:
    return [row for row in map(json.loads, export.splitlines()) if row["kind"] != "checkpoint"]


def test_what_administrators_did_is_shown_with_and_without_a_server(server, octroi):
    change(server, 3)
    for running in (True, False):
        if not running:
            server.stop()
        found = json.loads(octroi("query", "--kind", "admin.change"))
        assert [row["seq"] for row in found["rows"]] == [4, 3, 2], "newest first; row 1 begins the chain"
        assert {row["path"] for row in found["rows"]} == {"/api/v1/reload"}
        assert found["next"] is None
        page = json.loads(octroi("query", "--limit", "3"))
        rest = json.loads(octroi("query", "--limit", "3", "--cursor", page["next"]))
        assert [row["seq"] for row in page["rows"] + rest["rows"]] == [4, 3, 2, 1]
        assert json.loads(octroi("query", "--run", "nobody"))["rows"] == []
        tail = octroi("tail", "-n", "2").splitlines()
        assert [json.loads(line)["seq"] for line in tail] == [3, 4], "oldest first"
        key = json.loads(octroi("key"))["public_key"]
        assert len(key) == 64
        whole = json.loads(octroi("verify", "--store"))
        assert (whole["rows"], whole["valid"], whole["first_bad"]) == (4, True, None)
        assert whole["trusted_key"] and whole["unsigned_rows"] == 0
    assert "limit" in octroi("query", "--limit", "0", status=2)
    assert "from" in octroi("query", "--from", "yesterday", status=2)


def test_an_export_is_verified_elsewhere_and_names_the_first_bad_row(server, octroi, tmp_path):
    change(server, 6)
    export = octroi("export")
    key = json.loads(octroi("key"))["public_key"]
    server.stop()
    server.config_file.unlink()  # nothing but the file and the key
    rows = rows_of(export)
    assert [row["seq"] for row in rows] == list(range(1, 8))
    lines = export.splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if '"checkpoint"' not in line)
    assert first > 0, "checkpoints come before the rows"

    def verify(changed: list[str], status: int = 1) -> dict:
        file = tmp_path / "audit.jsonl"
        file.write_text("".join(changed))
        return json.loads(octroi("verify", file, "--key", key, status=status))

    assert verify(lines, 0)["rows"] == 7
    assert json.loads(octroi("verify", "-", stdin=export))["trusted_key"] is False

    def bad(changed: list[str]) -> tuple:
        report = verify(changed)
        assert not report["valid"]
        return report["first_bad"]["seq"], report["first_bad"]["fault"], report["first_bad"]["writer"]

    writer = rows[0]["writer"]
    flipped = list(lines)
    flipped[first + 2] = flipped[first + 2].replace("POST", "PUST", 1)
    assert bad(flipped) == (3, "changed", writer)
    assert bad(lines[:first + 3] + lines[first + 4:]) == (4, "removed", writer)
    swapped = list(lines)
    swapped[first + 1], swapped[first + 3] = swapped[first + 3], swapped[first + 1]
    assert bad(swapped) == (2, "moved", writer)
    assert bad(lines[:-2]) == (6, "cut_off", writer)
    other = "00" * 32
    assert json.loads(octroi("verify", tmp_path / "audit.jsonl", "--key", other, status=1))["first_bad"]["fault"] == "forged"


def test_an_export_is_bound_as_the_documentation_says(server, octroi):
    """Written down again from docs/audit.md, with nothing of octroi."""
    change(server, 4)
    lines = [json.loads(line) for line in octroi("export").splitlines()]
    rows = [line for line in lines if line["kind"] != "checkpoint"]
    hashes = {}
    before = hashlib.sha256(b"octroi.audit.writer.v1\0" + rows[0]["writer"].encode()).digest()
    for row in rows:
        assert bytes.fromhex(row.pop("prev_hash")) == before
        own = bytes.fromhex(row.pop("row_hash"))
        text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        before = hashlib.sha256(b"octroi.audit.row.v1\0" + before + hashlib.sha256(text).digest()).digest()
        assert own == before
        hashes[row["seq"]] = own.hex()
    key = json.loads(octroi("key"))["public_key"]
    checkpoints = [line for line in lines if line["kind"] == "checkpoint"]
    assert checkpoints[-1]["seq"] == rows[-1]["seq"] == 5
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    public = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    for one in checkpoints:
        assert one["public_key"] == key and hashes[one["seq"]] == one["row_hash"]
        told = {name: one[name] for name in ("at", "row_hash", "seq", "writer")}
        text = json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
        public.verify(bytes.fromhex(one["signature"]), b"octroi.audit.checkpoint.v1\0" + text)


def test_a_store_that_was_changed_is_found(server, octroi):
    change(server, 4)
    server.stop()
    database = server.directory / "octroi.db"
    with sqlite3.connect(database) as db:
        db.execute("UPDATE audit_rows SET row_text = replace(row_text, 'POST', 'PUST') WHERE seq = 3")
    db.close()
    report = json.loads(octroi("verify", "--store", status=1))
    assert (report["first_bad"]["seq"], report["first_bad"]["fault"]) == (3, "changed")
    with sqlite3.connect(database) as db:
        db.execute("DELETE FROM audit_rows WHERE seq >= 3")
        db.execute("DELETE FROM audit_checkpoints")
    db.close()
    report = json.loads(octroi("verify", "--store", status=1))
    assert (report["first_bad"]["seq"], report["first_bad"]["fault"]) == (3, "cut_off"), "the file beside it tells"


def test_chains_go_on_through_restarts_and_kills(server, octroi):
    change(server, 2)
    server.restart()
    change(server, 2)
    server.kill()
    server.start()
    change(server, 1)
    report = json.loads(octroi("verify", "--store"))
    assert report["valid"] and (report["writers"], report["rows"]) == (3, 8)


def test_csv_is_for_spreadsheets(server, octroi):
    done = web.request(server.admin_url + "/api/v1/reload", method="POST",
                       headers={"Authorization": f"Bearer {server.admin_token}", "User-Agent": "=cmd()"})
    assert done.status == 200
    table = list(csv.DictReader(io.StringIO(octroi("export", "--csv", "--kind", "admin.change"))))
    assert len(table) == 1
    assert (table[0]["method"], table[0]["user_agent"]) == ("POST", "'=cmd()")


def test_following_shows_what_comes(server, octroi_binary, tmp_path):
    change(server, 1)
    out = tmp_path / "tail"
    with out.open("w") as sink:
        process = subprocess.Popen([str(octroi_binary), "--config", str(server.config_file), "--json", "audit", "tail", "-f"],
                                   stdout=sink, env=environment())
    try:
        wait_for(lambda: len(out.read_text().splitlines()) == 2, 20, "the rows that were there")
        change(server, 2)
        wait_for(lambda: len(out.read_text().splitlines()) == 4, 20, "the rows that came")
        assert [json.loads(line)["seq"] for line in out.read_text().splitlines()] == [1, 2, 3, 4]
    finally:
        process.terminate()
        process.wait(10)


def test_the_key_is_private_and_stays(server, octroi):
    key_file = server.directory / "octroi.db.audit-key"
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600 and key_file.stat().st_size == 32
    before = octroi("key")
    server.restart()
    assert octroi("key") == before


def test_checkpoints_are_kept_elsewhere(server, octroi):
    """A store that was put back to an older state, with all that stands in it, is found."""
    elsewhere = server.directory / "elsewhere.jsonl"
    server.stop()
    server.config["audit_checkpoints"] = str(elsewhere)
    server.start()
    change(server, 2)
    server.stop()
    database = server.directory / "octroi.db"
    older = database.read_bytes()
    assert not (server.directory / "octroi.db.checkpoints").exists()
    server.start()
    change(server, 1)
    server.stop()
    assert len(elsewhere.read_text().splitlines()) >= 2 and stat.S_IMODE(elsewhere.stat().st_mode) == 0o600
    assert json.loads(octroi("verify", "--store"))["valid"]
    for side in ("octroi.db-wal", "octroi.db-shm"):
        (server.directory / side).unlink(missing_ok=True)
    database.write_bytes(older)
    report = json.loads(octroi("verify", "--store", status=1))
    assert (report["first_bad"]["seq"], report["first_bad"]["fault"]) == (1, "cut_off")
    with elsewhere.open("a") as file:
        file.write('{"half": ')  # killed while it wrote
    server.start()  # goes on behind it
    change(server, 1)
    server.stop()
    lines = elsewhere.read_text().splitlines()
    after = lines[lines.index('{"half": ') + 1:]
    assert after and all(json.loads(line)["kind"] == "checkpoint" for line in after)
    assert json.loads(octroi("verify", "--store", status=1))["first_bad"]["fault"] == "cut_off"


def test_words_that_make_no_sense(octroi):
    assert "--store" in octroi("verify", status=2)
    assert "--run" in octroi("export", "--proof", status=2)
    octroi("export", "--proof", "--run", "nobody", status=1)


def test_the_documented_commands_verify_an_export(server, octroi, tmp_path, octroi_binary):
    """docs/audit.md: the key by a pipe, and an export that is checked by it."""
    change(server, 3)
    command = [str(octroi_binary), "--config", str(server.config_file), "audit"]

    def out(*words: str) -> str:
        return subprocess.run([*command, *words], capture_output=True, text=True, env=environment(), timeout=60, check=True).stdout

    export = tmp_path / "audit.jsonl"
    export.write_text(out("export"))
    key = out("key").strip()
    assert len(key) == 64, "the key alone, also through a pipe"
    assert json.loads(octroi("verify", export, "--key", key))["valid"] is True
    # Whoever makes all rows anew takes the checkpoints out, which he cannot sign.
    bare = tmp_path / "bare.jsonl"
    bare.write_text("".join(line for line in export.read_text().splitlines(keepends=True) if '"checkpoint"' not in line))
    assert json.loads(octroi("verify", bare, "--key", key, status=1))["first_bad"]["fault"] == "unproven"
    assert json.loads(octroi("verify", bare))["trusted_key"] is False


def test_checkpoints_that_are_asked_for_are_there(server, octroi, tmp_path):
    change(server, 3)
    export = tmp_path / "audit.jsonl"
    export.write_text(octroi("export"))
    server.stop()
    ours = next(server.config_file.parent.rglob("*.checkpoints"))
    assert json.loads(octroi("verify", export, "--checkpoints", ours))["valid"] is True
    assert "not there" in octroi("verify", export, "--checkpoints", str(ours) + "s", status=2)
    assert "no checkpoint" in octroi("verify", export, "--checkpoints", server.config_file, status=2)
