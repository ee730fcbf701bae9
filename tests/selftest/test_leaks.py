"""The leak check finds what it is there to find: a check that cannot fail proves nothing."""

from __future__ import annotations

import base64
import os
import sqlite3

import pytest

from harness import leaks as leak_check

SECRET = bytes(range(1, 33))


@pytest.fixture
def place(tmp_path):
    run, values = tmp_path / "run", tmp_path / "values"
    run.mkdir()
    return run, values


def found(place, value, content: bytes) -> list[str]:
    run, values = place
    leak_check.Leaks(run, values, "w").register(value, "preimage")
    (run / "some.log").write_bytes(content)
    return leak_check.scan(run, values)[2]


@pytest.mark.parametrize(
    "written",
    [
        SECRET.hex(),
        SECRET.hex().upper(),
        base64.b64encode(SECRET).decode(),
        base64.urlsafe_b64encode(SECRET).decode().rstrip("="),
        SECRET,
    ],
    ids=["hex", "HEX", "base64", "base64url", "raw"],
)
@pytest.mark.parametrize("registered", ["hex", "base64"])
def test_every_spelling(place, registered, written):
    value = SECRET.hex() if registered == "hex" else base64.b64encode(SECRET).decode()
    text = written if isinstance(written, bytes) else written.encode()
    assert len(found(place, value, b"2026 debug token=" + text + b" end\n")) == 1


def test_a_finding_does_not_repeat_the_value(place):
    (finding,) = found(place, SECRET.hex(), SECRET.hex().encode())
    assert "preimage" in finding and SECRET.hex() not in finding


def test_nothing_where_nothing_is(place):
    assert found(place, SECRET.hex(), os.urandom(100_000)) == []


def test_exempt_files(place):
    run, values = place
    known = leak_check.Leaks(run, values, "w")
    known.register(SECRET.hex(), "secret")
    (run / "key").write_text(SECRET.hex())
    assert leak_check.scan(run, values)[2]
    known.exempt(run / "key")
    assert not leak_check.scan(run, values)[2]


def test_a_blob_in_a_database_that_was_not_checkpointed(place):
    run, values = place
    leak_check.Leaks(run, values, "w").register(SECRET.hex(), "preimage")
    database = sqlite3.connect(run / "x.db")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE t (v BLOB)")
    database.execute("INSERT INTO t VALUES (?)", (SECRET,))
    database.commit()
    assert any(".db-wal" in line or "x.db" in line for line in leak_check.scan(run, values)[2])
    database.close()


def test_many_values_and_files(place):
    run, values = place
    known = leak_check.Leaks(run, values, "w")
    for _ in range(3000):
        known.register(os.urandom(32), "preimage")
    for number in range(200):
        (run / f"{number}.log").write_bytes(os.urandom(5000))
    counted, files, findings = leak_check.scan(run, values)
    assert (counted, files, findings) == (3000, 200, [])
