"""What octroi itself asks vendors: objects that say what a request does not, prices that come late,
and lists of vendors that only the configuration knows."""

from __future__ import annotations

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from harness.process import wait_for
from harness.vault import REAL_STRIPE_KEY, Reply, Vault

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
ACCOUNT = "AC" + "11" * 16
TOKEN = "22" * 16
SID = "SM" + "33" * 16


def report(vault: Vault, vendor: str, *words: str) -> dict[str, Any]:
    (one,) = vault.command("vault", "reconcile", "--vendor", vendor, *words)["vendors"]
    return one


# --- amounts and customers that are not in the request


@pytest.fixture
def refunds(stripe_vault, localstripe):
    """A vault that may refund up to 10 dollars of one customer's charges, and a charge of 12."""
    owner = stripe_vault(localstripe, max_amount=None)
    key = owner.issue("stripe", "bot")
    card = "source[object]=card&source[number]=4242424242424242&source[exp_month]=12&source[exp_year]=2099&source[cvc]=123"

    def customer() -> str:
        return owner.request("/stripe/v1/customers", key, "POST", FORM, card).json()["id"]

    def charge(who: str, cents: int) -> str:
        made = owner.request("/stripe/v1/charges", key, "POST", FORM, f"amount={cents}&currency=usd&customer={who}")
        return made.json()["id"]

    mine, other = customer(), customer()
    vault = stripe_vault(
        localstripe, endpoints=["refunds.create", "invoices.pay"], max_amount="10 usd", customers=[mine],
        unknown_amount="lookup", unknown_customer="lookup",
    )
    helper = vault.issue("stripe", "bot")

    def refund(body: str) -> Any:
        return vault.request("/stripe/v1/refunds", helper, "POST", FORM, body)

    return vault, helper, refund, charge, mine, other


def test_what_a_refund_moves_is_asked_for(refunds, localstripe):
    vault, _, refund, charge, mine, other = refunds
    small, large, foreign = charge(mine, 1000), charge(mine, 1200), charge(other, 100)
    localstripe.calls.clear()
    assert refund(f"charge={small}").status == 200  # all of it, at the limit
    assert [(c.method, c.target) for c in localstripe.calls] == [("GET", f"/v1/charges/{small}"), ("POST", "/v1/refunds")]
    over = refund(f"charge={large}")
    assert over.status == 403 and over.json()["error"]["code"] == "amount_over_max"
    assert refund(f"charge={large}&amount=1001").status == 403
    assert refund(f"charge={large}&amount=1000").status == 200
    assert refund(f"charge={foreign}").json()["error"]["code"] == "customer_denied"
    assert [c.target for c in localstripe.calls].count("/v1/refunds") == 2
    rows = [r for r in vault.audit() if r["kind"] == "call.intent"]
    assert [r["details"]["looked_up"] for r in rows] == [f"/v1/charges/{small}", f"/v1/charges/{large}"]


def test_who_cannot_be_asked_refuses(refunds, localstripe):
    vault, key, refund, *_ = refunds
    localstripe.calls.clear()
    refused = refund("charge=ch_unknown")  # 404
    assert refused.status == 403 and refused.json()["error"]["code"] == "customer_unknown"
    localstripe.reply = lambda call: Reply(drop=True)
    assert refund("charge=ch_1").status == 403
    assert vault.request("/stripe/v1/invoices/in_1/pay", key, "POST", FORM, "").status == 403
    assert {c.method for c in localstripe.calls} == {"GET"}


# --- prices that come late


@pytest.fixture
def texts(make_vault, capture):
    """Twilio, which says the price of its one message when `prices` has one."""
    prices: list[str] = []

    def message() -> bytes:
        price = {"price": prices[0], "price_unit": "USD"} if prices else {"price": None, "price_unit": None}
        return json.dumps({"sid": SID, "to": "+15551234567", "body": "hi", "status": "sent", **price}).encode()

    capture.reply = lambda call: Reply(201 if call.method == "POST" else 200, body=message())
    vault = make_vault(
        {"twilio": (capture, f"{ACCOUNT}:{TOKEN}", {})},
        {"texts": {"vendor": "twilio", "endpoints": ["messages.*"], "daily_cap": "0.021 usd"}},
    ).start()
    key = vault.issue("twilio", "texts", "--shape", "vendor", test=False)

    def send() -> Any:
        sid, token = key.whole["account_sid"], key.whole["auth_token"]
        basic = "Basic " + base64.b64encode(f"{sid}:{token}".encode()).decode()
        return vault.request(
            f"/twilio/2010-04-01/Accounts/{sid}/Messages.json", None, "POST", {**FORM, "Authorization": basic},
            "To=%2B15551234567&From=%2B15550001111&Body=hi",
        )

    return vault, send, prices, capture


def ledger_of(vault: Vault) -> tuple[str, str]:
    seen = report(vault, "twilio", "--dry-run", "--all")
    return seen["ledger"], seen["held"]


def test_a_price_that_comes_late_is_found_after_a_restart(texts):
    vault, send, prices, capture = texts
    assert send().status == 201
    assert send().status == 403  # the estimate is held, and another one is over the cap
    wait_for(lambda: any(f"/Messages/{SID}.json" in c.target for c in capture.calls), 20, "the first question")
    assert {c.method: c.target.split("/")[3] for c in capture.calls} == {"POST": ACCOUNT, "GET": ACCOUNT}
    vault.stop()
    prices.append("-0.00750")
    vault.start()
    wait_for(lambda: any(r["kind"] == "call.reconciled" for r in vault.audit()), 30, "the price")
    (row,) = [r for r in vault.audit() if r["kind"] == "call.reconciled"]
    assert row["settled_micro_usd"] == 7500 and row["reason"] == "late_price"
    assert send().status == 201  # there is room again
    assert len([r for r in vault.audit() if r["kind"] == "call.reconciled"]) == 1


