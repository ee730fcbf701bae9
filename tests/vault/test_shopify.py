"""A shop as examples/shopify.yaml declares it: orders, draft orders and refunds, over REST and GraphQL."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from harness.process import ROOT
from harness.vault import Reply

EXAMPLE = yaml.safe_load((ROOT / "examples" / "shopify.yaml").read_text())["vault"]
REAL = "shpat_TheRealKey0123456789abcdef"
REFUND = """mutation refund($input: RefundInput!) {
  refundCreate(input: $input) {
    refund { id totalRefundedSet { shopMoney { amount currencyCode } } }
    userErrors { field message }
  }
}"""


@pytest.fixture
def shop(make_vault, capture):
    vendor = {name: value for name, value in EXAMPLE["vendors"]["shop"].items() if name != "upstream"}
    return make_vault({"shop": (capture, REAL, vendor)}, EXAMPLE["policies"]).start()


def send(vault, key, path: str, body: Any, method: str = "POST"):
    return vault.request(
        "/shop/admin/api/2026-01" + path, None, method,
        {"Content-Type": "application/json", "X-Shopify-Access-Token": key.text}, json.dumps(body),
    )


def refund(*amounts: str, **more: Any) -> dict[str, Any]:
    return {"refund": {"currency": "USD", "transactions": [{"kind": "refund", "amount": a} for a in amounts], **more}}


def graphql_refund(*amounts: str, currency: str = "USD") -> dict[str, Any]:
    given = {"orderId": "gid://shopify/Order/1", "currency": currency, "transactions": [{"amount": a} for a in amounts]}
    return {"query": REFUND, "variables": {"input": given}}


def line(price: str, count: int = 1, **more: Any) -> dict[str, Any]:
    return {"title": "Bear", "price": price, "quantity": count, **more}


def test_refunds_are_capped_by_all_their_transactions(shop, capture):
    key = shop.issue("shop", "support", test=False)
    path = "/orders/1/refunds.json"
    assert send(shop, key, path, refund("49.99", "0.01")).status == 200
    for body in (
        refund("50.01"), refund("50.00", "0.01"), refund(), {"refund": {"note": "all of it"}},
        refund("1.00", Transactions=[{"amount": "999.00"}]), refund("1.00", currency="XXQ"),
    ):
        answer = send(shop, key, path, body)
        assert answer.status in (400, 403), (body, answer.text)
    assert send(shop, key, path + "?amount=1", refund("1.00")).status == 400
    assert send(shop, key, "/orders/1/refunds/calculate.json", {"refund": {}}).status == 200
    assert len(capture.calls) == 2
    assert capture.calls[0].all("X-Shopify-Access-Token") == [REAL]


def test_graphql_is_the_same_operation(shop, capture):
    key = shop.issue("shop", "support", test=False)
    done = {"refund": {"id": "gid://shopify/Refund/7", "totalRefundedSet": {"shopMoney": {"amount": "19.5", "currencyCode": "USD"}}}}
    capture.reply = lambda call: Reply(200, body=json.dumps({"data": {"refundCreate": {**done, "userErrors": []}}}).encode())
    assert send(shop, key, "/graphql.json", graphql_refund("20.00")).status == 200
    assert json.loads(capture.calls[0].asked) == graphql_refund("20.00")
    inline = 'mutation { refundCreate(input: {currency: USD, transactions: {amount: "20.00"}}) { refund { id } } }'
    assert send(shop, key, "/graphql.json", {"query": inline}).status == 200
    assert send(shop, key, "/graphql.json", {"query": "{ shop { name } }"}).status == 200
    sent = len(capture.calls)
    for body in (
        graphql_refund("50.01"), graphql_refund("25.00", "25.01"), graphql_refund(),
        {"query": inline.replace("20.00", "50.01")},
        {"query": 'mutation { draftOrderComplete(id: "gid://shopify/DraftOrder/1") { draftOrder { id } } }'},
        {"query": "mutation { customerDelete(input: {id: 1}) { deletedCustomerId } }"},
        {"query": inline + inline.replace("mutation", "mutation b")},
        {"query": inline.replace("refundCreate", "a: refundCreate")},
        {"query": inline.replace("}) {", "}) { refund { id } } orderCancel(orderId: 1) {")},
        [graphql_refund("1.00")],
    ):
        answer = send(shop, key, "/graphql.json", body)
        assert answer.status in (400, 403), (body, answer.text)
    assert len(capture.calls) == sent
    # The answer says what was given back in the end.
    outcomes = [row for row in shop.audit_rows("--kind", "call.outcome") if row.get("operation") == "refunds.create"]
    settled = [(row["reserved_micro_usd"], row["settled_micro_usd"]) for row in outcomes if row["verdict"] == "allowed"]
    assert settled == [(20_000_000, 19_500_000)] * 2


def test_a_mutation_that_did_nothing_is_released(shop, capture):
    key = shop.issue("shop", "support", test=False)
    refused = {"data": {"refundCreate": {"refund": None, "userErrors": [{"message": "Order is not paid"}]}}}
    capture.reply = lambda call: Reply(200, body=json.dumps(refused).encode())
    for _ in range(15):  # of fifty dollars each, under a cap of five hundred
        assert send(shop, key, "/graphql.json", graphql_refund("50.00")).status == 200


def test_orders_come_to_the_sum_of_their_lines(shop, capture):
    key = shop.issue("shop", "seller", test=False)

    def order(*lines: dict[str, Any]) -> int:
        return send(shop, key, "/orders.json", {"order": {"currency": "USD", "customer": {"id": 7}, "line_items": list(lines)}}).status

    assert order(line("50.00", 3), line("50.00")) == 200
    assert order(line("50.00", 3), line("50.01")) == 403
    assert order(line("200.00"), {"title": "free?", "quantity": 1}) == 403
    assert order(line("1.00", variant_id=5)) == 403
    assert order(line("100.00", 1, Price="1.00")) == 400
    draft = {"draft_order": {"customer": {"id": 7}, "line_items": [line("100.00", 2)]}}
    assert send(shop, key, "/draft_orders.json", draft).status == 200
    assert send(shop, key, "/draft_orders/1/complete.json", {}, "PUT").status == 403
    # What octroi wrote into it says which call made it.
    assert json.loads(capture.calls[0].asked)["order"]["note"]
