"""Counted L402 tokens (bundles): sold as so many units, good until they are used up, and narrowed by
whoever holds them. The client knows macaroons and nothing of octroi."""

from __future__ import annotations

import http.client
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import payment, web
from harness.model_upstream import ModelUpstream
from harness.octroi import Unpaid
from harness.process import environment, wait_for
from harness.settings import service
from harness.sse import Stream

PRICE = 100_000  # msat of a token


@pytest.fixture
def model():
    server = ModelUpstream()
    yield server
    server.stop()


@pytest.fixture
def sells(gateway, model):
    def build(count: int, unit: str = "request", **more):
        meter = {"unit": unit, "count": count, **more}
        return gateway([service("api", "^/", model.url, "100 sat", schemes=["l402"], token={"meter": meter})])

    return build


class Token:
    def __init__(self, server, payer, offer: payment.Challenge | None = None):
        offer = offer or server.unpaid("/x").l402
        self.server = server
        self.macaroon = offer["macaroon"]
        self.preimage = payer.pay(offer["invoice"])

    def narrowed(self, *caveats: str) -> "Token":
        copy = object.__new__(Token)
        copy.server, copy.preimage, copy.macaroon = self.server, self.preimage, self.macaroon
        for caveat in caveats:
            copy.macaroon = payment.attenuate(copy.macaroon, caveat)
        return copy

    @property
    def field(self) -> str:
        return f"L402 {self.macaroon}:{self.preimage}"

    def ask(self, path: str = "/x", server=None, **more):
        headers = {"Authorization": self.field, **more.pop("headers", {})}
        return (server or self.server).request(path, headers=headers, **more)

    def stream(self, path: str, body=None) -> Stream:
        headers = {"Authorization": self.field}
        if body is not None:
            headers["Content-Type"] = "application/json"
        return Stream(self.server.url + path, headers, "GET" if body is None else "POST", body)


def balance(answer: web.Response) -> str:
    return answer.get("L402-Balance") or ""


def octroi(binary, server, *words: str):
    done = subprocess.run(
        [str(binary), "--config", str(server.config_file), "--json", *words],
        capture_output=True, text=True, env=environment(), timeout=60,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def test_a_token_is_used_up_and_another_is_bought(sells, payer, model):
    server = sells(3)
    token = Token(server, payer)
    assert [balance(token.ask()) for _ in range(3)] == [f"{left};unit=request;of=3" for left in (2, 1, 0)]
    dry = token.ask()
    assert dry.status == 402 and balance(dry) == "0;unit=request;of=3"
    assert len(model.requests) == 3, "nothing was forwarded"
    again = Token(server, payer, Unpaid(dry).l402)
    assert again.ask().status == 200


def test_the_books_know_the_sale_and_the_operator_what_is_left(sells, payer, octroi_binary):
    server = sells(3)
    tokens = [Token(server, payer) for _ in range(2)]
    for token in tokens:
        assert token.ask().status == 200
    assert tokens[0].ask().status == 200
    for running in (True, False):
        if not running:
            server.stop()
        rows = octroi(octroi_binary, server, "token", "list")["tokens"]
        assert [(row["service"], row["unit"], row["used"], row["left"], row["units"], row["sold_msat"]) for row in rows] == [
            ("api", "request", 1, 2, 3, PRICE),
            ("api", "request", 2, 1, 3, PRICE),
        ]
        page = octroi(octroi_binary, server, "token", "list", "--limit", "1")
        assert page["next_before"] == rows[0]["id"]
        assert octroi(octroi_binary, server, "token", "list", "--before", page["next_before"])["tokens"] == rows[1:]
        assert octroi(octroi_binary, server, "token", "show", rows[1]["id"]) == rows[1]
        totals = octroi(octroi_binary, server, "token", "totals")["totals"]
        assert totals == [{"service": "api", "unit": "request", "tokens": 2, "units": 6, "used": 3, "sold_msat": 2 * PRICE}]
        settled = octroi(octroi_binary, server, "transaction", "list", "--state", "settled")["transactions"]
        assert [row["amount_msat"] for row in settled] == [PRICE, PRICE], "booked once, when it was sold"
        sessions = octroi(octroi_binary, server, "session", "totals")
        assert not any(sessions.values()), "units are no money"


def test_revoked_and_wrong_ids(sells, payer, octroi_binary):
    server = sells(3)
    token = Token(server, payer)
    assert token.ask().status == 200
    ident = octroi(octroi_binary, server, "token", "list")["tokens"][0]["id"]
    octroi(octroi_binary, server, "token", "revoke", ident)
    assert token.ask().status == 403
    assert octroi(octroi_binary, server, "token", "show", ident)["used"] == 1
    for wrong in ("5f", "0" * 64):
        done = subprocess.run([str(octroi_binary), "--config", str(server.config_file), "token", "show", wrong],
                              capture_output=True, text=True, env=environment(), timeout=60)
        assert done.returncode != 0 and done.stderr


def test_copies_share_the_count_and_each_has_its_bound(sells, payer):
    server = sells(10)
    token = Token(server, payer)
    narrow = token.narrowed("api_meter=request:2")
    assert [narrow.ask().status for _ in range(3)] == [200, 200, 402]
    assert balance(token.ask()) == "7;unit=request;of=10"
    narrower = token.narrowed("api_meter=request:5", "mood=good")
    assert [narrower.ask().status for _ in range(3)] == [200, 200, 402]
    assert balance(token.ask()) == "4;unit=request;of=10"


@pytest.mark.parametrize(
    "caveat",
    ["api_meter=request:4", "api_meter=byte:1", "api_meter=request:0", "api_meter=request", "api_meter=request:-1",
     "api_meter=request:3.0", "api_meter=", "api_meter=request: 2"],
)  # fmt: skip
def test_no_copy_is_wider(sells, payer, model, caveat):
    server = sells(3)
    assert Token(server, payer).narrowed(caveat).ask().status == 402
    assert model.requests == []


def test_64_clients_on_a_bundle_of_50(sells, payer, model):
    server = sells(50)
    token = Token(server, payer)
    copies = [token, token.narrowed("api_meter=request:50"), token.narrowed("mood=good")]
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda n: copies[n % 3].ask(f"/x?{n}").status, range(64)))
    assert (answers.count(200), answers.count(402)) == (50, 14)
    assert len(model.requests) == 50


