"""Stripe's own MCP server behind the vault: @stripe/mcp as it is published, which speaks to mcp.stripe.com and takes
nothing but keys that begin with sk_ or rk_, started by `octroi run`."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import pytest

from harness.mcp import JSON, McpServer, Stdio, text, tool_rows
from harness.peers import NODE_HOME, node_missing, node_program, node_script
from harness.reach import outcomes
from harness.vault import REAL_STRIPE_KEY, Reply, Vault, Vendor
from harness.web import request

node = pytest.mark.skipif(node_missing() is not None, reason=node_missing() or "")
CLI = NODE_HOME / "node_modules" / "stripe-mcp-remote" / "dist" / "index.js"


def refund(arguments: dict[str, Any]) -> dict[str, Any]:
    return text({"id": f"re_{arguments['amount']}", "object": "refund", "amount": arguments["amount"],
                 "currency": "usd", "status": "succeeded"})


@pytest.fixture
def server() -> Iterator[McpServer]:
    made = McpServer(create_refund=refund, list_customers=lambda _: text({"data": []}),
                     create_customer=lambda a: text({"id": "cus_1", **a}), create_payout=lambda _: text("no"))
    yield made
    made.stop()


@pytest.fixture
def api() -> Iterator[Vendor]:
    """Stripe's API, which octroi asks what a call does not say."""
    vendor = Vendor()
    vendor.reply = lambda call: Reply(body=json.dumps(
        {"id": call.target.rsplit("/", 1)[1], "object": "payment_intent", "currency": "usd", "amount": 5000,
         "amount_received": 5000, "customer": "cus_1"}).encode())
    yield vendor
    vendor.stop()


@pytest.fixture
def mcp_vault(make_vault: Callable[..., Vault], server: McpServer, api: Vendor) -> Callable[..., Vault]:
    def make(**policy: Any) -> Vault:
        more = {"mcp": f"http://127.0.0.1:{server.port}"}
        base = {"vendor": "stripe", "endpoints": ["mcp.*", "create_refund", "list_customers"],
                "daily_cap": "25 usd", "unknown_amount": "lookup"}
        return make_vault({"stripe": (api, REAL_STRIPE_KEY, more)}, {"bot": {**base, **policy}}).start()

    return make


def bridge(vault: Vault, key: str, *flags: str) -> Stdio:
    return Stdio([str(vault.binary), "run", "--config", str(vault.file), "--vault", key, *flags, "--",
                  node_program(), str(CLI)])


@node
def test_stripe_mcp_with_a_restricted_key_is_capped(mcp_vault, server, api):
    vault = mcp_vault()
    key = vault.issue("stripe", "bot", "--server", "mcp")
    restricted = key.text.replace("vault_test_", "rk_test_vault")
    program = bridge(vault, restricted, "--run", "mcp-run")
    try:
        assert {t["name"] for t in program.ask("tools/list")["tools"]} == set(server.tools)
        assert json.loads(program.call("list_customers", limit=3)) == {"data": []}
        done = [json.loads(program.call("create_refund", payment_intent="pi_1", amount=n)) for n in (1000, 1500)]
        assert [d["amount"] for d in done] == [1000, 1500]
        over = program.call_whole("create_refund", payment_intent="pi_1", amount=1)
        unknown = program.call_whole("create_payout", amount=1)
        unlisted = program.call_whole("create_customer", name="Ada")
    finally:
        program.end()
    assert over["isError"] and "25" in over["content"][0]["text"]
    assert over["_meta"]["octroi/refusal"]["code"] == "cap_exceeded"
    assert over["_meta"]["octroi/refusal"]["resets_at"] in over["content"][0]["text"]
    assert unknown["isError"] and unknown["_meta"]["octroi/refusal"]["code"] == "unknown_operation"
    assert unlisted["isError"] and unlisted["_meta"]["octroi/refusal"]["code"] == "operation_denied"
    assert [(c.name, c.arguments.get("amount")) for c in server.called] == [
        ("list_customers", None), ("create_refund", 1000), ("create_refund", 1500)]
    for call in server.called:
        assert call.request.all("Authorization") == [f"Bearer {REAL_STRIPE_KEY}"]
        assert call.request.all("Mcp-Session-Id") == [server.session]
    # In what currency a refund is, only its payment says: it is asked for at Stripe's API.
    assert [c.target for c in api.calls] == ["/v1/payment_intents/pi_1"] * 3
    assert tool_rows(vault, 6, "--run", "mcp-run") == sorted([
        ("list_customers", "allowed", "", "mcp"),
        ("create_refund", "allowed", "", "mcp"),
        ("create_refund", "allowed", "", "mcp"),
        ("create_refund", "denied", "cap_exceeded", "mcp"),
        ("create_payout", "denied", "unknown_operation", "mcp"),
        ("create_customer", "denied", "operation_denied", "mcp"),
    ])


