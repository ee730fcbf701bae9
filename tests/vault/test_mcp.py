"""Any server of the Model Context Protocol behind the vault: its tools are declared, and then they are operations
with caps like any other. The client is the protocol's own SDK, unmodified."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import pytest

from harness.mcp import JSON, McpServer, text
from harness.peers import node_missing, node_script
from harness.process import wait_for
from harness.reach import outcomes
from harness.vault import Reply, Vault
from harness.web import request

node = pytest.mark.skipif(node_missing() is not None, reason=node_missing() or "")
REAL = "shop_real_key_that_no_agent_may_ever_see_0123456789"
TOOLS = [
    {"tool": "create_order", "direction": "charge", "amount": "/order/total", "currency": "/order/currency",
     "unit": "major", "customer": "/customer", "answer_amount": "/total", "answer_id": "/id"},
    {"tool": "give_back", "direction": "refund", "amount": "/cents", "on_error": "release"},
    {"tool": "get_*", "direction": "read"},
]


def order(arguments: dict[str, Any]) -> dict[str, Any]:
    return text({"id": "o_1", "total": arguments["order"]["total"], "order": {"currency": "USD"}})


@pytest.fixture
def server() -> Iterator[McpServer]:
    made = McpServer(create_order=order, give_back=lambda a: text({"gave": a["cents"]}),
                     get_orders=lambda _: text([]), drop_all=lambda _: text("dropped"))
    yield made
    made.stop()


@pytest.fixture
def shop(make_vault: Callable[..., Vault], server: McpServer) -> Callable[..., Vault]:
    def make(**policy: Any) -> Vault:
        base = {"vendor": "shop", "endpoints": ["mcp.*", "create_order", "give_back", "get_orders"], "daily_cap": "50 usd"}
        return make_vault({"shop": (server.vendor, REAL, {"pack": "mcp", "mode": "test", "tools": TOOLS})},
                          {"bot": {**base, **policy}}).start()

    return make


def post(vault: Vault, key: str, message: Any, path: str = "/shop/mcp", **headers: str):
    body = message if isinstance(message, str) else json.dumps(message)
    return request(vault.url + path, "POST", {**JSON, "Authorization": f"Bearer {key}", **headers}, body)


def call(tool: str, arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": tool, "arguments": arguments}, **more}


def priced(total: str) -> dict[str, Any]:
    return {"order": {"total": total, "currency": "USD"}, "customer": "c_1"}


def spent(vault: Vault) -> dict[str, Any]:
    return vault.command("policy", "usage", "bot")


@node
@pytest.mark.parametrize("stream", [False, True], ids=["json", "events"])
def test_the_sdk_of_the_protocol_is_capped(shop, server, stream):
    """What the SDK's own client gives its caller: results, refusals that a model can read, and errors."""
    server.stream = stream
    vault = shop()
    key = vault.issue("shop", "bot")
    said = node_script("mcp_client.mjs", f"{vault.url}/shop/mcp", key.text, json.dumps([
        ["create_order", priced("20.50")], ["create_order", priced("29.50")], ["create_order", priced("0.01")],
        ["drop_all", {}], ["get_orders", {}], ["create_order", {"order": {"total": "x", "currency": "USD"}}]]))
    assert sorted(said["tools"]) == sorted(server.tools)
    first, second, over, unknown, read, odd = said["calls"]
    assert json.loads(first["content"][0]["text"])["total"] == "20.50" and not first.get("isError")
    assert not second.get("isError") and not read.get("isError")
    for refused, code in ((over, "cap_exceeded"), (unknown, "unknown_operation"), (odd, "ambiguous")):
        assert refused["isError"] is True
        assert refused["_meta"]["octroi/refusal"]["code"] == code
        assert refused["_meta"]["octroi/refusal"]["message"] in refused["content"][0]["text"]
    assert over["_meta"]["octroi/refusal"]["resets_at"] in over["content"][0]["text"]
    assert [c.name for c in server.called] == ["create_order", "create_order", "get_orders"]
    assert {h for c in server.called for h in c.request.all("Authorization")} == {f"Bearer {REAL}"}
    assert {h for c in server.called for h in c.request.all("Mcp-Session-Id")} == {server.session}
    # Whatever else the client asked was the protocol's, by its names.
    known = {"mcp.initialize", "mcp.notifications.initialized", "mcp.tools.list"}
    wait_for(lambda: known <= {r.get("operation") for r in vault.audit()}, 60, "the rows of the protocol")


