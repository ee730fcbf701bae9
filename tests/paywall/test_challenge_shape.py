"""What a 402 looks like: the shape that every client in use understands (interop/test_header_shapes.py
says which and why)."""

from __future__ import annotations

import datetime

import pytest
from bolt11 import decode as decode_bolt11

from harness import payment
from harness.settings import service


@pytest.fixture
def both(gateway, upstream):
    return gateway([service("api", "^/api/", upstream.url, "10 sat")])


def test_lines_come_as_l402_lsat_payment(both):
    """One header line each, in this order: clients that join lines or read only the first still pay."""
    lines = both.unpaid("/api/x").answer.all("WWW-Authenticate")
    assert [line.split(" ")[0] for line in lines] == ["L402", "LSAT", "Payment"]
    assert [len(payment.parse_challenges([line])) for line in lines] == [1, 1, 1]


def test_l402_parameters(both):
    """`macaroon`, then `invoice`: three clients find them by position."""
    offer = both.unpaid("/api/x")
    assert offer.l402.names == ["macaroon", "invoice", "version", "token"]
    assert offer.l402["version"] == "0"
    assert offer.l402["token"] == offer.l402["macaroon"]
    line = offer.answer.all("WWW-Authenticate")[0]
    assert line.startswith('L402 macaroon="') and '", invoice="' in line


def test_lsat_is_the_same_offer(both):
    offer = both.unpaid("/api/x")
    assert (offer.lsat["macaroon"], offer.lsat["invoice"]) == (offer.l402["macaroon"], offer.l402["invoice"])


def test_payment_parameters(both):
    """No `opaque`, `digest` or `header` on a GET: clients drop their echo."""
    offer = both.unpaid("/api/x").payment
    assert offer.names[0] == "id"
    assert {"id", "realm", "method", "intent", "request", "expires"} <= set(offer.names)
    assert not {"opaque", "digest", "header"} & set(offer.names)
    assert (offer["realm"], offer["method"], offer["intent"]) == (both.realm, "lightning", "charge")
    assert len(payment.unb64url(offer["id"])) == 32


def test_payment_request_is_canonical_and_agrees_with_its_invoice(both):
    offer = both.unpaid("/api/x").payment
    request = offer.request
    assert payment.b64url(payment.json_text(request).encode()) == offer["request"]
    invoice = decode_bolt11(request["methodDetails"]["invoice"])
    assert (request["amount"], request["currency"]) == ("10", "sat")
    assert invoice.amount_msat == 10_000
    assert invoice.payment_hash == request["methodDetails"]["paymentHash"]
    assert request["methodDetails"]["network"] == "regtest"


def test_challenge_ends_before_its_invoice(both):
    offer = both.unpaid("/api/x").payment
    invoice = decode_bolt11(offer.invoice)
    ends = offer.expires
    assert ends <= datetime.datetime.fromtimestamp(invoice.date + invoice.expiry, datetime.timezone.utc)
    left = ends - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(minutes=14) < left <= datetime.timedelta(minutes=15, seconds=2)


def test_one_intent_in_a_402(both):
    assert [one["intent"] for one in payment.of_scheme(both.unpaid("/api/x").challenges, "Payment")] == ["charge"]


def test_every_402_has_a_fresh_challenge(both):
    ids = {both.unpaid("/api/x").payment["id"] for _ in range(5)}
    assert len(ids) == 5
    assert len({both.unpaid("/api/x").payment.invoice for _ in range(5)}) == 5


def test_problem_and_caching(both):
    answer = both.unpaid("/api/x").answer
    assert answer.get("Content-Type", "").startswith("application/problem+json")
    assert answer.problem == "payment-required"
    assert answer.json()["status"] == 402 and answer.json()["detail"]
    assert "no-store" in answer.tokens("Cache-Control")
    assert answer.get("X-Request-Id")


def test_without_payment_the_body_is_plain(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url, schemes=["l402"])])
    answer = server.unpaid("/api/x").answer
    assert answer.get("Content-Type", "").startswith("text/plain")
    assert answer.text.strip() == "payment required"
    assert "no-store" in answer.tokens("Cache-Control")


