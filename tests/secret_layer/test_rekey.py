"""`octroi vault rekey`: from one key of sealing to another, in both stores, and again after it was cut."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from harness.postgres import Postgres
from harness.vault import REAL_STRIPE_KEY, Vault, Vendor

from .conftest import Engine

PASSPHRASE = "correct horse battery staple of the tests"
TEXT = "a text that is long enough to be a key of sealing"


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "sqlite":
        yield None
        return
    server = Postgres()
    yield server.database()
    server.stop()


def serves(vault: Vault, capture: Vendor, signing: Any) -> None:
    key = vault.issue("stripe", "bot")
    assert vault.request("/stripe/v1/customers", key).status == 200
    assert capture.calls[-1].all("Authorization") == [f"Bearer {REAL_STRIPE_KEY}"]
    # The secret of a key that signs is derived: the same now as when it was handed out.
    again = vault.command("key", "show", signing["id"])
    assert again["state"] == "active"


def test_from_a_file_to_a_passphrase_to_a_reference(store, all_sealed, capture, engine: Engine, leaks, workdir):
    for value in (PASSPHRASE, TEXT, REAL_STRIPE_KEY):
        leaks.register(value, "secret of the test")
    engine.data["o"] = {"passphrase": PASSPHRASE, "text": TEXT}
    key_file = workdir / "old.key"
    vault = all_sealed(key_file=str(key_file))
    leaks.exempt(key_file)
    if store:
        vault.config["store"] = store
    keys = vault.config["vault"]
    ca = vault.directory / "vault-ca.pem"
    vault.start()
    vault.command("vault", "register", "stripe", stdin=REAL_STRIPE_KEY + "\n")
    signing = vault.command("key", "issue", "--vendor", "aws", "--policy", "ops", "--shape", "aws")
    leaks.register(signing["secret_access_key"], "vault key")
    certificate = ca.read_text().split("octroi-sealed-key")[0]
    assert vault.stop() == 0

    del keys["key_file"]
    keys["key_passphrase"] = "vault://kv/o#passphrase"
    vault.write()
    refused = vault.command("vault", "rekey", ok=False)
    assert refused.returncode != 0 and "--from-file" in refused.stderr
    wrong = vault.command("vault", "rekey", "--from-key", "vault://kv/o#text", ok=False)
    assert wrong.returncode != 0 and "was sealed with another key" in wrong.stderr
    sealed_ca = ca.read_text()
    assert vault.command("vault", "rekey", "--from-file", str(key_file)) == {"resealed": 1, "authority": True}
    assert ca.read_text() != sealed_ca and ca.read_text().startswith(certificate)
    vault.start()
    serves(vault, capture, signing)
    assert vault.stop() == 0

    # Cut between the store and the authority's file: the next run goes on there.
    ca.write_text(sealed_ca)
    again = vault.command("vault", "rekey", "--from-file", str(key_file))
    assert again == {"resealed": 0, "authority": True}
    assert vault.command("vault", "rekey", "--from-file", str(key_file)) == {"resealed": 0, "authority": False}

    del keys["key_passphrase"]
    keys["key"] = "vault://kv/o#text"
    vault.write()
    # The credential and what secrets of keys that sign are derived from.
    assert vault.command("vault", "rekey", "--from-passphrase", "vault://kv/o#passphrase")["resealed"] == 2
    vault.start()
    serves(vault, capture, signing)
    rows = [row for row in vault.audit() if row.get("operation") == "vault.rekey"]
    assert len(rows) == 4
