"""A key of sealing that never leaves HashiCorp Vault's transit engine: what is sealed opens with its help
only, `vault rekey` moves to it, to its next version and away from it, and without it nothing is served."""

from __future__ import annotations

import sqlite3

import pytest

from harness import octroi
from harness.vault import REAL_STRIPE_KEY

from .conftest import Engine
from .test_rekey import PASSPHRASE, serves
from .test_seal import register, rows, works

DECRYPT = "/v1/transit/decrypt/octroi"
ENCRYPT = "/v1/transit/encrypt/octroi"


@pytest.fixture
def transit(engine: Engine, leaks) -> Engine:
    engine.transit.rotate("octroi")
    leaks.register(REAL_STRIPE_KEY, "real key")
    return engine


def start_fails(vault, binary, says: str) -> None:
    vault.write()
    done = octroi.run(binary, "--config", vault.file, "serve")
    told = done.stdout + done.stderr
    assert done.returncode != 0 and says in told, told
    assert REAL_STRIPE_KEY not in told and "what an engine says" not in told


def test_sealed_served_and_opened_after_a_restart(transit: Engine, serving, capture):
    vault = serving(None, key_transit="transit/octroi").start()
    register(vault)
    works(vault, capture)
    assert "transit:vault:v1:" in rows(vault) and REAL_STRIPE_KEY not in rows(vault)
    assert not (vault.directory / "vault.key").exists()
    assert vault.stop() == 0
    transit.asked.clear()
    vault.start()
    works(vault, capture)
    # What is there already is opened, and nothing is wrapped anew.
    assert ENCRYPT not in transit.asked and DECRYPT in transit.asked
    # What this process knows needs nobody any more.
    transit.status = 503
    works(vault, capture)


def test_an_app_role_is_enough(app_role: Engine, serving, capture, leaks):
    leaks.register(REAL_STRIPE_KEY, "real key")
    app_role.transit.rotate("octroi")
    vault = serving(None, key_transit="transit/octroi").start()
    register(vault)
    works(vault, capture)
    assert app_role.logins >= 1


def test_without_the_key_nothing_starts(transit: Engine, serving, octroi_binary, monkeypatch):
    vault = serving(None, key_transit="transit/octroi").start()
    register(vault)
    assert vault.stop() == 0
    transit.status = 503
    start_fails(vault, octroi_binary, "transit key transit/octroi: the server is sealed")
    transit.status = 0
    monkeypatch.setenv("VAULT_TOKEN", "hvs.another")
    start_fails(vault, octroi_binary, "its policy does not let it decrypt")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:1")
    start_fails(vault, octroi_binary, "transit key transit/octroi: ")


@pytest.mark.parametrize("other", ["another key", "no key"])
def test_another_key_opens_nothing(other, transit: Engine, serving, octroi_binary, monkeypatch):
    vault = serving(None, key_transit="transit/octroi").start()
    register(vault)
    assert vault.stop() == 0
    transit.transit.keys.clear()
    if other == "another key":
        transit.transit.rotate("octroi")
    start_fails(vault, octroi_binary, "it has no such key, or not the version that wrapped")
    vault.config["vault"]["key_passphrase"] = "env://SEAL_OF_TESTS"
    del vault.config["vault"]["key_transit"]
    monkeypatch.setenv("SEAL_OF_TESTS", PASSPHRASE)
    start_fails(vault, octroi_binary, "write vault.key_transit")


@pytest.mark.parametrize("name", ["octroi", "/octroi", "transit/", "transit/../octroi", "transit://transit/octroi"])
def test_a_name_that_is_none_is_refused(name, serving, octroi_binary):
    vault = serving("env://PATH", key_transit=name)
    vault.write()
    done = octroi.run(octroi_binary, "--config", vault.file, "check")
    assert done.returncode == 2 and "vault.key_transit" in done.stdout + done.stderr


def test_rekey_to_it_to_its_next_version_and_away(transit: Engine, all_sealed, capture, leaks, workdir):
    leaks.register(PASSPHRASE, "secret of the test")
    transit.data["o"] = {"passphrase": PASSPHRASE}
    key_file = workdir / "old.key"
    leaks.exempt(key_file)
    vault = all_sealed(key_file=str(key_file))
    keys = vault.config["vault"]
    ca = vault.directory / "vault-ca.pem"
    vault.start()
    register(vault)
    signing = vault.command("key", "issue", "--vendor", "aws", "--policy", "ops", "--shape", "aws")
    leaks.register(signing["secret_access_key"], "vault key")
    certificate = ca.read_text().split("octroi-sealed-key")[0]
    assert vault.stop() == 0

    del keys["key_file"]
    keys["key_transit"] = "transit/octroi"
    vault.write()
    before = sealed(vault)
    transit.transit.status = 503
    failed = vault.command("vault", "rekey", "--from-file", str(key_file), ok=False)
    assert failed.returncode != 0 and "transit key transit/octroi" in failed.stderr
    assert sealed(vault) == before, "all or nothing"
    transit.transit.status = 0
    assert vault.command("vault", "rekey", "--from-file", str(key_file)) == {"resealed": 1, "authority": True}
    assert all(text.startswith("transit:vault:v1:") for text in sealed(vault))
    key_file.unlink()
    vault.start()
    serves(vault, capture, signing)
    assert vault.stop() == 0
    again = ["vault", "rekey", "--from-transit", "transit/octroi"]
    assert vault.command(*again) == {"resealed": 0, "authority": False}

    # The key was rotated where it lies: everything moves to its newest version, and the old one may go.
    transit.transit.rotate("octroi")
    assert vault.command(*again) == {"resealed": 2, "authority": True}
    assert all(text.startswith("transit:vault:v2:") for text in sealed(vault))
    transit.transit.rotate("old")
    transit.transit.keys["octroi"][0] = transit.transit.keys["old"][0]
    vault.start()
    serves(vault, capture, signing)
    assert vault.stop() == 0

    del keys["key_transit"]
    keys["key_passphrase"] = "vault://kv/o#passphrase"
    vault.write()
    assert vault.command(*again) == {"resealed": 2, "authority": True}
    assert ca.read_text().startswith(certificate)
    transit.transit.keys.clear()
    vault.start()
    serves(vault, capture, signing)


def sealed(vault) -> list[str]:
    with sqlite3.connect(f"file:{vault.directory}/octroi.db?mode=ro", uri=True) as db:
        return [row[0] for row in db.execute("SELECT sealed FROM vault_credential_versions ORDER BY vendor, version")]