@node
def test_a_policy_without_the_protocol_lets_nobody_in(shop, server):
    vault = shop(endpoints=["create_order"])
    key = vault.issue("shop", "bot")
    said = node_script("mcp_client.mjs", f"{vault.url}/shop/mcp", key.text, "[]")
    assert said["failed"]["code"] == -32003 and "mcp.initialize" in said["failed"]["message"]
    assert server.methods == []


OUTCOMES = [
    ("result", lambda _: text({"id": "o_1", "total": "4.00", "order": {"currency": "USD"}}), "allowed", "4"),
    ("tool_error", lambda _: text("failed on the way", is_error=True), "unknown", None),
    ("bad_params", lambda _: {"error": {"code": -32602, "message": "no"}}, "failed", None),
    ("server_error", lambda _: {"error": {"code": -32603, "message": "no"}}, "unknown", None),
    ("dropped", lambda _: Reply(drop=True), "unknown", None),
    ("status_500", lambda _: Reply(500), "unknown", None),
    ("status_404", lambda _: Reply(404), "failed", None),
    ("cut_off", lambda _: Reply(200, (("Content-Type", "text/event-stream"),), pieces=(b": nothing\n\n",)), "unknown", None),
]


@pytest.mark.parametrize("tool,verdict,settled", [o[1:] for o in OUTCOMES], ids=[o[0] for o in OUTCOMES])
def test_what_becomes_of_a_call(shop, server, tool, verdict, settled):
    vault = shop()
    server.tools["create_order"] = tool
    key = vault.issue("shop", "bot")
    post(vault, key.text, call("create_order", priced("5.00")))
    row = outcomes(vault, 1)[0]
    assert (row["operation"], row["verdict"]) == ("create_order", verdict)
    cap = spent(vault)["caps"][0]
    expected = {"allowed": ("4", "0"), "unknown": ("0", "5"), "failed": ("0", "0")}[verdict]
    assert (dollars(cap["settled"]), dollars(cap["held"])) == expected


def dollars(amount: Any) -> str:
    return f"{float(str(amount).split()[0]):g}"


def test_an_error_may_be_a_refusal(shop, server):
    """`on_error: release`, for tools of which the operator knows that they do all or nothing."""
    server.tools["give_back"] = lambda _: text("no such order", is_error=True)
    vault = shop()
    key = vault.issue("shop", "bot")
    answer = post(vault, key.text, call("give_back", {"cents": 100}))
    assert answer.json()["result"]["isError"] is True
    row = outcomes(vault, 1)[0]
    assert (row["operation"], row["verdict"]) == ("give_back", "failed")
    cap = spent(vault)["caps"][0]
    assert (dollars(cap["settled"]), dollars(cap["held"])) == ("0", "0")


TWO_READINGS = [
    ("key_twice", '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"drop_all"}}'),
    ("two_cases", '{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call","params":{"name":"drop_all"}}'),
    ("escaped", '{"jsonrpc":"2.0","id":1,"method":"tools/list","\\u006dethod":"tools/call","params":{"name":"drop_all"}}'),
    ("two_calls", json.dumps([call("get_orders", {}), {**call("drop_all", {}), "id": 8}])),
    ("a_call_beside", json.dumps([{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, {**call("get_orders", {}), "id": 8}])),
    ("no_id", json.dumps({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "get_orders"}})),
    ("tail", '{"jsonrpc":"2.0","id":1,"method":"tools/list"}{"jsonrpc":"2.0","id":2,"method":"tools/call"}'),
    ("another_method", '{"jsonrpc":"2.0","id":1,"method":"tools/exec"}'),
    ("name_twice", '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get_orders","name":"drop_all"}}'),
]


