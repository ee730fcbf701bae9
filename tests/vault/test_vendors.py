"""Vendors beside Stripe, as their programs speak to them."""

from __future__ import annotations

import base64
import json

from harness.vault import Reply

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
TOKEN = "00112233445566778899aabbccddeeff"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_twilio_exchanges_account_and_token_both_ways(make_vault, capture):
    vault = make_vault(
        {"twilio": (capture, f"{ACCOUNT}:{TOKEN}", {})},
        {"texts": {"vendor": "twilio", "endpoints": ["messages.*"], "countries": ["US"], "daily_cap": "0.03 usd"}},
    ).start()
    key = vault.issue("twilio", "texts", "--shape", "vendor", test=False)
    sid, token = key.whole["account_sid"], key.whole["auth_token"]
    assert sid.startswith("AC") and len(sid) == 34 and len(token) == 32
    capture.reply = lambda call: Reply(
        201,
        body=json.dumps({"sid": "SM1", "price": None, "uri": f"/2010-04-01/Accounts/{ACCOUNT}/Messages/SM1.json", "account_sid": ACCOUNT}).encode(),
    )

    def send(to: str, body: str):
        return vault.request(
            f"/twilio/2010-04-01/Accounts/{sid}/Messages.json", None, "POST",
            {**FORM, "Authorization": basic(sid, token)}, f"To=%2B{to}&From=%2B15550001111&Body={body}",
        )

    sent = send("15551234567", "hello")
    assert sent.status == 201, sent.text
    assert sent.json()["account_sid"] == sid and ACCOUNT not in sent.text
    call = capture.calls[0]
    assert call.target == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert call.all("Authorization") == [basic(ACCOUNT, TOKEN)]
    assert send("447700900123", "hello").status == 403  # another country
    assert send("18765551234", "hello").status == 403  # +1, but not the US
    assert send("15551234567", "x" * 400).status == 403  # three parts are over the cap
    assert send("15551234567", "again").status == 201
    refused = send("15551234567", "again")
    assert refused.status == 403 and refused.json()["status"] == 403 and "cap_exceeded" in refused.json()["message"]
    assert len(capture.calls) == 2


def test_resend_counts_recipients(make_vault, capture):
    vault = make_vault(
        {"resend": (capture, "re_TheRealKey0123456789", {})},
        {
            "mail": {
                "vendor": "resend", "endpoints": ["emails.*"], "senders": ["example.com"],
                "recipients": ["*@customer.example"], "caps": [{"per": "day", "calls": 3}],
            }
        },
    ).start()
    key = vault.issue("resend", "mail", "--shape", "vendor", test=False)
    assert key.text.startswith("re_vault")

    def send(to, sender="Us <us@example.com>"):
        body = json.dumps({"from": sender, "to": to, "subject": "s", "html": "h"})
        return vault.request("/resend/emails", key, "POST", {"Content-Type": "application/json"}, body)

    assert send(["a@customer.example", "b@customer.example"]).status == 200
    assert send("c@elsewhere.example").status == 403
    assert send("c@customer.example", "us@other.example").status == 403
    assert send(["c@customer.example", "d@customer.example"]).status == 403  # four in all
    assert send("c@customer.example").status == 200
    refused = send("d@customer.example")
    assert refused.status == 403 and refused.json()["statusCode"] == 403
    assert vault.request("/resend/api-keys", key, "POST", {"Content-Type": "application/json"}, "{}").status == 403
    assert len(capture.calls) == 2
    assert capture.calls[0].all("Authorization") == ["Bearer re_TheRealKey0123456789"]


def test_a_shop_by_declared_operations(make_vault, capture):
    vault = make_vault(
        {
            "shop": (
                capture, "shpat_TheRealKey0123456789",
                {
                    "auth": "header:X-Shopify-Access-Token",
                    "operations": [
                        {
                            "name": "orders.create", "path": "/admin/api/*/orders.json", "direction": "charge",
                            "amount": "order.total_price", "currency": "order.currency", "unit": "major",
                            "customer": "order.customer.id",
                        }
                    ],
                },
            )
        },
        {"seller": {"vendor": "shop", "endpoints": ["orders.create", "GET /admin/**"], "max_amount": "20 usd", "customers": ["7"]}},
    ).start()
    key = vault.issue("shop", "seller", test=False)

    def order(price: str, customer: int = 7):
        body = json.dumps({"order": {"total_price": price, "currency": "USD", "customer": {"id": customer}}})
        return vault.request(
            "/shop/admin/api/2026-01/orders.json", None, "POST",
            {"Content-Type": "application/json", "X-Shopify-Access-Token": key.text}, body,
        )

    assert order("20.00").status == 200
    assert order("20.01").status == 403
    assert order("1.00", 8).status == 403
    assert order("1.005").status == 400
    answer = vault.request("/shop/admin/orders", headers={"X-Shopify-Access-Token": key.text})
    assert answer.status == 200
    assert [c.all("X-Shopify-Access-Token") for c in capture.calls] == [["shpat_TheRealKey0123456789"]] * 2
    assert all(not c.all("Authorization") for c in capture.calls)