def test_a_message_whose_answer_was_lost_is_told_by_what_it_said(texts):
    vault, send, prices, capture = texts
    usual = capture.reply
    capture.reply = lambda call: Reply(drop=True)
    assert send().status == 502
    capture.reply = lambda call: Reply(body=json.dumps({"messages": [
        {"sid": "SM" + "44" * 16, "to": "+15551234567", "body": "something else", "price": "-9", "price_unit": "USD",
         "status": "sent", "date_created": "Thu, 24 Aug 2023 05:01:45 +0000"},
        {"sid": SID, "to": "+15551234567", "body": "hi", "price": "-0.00750", "price_unit": "USD", "status": "delivered",
         "date_created": format_datetime(datetime.now(timezone.utc))}], "next_page_uri": None}).encode())
    found = report(vault, "twilio")
    assert [(c["action"], c["object"]) for c in found["calls"]] == [("settled", SID)]
    assert (found["ledger"], found["held"], found["others"]) == ("0.0075 usd", "0 usd", 1)
    capture.reply = usual


# --- vendors that only the configuration knows


def test_a_declared_list_resolves_what_was_lost(make_vault, capture):
    orders: list[dict[str, Any]] = []

    def shop(call: Any) -> Reply:
        if call.method == "GET":
            return Reply(body=json.dumps({"orders": orders}).encode())
        order = json.loads(call.body)["order"]
        orders.append({"id": len(orders) + 1, "created_at": datetime.now(timezone.utc).isoformat(), **order})
        return Reply(drop=True)

    capture.reply = shop
    vault = make_vault(
        {"shop": (capture, "shop-real-key-0123456789", {
            "auth": "header:X-Shopify-Access-Token",
            "operations": [{"name": "orders.create", "path": "/orders.json", "direction": "charge", "amount": "order.total",
                            "unit": "major", "mark": "order.note"}],
            "lists": [{"path": "/orders.json?created_at_min={from}", "operations": ["orders.create"], "items": "orders",
                       "amount": "total", "unit": "major", "mark": "note", "created": "created_at", "page_size": 250}],
        })},
        {"bot": {"vendor": "shop", "endpoints": ["orders.create"], "daily_cap": "20 usd"}},
    ).start()
    key = vault.issue("shop", "bot", test=False)

    def order(total: str, **more: Any) -> Any:
        return vault.request("/shop/orders.json", key, "POST", JSON, json.dumps({"order": {"total": total, **more}}))

    assert order("12.50").status == 502
    assert order("1.00", note="mine").status == 400
    assert order("7.51").status == 403
    (call,) = report(vault, "shop")["calls"]
    assert (call["action"], call["object"], call["vendor_amount"]) == ("settled", "1", "12.5 usd")
    assert order("7.51").status == 403
    orders[0]["total"] = "10.00"  # the vendor's truth, whenever it is asked
    assert [c["action"] for c in report(vault, "shop")["calls"]] == ["corrected"]
    assert order("7.51").status == 502


# --- retries


def test_the_hold_of_a_retry_under_way_is_kept(make_vault, capture):
    arrived, go_on = threading.Event(), threading.Event()

    def slow(call: Any) -> Reply:
        if call.method == "GET":
            return Reply(body=b'{"data":[],"has_more":false}')
        if sum(c.method == "POST" for c in capture.calls) == 1:
            return Reply(drop=True)  # and nothing was made
        arrived.set()
        go_on.wait(30)
        return Reply(body=b'{"id":"ch_1","amount":5000,"currency":"usd"}')

    capture.reply = slow
    vault = make_vault(
        {"stripe": (capture, REAL_STRIPE_KEY, {})},
        {"bot": {"vendor": "stripe", "endpoints": ["charges.create"], "daily_cap": "50 usd"}},
        reconcile={"every": "1h", "grace": "1s"},
    ).start()
    key = vault.issue("stripe", "bot")

    def charge(**headers: str) -> int:
        return vault.request("/stripe/v1/charges", key, "POST", {**FORM, **headers}, b"amount=5000&currency=usd").status

    assert charge(**{"Idempotency-Key": "one"}) == 502
    time.sleep(1.1)  # the grace
    with ThreadPoolExecutor(1) as pool:
        retry = pool.submit(charge, **{"Idempotency-Key": "one"})
        assert arrived.wait(20)
        try:
            assert [c["action"] for c in report(vault, "stripe")["calls"]] == ["in_flight"]
            assert charge() == 403
        finally:
            go_on.set()
        assert retry.result(20) == 200
    seen = report(vault, "stripe", "--all")
    assert (seen["ledger"], seen["held"]) == ("50 usd", "0 usd")


def test_a_retry_that_finds_nothing_left_to_pay_counts_what_was_held(stripe_vault, capture):
    left = [4000]

    def invoice(call: Any) -> Reply:
        answer = Reply(body=json.dumps({"id": "in_1", "amount_remaining": left[0], "currency": "usd"}).encode())
        if call.method == "GET" or not left[0]:
            return answer
        left[0] = 0
        return Reply(drop=True)  # it is paid

    capture.reply = invoice
    vault = stripe_vault(endpoints=["invoices.pay"], max_amount="40 usd", unknown_amount="lookup")
    key = vault.issue("stripe", "bot")
    pay = {**FORM, "Idempotency-Key": "one"}
    assert vault.request("/stripe/v1/invoices/in_1/pay", key, "POST", pay).status == 502
    assert vault.request("/stripe/v1/invoices/in_1/pay", key, "POST", pay).status == 200
    assert [c["settled"] for c in vault.command("policy", "usage", "bot")["caps"]] == ["40 usd"]
