"""What registered real keys are sealed with: a file, a reference, or a passphrase."""

from __future__ import annotations

import base64
import json
import os
import sqlite3

import pytest

from harness import octroi
from harness.vault import REAL_STRIPE_KEY

from .conftest import Engine

PASSPHRASE = "correct horse battery staple of the tests"


def register(vault) -> None:
    vault.command("vault", "register", "stripe", stdin=REAL_STRIPE_KEY + "\n")


def rows(vault) -> str:
    """Every sealed key of the store."""
    with sqlite3.connect(f"file:{vault.directory}/octroi.db?mode=ro", uri=True) as db:
        return " ".join(str(row[0]) for row in db.execute("SELECT sealed FROM vault_credential_versions"))


def works(vault, capture) -> None:
    key = vault.issue("stripe", "bot")
    assert vault.request("/stripe/v1/customers", key).status == 200
    assert capture.calls[-1].all("Authorization") == [f"Bearer {REAL_STRIPE_KEY}"]


@pytest.fixture(params=["hex", "base64", "text", "passphrase"])
def sealing(request, engine: Engine, leaks):
    """What a configuration says of the key, and the reference whose value it is."""
    raw = os.urandom(32)
    value = {
        "hex": raw.hex(),
        "base64": base64.b64encode(raw).decode(),
        "text": "a text that is long enough to be a key of sealing",
        "passphrase": PASSPHRASE,
    }[request.param]
    leaks.register(value, "key of sealing")
    leaks.register(REAL_STRIPE_KEY, "real key")
    engine.data["octroi"] = {"seal": value}
    return {"key_passphrase" if request.param == "passphrase" else "key": "vault://kv/octroi#seal"}


def test_sealed_with_what_a_reference_says_and_opened_after_a_restart(sealing, serving, capture, engine, octroi_binary):
    vault = serving(None, **sealing).start()
    register(vault)
    works(vault, capture)
    assert REAL_STRIPE_KEY not in rows(vault)
    assert ("argon2id:3:65536:" in rows(vault)) == ("key_passphrase" in sealing)
    assert not (vault.directory / "vault.key").exists()
    assert vault.stop() == 0
    vault.start()
    works(vault, capture)
    assert vault.stop() == 0

    # Another key opens nothing, and says so.
    engine.data["octroi"] = {"seal": "another text that is long enough to be a key"}
    vault.write()
    done = octroi.run(octroi_binary, "--config", vault.file, "serve")
    assert done.returncode != 0
    assert "was sealed with another key" in done.stdout + done.stderr
    assert REAL_STRIPE_KEY not in done.stdout + done.stderr


def test_keys_that_sign_stay_the_same_under_a_passphrase(make_vault, capture, engine, leaks):
    leaks.register(PASSPHRASE, "key of sealing")
    engine.data["octroi"] = {"seal": PASSPHRASE, "aws": "AKIAREALREALREALREAL:SecretOfTheRealKeyForTheTests0123456789AB"}
    vault = make_vault(
        {"aws": (capture, None, {"pack": "aws", "credential": "vault://kv/octroi#aws"})},
        {"ops": {"vendor": "aws", "endpoints": ["ses.SendEmail"]}},
        key_passphrase="vault://kv/octroi#seal",
    ).start()
    made = vault.command("key", "issue", "--vendor", "aws", "--policy", "ops", "--shape", "aws")
    leaks.register(made["secret_access_key"], "vault key")
    with sqlite3.connect(f"file:{vault.directory}/octroi.db?mode=ro", uri=True) as db:
        (kept,) = db.execute("SELECT value FROM secrets WHERE name = 'vault.signer_master'").fetchone()
    assert bytes(kept).startswith(b"argon2id:")
    assert vault.stop() == 0
    vault.start()  # what it derives the secrets from is opened, not drawn again
    with sqlite3.connect(f"file:{vault.directory}/octroi.db?mode=ro", uri=True) as db:
        assert db.execute("SELECT value FROM secrets WHERE name = 'vault.signer_master'").fetchone() == (kept,)


@pytest.mark.parametrize(
    ("keys", "path", "says"),
    [
        ({"key_file": "/tmp/k", "key": "env://SEAL_OF_TESTS"}, "vault.key", "stands beside vault.key_file"),
        ({"key": "env://SEAL_OF_TESTS", "key_passphrase": "env://SEAL_OF_TESTS"}, "vault.key_passphrase", "stands beside vault.key"),
        ({"key": "env://SHORT_OF_TESTS"}, "vault.key", "at least 32"),
        ({"key_passphrase": "env://SHORT_OF_TESTS"}, "vault.key_passphrase", "at least 12"),
        ({"key": "env://UNSET_OF_TESTS"}, "vault.key", "UNSET_OF_TESTS is not set"),
    ],
    ids=["file-and-key", "key-and-passphrase", "short-key", "short-passphrase", "unset"],
)
def test_contradictions_are_named(keys, path, says, serving, monkeypatch, octroi_binary, capture):
    monkeypatch.setenv("SEAL_OF_TESTS", "a text that is long enough to be a key of sealing")
    monkeypatch.setenv("SHORT_OF_TESTS", "too short")
    vault = serving("env://SEAL_OF_TESTS", **keys)
    vault.write()
    done = octroi.run(octroi_binary, "--config", vault.file, "check", "--json")
    assert done.returncode == 2, done.stdout + done.stderr
    found = {p["path"]: p for p in json.loads(done.stdout)["problems"] if p["severity"] == "error"}
    assert says in found[path]["message"] and found[path]["fix"]
    assert "too short" not in done.stdout
