"""`octroi price-server` behind a paywall, over HTTP and gRPC: bundles for language models."""

from __future__ import annotations

import json
import os

import pytest

from harness import payment, web
from harness.model_upstream import OPENAI_USAGE, ModelUpstream
from harness.process import Program, free_port, wait_for
from harness.settings import dump, service

JSON = {"Content-Type": "application/json"}
IN, OUT = 1000, 2000  # msat for 1,000 tokens
COST = (OPENAI_USAGE["prompt_tokens"] * IN + OPENAI_USAGE["completion_tokens"] * OUT) // 1000  # msat


def body(model: str = "small", **more) -> str:
    return json.dumps({"model": model, "messages": [{"role": "user", "content": "rain?"}], "max_tokens": 1000, **more})


class PriceServer:
    def __init__(self, binary, directory, leaks):
        directory.mkdir(parents=True, exist_ok=True)
        self.binary, self.directory, self.starts = binary, directory, 0
        self.port = free_port()
        token = os.urandom(32).hex()
        leaks.register(token, "price server token")
        self.token = directory / "token"
        self.token.write_text(token)
        self.token.chmod(0o600)
        leaks.exempt(self.token)
        self.secret = token
        models = {
            "small": {"input": f"{IN} msat", "output": f"{OUT} msat"},
            "large": {"input": "9 sat", "output": "90 sat"},
        }
        config = {
            "store": f"sqlite://{directory}/prices.db",
            "price_server": {
                "listen": f"127.0.0.1:{self.port}",
                "token": f"file://{self.token}",
                "bundle": "5 sat",
                "models": models,
            },
            "log": {"level": "debug", "format": "json", "file": str(directory / "prices.log")},
        }
        (directory / "prices.yaml").write_text(dump(config))

    def start(self) -> "PriceServer":
        self.starts += 1
        self.program = Program(
            f"prices-{self.starts}", [self.binary, "price-server", "--config", self.directory / "prices.yaml"], self.directory
        )

        def answers() -> bool:
            self.program.must_run()
            return web.request(f"http://127.0.0.1:{self.port}/healthz", timeout=2).status == 200

        wait_for(answers, 20, "the price server")
        return self

    def ask(self, call: str, message: dict, **headers: str):
        path = f"http://127.0.0.1:{self.port}/v1/aperture/{call}"
        return web.request(path, "POST", {**JSON, "Authorization": f"Bearer {self.secret}", **headers}, json.dumps(message))


@pytest.fixture
def prices(octroi_binary, workdir, leaks):
    server = PriceServer(octroi_binary, workdir / "prices", leaks).start()
    yield server
    server.program.stop()


@pytest.fixture
def model():
    server = ModelUpstream()
    yield server
    server.stop()


@pytest.fixture(params=["http", "grpc"])
def server(request, gateway, prices, model):
    source = {"url": f"http://127.0.0.1:{prices.port}", "protocol": request.param, "token": f"file://{prices.token}"}
    one = service("chat", "^/", model.url, schemes=["l402"], price_source={"name": "prices", "metered": True})
    del one["price"]
    return gateway([one], paywall={"price_sources": {"prices": source}})


def buy(server, payer, text: str | None = None) -> tuple[str, str]:
    offer = server.unpaid("/chat", "POST", JSON, text or body()).l402
    token = payment.decode_macaroon(offer["macaroon"]).token_id.hex()
    return payment.l402(offer, payer.pay(offer.invoice)), token


def chat(server, credential: str, text: str | None = None, path: str = "/chat"):
    return server.request(path, "POST", {**JSON, "Authorization": credential}, text or body())


def taken(server) -> float:
    return server.metric("octroi_usage_reports_total", result="taken")


def left(prices, token: str) -> int:
    """In whole sat, as an answer tells that costs nothing."""
    usage = {"token_id": token, "path": "/", "service_name": "chat", "http_status": 502, "response_tail": ""}
    return int(prices.ask("usage", usage).json()["remaining_sats"])


def test_a_bundle_is_drawn_down_by_what_answers_used(server, prices, payer):
    credential, token = buy(server, payer)
    # 5 sat pay for as many requests as leave room for what one may cost at most (2 sat and its text).
    served = 0
    while (answer := chat(server, credential, body(stream=served % 2 == 1))).status == 200:
        served += 1
        assert served < 10
        wait_for(lambda: taken(server) == served, 10, "the report")
    assert answer.status == 402 and served == 4
    assert 5000 - served * COST < 2100 <= 5000 - (served - 1) * COST
    # A smaller bound uses the rest up.
    assert chat(server, credential, body(max_tokens=100)).status == 200
    wait_for(lambda: taken(server) == served + 1, 10, "the report")
    assert left(prices, token) == (5000 - (served + 1) * COST) // 1000


def test_a_cheap_bundle_opens_no_dear_model(server, payer, model):
    credential, _ = buy(server, payer)
    assert chat(server, credential, body("large")).status == 402
    twice = body()[:-1] + ', "model": "large"}'
    assert chat(server, credential, twice).status == 503
    assert server.request("/chat", "POST", JSON, body("unknown")).status == 503
    assert model.requests == []


def test_an_answer_without_usage_costs_its_estimate(server, prices, payer):
    credential, token = buy(server, payer)
    assert chat(server, credential, body(stream=True), path="/chat?usage=").status == 200
    wait_for(lambda: taken(server) == 1, 10, "the report")
    assert left(prices, token) == 2  # of 5, after 2 sat for 1,000 tokens and a little for the text


def test_the_books_survive_a_kill(server, prices, payer):
    credential, _ = buy(server, payer)
    assert chat(server, credential).status == 200
    wait_for(lambda: taken(server) == 1, 10, "the report")
    prices.program.kill()
    assert chat(server, credential).status == 503
    prices.start()
    assert chat(server, credential).status == 200
    wait_for(lambda: taken(server) == 2, 10, "the report")


def test_who_has_no_token_asks_nothing(prices):
    assert prices.ask("price", {"path": "/", "http_request_text": "x"}, Authorization="Bearer wrong").status == 401
    assert prices.ask("price", {"path": "/", "http_request_text": "x"}).status == 422
    assert prices.ask("nothing", {}).status == 404
