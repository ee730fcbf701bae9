"""Answers that a session pays for by what they hold: events, tokens, bytes. The client knows the draft
only; what was taken is told by what comes back at the end."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import model_upstream
from harness.model_upstream import ModelUpstream, openai_stream
from harness.process import wait_for
from harness.session import Client, Session
from harness.settings import service
from harness.sse import Stream, events_of

UNIT = 2  # sat


@pytest.fixture
def model():
    server = ModelUpstream()
    yield server
    server.stop()


@pytest.fixture
def make(gateway, model, payer, leaks):
    """A gateway that sells sessions by `unit`, 2 sat each and a deposit of 40 unless told otherwise."""

    def build(unit: str, top: dict | None = None, **more) -> Client:
        session = {"unit": unit, "price": f"{UNIT} sat", "hold": "20s", **more}
        one = service("api", "^/", model.url, schemes=["payment"], session=session, payment={"intents": ["session"]})
        return Client(gateway([one], top=top), payer, leaks, path="/api/x")

    return build


def stream(session: Session, path: str, body=None, **headers: str) -> Stream:
    headers = {"Authorization": session.bearer(), **headers}
    if body is not None:
        headers["Content-Type"] = "application/json"
    return Stream(session.client.server.url + path, headers, "GET" if body is None else "POST", body)


def ask(session: Session, path: str, body: str):
    return session.get(path, method="POST", body=body, headers={"Content-Type": "application/json"})


def top_up(session: Session) -> None:
    answer = session.client.show(session.top_up_credential())
    assert answer.status == 200, answer.text


def spent(session: Session, deposit: int) -> int:
    """Whole satoshi; closes the session."""
    closed = session.close()
    assert closed.status == 200, closed.text
    assert closed.json()["refundStatus"] in ("succeeded", "skipped")
    return deposit - closed.json()["refundSats"]


def events(first: int, last: int) -> list[str]:
    return [f"event {n}" for n in range(first, last + 1)]


# ---- streams -----------------------------------------------------------------------------------


def test_a_stream_runs_dry_is_topped_up_elsewhere_and_finishes(make, payer):
    client = make("chunk")
    before = payer.balance_msat() // 1000
    session = client.open()
    running = stream(session, "/api/events?n=30")
    need = running.until("payment-need-topup").json()
    assert need == {"sessionId": session.id, "balanceSpent": 40, "balanceRequired": UNIT}
    assert running.sold == events(1, 19), "one unit was spent by the request that opened the session"
    time.sleep(0.3)
    assert running.sold == events(1, 19) and not running.of("session-timeout")
    began = time.monotonic()
    top_up(session)
    running.wait()
    assert running.whole and running.sold == events(1, 30)
    assert time.monotonic() - began < 10
    assert len(running.of("payment-need-topup")) == 1 and not running.of("session-timeout")
    receipt = running.until("payment-receipt").json()
    assert (receipt["units"], receipt["spent"]) == (30, 60)
    assert (receipt["method"], receipt["reference"], receipt["status"]) == ("lightning", session.id, "success")
    assert receipt["timestamp"].endswith("Z")
    assert [one.type or one.data for one in running.events][-2:] == ["payment-receipt", "[DONE]"]
    assert spent(session, 80) == 62
    assert payer.balance_msat() // 1000 == before - 62, "the payer's own books say the same"


def test_a_stream_that_nobody_tops_up_ends_with_session_timeout(make):
    client = make("chunk", hold="1s")
    session = client.open()
    began = time.monotonic()
    running = stream(session, "/api/events?n=30").wait()
    assert time.monotonic() - began >= 1
    assert running.whole, "the answer ends in good order"
    assert running.sold == events(1, 19)
    timeout, need = running.until("session-timeout"), running.until("payment-need-topup")
    assert running.events[-1] is timeout and timeout.json() == need.json()
    assert timeout.at - need.at >= 0.5
    assert not running.of("payment-receipt")
    top_up(session)  # the session itself goes on
    assert session.get().status == 200
    assert spent(session, 80) == 42


def test_each_event_is_passed_on_without_waiting_for_the_next(make, model):
    client = make("chunk")
    session = client.open()
    running = stream(session, "/api/events?n=5&gap=0.5").wait()
    assert running.sold == events(1, 5)
    for at in range(4):
        assert running.events[at].at < model.sent[at + 1], f"event {at + 1} came after the next was sent"


def test_what_is_sold_passes_byte_by_byte(make):
    client = make("chunk")
    session = client.open()
    running = stream(session, "/api/chat", {"stream": True}).wait()
    begin = running.raw.index(b"event: payment-receipt\n")
    end = running.raw.index(b"\n\n", begin) + 2
    assert running.raw[:begin] + running.raw[end:] == b"".join(openai_stream())
    assert running.headers["Content-Type"] == "text/event-stream" and running.headers["Payment-Receipt"]


def test_a_client_that_leaves_pays_for_what_was_sent(make, model):
    client = make("chunk")
    session = client.open()
    running = stream(session, "/api/events?n=18&gap=0.2")
    wait_for(lambda: len(running.sold) >= 3, 10, "three events")
    running.leave()
    wait_for(lambda: model.gone == 1, 10, "the upstream is left as well")
    sent = len(model.sent)
    assert 3 <= sent < 18, "it was left before its end"
    wait_for(lambda: 2 + 3 * UNIT <= session.spent_sat() <= 2 + sent * UNIT, 20, "the rest to be given back")
    assert 2 + 3 * UNIT <= spent(session, 40) <= 2 + sent * UNIT


def test_a_dead_upstream_costs_what_was_delivered(make):
    client = make("chunk")
    session = client.open()
    running = stream(session, "/api/events?n=9&die=3&gap=0.05").wait()
    assert running.sold == events(1, 3) and not running.whole
    assert not running.of("payment-receipt")
    session.comes_to(2 + 3 * UNIT)
    assert spent(session, 40) == 2 + 3 * UNIT


def test_a_session_closed_in_mid_stream_ends_it(make):
    client = make("chunk", deposit="400 sat")
    session = client.open()
    running = stream(session, "/api/events?n=150&gap=0.05")
    wait_for(lambda: len(running.sold) >= 3, 10, "three events")
    taken = spent(session, 400)
    running.wait()
    assert running.whole and running.events[-1].type == "payment-receipt" and len(running.sold) < 100
    assert running.events[-1].json()["units"] == len(running.sold)
    assert len(running.sold) * UNIT + 2 <= taken, "nothing was delivered that was not paid"


def test_what_a_stream_did_not_use_is_given_back_when_octroi_stops(make):
    client = make("chunk", {"shutdown_grace": "1s"}, deposit="4000 sat")
    session = client.open()
    running = stream(session, "/api/events?n=500&gap=0.05")
    wait_for(lambda: len(running.sold) >= 20, 10, "twenty events")
    client.server.stop()  # the stream goes on until the time for it is over
    running.wait()
    assert not running.whole and len(running.sold) < 400
    client.server.start()
    assert 2 + len(running.sold) * UNIT <= spent(session, 4000) <= 2 + (len(running.sold) + 1) * UNIT


def test_64_streams_of_one_session_never_overdraw(make):
    deposit = 400
    client = make("chunk", deposit=f"{deposit} sat", hold="5s")
    session = client.open()
    bearer = {"Authorization": session.bearer()}

    def run(_: int) -> Stream | None:
        one = Stream(client.server.url + "/api/events?n=10&gap=0.01", bearer)
        return one.wait(60)

    with ThreadPoolExecutor(64) as pool:
        all_of_them = list(pool.map(run, range(64)))
    delivered = sum(len(one.sold) for one in all_of_them if one.status == 200)
    assert {one.status for one in all_of_them} <= {200, 402}
    assert any(one.of("session-timeout") for one in all_of_them) or any(one.status == 402 for one in all_of_them)
    # Streams set a few units aside. What one gives back at its end comes too late for who has waited
    # for its time already, so a slow machine delivers a few less; what was delivered was paid.
    assert deposit // UNIT - 21 < delivered < deposit // UNIT, "what the deposit pays and not one more"
    assert spent(session, deposit) == (delivered + 1) * UNIT


def test_compressed_answers_are_asked_for_in_plain_and_refused_otherwise(make, model):
    client = make("chunk")
    session = client.open()
    answer = session.get("/api/events?gzip=", headers={"Accept-Encoding": "gzip, br"})
    assert answer.status == 502 and "compress" in answer.json()["detail"]
    assert model.requests[-1]["accept-encoding"] == "identity"
    assert spent(session, 40) == 2


# ---- tokens ------------------------------------------------------------------------------------

CHAT = {"model": "small", "max_tokens": 400, "messages": [{"role": "user", "content": "What is the weather in Paris?"}]}


@pytest.mark.parametrize("path", ["/api/chat", "/api/messages"], ids=["openai", "anthropic"])
@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
def test_tokens_are_those_that_the_answer_tells(make, path, streams):
    """500 tokens of either vendor's counting, at 10 sat for a thousand."""
    client = make("token", per=1000, price="10 sat")
    session = client.open()  # its request tells no usage, so it is estimated
    closed = session.close().json()["refundSats"]
    assert 198 <= closed < 200, "a few dozen bytes are a few tokens"

    session = client.open()
    body = {**CHAT, "stream": streams}
    if streams:
        running = stream(session, path, body).wait()
        assert running.whole and running.until("payment-receipt").json()["units"] == 500
        last = [one.type or one.data for one in running.events][-2:]
        assert last == (["payment-receipt", "[DONE]"] if "chat" in path else ["message_stop", "payment-receipt"])
    else:
        answer = ask(session, path, json.dumps(body))
        assert answer.status == 200 and answer.json()["usage"]
    assert spent(session, 200) == 200 - closed + 5


