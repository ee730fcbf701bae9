"""Vendors that want requests signed: octroi signs what it sends. The vendor verifies each signature
with Python's hmac over the bytes that came."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from datetime import datetime, timezone
from typing import Any, Callable

import pytest

from harness.process import wait_for
from harness.vault import Call, Reply

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
KEY = "sign-key-0123456789abcdef-TheRealOne"
SIGN = "{timestamp}{newline}{nonce}{newline}{method}{newline}{target}{newline}{body_hash}{newline}{body}"
HEADERS = {"X-Key-Id": "{key_id}", "X-Timestamp": "{timestamp}", "X-Nonce": "{nonce}", "X-Signature": "v1={signature}"}
PAY = {"name": "pay", "path": "/v1/pay", "direction": "charge", "amount": "amount", "currency": "=USD", "mark": "memo",
       "answer_id": "id"}


class Verifier:
    """Answers 200 to what one of its keys signed, within a minute, with a nonce that is new."""

    def __init__(self, keys: dict[str, bytes], hash_name: str = "sha256", spell: Callable[[bytes], str] = bytes.hex) -> None:
        self.keys, self.hash_name, self.spell = keys, hash_name, spell
        self.nonces: set[str] = set()
        self.reply: Callable[[Call], Reply] = lambda call: Reply(body=b'{"id":"p1"}')

    def __call__(self, call: Call) -> Reply:
        try:
            (key_id,), (at,), (nonce,), (shown,) = (call.all(name) for name in HEADERS)
            body_hash = hashlib.new(self.hash_name, call.body).hexdigest()
            message = "\n".join([at, nonce, call.method, call.target, body_hash, call.body.decode()])
            made = hmac.new(self.keys[key_id], message.encode(), self.hash_name).digest()
            good = shown == "v1=" + self.spell(made) and nonce not in self.nonces and abs(time.time() - int(at)) < 60
            self.nonces.add(nonce)
        except (ValueError, KeyError):
            good = False
        return self.reply(call) if good else Reply(401, body=b'{"error":"signature"}')


@pytest.fixture
def signed(make_vault, capture):
    """A started vault before a vendor that verifies, and a key that may pay five dollars a day."""

    def make(credential: str | None = f"me:{KEY}", vendor: dict[str, Any] | None = None, policy: dict[str, Any] | None = None,
             vault: dict[str, Any] | None = None, **hmac_keys: Any):
        settings = {"sign": SIGN, "headers": HEADERS, **hmac_keys}
        made = make_vault(
            {"api": (capture, credential, {"hmac": settings, "operations": [{**PAY, "query": ["a", "b"]}], **(vendor or {})})},
            {"bot": {"vendor": "api", "endpoints": ["pay", "GET /**", "POST /v1/other"], "daily_cap": "5 usd", **(policy or {})}},
            **(vault or {}),
        ).start()
        return made, made.issue("api", "bot", test=False)

    return make


def pay(vault, key, cents: int = 100, **more: Any):
    return vault.request("/api/v1/pay", key, "POST", JSON, json.dumps({"amount": cents, **more}))


def test_what_is_sent_is_what_is_signed(signed, capture):
    capture.reply = Verifier({"me": KEY.encode()})
    vault, key = signed()
    # Written anew before it is signed: spaces, a number, and the mark that octroi puts in.
    odd = '{ "amount" : 100,\n "note": "caf\\u00e9 \\/ ok", "n": 1.50 }'
    assert vault.request("/api/v1/pay?b=2&a=%7e1", key, "POST", JSON, odd).status == 200
    assert vault.request("/api/v1/other", key, "POST", FORM, "to=%2B1&a[b]=x+y").status == 200
    assert vault.request("/api/v1/other", key, "POST", {"Content-Type": "text/plain"}, "as it came: \t{}").status == 200
    assert vault.request("/api/v1/things?q=a%20b&empty", key).status == 200
    assert json.loads(capture.calls[0].body)["memo"].startswith("call_")
    assert capture.calls[2].body == b"as it came: \t{}"
    assert all(not c.all("Authorization") for c in capture.calls)


@pytest.mark.parametrize(
    "hash_name, key, encoding, stored, spell",
    [("sha512", "base64", "base64", base64.b64encode(KEY.encode()).decode(), lambda b: base64.b64encode(b).decode()),
     ("sha384", "hex", "hex", KEY.encode().hex(), bytes.hex),
     ("sha1", "text", "base64url", KEY, lambda b: base64.urlsafe_b64encode(b).decode().rstrip("="))],
    ids=["sha512", "sha384", "sha1"],
)
def test_hashes_and_spellings(signed, capture, hash_name, key, encoding, stored, spell):
    capture.reply = Verifier({"me": KEY.encode()}, hash_name, spell)
    vault, agent = signed(f"me:{stored}", hash=hash_name, key=key, encoding=encoding)
    assert pay(vault, agent).status == 200


def test_what_the_agent_signed_is_replaced(signed, capture):
    capture.reply = Verifier({"me": KEY.encode()})
    vault, key = signed()
    answer = vault.request(
        "/api/v1/pay", None, "POST",
        [("Content-Type", "application/json"), ("X-Key-Id", key.text), ("X-Signature", "v1=00"), ("X-Signature", "v1=11"),
         ("X-Timestamp", "5"), ("X-Nonce", "mine"), ("Connection", "x-signature")],
        '{"amount":1}',
    )
    assert answer.status == 200, answer.text
    (call,) = capture.calls
    assert call.all("X-Key-Id") == ["me"] and len(call.all("X-Signature")) == 1
    assert call.all("X-Nonce") != ["mine"] and call.all("X-Timestamp") != ["5"]
    # Two keys are none.
    assert vault.request("/api/v1/x", key, headers={"X-Key-Id": key.text}).status == 401


def test_signatures_in_the_query(signed, capture):
    """As exchanges want it: the query with the time in it and the form are signed, the signature comes last."""

    def exchange(call: Call) -> Reply:
        path, _, query = call.target.partition("?")
        covered, _, shown = query.rpartition("&signature=")
        made = hmac.new(KEY.encode(), (covered + call.body.decode()).encode(), "sha256").hexdigest()
        return Reply(200 if shown == made and "timestamp=" in covered and call.all("X-Api") == ["me"] else 401)

    capture.reply = exchange
    vault, key = signed(
        sign="{query}{body}", timestamp="ms", headers={"X-Api": "{key_id}"},
        query={"signature": "{signature}", "timestamp": "{timestamp}"},
    )
    assert vault.request("/api/v1/x?symbol=A%2FB&signature=old&timestamp=1", headers={"X-Api": key.text}).status == 200
    assert vault.request("/api/v1/other?a=1", key, "POST", FORM, "side=buy&quantity=1").status == 200
    target = capture.calls[0].target
    assert target.count("signature=") == target.count("timestamp=") == 1 and "timestamp=1&" not in target


def test_what_is_too_long_to_be_held_is_refused(signed, capture):
    capture.reply = Verifier({"me": KEY.encode()})
    vault, key = signed(vault={"max_body": "4KiB"})
    plain = {"Content-Type": "application/octet-stream"}
    assert vault.request("/api/v1/other", key, "POST", plain, b"x" * 4096).status == 200
    refused = vault.request("/api/v1/other", key, "POST", plain, b"x" * 4097)
    assert refused.status == 413 and "vault.max_body" in refused.json()["error"]["message"]
    chunked = vault.request("/api/v1/other", key, "POST", {**plain, "Transfer-Encoding": "chunked"},
                            b"1001\r\n" + b"x" * 4097 + b"\r\n0\r\n\r\n")
    assert chunked.status == 413
    assert len(capture.calls) == 1


def test_a_refused_signature_costs_nothing(signed, capture):
    verifier = Verifier({"me": b"another key of the vendor"})
    capture.reply = verifier
    vault, key = signed(policy={"daily_cap": "1 usd"})
    assert pay(vault, key).status == 401
    verifier.keys["me"] = KEY.encode()
    wait_for(lambda: any(r["kind"] == "call.outcome" and r.get("released_micro_usd") for r in vault.audit()), 30, "the release")
    assert pay(vault, key).status == 200
    assert pay(vault, key, 1).status == 403
    assert len(capture.calls) == 2  # a signature is not tried twice


def test_the_key_is_cut_out_of_answers(signed, capture):
    verifier = Verifier({"me": KEY.encode()})
    stored = base64.b64encode(KEY.encode()).decode()
    spellings = [KEY, stored, KEY.encode().hex(), f"me:{stored}", KEY.upper()]
    verifier.reply = lambda call: Reply(200, (("Content-Type", "application/json"), ("X-Echo", KEY)), json.dumps(spellings).encode())
    capture.reply = verifier
    vault, key = signed(f"me:{stored}", key="base64")
    answer = vault.request("/api/v1/x", key)
    everything = (answer.text + str(answer.headers)).lower()
    assert answer.status == 200 and everything.count("vault_redacted") >= len(spellings)
    assert KEY.lower() not in everything and stored.lower() not in everything and KEY.encode().hex() not in everything


def test_a_key_is_rotated_with_an_overlap(signed, capture):
    second = "the-second-key-0123456789abcdef"
    verifier = Verifier({"a": KEY.encode()})
    capture.reply = verifier
    vault, key = signed(credential=None)
    for value in (KEY, second):
        vault._leaks.register(value, "real key")
    vault.command("vault", "register", "api", stdin=f"a:{KEY}\n")
    wait_for(lambda: vault.request("/api/v1/x", key).status == 200, 30, "the first key")
    verifier.keys["b"] = second.encode()  # both are good for a while
    vault.command("vault", "register", "api", stdin=f"b:{second}\n")

    def by_the_second() -> bool:
        assert vault.request("/api/v1/x", key).status == 200  # none fails meanwhile
        return capture.calls[-1].all("X-Key-Id") == ["b"]

    wait_for(by_the_second, 30, "the second key")
    del verifier.keys["a"]
    assert pay(vault, key).status == 200


def test_lists_are_asked_for_with_a_signature(signed, capture):
    made: list[dict[str, Any]] = []
    verifier = Verifier({"me": KEY.encode()})

    def reply(call: Call) -> Reply:
        if call.method == "GET":
            return Reply(body=json.dumps({"data": made}).encode())
        made.append({"id": "p1", "created": datetime.now(timezone.utc).isoformat(), **json.loads(call.body)})
        return Reply(drop=True)

    verifier.reply = reply
    capture.reply = verifier
    vault, key = signed(vendor={"lists": [{"path": "/v1/pay?since={from_unix}", "operations": ["pay"], "items": "data",
                                           "amount": "amount", "mark": "memo", "created": "created", "page_size": 100}]})
    assert pay(vault, key).status == 502
    (report,) = vault.command("vault", "reconcile", "--vendor", "api")["vendors"]
    assert [(c["action"], c["object"]) for c in report["calls"]] == [("settled", "p1")]


def test_a_key_that_cannot_sign_is_not_registered(signed, capture):
    vault, _ = signed(credential=None, key="hex")
    for text, says in (("me:not hex at all", "printable"), ("me:zzzzzzzzzzzzzzzzzz", "hexadecimal"), ("0011223344556677", "ID:SECRET")):
        refused = vault.command("vault", "register", "api", stdin=text + "\n", ok=False)
        assert refused.returncode != 0 and says in refused.stdout + refused.stderr, refused.stdout + refused.stderr