@pytest.mark.parametrize(
    ("options", "schemes"),
    [
        ({"schemes": ["l402"]}, ["L402", "LSAT"]),
        ({"schemes": ["l402"], "lsat": False}, ["L402"]),
        ({"schemes": ["payment"]}, ["Payment"]),
        ({"schemes": ["mpp"]}, ["Payment"]),
        ({"schemes": "l402+mpp"}, ["L402", "LSAT", "Payment"]),
        ({"schemes": ["l402", "payment"], "lsat": False}, ["L402", "Payment"]),
    ],
    ids=str,
)
def test_only_accepted_schemes_are_offered(gateway, upstream, options, schemes):
    server = gateway([service("api", "^/api/", upstream.url, **options)])
    assert [one.scheme for one in server.unpaid("/api/x").challenges] == schemes


def test_schemes_default_to_l402(gateway, upstream):
    plain = service("api", "^/api/", upstream.url)
    del plain["schemes"]
    assert {one.scheme for one in gateway([plain]).unpaid("/api/x").challenges} == {"L402", "LSAT"}


def test_opaque_and_header_when_configured(gateway, upstream, payer):
    server = gateway(
        [service("api", "^/api/", upstream.url, schemes=["payment"], payment={"opaque": True, "header": True})]
    )
    offer = server.unpaid("/api/x").payment
    assert offer["header"] == "Payment-Authorization" and offer["opaque"]
    credential = payment.credential(offer, payer.pay(offer.invoice))
    assert server.request("/api/x", headers={"Authorization": credential}).status == 402, "the wrong field"
    answer = server.request("/api/x", headers={"Payment-Authorization": credential})
    assert answer.status == 200
    assert answer.tokens("Cache-Control") & {"private", "no-store"}


def test_digest_on_requests_with_a_body(both):
    offer = both.unpaid("/api/x", "POST", body="hello").payment
    assert offer["digest"] == "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"


def test_head_is_answered_like_get(both):
    answer = both.request("/api/x", "HEAD")
    assert answer.status == 402 and answer.body == b""
    assert len(answer.all("WWW-Authenticate")) == 3


def test_grpc_callers_get_a_status_they_read(both):
    answer = both.request("/api/x", "POST", {"Content-Type": "application/grpc", "TE": "trailers"}, b"\0\0\0\0\0")
    assert answer.status == 200
    assert answer.get("grpc-status") not in (None, "0")
    assert answer.get("grpc-message")
    assert len(answer.all("WWW-Authenticate")) == 3


def test_preflight_is_free(both, upstream):
    answer = both.request(
        "/api/x",
        "OPTIONS",
        {"Origin": "https://app.example", "Access-Control-Request-Method": "GET",
         "Access-Control-Request-Headers": "authorization"},
    )
    assert answer.status in (200, 204)
    assert answer.get("Access-Control-Allow-Origin") in ("*", "https://app.example")
    assert {"authorization", "payment-authorization", "accept-payment"} <= answer.tokens("Access-Control-Allow-Headers")
    assert upstream.count == 0


def test_scripts_may_read_challenge_and_receipt(both):
    answer = both.request("/api/x", headers={"Origin": "https://app.example"})
    assert answer.status == 402
    assert {"www-authenticate", "payment-receipt"} <= answer.tokens("Access-Control-Expose-Headers")


def test_unknown_paths_are_404_before_402(both):
    answer = both.request("/elsewhere")
    assert answer.status == 404 and not answer.all("WWW-Authenticate")


@pytest.mark.parametrize(
    ("accept", "schemes"),
    [
        ("lightning/charge", 1),
        ("*/*", 1),
        ("lightning/*;q=0.5", 1),
        ("lightning/charge;q=0", 0),
        ("not, a ;; valid = header", 1),
    ],
)
def test_accept_payment(both, accept, schemes):
    challenges = both.unpaid("/api/x", headers={"Accept-Payment": accept}).challenges
    assert len(payment.of_scheme(challenges, "Payment")) == schemes
    assert len(payment.of_scheme(challenges, "L402")) == 1


def test_nothing_reaches_the_upstream_unpaid(both, upstream):
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        both.request("/api/x", method)
    assert upstream.count == 0
