"""A server of the vault alone does what every server does beside its doors: it signs the audit, takes a
changed configuration up and forgets what it need not keep."""

from __future__ import annotations

import json
import time

from harness.process import wait_for
from harness.vault import Reply

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def checkpoints(vault) -> list[dict]:
    path = vault.directory / "octroi.db.checkpoints"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_the_audit_is_signed_and_verified(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    capture.reply = lambda call: Reply()
    assert vault.request("/stripe/v1/charges", key, "POST", FORM, "amount=100&currency=usd&customer=c").status == 200
    rows = len(vault.audit_rows())
    wait_for(lambda: any(c["seq"] >= rows for c in checkpoints(vault)), 20, "a checkpoint over the call's rows")
    running = vault.command("audit", "verify", "--store")
    assert running["valid"] and running["checkpoints"] >= 1
    public = vault.command("audit", "key")
    vault.stop()
    assert vault.command("audit", "key") == public
    assert vault.command("audit", "verify", "--store")["valid"]


def test_a_stop_signs_the_last_row(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    capture.reply = lambda call: Reply()
    assert vault.request("/stripe/v1/charges", key, "POST", FORM, "amount=100&currency=usd&customer=c").status == 200
    vault.stop()
    newest = max(r["seq"] for r in vault.audit_rows())
    assert max(c["seq"] for c in checkpoints(vault)) == newest


def test_a_changed_file_is_taken_up(stripe_vault, capture):
    vault = stripe_vault(max_amount="20 usd")
    key = vault.issue("stripe", "bot")
    capture.reply = lambda call: Reply()

    def charge() -> int:
        return vault.request("/stripe/v1/charges", key, "POST", FORM, "amount=500&currency=usd&customer=c").status

    assert charge() == 200
    time.sleep(0.01)
    vault.config["vault"]["policies"]["bot"]["max_amount"] = "1 usd"
    vault.write()
    wait_for(lambda: charge() == 403, 20, "the smaller amount, without a signal")
