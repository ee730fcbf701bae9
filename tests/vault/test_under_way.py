"""What is changed while a call is under way: it goes on with what is in force when it is judged, and
ends with its key."""

from __future__ import annotations

import concurrent.futures
import datetime
import json
import socket
import time
from typing import Any, Iterator

from harness.process import wait_for
from harness.vault import REAL_STRIPE_KEY, Key, Reply, Vault

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
POLICY = {"vendor": "stripe", "endpoints": ["charges.create"], "daily_cap": "900 usd"}
TIGHTER = {**POLICY, "max_amount": "1 usd"}


def charge(vault: Vault, key: Key, amount: int) -> Any:
    return vault.request("/stripe/v1/charges", key, "POST", FORM, f"amount={amount}&currency=usd".encode())


def put(vault: Vault, word: str, policy: dict[str, Any]) -> None:
    vault.command("policy", word, "live", "--file", "-", stdin=json.dumps(policy))


def outcome(vault: Vault, amount: int) -> dict[str, Any]:
    (row,) = [r for r in vault.audit() if r["kind"] == "call.outcome" and r.get("amount") == amount]
    return row


def test_a_body_that_takes_long_is_judged_by_the_policy_of_its_end(make_vault, capture):
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {}).start()
    put(vault, "add", POLICY)
    key = vault.issue("stripe", "live")
    body = b"amount=90000&currency=usd&customer=cus_1"
    head = f"POST /stripe/v1/charges HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.text}\r\nConnection: close\r\n"
    head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", vault.port), 20) as agent:
        agent.sendall(head.encode() + body[:12])
        assert charge(vault, key, 200).status == 200
        put(vault, "set", TIGHTER)
        wait_for(lambda: charge(vault, key, 201).status == 403, 20, "the new policy")
        agent.sendall(body[12:])
        answer = b"".join(iter(lambda: agent.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 403") and b"amount_over_max" in answer
    assert outcome(vault, 90000)["policy_version"] == 2
    assert not [c for c in capture.calls if b"amount=90000" in c.body]


def test_who_waited_for_a_human_is_judged_by_the_policy_of_then(make_vault, capture):
    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {}, approvals={"wait": "60s"}).start()
    put(vault, "add", {**POLICY, "approve_over": "10 usd"})
    key = vault.issue("stripe", "live")

    def pending() -> list[dict[str, Any]]:
        return vault.command("approval", "list")["approvals"]

    with concurrent.futures.ThreadPoolExecutor() as pool:
        waits = pool.submit(charge, vault, key, 6000)
        wait_for(pending, 20, "the ticket")
        put(vault, "set", {**TIGHTER, "approve_over": "10 usd"})
        wait_for(lambda: charge(vault, key, 201).status == 403, 20, "the new policy")
        (ticket,) = pending()
        vault.command("approval", "approve", ticket["id"])
        refused = waits.result(30)
    assert refused.status == 403 and json.loads(refused.body)["error"]["code"] == "amount_over_max"
    assert outcome(vault, 6000)["policy_version"] == 2
    assert capture.calls == []
    # Nothing was done: who agreed has agreed to a call that may still be made.
    put(vault, "set", {**POLICY, "approve_over": "10 usd"})
    wait_for(lambda: charge(vault, key, 201).status == 200, 20, "the policy of before")
    assert charge(vault, key, 6000).status == 200
    assert vault.command("approval", "show", ticket["id"])["state"] == "used"


def test_a_stream_ends_with_its_key(stripe_vault, capture):
    vault = stripe_vault(endpoints=["customers.*"])
    gone: list[float] = []

    def news() -> Iterator[bytes]:
        try:
            for _ in range(300):
                yield b"data: news\n\n"
                time.sleep(0.1)
        finally:
            gone.append(time.time())

    capture.reply = lambda call: Reply(headers=(("Content-Type", "text/event-stream"),), pieces=news())
    ends = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) + datetime.timedelta(seconds=4)
    key = vault.issue("stripe", "bot", "--expires", ends.strftime("%Y-%m-%dT%H:%M:%SZ"))
    with socket.create_connection(("127.0.0.1", vault.port), 20) as agent:
        head = f"GET /stripe/v1/customers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key.text}\r\n\r\n"
        agent.sendall(head.encode())
        assert agent.recv(15) == b"HTTP/1.1 200 OK"
        try:
            while agent.recv(65536):
                pass
        except ConnectionResetError:
            pass
        late = time.time() - ends.timestamp()
    assert 0 <= late < 6  # 0.8 s, and what a slow machine adds
    wait_for(lambda: gone, 10, "the end at the vendor")