def test_what_has_two_readings_is_refused(shop, server):
    vault = shop()
    key = vault.issue("shop", "bot").text
    for name, body in TWO_READINGS:
        answer = post(vault, key, body)
        said = answer.json()
        said = said[0] if isinstance(said, list) else said
        assert "error" in said or said["result"]["isError"] is True, name
    plain = json.dumps(call("get_orders", {}))
    assert post(vault, key, plain, "/shop/mcp?tools=all").json()["result"]["isError"] is True
    assert post(vault, key, plain, **{"Mcp-Name": "drop_all"}).json()["result"]["isError"] is True
    assert post(vault, key, plain, "/shop/other").json()["result"]["isError"] is True
    assert post(vault, key, plain, **{"Content-Type": "text/plain"}).status == 415
    assert request(f"{vault.url}/shop/metrics", headers={"Authorization": f"Bearer {key}"}).status == 403
    assert server.called == [] and server.methods == []
    assert post(vault, key, plain).json()["result"]["content"][0]["text"] == "[]"


def test_a_batch_of_one_call_is_that_call(shop, server):
    vault = shop()
    key = vault.issue("shop", "bot").text
    answer = post(vault, key, [call("create_order", priced("50.00"))]).json()
    assert isinstance(answer, list) and not answer[0]["result"].get("isError")
    over = post(vault, key, [call("create_order", priced("0.01"))]).json()
    assert isinstance(over, list) and over[0]["result"]["isError"] and over[0]["id"] == 7
    assert len(server.called) == 1


def test_keys_are_refused_with_a_status(shop):
    """Clients ask their user to sign in, or give up: what they do with no other answer."""
    vault = shop()
    key = vault.issue("shop", "bot")
    vault.command("key", "revoke", key.id)
    answer = post(vault, key.text, call("get_orders", {}))
    assert answer.status == 401
    assert answer.json()["error"]["code"] == -32001 and answer.json()["id"] is None


def test_the_run_may_stand_in_the_call(shop):
    vault = shop()
    key = vault.issue("shop", "bot")
    message = call("get_orders", {})
    message["params"]["_meta"] = {"agent_run_id": "run-9"}
    assert post(vault, key.text, message).status == 200
    assert [r["operation"] for r in outcomes(vault, 1, "--run", "run-9")] == ["get_orders"]


def test_a_human_agrees_to_the_call_and_not_to_its_number(shop, server):
    """A ticket is good for the same tool with the same arguments: each sending has an id of its own."""
    vault = shop(approve_over="10 usd")
    key = vault.issue("shop", "bot")
    first = post(vault, key.text, call("create_order", priced("20.00")))
    refusal = first.json()["result"]["_meta"]["octroi/refusal"]
    assert refusal["code"] == "needs_approval"
    ticket = first.get("X-Octroi-Approval")
    assert ticket in first.json()["result"]["content"][0]["text"]
    vault.command("approval", "approve", ticket)
    assert post(vault, key.text, {**call("create_order", priced("20.01")), "id": 8}).json()["result"]["isError"]
    assert not post(vault, key.text, {**call("create_order", priced("20.00")), "id": 9}).json()["result"].get("isError")
    assert post(vault, key.text, {**call("create_order", priced("20.00")), "id": 10}).json()["result"]["isError"]
    assert len(server.called) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["json", "events"])
def test_the_real_key_never_comes_back(shop, server, stream):
    server.stream = stream
    server.tools["get_orders"] = lambda _: text(f"your key is {REAL}")
    vault = shop()
    key = vault.issue("shop", "bot")
    answer = post(vault, key.text, call("get_orders", {}))
    assert REAL not in answer.text and "vault_redacted" in answer.text


def test_explain_judges_a_message_as_the_door_does(shop):
    vault = shop()

    def explained(message: dict[str, Any]) -> dict[str, Any]:
        done = vault.command("policy", "explain", "bot", "POST /mcp", "--body", json.dumps(message), ok=False)
        return json.loads(done.stdout)

    within = explained(call("create_order", priced("50.00")))
    assert (within["operation"], within["verdict"]) == ("create_order", "allow")
    assert explained(call("create_order", priced("50.01")))["reason"] == "cap_exceeded"
    assert explained({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})["operation"] == "mcp.tools.list"