def test_tokens_of_a_stream_that_does_not_tell_are_estimated(make):
    client = make("token", per=1, price="1 sat", deposit="500 sat")
    session = client.open()
    opened = 500 - client.open().close().json()["refundSats"]
    running = stream(session, "/api/chat?usage=", {**CHAT, "stream": True}).wait()
    units = running.until("payment-receipt").json()["units"]
    text = sum(-(-len(word) // 4) for word in model_upstream.WORDS)
    assert text < units < text + 60, "the answer's text, and the request's"
    assert spent(session, 500) == opened + units


def test_more_tokens_than_the_balance_pays_are_refused_before_the_upstream_is_asked(make, model):
    client = make("token", per=1000, price="10 sat")
    session = client.open()
    asked = len(model.requests)
    body = '{"messages":[],"max_tokens":30000}'
    answer = ask(session, "/api/chat", body)
    assert answer.status == 402 and answer.problem == "lightning/insufficient-balance"
    assert answer.json()["balanceRequired"] == 301 and len(model.requests) == asked


def test_a_request_that_two_readers_read_differently_is_refused(make, model):
    client = make("token", per=1000, price="10 sat")
    session = client.open()
    asked = len(model.requests)
    body = '{"model":"small","model":"large"}'
    answer = ask(session, "/api/chat", body)
    assert answer.status == 400 and len(model.requests) == asked


# ---- bytes -------------------------------------------------------------------------------------


def test_bytes_are_billed_by_length(make):
    client = make("KiB")
    session = client.open()
    answer = session.get("/api/bytes?n=3&size=1000")
    assert answer.status == 200 and len(answer.body) == 3000
    assert spent(session, 40) == 2 + 3 * UNIT, "the last KiB is billed whole, once"


def test_an_answer_of_bytes_waits_for_money_and_is_whole_after_a_top_up(make):
    client = make("KiB")
    session = client.open()
    running = stream(session, "/api/bytes?n=25&size=1024&gap=0.02")
    wait_for(lambda: len(running.raw) == 19 * 1024, 10, "what is paid for")
    time.sleep(0.3)
    assert len(running.raw) == 19 * 1024
    top_up(session)
    running.wait()
    assert running.whole and running.raw == b"x" * 25 * 1024
    assert spent(session, 80) == 52


# ---- our own wallet ----------------------------------------------------------------------------


def test_fetch_tops_up_in_mid_stream_and_gets_the_rest_back(make, payer):
    client = make("chunk")
    before = payer.balance_msat() // 1000
    fetched = payer.run("fetch", "--session", "--close-after", client.server.url + "/api/events?n=50")
    assert [one for one in fetched.stdout.split("\n") if one] == [f"data: {one}" for one in [*events(1, 50), "[DONE]"]]
    assert payer.balance_msat() // 1000 == before - 50 * UNIT, "two top-ups, and what was left came back"


# ---- HTTP/2 ------------------------------------------------------------------------------------


def test_a_stream_over_http2_waits_and_finishes_as_well(make):
    client = make("chunk")
    session = client.open()
    words = ["curl", "-sN", "--http2-prior-knowledge", "-H", "@-", client.server.url + "/api/events?n=30"]
    curl = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert curl.stdin and curl.stdout
    curl.stdin.write(f"Authorization: {session.bearer()}\n".encode())
    curl.stdin.close()
    raw = b""
    while b"payment-need-topup" not in raw:
        piece = curl.stdout.read1(65536)
        assert piece, raw
        raw += piece
    top_up(session)
    raw += curl.stdout.read()
    assert curl.wait(30) == 0
    got = events_of(raw)
    assert [one.data for one in got if not one.type] == [*events(1, 30), "[DONE]"]
    assert [one.type for one in got if one.type] == ["payment-need-topup", "payment-receipt"]
    assert spent(session, 80) == 62
