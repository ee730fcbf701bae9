"""What goes on with a charge or an intent is free only after a call that counted all of it; and reads
are counted one by one."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from harness.postgres import Postgres
from harness.vault import REAL_STRIPE_KEY, Reply

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
INTENT = "/stripe/v1/payment_intents/pi_1"


@pytest.fixture
def intent(stripe_vault, capture):
    """A payment of $5000 that somebody else began, and a vault that may move $20 at once."""
    shown = {"id": "pi_1", "amount": 500_000, "amount_capturable": 500_000, "currency": "usd"}
    capture.reply = lambda call: Reply(body=json.dumps(shown).encode())
    vault = stripe_vault(
        endpoints=["payment_intents.*", "customers.list"], unknown_amount="lookup",
        caps=[{"per": "day", "calls": 10}],
    )
    key = vault.issue("stripe", "bot")

    def call(path: str = "", body: str | None = "", **headers: str) -> int:
        method = "GET" if body is None else "POST"
        return vault.request(INTENT + path, key, method, {**FORM, **headers} if body else headers, body).status

    return vault, key, call, shown, capture


def test_touching_an_intent_does_not_count_it(intent):
    _, _, call, _, capture = intent
    assert call("/confirm") == 403
    assert call("", None) == 200
    assert call("", "metadata[a]=b") == 200
    assert call("/confirm") == 403
    assert call("/capture") == 403
    assert call("/capture", "amount_to_capture=100&final_capture=false") == 200
    assert call("/capture", "amount_to_capture=499900") == 403
    assert [c.target for c in capture.calls if c.method == "POST"] == ["/v1/payment_intents/pi_1", "/v1/payment_intents/pi_1/capture"]


def test_what_was_counted_is_not_counted_again(intent):
    vault, _, call, shown, _ = intent
    shown.update(amount=1500, amount_capturable=1500)
    assert call("/confirm") == 200
    assert call("", "metadata[a]=b") == 200
    assert call("/capture", "amount_to_capture=700") == 200
    assert call("/capture") == 200
    (money,) = [c for c in vault.command("policy", "usage", "bot")["caps"] if c["unit"] == "usd"]
    assert (money["held"], money["settled"]) == ("0 usd", "15 usd")


def test_reads_of_one_idempotency_key_are_as_many_calls(intent):
    vault, key, _, _, capture = intent
    statuses = [vault.request("/stripe/v1/customers", key, "GET", {"Idempotency-Key": "same"}).status for _ in range(12)]
    assert statuses == [200] * 10 + [403] * 2
    assert len(capture.calls) == 10


def test_a_confirmation_right_after_the_answer_finds_what_was_made(make_vault, capture):
    """Where replicas share a store, a call is written there after its answer."""
    postgres = Postgres()
    try:
        made = itertools.count(1)

        def stripe(call: Any) -> Reply:
            new = call.target == "/v1/payment_intents"
            name = f"pi_{next(made)}" if new else call.target.split("/")[3]
            return Reply(body=json.dumps({"id": name, "amount": 100, "currency": "usd"}).encode())

        capture.reply = stripe
        policy = {"vendor": "stripe", "endpoints": ["payment_intents.*"], "daily_cap": "50 usd"}
        vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": policy})
        vault.config["store"] = postgres.database()
        vault.start()
        key = vault.issue("stripe", "bot")

        def post(path: str, body: bytes | None = None) -> Any:
            return vault.request(f"/stripe/v1/payment_intents{path}", key, "POST", FORM if body else {}, body)

        for _ in range(20):
            name = post("", b"amount=100&currency=usd").json()["id"]
            assert post(f"/{name}/confirm").status == 200
        vault.stop()
    finally:
        postgres.stop()