def test_a_stream_that_runs_dry_is_ended_in_good_order(sells, payer):
    server = sells(20, "chunk")
    token = Token(server, payer)
    running = token.stream("/events?n=30").wait()
    assert running.status == 200 and running.whole
    assert running.sold[:-1] == [f"event {n}" for n in range(1, 21)]
    assert running.events[-1].type == "token-exhausted"
    assert running.events[-1].json() == {"unit": "chunk", "left": 0, "required": 1}
    assert token.ask("/events?n=1").status == 402


def test_a_stream_tells_what_is_left(sells, payer):
    server = sells(20, "chunk")
    token = Token(server, payer)
    answer = token.ask("/events?n=5")
    assert "\n\n: L402-Balance 15;unit=chunk;of=20\n\ndata: [DONE]" in answer.text
    assert balance(token.ask("/events?n=1")) == "14;unit=chunk;of=20"


def test_a_client_that_leaves_pays_for_what_it_was_sent(sells, payer, octroi_binary):
    server = sells(1000, "chunk")
    token = Token(server, payer)
    running = token.stream("/events?n=500&gap=0.02")
    wait_for(lambda: len(running.sold) >= 5, 10, "five events")
    running.leave()

    def used() -> int:
        return octroi(octroi_binary, server, "token", "list")["tokens"][0]["used"]

    wait_for(lambda: 5 <= used() <= 100, 20, "what was set aside to come back", pause=0.2)


def test_a_dead_upstream_costs_what_it_delivered(sells, payer, octroi_binary, model):
    server = sells(100, "chunk")
    token = Token(server, payer)
    running = token.stream("/events?n=30&die=7").wait()
    assert len(running.sold) == 7
    wait_for(lambda: octroi(octroi_binary, server, "token", "list")["tokens"][0]["used"] == 7, 10, "seven")
    model.stop()
    assert token.ask("/x").status in (502, 503)
    assert octroi(octroi_binary, server, "token", "list")["tokens"][0]["used"] == 7


def test_tokens_of_a_model(sells, payer):
    server = sells(20, "token", per=1000)
    token = Token(server, payer)
    ask = {"messages": [{"role": "user", "content": "weather?"}], "max_tokens": 1000}
    headers = {"Content-Type": "application/json"}
    assert token.ask("/chat", method="POST", body=json.dumps(ask), headers=headers).status == 200
    assert balance(token.ask("/chat", method="POST", body=json.dumps({**ask, "max_tokens": 1}), headers=headers)).startswith("194")
    running = token.stream("/chat", {**ask, "stream": True}).wait()
    assert running.whole and running.sold
    assert token.ask("/chat", method="POST", body=json.dumps({**ask, "max_tokens": 30_000}), headers=headers).status == 403


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.2])
def test_a_kill_gives_nothing_away(sells, payer, model, moment):
    """What was answered was counted before; at most what was on its way is counted and was not answered."""
    import threading
    import time

    server = sells(40)
    token = Token(server, payer)
    assert token.ask().status == 200
    answered: list[int] = []
    begin = threading.Barrier(25)

    def storm(n: int) -> None:
        begin.wait()
        for turn in range(3):
            try:
                answered.append(token.ask(f"/x?{n}.{turn}", timeout=20).status)
            except (OSError, http.client.HTTPException):
                return

    with ThreadPoolExecutor(24) as pool:
        sent = [pool.submit(storm, n) for n in range(24)]
        begin.wait()
        time.sleep(moment)
        server.kill()
        for one in sent:
            one.result()
    time.sleep(0.2)
    server.start()
    before = 1 + answered.count(200)
    after = 0
    while token.ask().status == 200:
        after += 1
        assert after <= 40
    assert before + after <= 40, "never more than was sold"
    assert len(model.requests) <= 40
    assert before + after >= 40 - 24, "one request of each client at most was lost"


def test_over_http2(sells, payer, upstream):
    import shutil

    curl = shutil.which("curl")
    assert curl
    server = sells(2)
    token = Token(server, payer)
    for left in ("1", "0"):
        done = subprocess.run(
            [curl, "--http2-prior-knowledge", "-sS", "-D", "-", "-o", "/dev/null", "-H", f"Authorization: {token.field}", server.url + "/x"],
            capture_output=True, text=True, timeout=30, env=environment(),
        )
        assert "HTTP/2 200" in done.stdout and f"l402-balance: {left};unit=request;of=2" in done.stdout.lower(), done.stdout
