"""Prices that another program quotes, over HTTP and over gRPC; bundles and sessions that it accounts."""

from __future__ import annotations

import json
import time

import pytest

from harness import payment, web
from harness.model_upstream import ModelUpstream
from harness.pricer import GrpcPricer, HttpPricer
from harness.process import wait_for
from harness.session import Client
from harness.settings import service

CHAT = json.dumps({"model": "small", "messages": [{"role": "user", "content": "rain?"}]})
JSON = {"Content-Type": "application/json"}


@pytest.fixture(params=[HttpPricer, GrpcPricer], ids=["http", "grpc"])
def pricer(request):
    server = request.param()
    yield server
    server.stop()


@pytest.fixture
def model():
    server = ModelUpstream()
    yield server
    server.stop()


@pytest.fixture
def make(gateway, pricer, model):
    def build(*, metered: bool = False, sessions: bool = False, source: dict | None = None, **more):
        name = {"name": "pricer", "metered": metered, "sessions": sessions}
        one = service("chat", "^/", model.url, price_source=name, schemes=more.pop("schemes", ["l402"]), **more)
        del one["price"]
        return gateway([one], paywall={"price_sources": {"pricer": {**pricer.source(), **(source or {})}}})

    return build


def unavailable(answer: web.Response) -> bool:
    return answer.status == 503 and int(answer.get("Retry-After") or 0) > 0 and not answer.all("WWW-Authenticate")


def chat(server, credential: str = "", path: str = "/chat", body: str = CHAT, **headers: str) -> web.Response:
    if credential:
        headers["Authorization"] = credential
    return server.request(path, "POST", {**JSON, **headers}, body)


def bundle(server, payer) -> str:
    offer = server.unpaid("/chat", "POST", JSON, CHAT).l402
    return payment.l402(offer, payer.pay(offer.invoice))


# --- quoting


def test_a_quote_is_what_is_asked_and_credentials_are_nobodys_business(make, pricer, payer):
    server = make(schemes=["l402", "payment"])
    answer = server.request(
        "/chat?x=1", "POST", {**JSON, "Authorization": "Bearer of the upstream", "Cookie": "a=b", "X-Plan": "gold"}, CHAT
    )
    assert answer.status == 402
    offers = payment.parse_challenges(answer.all("WWW-Authenticate"))
    assert payment.of_scheme(offers, "Payment")[0].request["amount"] == "7"
    (ask,) = pricer.of("GetPrice")
    assert ask["path"] == "/chat"
    head, _, body = ask["http_request_text"].partition("\r\n\r\n")
    assert head.startswith("POST /chat?x=1 HTTP/1.1\r\nHost: 127.0.0.1")
    assert "gold" in head and body == CHAT
    for private in ("Bearer of the upstream", "a=b"):
        assert private not in ask["http_request_text"]
    assert server.metric("octroi_pricer_calls_total", call="price", result="ok") == 1


def test_a_price_change_reprices_no_challenge(make, pricer, payer):
    server = make(schemes=["l402", "payment"])
    first = server.buy("/chat", payer, "POST", CHAT, JSON)
    pricer.say["GetPrice"] = lambda ask: {"price_sats": 99}
    assert chat(server, first).status == 200
    assert server.unpaid("/chat", "POST", JSON, CHAT).payment.request["amount"] == "99"


def test_a_quote_for_one_body_opens_no_other(make, pricer, payer):
    server = make(schemes=["payment"], digest="off")
    credential = server.buy("/chat", payer, "POST", CHAT, JSON)
    assert chat(server, credential, body=CHAT.replace("small", "large")).status == 402
    assert chat(server, credential).status == 200


@pytest.mark.parametrize("price", [-1, 2_100_000_000_000_001])
def test_nonsense_sells_nothing(make, pricer, price):
    server = make(schemes=["l402", "payment"])
    pricer.say["GetPrice"] = lambda ask: {"price_sats": price}
    assert unavailable(server.request("/chat"))