@node
def test_a_client_for_remote_servers_takes_the_path(mcp_vault, server):
    vault = mcp_vault()
    key = vault.issue("stripe", "bot")
    calls = [["create_refund", {"payment_intent": "pi_1", "amount": 2500}], ["create_refund", {"payment_intent": "pi_1", "amount": 1}]]
    said = node_script("mcp_client.mjs", f"{vault.url}/stripe-mcp", key.text, json.dumps(calls))
    assert [c.get("isError", False) for c in said["calls"]] == [False, True]
    assert len(server.called) == 1


def test_both_doors_share_the_cap_and_stay_in_the_account(mcp_vault, server, api):
    """What was moved through the API is gone for the tools, whose calls stay in the account of the key."""
    vault = mcp_vault(endpoints=["create_refund", "refunds.create"])
    key = vault.issue("stripe", "bot")
    shown = {"Authorization": f"Bearer {key.text}"}
    form = {**shown, "Content-Type": "application/x-www-form-urlencoded"}
    intent = api.reply
    api.reply = lambda call: (Reply(body=b'{"id": "re_1", "object": "refund", "amount": 2000, "currency": "usd"}')
                              if call.method == "POST" else intent(call))
    by_api = request(f"{vault.url}/stripe/v1/refunds", "POST", form, "payment_intent=pi_1&amount=2000")
    assert by_api.status == 200, by_api.text

    def by_tool(amount: int, **headers: str) -> dict[str, Any]:
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                   "params": {"name": "create_refund", "arguments": {"payment_intent": "pi_1", "amount": amount}}}
        answer = request(f"{vault.url}/stripe-mcp", "POST", {**JSON, **shown, **headers}, json.dumps(message))
        return answer.json()

    assert by_tool(501)["result"]["_meta"]["octroi/refusal"]["code"] == "cap_exceeded"
    assert by_tool(100, **{"Stripe-Account": "acct_1"})["error"]["code"] == -32003 and server.called == []
    assert not by_tool(500)["result"].get("isError")
    assert [c.arguments["amount"] for c in server.called] == [500]


def test_what_failed_on_the_way_stays_held_and_no_list_releases_it(mcp_vault, server, api):
    vault = mcp_vault()
    key = vault.issue("stripe", "bot")
    server.tools["create_refund"] = lambda _: text("Failed to create refund", is_error=True)
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
               "params": {"name": "create_refund", "arguments": {"payment_intent": "pi_1", "amount": 700}}}
    shown = {**JSON, "Authorization": f"Bearer {key.text}"}
    assert request(f"{vault.url}/stripe-mcp", "POST", shown, json.dumps(message)).json()["result"]["isError"] is True
    assert outcomes(vault, 1)[0]["verdict"] == "unknown"
    api.reply = lambda call: Reply(body=json.dumps({"object": "list", "data": [], "has_more": False}).encode())
    vault.command("vault", "reconcile", "--grace", "0s")
    cap = vault.command("policy", "usage", "bot")["caps"][0]
    assert cap["held"].startswith("7") and cap["settled"].startswith("0"), cap


@node
def test_a_revoked_key_ends_the_bridge(mcp_vault, server):
    """The tool that is called next is not reached; the bridge says why in its own log."""
    vault = mcp_vault()
    key = vault.issue("stripe", "bot")
    program = bridge(vault, key.text)
    try:
        assert not program.call_whole("list_customers").get("isError")
        vault.command("key", "revoke", key.id)
        program.send({"jsonrpc": "2.0", "id": 99, "method": "tools/call", "params": {"name": "list_customers"}})
        assert program.child.stderr
        assert any("revoked" in line for line in program.child.stderr)
    finally:
        program.end()
    assert [c.name for c in server.called] == ["list_customers"]
