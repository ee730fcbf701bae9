"""References to a program, to 1Password and to a vault: checked, served from, read anew at a reload, and
missed without harm while their source is away."""

from __future__ import annotations

import json

import pytest

from harness import octroi, web
from harness.vault import REAL_STRIPE_KEY, Vault, Vendor

from .conftest import Engine, path_with

NEW_KEY = REAL_STRIPE_KEY.replace("0123456789", "9876543210")


def reload(vault: Vault) -> web.Response:
    token = (vault.directory / "admin.token").read_text()
    return web.request(f"http://127.0.0.1:{vault.admin_port}/api/v1/reload", "POST", {"Authorization": f"Bearer {token}"})


def shown(vault: Vault, key, capture: Vendor) -> str:
    """The real key that the vendor sees."""
    assert vault.request("/stripe/v1/customers", key).status == 200
    (authorization,) = capture.calls[-1].all("Authorization")
    return authorization.removeprefix("Bearer ")


@pytest.fixture(params=["vault", "exec", "op"])
def source(request, engine, program, workdir, monkeypatch, leaks):
    """A reference, what changes what it stands for, and what takes its source away."""
    for value in (REAL_STRIPE_KEY, NEW_KEY):
        leaks.register(value, "real key")
    if request.param == "vault":
        engine.data["octroi/stripe"] = {"key": REAL_STRIPE_KEY, "other": "unused"}
        reference = "vault://kv/octroi/stripe#key"

        def change(value: str) -> None:
            engine.data["octroi/stripe"] = {"key": value}

        def away() -> None:
            engine.status = 503

        return reference, change, away
    value_file = workdir / "bin" / f"{request.param}.value"
    if request.param == "exec":
        file = program("exec", '[ "$1 $2" = "stripe live key" ] && cat "$VALUE_FILE"', REAL_STRIPE_KEY)
        reference = f"exec://{file} stripe live%20key"
    else:
        reference = "op://Prod/Stripe key/credential"
        lines = '[ "$1 $2 $3" = "read --no-newline op://Prod/Stripe key/credential" ] && [ "$OP_SERVICE_ACCOUNT_TOKEN" = ops ]'
        file = program("op", f'{lines} && cat "$VALUE_FILE"', REAL_STRIPE_KEY)
        monkeypatch.setenv("PATH", path_with(file.parent))
        monkeypatch.setenv("OP_SERVICE_ACCOUNT_TOKEN", "ops")

    def away_program() -> None:
        file.write_text("#!/bin/sh\necho what nobody may read; echo what nobody may read >&2; exit 1\n")

    return reference, value_file.write_text, away_program


def test_checked_served_read_anew_and_missed_without_harm(source, serving, capture, octroi_binary):
    reference, change, away = source
    vault = serving(reference)
    vault.write()
    done = octroi.run(octroi_binary, "--config", vault.file, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    vault.start()
    key = vault.issue("stripe", "bot")
    assert shown(vault, key, capture) == REAL_STRIPE_KEY

    change(NEW_KEY)
    assert reload(vault).status == 200
    assert shown(vault, key, capture) == NEW_KEY

    away()
    answer = reload(vault)
    assert answer.status >= 400
    said = answer.text + vault.program.output() + (vault.directory / "octroi.log").read_text()
    assert "vault.vendors.stripe.credential" in said
    assert "nobody may read" not in said and "what an engine says" not in said
    assert shown(vault, key, capture) == NEW_KEY, "what was in force stays"

    done = octroi.run(octroi_binary, "--config", vault.file, "check")
    assert done.returncode == 2
    told = done.stdout + done.stderr
    assert "vault.vendors.stripe.credential" in told and "fix:" in told
    assert "nobody may read" not in told and REAL_STRIPE_KEY not in told and NEW_KEY not in told


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"VAULT_ADDR": ""}, "VAULT_ADDR is not set"),
        ({"VAULT_ADDR": "http://vault.example:8200"}, "loopback"),
        ({"VAULT_TOKEN": "hvs.another"}, "refuses the token"),
        ({"VAULT_TOKEN": ""}, "neither VAULT_TOKEN nor VAULT_TOKEN_FILE"),
    ],
    ids=["no-address", "no-tls", "wrong-token", "no-token"],
)
def test_what_the_vault_needs_is_named(variables, says, engine: Engine, serving, monkeypatch, octroi_binary):
    engine.data["a"] = {"key": REAL_STRIPE_KEY}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    vault = serving("vault://kv/a#key")
    vault.write()
    done = octroi.run(octroi_binary, "--config", vault.file, "check", "--json")
    assert done.returncode == 2
    (problem,) = [p for p in json.loads(done.stdout)["problems"] if p["severity"] == "error"]
    assert problem["path"] == "vault.vendors.stripe.credential"
    assert says in problem["message"]
