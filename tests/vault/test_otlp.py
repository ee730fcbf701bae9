"""Traces of calls through the vault: what a collector sees of them, what it must not, and that vendors
are told of no trace."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import pytest

from harness.collector import CLIENT, INTERNAL, PARENT, SERVER, SPAN, TRACE, Collector, SpanSeen, collecting
from harness.process import wait_for
from harness.vault import REAL_STRIPE_KEY, Key, Reply, Vault

CUSTOMER = "cus_NobodyElseMayRead42"


@pytest.fixture
def collector(workdir) -> Iterator[Collector]:
    yield from collecting(workdir)


@pytest.fixture
def traced(make_vault, capture, collector) -> Callable[..., Vault]:
    def make(**changes: Any) -> Vault:
        policy = {"vendor": "stripe", "endpoints": ["charges.*", "customers.*"], "daily_cap": "50 usd", "max_amount": "20 usd"}
        vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": policy})
        vault.config["telemetry"] = {"metrics": "public", "otlp": collector.url, "otlp_interval": "1s", **changes}
        return vault.start()

    return make


def charge(vault: Vault, key: Key | None, amount: int = 500, *headers: tuple[str, str]) -> Any:
    body = f"amount={amount}&currency=usd&customer={CUSTOMER}"
    sent = [("Content-Type", "application/x-www-form-urlencoded"), *headers]
    return vault.request("/stripe/v1/charges", key, "POST", sent, body.encode())


def by_call(collector: Collector, answer: Any) -> SpanSeen:
    """The span of the call that was answered so."""
    (call,) = [value for name, value in answer.headers if name.lower() == "x-octroi-call"]
    wait_for(lambda: call in {s.attributes["octroi.call"] for s in collector.spans(SERVER)}, 30, "its span")
    (span,) = [s for s in collector.spans(SERVER) if s.attributes["octroi.call"] == call]
    return span


def servers(collector: Collector, wanted: int) -> list[SpanSeen]:
    wait_for(lambda: len(collector.spans(SERVER)) >= wanted, 30, f"{wanted} spans")
    return collector.spans(SERVER)


def test_a_call_is_a_trace_of_three_spans(traced, collector, capture):
    vault = traced()
    key = vault.issue("stripe", "bot", "--run", "run-7")
    assert charge(vault, key).status == 200
    (span,) = servers(collector, 1)
    assert span.name == "POST stripe charges.create" and span.parent == "" and not span.failed
    (outcome,) = [row for row in vault.audit() if row["kind"] == "call.outcome"]
    assert span.attributes == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.response.status_code": 200,
        "octroi.door": "vault",
        "octroi.vendor": "stripe",
        "octroi.operation": "charges.create",
        "octroi.verdict": "allowed",
        "octroi.run": "run-7",
        "octroi.call": outcome["id"],
    }
    (step,) = [s for s in collector.spans(INTERNAL) if s.trace == span.trace]
    (hop,) = [s for s in collector.spans(CLIENT) if s.trace == span.trace]
    assert step.name == "reserve" and step.parent == hop.parent == span.id
    assert int(step.raw["endTimeUnixNano"]) <= int(hop.raw["endTimeUnixNano"])
    assert hop.attributes == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": capture.port,
        "octroi.vendor": "stripe",
        "http.response.status_code": 200,
    }
    for post in collector.taken("traces"):
        assert post.message.resource_spans


def test_refusals_say_why(traced, collector, capture):
    vault = traced()
    key = vault.issue("stripe", "bot")
    denied = charge(vault, key, 2001)
    assert denied.status == 403 and capture.calls == []
    span = by_call(collector, denied)
    assert (span.attributes["octroi.verdict"], span.attributes["octroi.reason"]) == ("denied", "amount_over_max")
    assert span.attributes["http.response.status_code"] == 403 and not span.failed
    assert [s for s in collector.spans(CLIENT) if s.trace == span.trace] == []

    stranger = by_call(collector, charge(vault, None))
    assert stranger.attributes["octroi.verdict"] == "denied" and stranger.attributes["http.response.status_code"] == 401

    capture.reply = lambda call: Reply(status=402, body=b'{"error":{"type":"card_error"}}')
    answer = charge(vault, key)
    assert answer.status == 402
    failed = [s for s in servers(collector, 3) if s.attributes["octroi.verdict"] == "failed"]
    assert len(failed) == 1 and not failed[0].failed
    (hop,) = [s for s in collector.spans(CLIENT) if s.parent == failed[0].id]
    assert hop.failed

    capture.reply = lambda call: Reply(drop=True)
    unknown = by_call(collector, charge(vault, key))
    assert unknown.attributes["octroi.verdict"] == "unknown" and unknown.failed
    assert unknown.attributes["http.response.status_code"] == 502


def test_vendors_are_told_of_no_trace(traced, collector, capture):
    vault = traced()
    key = vault.issue("stripe", "bot")
    headers = [("traceparent", PARENT), ("tracestate", "a=1"), ("baggage", "user=ann")]
    assert charge(vault, key, 500, *headers).status == 200
    (span,) = servers(collector, 1)
    assert (span.trace, span.parent) == (TRACE, SPAN)  # the agent's own trace is gone on with
    assert charge(vault, key, 600, ("traceparent", PARENT[:-2] + "00")).status == 200
    for call in capture.calls:
        assert {n.lower() for n, _ in call.headers} & {"traceparent", "tracestate", "baggage"} == set()


def test_unless_the_configuration_says_so(traced, collector, capture):
    vault = traced(propagate=True)
    key = vault.issue("stripe", "bot")
    assert charge(vault, key, 500, ("traceparent", PARENT), ("tracestate", "a=1")).status == 200
    (span,) = servers(collector, 1)
    (hop,) = [s for s in collector.spans(CLIENT) if s.parent == span.id]
    (call,) = capture.calls
    assert call.all("traceparent") == [f"00-{TRACE}-{hop.id}-01"] and call.all("tracestate") == ["a=1"]


def test_nothing_of_keys_customers_or_paths_is_in_it(traced, collector, capture):
    vault = traced()
    key = vault.issue("stripe", "bot")
    answers = [
        charge(vault, key),
        charge(vault, key, 2001),
        vault.request(f"/stripe/v1/customers/{CUSTOMER}", key),
        vault.request("/stripe/v1/customers?email=ann%40example.com&limit=3", key),
        vault.request(f"/stripe/v1/no_such_thing/{CUSTOMER}", key),
    ]
    assert [a.status for a in answers[:2]] == [200, 403]
    servers(collector, len(answers))
    exported = b"".join(post.body for post in collector.posts)
    # Their other spellings are searched for when the run ends.
    for word in (key.text, REAL_STRIPE_KEY, CUSTOMER, "ann", "example.com", "/v1/", "usd&", "Bearer"):
        assert word.encode() not in exported, word


def test_whatever_the_agent_calls_its_run_is_data(traced, collector):
    vault = traced()
    key = vault.issue("stripe", "bot")
    assert charge(vault, key, 500, ("X-Agent-Run-Id", "run.a_b-1")).status == 200
    (span,) = servers(collector, 1)
    assert span.attributes["octroi.run"] == "run.a_b-1"
    assert json.loads(collector.taken("traces")[0].body)


def test_a_collector_that_is_away_holds_no_call_up(make_vault, capture):
    from harness.process import free_port

    vault = make_vault({"stripe": (capture, REAL_STRIPE_KEY, {})}, {"bot": {"vendor": "stripe", "endpoints": ["charges.*"], "daily_cap": "50 usd"}})
    vault.config["telemetry"] = {"metrics": "public", "otlp": f"http://127.0.0.1:{free_port()}", "otlp_interval": "1s"}
    vault.start()
    key = vault.issue("stripe", "bot")
    assert [charge(vault, key, 100).status for _ in range(10)] == [200] * 10
    assert vault.stop() == 0
    assert len(capture.calls) == 10
