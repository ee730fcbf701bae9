"""Octroi reads a GraphQL request as graphql-js does, or refuses it: whatever passes under a policy ran
what was judged, for what was judged."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any, Iterator

import pytest

from harness.peers import node_missing, node_program
from harness.process import ROOT
from harness.vendors import MODULES, Mock
from harness.web import request

pytestmark = pytest.mark.skipif(node_missing() is not None, reason=node_missing() or "")

SERVER = ROOT / "tests" / "node" / "graphql_shop.mjs"
PATH = "/shop/admin/api/2026-01/graphql.json"
MOST = Decimal(50)
VENDOR: dict[str, Any] = {
    "operations": [
        {"name": "read", "path": "/admin/api/*/graphql.json", "graphql": "query *", "direction": "read"},
        {
            "name": "refunds.create", "path": "/admin/api/*/graphql.json", "graphql": "mutation refundCreate",
            "direction": "refund", "amount": "input.transactions[*].amount", "currency": "=USD", "unit": "major",
            "answer_id": "refund.id", "errors": "userErrors",
        },
    ]
}
POLICY = {"vendor": "shop", "endpoints": ["read", "refunds.create"], "max_amount": f"{MOST} usd"}


@pytest.fixture
def server(workdir) -> Iterator[Mock]:
    home = workdir / "graphql"
    home.mkdir()
    (home / "node_modules").symlink_to(MODULES)
    (home / SERVER.name).write_text(SERVER.read_text())
    mock = Mock("graphql-js", workdir, lambda port: [node_program(), home / SERVER.name], lambda port: {"PORT": str(port)})
    yield mock
    mock.stop()


def refund(amounts: str) -> str:
    return "mutation { refundCreate(input: {transactions: %s}) { refund { id } } }" % amounts


def given(variables: Any, query: str = "mutation m($i: RefundInput!) { refundCreate(input: $i) { refund { id } } }", **more: Any):
    return {"query": query, "variables": variables, **more}


SMALL, LARGE = '{amount: "1.00"}', '{amount: "999.00"}'
TWO = "mutation a { refundCreate(input: {transactions: %s}) { refund { id } } } " % SMALL + \
      "mutation b { refundCreate(input: {transactions: %s}) { refund { id } } }" % LARGE

# What passes, and what the server was given in all.
PASS: dict[str, tuple[Any, str]] = {
    "one": ({"query": refund(f"[{SMALL}]")}, "1"),
    "one that is no list": ({"query": refund('{amount: "2.50"}')}, "2.5"),
    "two": ({"query": refund('[{amount: "1.50"}, {amount: "2"}]')}, "3.5"),
    "commas and comments": ({"query": refund('[,{amount:,"1.00",}# {amount: "999.00"}\n,{kind: "x", amount: "3"}]')}, "4"),
    "a block string": ({"query": refund('[{amount: """1.00"""}]')}, "1"),
    "escapes": ({"query": refund('[{amount: "\\u0031.0\\u0030"}]')}, "1"),
    "a variable": (given({"i": {"transactions": [{"amount": "7.00"}]}}), "7"),
    "a variable inside": (
        given({"a": "8.00"}, 'mutation ($a: String!) { refundCreate(input: {transactions: [{amount: $a}]}) { refund { id } } }'), "8"),
    "a default": (
        {"query": 'mutation ($a: String! = "9.00") { refundCreate(input: {transactions: [{amount: $a}]}) { refund { id } } }'}, "9"),
    "a default that is not used": (
        given({"a": "4.00"}, 'mutation ($a: String! = "9.00") { refundCreate(input: {transactions: [{amount: $a}]}) { refund { id } } }'),
        "4"),
    "a variable too many": (given({"i": {"transactions": [{"amount": "1.00"}]}, "j": {"amount": "999.00"}}), "1"),
    "its own name": (given({"i": {"transactions": [{"amount": "1.00"}]}}, operationName="m"), "1"),
    "fragments below": (
        {"query": refund(SMALL).replace("{ refund { id } }", "{ ...f }") + " fragment f on RefundPayload { refund { id } }"}, "1"),
    "a string like a field": ({"query": refund('[{amount: "1.00", kind: "\\", amount: \\"999.00"}]')}, "1"),
}
# What an agent might send to have more run than was judged.
REFUSE: dict[str, Any] = {
    "too much": {"query": refund(LARGE)},
    "too much together": {"query": refund('[{amount: "25.01"}, {amount: "25"}]')},
    "two operations": {"query": TWO, "operationName": "b"},
    "two fields": {"query": refund(SMALL).replace("}) {", "}) { refund { id } } orderCancel(orderId: 1) {", 1)},
    "the same twice": {"query": "mutation { refundCreate(input: {transactions: %s}) { refund { id } } b: refundCreate(input: {transactions: %s}) { refund { id } } }" % (SMALL, LARGE)},
    "another field": {"query": "mutation { orderCancel(orderId: 1) { refund { id } } }"},
    "an alias": {"query": refund(SMALL).replace("refundCreate", "x: refundCreate")},
    "a fragment": {"query": "mutation { ...f } fragment f on Mutation { refundCreate(input: {transactions: %s}) { refund { id } } }" % LARGE},
    "an inline fragment": {"query": "mutation { ... on Mutation { refundCreate(input: {transactions: %s}) { refund { id } } } }" % LARGE},
    "a directive": {"query": refund(SMALL).replace(") {", ") @skip(if: false) {", 1)},
    "an argument twice": {"query": refund(SMALL).replace("(input:", "(input: {transactions: %s}, input:" % LARGE)},
    "a field of it twice": {"query": refund('{amount: "1.00", amount: "999.00"}')},
    "no amount": {"query": refund("[]")},
    "a null": {"query": refund("null")},
    "a variable without a value": given({}, "mutation ($a: [Transaction!]) { refundCreate(input: {transactions: $a}) { refund { id } } }"),
    "a batch": [{"query": refund(SMALL)}, {"query": refund(LARGE)}],
    "persisted": {"query": refund(SMALL), "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0"}}},
    "an id of a text": {"query": refund(SMALL), "id": "other"},
    "in other letters": {"query": refund(SMALL), "Query": refund(LARGE)},
    "its name is another": {"query": refund(SMALL), "operationName": "b"},
    "a schema": {"query": refund(SMALL) + " type Query { x: Int }"},
    "a comment that a carriage return ends": {"query": refund(f'# \r{LARGE}\n{SMALL}')},
    "no text": {"query": 1},
}


@pytest.fixture
def shop(make_vault, server):
    return make_vault({"shop": (server, "real-key-0123456789", VENDOR)}, {"refunds": POLICY}).start()


def ask(shop, key, body: Any):
    return shop.request(PATH, key, "POST", {"Content-Type": "application/json"}, json.dumps(body))


def total(ran: list[dict[str, Any]]) -> Decimal:
    """What the server was told to give back."""
    listed = [one["args"]["input"].get("transactions") or [] for one in ran if one["name"] == "refundCreate"]
    return sum((Decimal(t["amount"]) for all_of_it in listed for t in all_of_it), Decimal(0))


def test_what_passes_ran_as_it_was_judged(shop):
    key = shop.issue("shop", "refunds", test=False)
    for name, (body, amount) in PASS.items():
        answer = ask(shop, key, body)
        assert answer.status == 200, (name, answer.text)
        ran = answer.json()["extensions"]["ran"]
        assert [one["name"] for one in ran] == ["refundCreate"] and total(ran) == Decimal(amount), (name, answer.text)
    counted = [row["reserved_micro_usd"] for row in shop.audit_rows("--kind", "call.intent", "--limit", "100")]
    assert counted == [int(Decimal(amount) * 1_000_000) for _, amount in PASS.values()]


def test_what_could_run_more_is_refused(shop, server):
    key = shop.issue("shop", "refunds", test=False)
    for name, body in REFUSE.items():
        answer = ask(shop, key, body)
        assert answer.status in (400, 403, 415), (name, answer.text)
    # The server would have run some of them: that is why.
    alone = request(f"http://127.0.0.1:{server.port}/", "POST", {}, json.dumps(REFUSE["two operations"])).json()
    assert total(alone["extensions"]["ran"]) == 999


def test_mangled_requests_run_nothing_that_was_not_judged(shop, server):
    """Requests that pass, with pieces of others put in, taken out and turned around."""
    chance = random.Random(20)
    key = shop.issue("shop", "refunds", test=False)
    texts = [body["query"] for body, _ in PASS.values()] + [b["query"] for b in REFUSE.values() if isinstance(b, dict) and isinstance(b["query"], str)]
    pieces = [SMALL, LARGE, '"', "\\", "#", "\n", "\r", ",", "{", "}", "(", ")", "[", "]", "...f ", "x: ", "@skip(if: true)", "$a", "null", '"""', "\ufeff"]
    passed = 0
    for _ in range(400):
        text = chance.choice(texts)
        for _ in range(chance.randrange(3)):
            at, end = sorted((chance.randrange(len(text) + 1), chance.randrange(len(text) + 1)))
            text = chance.choice([
                text[:at] + chance.choice(pieces) + text[at:],
                text[:at] + text[min(end, at + 12):],
                text[:at] + chance.choice(texts)[at:end] + text[at:],
            ])
        answer = ask(shop, key, {"query": text, "variables": {"i": {"transactions": [{"amount": "7.00"}]}, "a": "8.00"}})
        if answer.status != 200:
            assert answer.status in (400, 403, 415), (text, answer.text)
            continue
        ran = answer.json()["extensions"]["ran"]
        refunds = [one for one in ran if one["name"] in ("refundCreate", "orderCancel")]
        assert len(refunds) <= 1 and all(one["name"] == "refundCreate" for one in refunds) and total(ran) <= MOST, (text, answer.text)
        passed += bool(refunds)
    assert passed > 30