def test_a_pricer_that_is_broken_slow_or_away_sells_nothing(make, pricer):
    server = make(source={"timeout": "300ms"})
    pricer.broken.add("GetPrice")
    assert unavailable(server.request("/chat"))
    pricer.broken.clear()
    pricer.release.clear()
    began = time.monotonic()
    assert unavailable(server.request("/chat"))
    assert time.monotonic() - began < 5
    pricer.stop()
    assert unavailable(server.request("/chat"))
    assert server.metric("octroi_pricer_calls_total", call="price", result="failed") == 3


NONSENSE = {
    "no-json": "no JSON",
    "list": "[]",
    "no-price": "{}",
    "fraction": '{"price_sats": 1.5}',
    "text": '{"price_sats": "7 sat"}',
    "twice": '{"price_sats": 7, "price_sats": 0}',
}


@pytest.mark.parametrize("raw", NONSENSE.values(), ids=NONSENSE.keys())
def test_an_answer_that_makes_no_sense_is_none(gateway, upstream, raw):
    pricer = HttpPricer()
    try:
        pricer.raw = raw
        one = service("api", "^/", upstream.url, price_source="pricer", schemes=["l402"])
        del one["price"]
        server = gateway([one], paywall={"price_sources": {"pricer": pricer.source()}})
        assert unavailable(server.request("/x"))
    finally:
        pricer.stop()


# --- bundles


def test_a_bundle_is_booked_authorised_and_reported(make, pricer, payer, model):
    server = make(metered=True)
    offer = server.unpaid("/chat", "POST", JSON, CHAT).l402
    (minted,) = pricer.of("ChallengeMinted")
    token = payment.decode_macaroon(offer["macaroon"]).token_id.hex()
    assert minted["token_id"] == token and int(minted["price_sats"]) == 7 and minted["service_name"] == "chat"
    credential = payment.l402(offer, payer.pay(offer.invoice))

    for stream in (False, True):
        body = json.dumps({**json.loads(CHAT), "stream": stream})
        assert chat(server, credential, body=body, **{"Accept-Encoding": "gzip"}).status == 200
        wait_for(lambda: len(pricer.of("ReportUsage")) == (2 if stream else 1), 10, "the report")
    assert [a["token_id"] for a in pricer.of("AuthorizeRequest")] == [token, token]
    whole, streamed = pricer.of("ReportUsage")
    for report in (whole, streamed):
        assert report["token_id"] == token and report["path"] == "/chat" and report["service_name"] == "chat"
        assert int(report["http_status"]) == 200 and report["complete"] and int(report["reserved_estimate"]) == 42
        assert b'"usage"' in report["response_tail"] and b"500" in report["response_tail"]
        assert report["content_encoding"] in ("", "identity")
    assert "text/event-stream" in streamed["content_type"] and b"[DONE]" in streamed["response_tail"]
    assert len(set(pricer.keys("ReportUsage"))) == 2 and all(pricer.keys("ReportUsage"))
    for call in ("AuthorizeRequest", "ChallengeMinted"):
        for ask in pricer.of(call):
            assert credential.split(":")[-1] not in ask["http_request_text"]
    wait_for(lambda: server.metric("octroi_usage_reports") == 0, 15, "an empty queue")
    assert server.metric("octroi_usage_reports_total", result="taken") == 2


def test_a_bundle_that_nobody_booked_is_not_sold(make, pricer, payer):
    server = make(metered=True)
    pricer.broken.add("ChallengeMinted")
    assert unavailable(chat(server))
    pricer.broken.clear()
    assert chat(server).status == 402


def test_a_refused_request_gets_a_fresh_challenge_at_the_price_that_was_said(make, pricer, payer, model):
    server = make(metered=True)
    credential = bundle(server, payer)
    pricer.say["AuthorizeRequest"] = lambda ask: {"allowed": False, "price_sats": 30, "reason": "used up"}
    answer = chat(server, credential)
    assert answer.status == 402 and payment.of_scheme(payment.parse_challenges(answer.all("WWW-Authenticate")), "L402")
    assert int(pricer.of("ChallengeMinted")[-1]["price_sats"]) == 30
    assert model.requests == [] and pricer.of("ReportUsage") == []
    pricer.broken.add("AuthorizeRequest")
    assert unavailable(chat(server, credential))
    assert model.requests == []


