"""An AppRole of HashiCorp Vault: one login for the secrets of one loading, another one when its token is
refused, and nothing of it anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import octroi
from harness.vault import REAL_STRIPE_KEY

from .conftest import SECRET_ID, Engine
from .test_sources import NEW_KEY, reload, shown

REFERENCE = "vault://kv/octroi/stripe#key"


@pytest.fixture
def served(app_role: Engine, serving, leaks):
    for value in (REAL_STRIPE_KEY, NEW_KEY):
        leaks.register(value, "real key")
    app_role.data["octroi/stripe"] = {"key": REAL_STRIPE_KEY}
    app_role.data["octroi/seal"] = {"key": "a text that is long enough to be a key of sealing"}
    return serving(REFERENCE, key="vault://kv/octroi/seal#key")


def test_logs_in_serves_and_logs_in_again_where_its_token_is_refused(served, app_role: Engine, capture):
    vault = served.start()
    assert app_role.logins == 1, "both secrets of one loading took one login"
    key = vault.issue("stripe", "bot")
    assert shown(vault, key, capture) == REAL_STRIPE_KEY

    app_role.token = "revoked"
    app_role.data["octroi/stripe"] = {"key": NEW_KEY}
    before = app_role.logins
    assert reload(vault).status == 200
    assert app_role.logins == before + 1
    assert shown(vault, key, capture) == NEW_KEY

    # Without a login the reload fails, and what was in force stays.
    app_role.token = "revoked"
    app_role.secret_id = "was used up"
    answer = reload(vault)
    assert answer.status >= 400
    said = answer.text + vault.program.output() + (vault.directory / "octroi.log").read_text()
    assert "VAULT_SECRET_ID" in said and "invalid role" not in said
    assert shown(vault, key, capture) == NEW_KEY


def test_its_halves_come_from_other_sources(served, app_role: Engine, capture, workdir: Path, monkeypatch, leaks):
    file = workdir / "secret-id"
    file.write_text(SECRET_ID + "\n")
    file.chmod(0o600)
    leaks.exempt(file)
    monkeypatch.setenv("VAULT_SECRET_ID", f"file://{file}")
    vault = served.start()
    assert shown(vault, vault.issue("stripe", "bot"), capture) == REAL_STRIPE_KEY


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"VAULT_SECRET_ID": ""}, "VAULT_SECRET_ID is not set"),
        ({"VAULT_ROLE_ID": "another-role"}, "VAULT_ROLE_ID or VAULT_SECRET_ID is wrong"),
        ({"VAULT_SECRET_ID": "env://MISSING_OF_TESTS"}, "MISSING_OF_TESTS is not set"),
        ({"VAULT_SECRET_ID": "vault://kv/a#b"}, "refers to the server that it logs in to"),
        ({"VAULT_APPROLE_MOUNT": "elsewhere"}, "VAULT_APPROLE_MOUNT"),
    ],
    ids=["half", "wrong-role", "missing-source", "circle", "mount"],
)
def test_what_a_login_needs_is_named(variables, says, served, monkeypatch, octroi_binary):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    served.write()
    done = octroi.run(octroi_binary, "--config", served.file, "check", "--json")
    assert done.returncode == 2
    problems = [p for p in json.loads(done.stdout)["problems"] if p["severity"] == "error"]
    assert {p["path"] for p in problems} == {"vault.key", "vault.vendors.stripe.credential"}
    assert all(says in p["message"] for p in problems)
    assert SECRET_ID not in done.stdout + done.stderr
