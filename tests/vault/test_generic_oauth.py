"""Vendors that are shown access tokens: octroi exchanges what it keeps for one, shows it, and renews
it. The authorization server and the vendor check everything with Python alone."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import threading
from typing import Any, Iterator

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness.process import wait_for
from harness.token_server import TokenServer, new_key, pem_of
from harness.vault import Call, Reply, Vendor

JSON = {"Content-Type": "application/json"}
SECRET = "the client's own: S3cret/with+signs&0123456789"
INVALID = (("Content-Type", "application/json"), ("WWW-Authenticate", 'Bearer realm="api", error="invalid_token"'))
PAY = {"name": "pay", "path": "/pay", "direction": "charge", "amount": "amount", "currency": "=USD", "mark": "memo",
       "answer_id": "id"}


@pytest.fixture
def server(leaks) -> Iterator[TokenServer]:
    made = TokenServer(leaks)
    made.clients["octroi"] = {SECRET}
    yield made
    made.stop()


def guarded(server: TokenServer, capture: Vendor) -> None:
    """The vendor takes good tokens only."""

    def reply(call: Call) -> Reply:
        (shown,) = call.all("Authorization")
        if shown.removeprefix("Bearer ") not in server.good:
            return Reply(401, INVALID, b'{"error":"invalid_token"}')
        return Reply(body=json.dumps({"id": f"p{len(capture.calls)}"}).encode())

    capture.reply = reply


@pytest.fixture
def paid(make_vault, server, capture):
    """A started vault before such a vendor, and a key that may pay ten dollars a day."""

    def make(credential: str | None = SECRET, cap: str = "10 usd", vendor: dict[str, Any] | None = None, **oauth: Any):
        guarded(server, capture)
        grant = {"token_url": server.url, **({"client_id": "octroi"} if "grant" not in oauth else {}), **oauth}
        grant = {name: value for name, value in grant.items() if value is not None}
        vault = make_vault(
            {"api": (capture, credential, {"oauth": grant, "operations": [PAY], **(vendor or {})})},
            {"bot": {"vendor": "api", "endpoints": ["pay", "GET /**", "HEAD /**"], "daily_cap": cap}},
        ).start()
        return vault, vault.issue("api", "bot", test=False)

    return make


def pay(vault, key, cents: int = 100):
    return vault.request("/api/pay", key, "POST", JSON, json.dumps({"amount": cents}))


def verdicts(vault) -> list[str]:
    """Outcomes are written after the answers, and those of two calls in any order."""
    return sorted(r["verdict"] for r in vault.audit() if r["kind"] == "call.outcome")


def outcome(vault, verdict: str) -> dict[str, Any]:
    """The last row of an outcome, once it has this verdict."""
    rows: list[dict[str, Any]] = []

    def written() -> bool:
        rows[:] = [r for r in vault.audit() if r["kind"] == "call.outcome"]
        return bool(rows) and rows[-1]["verdict"] == verdict

    wait_for(written, 30, f"an outcome that is {verdict}")
    return rows[-1]


# --- minting


@pytest.mark.parametrize("way", ["basic", "post"])
def test_a_client_s_secret_becomes_a_token(paid, server, capture, way):
    vault, key = paid(client_auth=way, scope=["read", "write"], audience="https://api.example")
    assert pay(vault, key).status == 200
    assert vault.request("/api/things?page=2", key).status == 200
    (asked,) = server.asked
    assert asked.form["scope"] == "read write" and asked.form["audience"] == "https://api.example"
    assert ("client_secret" in asked.form) == (way == "post") == (asked.get("Authorization") is None)
    assert [c.all("Authorization") for c in capture.calls] == [[f"Bearer {server.minted[0]}"]] * 2
    assert capture.calls[1].target == "/things?page=2"


def test_id_and_secret_may_stand_together(paid, server, capture):
    vault, key = paid(f"octroi:{SECRET}", client_id=None)
    assert pay(vault, key).status == 200 and len(server.minted) == 1


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_a_private_key_signs_an_assertion(paid, server, capture, algorithm):
    mine = new_key(algorithm)
    server.keys["robot@octroi"] = mine.public_key()
    style = serialization.PrivateFormat.TraditionalOpenSSL if algorithm == "ES256" else serialization.PrivateFormat.PKCS8
    vault, key = paid(pem_of(mine, style), grant="jwt_bearer", issuer="robot@octroi", subject="me", algorithm=algorithm,
                      key_id="k7", scope=["all"])
    assert pay(vault, key).status == 200
    (asked,) = server.asked
    assert asked.claims["sub"] == "me" and asked.claims["kid"] == "k7" and asked.claims["exp"] - asked.claims["iat"] == 300
    assert asked.form["scope"] == asked.claims["scope"] == "all"


def test_where_the_token_goes(paid, server, capture):
    vault, key = paid(vendor={"auth": "cookie:session"})
    capture.reply = lambda call: Reply(200 if call.all("Cookie") == [f"session={server.minted[-1]}"] else 400)
    assert pay(vault, key).status == 200
    # The agent may show its own key there.
    assert vault.request("/api/x", headers={"Cookie": f"a=b; session={key.text}"}).status == 200
    assert vault.request("/api/x", key, headers={"Cookie": f"session={key.text}"}).status == 401
    assert all(not c.all("Authorization") for c in capture.calls)


def test_one_token_for_many_calls_at_once(paid, server, capture):
    server.pause = threading.Event()
    vault, key = paid()
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(pay(vault, key, 10).status)) for _ in range(12)]
    for t in threads:
        t.start()

    def announced() -> bool:
        return sum(r["kind"] == "call.intent" for r in vault.audit()) == 12

    wait_for(announced, 60, "every call to wait")
    assert capture.calls == []
    server.pause.set()
    for t in threads:
        t.join()
    assert answers == [200] * 12 and len(server.asked) == 1


def test_a_token_that_ends_at_once_is_used_once(paid, server):
    server.expires_in = 0
    vault, key = paid()
    assert [pay(vault, key).status for _ in range(3)] == [200] * 3
    assert len(server.minted) == 3


# --- renewing


def test_a_token_that_became_bad_is_renewed_and_the_call_sent_again(paid, server, capture):
    vault, key = paid(cap="3 usd")
    assert pay(vault, key).status == 200
    server.revoke()
    answer = pay(vault, key)
    assert answer.status == 200 and answer.json()["id"]
    assert len(server.minted) == 2 and len(capture.calls) == 3
    first, again = capture.calls[1:]
    assert first.body == again.body and first.target == again.target
    assert first.all("Authorization") != again.all("Authorization")
    assert not first.all("WWW-Authenticate") and answer.get("WWW-Authenticate") is None
    # It is one call, and counts once.
    assert pay(vault, key).status == 200
    assert pay(vault, key, 1).status == 403
    assert len(server.minted) == 2
    wait_for(lambda: verdicts(vault) == ["allowed"] * 3 + ["denied"], 30, "the outcomes")


def test_it_is_sent_again_once(paid, server, capture):
    vault, key = paid(cap="1 usd")
    capture.reply = lambda call: Reply(401, INVALID, b'{"error":"never"}')
    answer = pay(vault, key)
    assert answer.status == 401 and answer.json() == {"error": "never"}
    assert len(capture.calls) == 2 and len(server.minted) == 2
    row = outcome(vault, "failed")
    assert row["upstream_status"] == 401 and row["released_micro_usd"]
    guarded(server, capture)
    assert pay(vault, key).status == 200  # the cap has its room back


@pytest.mark.parametrize(
    "headers, body",
    [((("WWW-Authenticate", 'Bearer error="insufficient_scope"'),), b'{"error":"insufficient_scope"}'),
     ((), b"who are you?"),
     ((("WWW-Authenticate", 'Basic realm="x"'),), b'{"message":"invalid_token"}')],
    ids=["scope", "plain", "basic"],
)
def test_another_401_is_the_agent_s(paid, server, capture, headers, body):
    vault, key = paid()
    capture.reply = lambda call: Reply(401, headers, body)
    answer = pay(vault, key)
    assert answer.status == 401 and answer.body == body
    assert [answer.get(name) for name, _ in headers] == [value for _, value in headers]
    assert len(capture.calls) == 1 and len(server.minted) == 1
    bare = vault.request("/api/x", key, "HEAD")
    assert (bare.status, bare.get("Content-Length")) == (401, str(len(body)))
    assert len(capture.calls) == 2 and len(server.minted) == 1


def test_a_bad_token_is_told_in_the_body_alone(paid, server, capture):
    replies = [Reply(401, (), b"", pieces=(b'{"error":{"code":', b'"token_expired"}}')), Reply(body=b'{"id":"1"}')]
    vault, key = paid()
    capture.reply = lambda call: replies[min(len(capture.calls), 2) - 1]
    assert pay(vault, key).json() == {"id": "1"}
    assert len(capture.calls) == 2 and len(server.minted) == 2


def test_head_is_renewed_too(paid, server, capture):
    vault, key = paid()
    assert vault.request("/api/x", key).status == 200
    server.revoke()
    assert vault.request("/api/x", key, "HEAD").status == 200
    assert [c.method for c in capture.calls] == ["GET", "HEAD", "HEAD"]


# --- an endpoint that gives none


@pytest.mark.parametrize(
    "how, code, reason",
    [("drops", "upstream_failed", "token_unavailable"), ("broken", "upstream_failed", "token_unavailable"),
     ("nonsense", "upstream_failed", "token_unavailable"), ("redirects", "token_refused", "token_refused"),
     ("refuses", "token_refused", "token_refused")],
)
def test_without_a_token_nothing_is_sent_and_nothing_is_held(paid, server, capture, how, code, reason):
    elsewhere = Vendor()
    answers = {
        "drops": lambda: None,
        "broken": lambda: (503, b"<html>", {}),
        "nonsense": lambda: (200, b'{"access_token":"a b","token_type":"bearer"}', {}),
        "redirects": lambda: (307, b"", {"Location": f"http://127.0.0.1:{elsewhere.port}/token"}),
        "refuses": None,
    }
    vault, key = paid(cap="1 usd")
    server.answer = answers[how]
    if how == "refuses":
        server.clients["octroi"] = set()
    try:
        answer = pay(vault, key)
        assert answer.status == 502 and answer.json()["error"]["code"] == reason
        assert answer.get("X-Should-Retry") == ("false" if code == "token_refused" else "true")
        assert "nothing was done" in answer.json()["error"]["message"]
        row = outcome(vault, "failed")
        assert row["reason"] == reason and row["released_micro_usd"] and not row.get("settled_micro_usd")
        assert capture.calls == [] and elsewhere.calls == []
    finally:
        elsewhere.stop()
    # It is asked again after a moment, and the cap has room for it.
    server.answer = None
    server.clients["octroi"] = {SECRET}
    wait_for(lambda: pay(vault, key).status == 200, 60, "a token")
    assert len(capture.calls) == 1


def test_a_failing_endpoint_is_not_asked_by_every_call(paid, server, capture):
    server.clients["octroi"] = set()
    vault, key = paid()
    server.pause = threading.Event()
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(pay(vault, key, 1).status)) for _ in range(8)]
    for t in threads:
        t.start()
    wait_for(lambda: sum(r["kind"] == "call.intent" for r in vault.audit()) == 8, 60, "every call to wait")
    server.pause.set()
    for t in threads:
        t.join()
    assert answers == [502] * 8 and len(server.asked) == 1


# --- whom it is asked of


def authority() -> tuple[bytes, Any, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "token tests")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM), made, key


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "unknown"])
def test_the_endpoint_s_certificate_is_verified(make_vault, leaks, capture, workdir, trusted):
    pem, _, key = authority()
    other, _, _ = authority()
    files = workdir / "server.pem", workdir / "server.key"
    files[0].write_bytes(pem)
    files[1].write_text(pem_of(key))
    ca = workdir / "ca.pem"
    ca.write_bytes(pem if trusted else other)
    server = TokenServer(leaks, files)
    server.clients["octroi"] = {SECRET}
    guarded(server, capture)
    try:
        vault = make_vault(
            {"api": (capture, SECRET, {"oauth": {"token_url": server.url, "client_id": "octroi", "ca": f"file://{ca}"}})},
            {"bot": {"vendor": "api", "endpoints": ["GET /**"]}},
        ).start()
        answer = vault.request("/api/x", vault.issue("api", "bot", test=False))
        assert answer.status == (200 if trusted else 502)
        assert len(server.asked) == len(capture.calls) == (1 if trusted else 0)
    finally:
        server.stop()


# --- a secret like the real key


def test_tokens_are_cut_out_of_answers(paid, server, capture):
    vault, key = paid()
    assert vault.request("/api/x", key).status == 200
    server.revoke()
    assert vault.request("/api/x", key).status == 200  # there are two by now
    old, new = server.minted

    def echo(call: Call) -> Reply:
        shown = call.all("Authorization")[0]
        spellings = [old, new, shown, base64.b64encode(shown.encode()).decode(), new.encode().hex(), SECRET,
                     base64.b64encode(f"octroi:{SECRET}".encode()).decode()]
        return Reply(200, (("Content-Type", "application/json"), ("X-Echo", shown)), json.dumps(spellings).encode())

    capture.reply = echo
    answer = vault.request("/api/x", key)
    everything = answer.text + str(answer.headers)
    for secret in (old, new, SECRET):
        assert secret not in everything and secret.encode().hex() not in everything
        assert base64.b64encode(secret.encode()).decode()[4:-4] not in everything
    assert everything.count("vault_redacted") >= 7


# --- rotation


def test_a_client_s_secret_is_rotated_with_an_overlap(paid, server, capture):
    vault, key = paid(credential=None)
    a, b = SECRET, "the second secret 0123456789"
    vault._leaks.register(a, "real key")
    vault._leaks.register(b, "real key")
    vault.command("vault", "register", "api", stdin=a + "\n")
    wait_for(lambda: pay(vault, key).status == 200, 30, "the first secret")
    server.clients["octroi"] = {a, b}  # both are good for a while
    vault.command("vault", "register", "api", stdin=b + "\n")
    wait_for(lambda: pay(vault, key).status == 200 and len(server.minted) == 2, 30, "a token of the second secret")
    server.clients["octroi"] = {b}
    server.revoke()
    assert pay(vault, key).status == 200
    shown = [base64.b64decode((x.get("Authorization") or "").removeprefix("Basic ")).decode() for x in server.asked]
    assert "second" not in shown[0] and "second" in shown[-1]


def test_a_private_key_is_registered_whole(paid, server, capture):
    mine = new_key("ES256")
    server.keys["robot"] = mine.public_key()
    vault, key = paid(credential=None, grant="jwt_bearer", issuer="robot", algorithm="ES256")
    refused = vault.command("vault", "register", "api", stdin="no key at all\n", ok=False)
    assert refused.returncode != 0 and "PEM" in refused.stdout + refused.stderr
    vault.command("vault", "register", "api", stdin=pem_of(mine))
    wait_for(lambda: pay(vault, key).status == 200, 30, "the key")


# --- what octroi asks by itself


def test_lists_are_asked_for_with_a_token(paid, server, capture):
    made: list[dict[str, Any]] = []

    def reply(call: Call) -> Reply:
        if call.all("Authorization")[0].removeprefix("Bearer ") not in server.good:
            return Reply(401, INVALID)
        if call.method == "GET":
            return Reply(body=json.dumps({"data": made}).encode())
        body = json.loads(call.body)
        made.append({"id": "p1", "created": int(datetime.datetime.now().timestamp()), **body})
        return Reply(drop=True)

    vault, key = paid(vendor={"lists": [{"path": "/pay?since={from_unix}", "operations": ["pay"], "items": "data", "amount": "amount",
                                         "mark": "memo", "created": "created", "page_size": 100}]})
    capture.reply = reply
    assert pay(vault, key).status == 502
    server.revoke()
    (report,) = vault.command("vault", "reconcile", "--vendor", "api")["vendors"]
    assert [(c["action"], c["object"]) for c in report["calls"]] == [("settled", "p1")]