def test_reports_wait_for_a_pricer_that_is_away_and_come_once_it_is_back(make, pricer, payer):
    server = make(metered=True)
    credential = bundle(server, payer)
    pricer.broken.add("ReportUsage")
    assert chat(server, credential).status == 200
    wait_for(lambda: len(pricer.of("ReportUsage")) >= 2, 15, "a second try")
    wait_for(lambda: server.metric("octroi_usage_reports", state="due") == 1, 15, "the queue's length")
    server.restart()
    pricer.broken.clear()
    wait_for(lambda: server.metric("octroi_usage_reports_total", result="taken") == 1, 20, "the report")
    assert len(set(pricer.keys("ReportUsage"))) == 1, "the same report"


def test_a_report_survives_a_kill(make, pricer, payer):
    server = make(metered=True)
    credential = bundle(server, payer)
    pricer.broken.add("ReportUsage")
    for _ in range(3):
        assert chat(server, credential).status == 200
    wait_for(lambda: len(set(pricer.keys("ReportUsage"))) == 3, 15, "three reports")
    server.kill()
    pricer.broken.clear()
    with pricer.lock:
        pricer.calls.clear()
    server.start()
    # What was claimed is anybody's again after half a minute.
    wait_for(lambda: len(set(pricer.keys("ReportUsage"))) == 3, 50, "the three reports")
    assert all(int(r["http_status"]) == 200 and r["complete"] for r in pricer.of("ReportUsage"))


def test_a_client_that_leaves_is_reported_so(make, pricer, payer, model):
    server = make(metered=True)
    credential = bundle(server, payer)
    with web_stream(server, credential) as stream:
        stream.read(20)
    wait_for(lambda: pricer.of("ReportUsage"), 15, "the report")
    (report,) = pricer.of("ReportUsage")
    assert not report["complete"] and int(report["http_status"]) in (200, 499)


class web_stream:
    """The beginning of an answer, and then nobody is there any more."""

    def __init__(self, server, credential: str):
        import http.client

        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        self.connection.request("GET", "/events?n=2000&gap=0.02", headers={"Authorization": credential})

    def __enter__(self):
        return self.connection.getresponse()

    def __exit__(self, *_):
        self.connection.sock and self.connection.sock.shutdown(2)
        self.connection.close()


# --- sessions


def test_a_session_is_quoted_and_settled_by_what_requests_cost(make, pricer, payer, leaks, model):
    server = make(sessions=True, schemes=["payment"], session={}, payment={"intents": ["session"]})
    client = Client(server, payer, leaks, path="/events?n=2")
    challenge = client.challenge()
    assert challenge.request["amount"] == "5" and challenge.request["depositAmount"] == "50"
    session = client.open()
    assert session.get().status == 200
    wait_for(lambda: len(pricer.of("SettleSession")) == 2, 10, "open and bearer settled")
    for ask in pricer.of("SettleSession"):
        assert int(ask["estimate_sats"]) == 5 and ask["complete"] and ask["session_id"]
        assert ask["http_request_text"].startswith("GET /events?n=2 HTTP/1.1")
    assert pricer.of("QuoteSession")[-1]["session_id"] == pricer.of("SettleSession")[0]["session_id"]
    pricer.say["SettleSession"] = lambda ask: {"cost_sats": 9}
    assert session.get().status == 200
    closed = json.loads(session.close().text)
    assert int(closed["refundSats"]) == 50 - 2 - 2 - 9


def test_a_dearer_quote_is_shown_before_it_is_billed(make, pricer, payer, leaks):
    server = make(sessions=True, schemes=["payment"], session={}, payment={"intents": ["session"]})
    client = Client(server, payer, leaks, path="/events?n=2")
    session = client.open()
    old = client.challenge()
    pricer.say["QuoteSession"] = lambda ask: {"unit_price_sats": 8}
    refused = session.get(challenge=old)
    assert refused.status == 402
    pricer.say["QuoteSession"] = lambda ask: {"unit_price_sats": 3}
    assert session.get(challenge=old).status == 200
    pricer.broken.add("QuoteSession")
    assert session.get(challenge=old).status == 503


