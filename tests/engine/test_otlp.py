"""Traces and metrics of the paywall as a collector sees them; what OpenTelemetry's own SDK and message
types make of them."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Iterator

import pytest
from opentelemetry import trace as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from harness.collector import CLIENT, PARENT, SERVER, SPAN, TRACE, Collector, SpanSeen, attributes_of, collecting
from harness.process import free_port, wait_for
from harness.settings import service


@pytest.fixture
def collector(workdir) -> Iterator[Collector]:
    yield from collecting(workdir)


def free(upstream) -> dict[str, Any]:
    one = service("free", "^/free/", upstream.url, auth="off", schemes=["l402"])
    del one["price"]
    return one


@pytest.fixture
def traced(gateway, upstream, collector) -> Callable[..., Any]:
    def make(**changes: Any) -> Any:
        telemetry = {"metrics": "public", "otlp": collector.url, "otlp_interval": "1s", **changes}
        services = [free(upstream), service("paid", "^/paid/", upstream.url, "10 sat")]
        return gateway(services, top={"telemetry": telemetry, "workers": 2})

    return make


def wait_for_spans(collector: Collector, wanted: int, kind: int = SERVER) -> list[SpanSeen]:
    wait_for(lambda: len(collector.spans(kind)) >= wanted, 30, f"{wanted} spans")
    return collector.spans(kind)


def at_upstream(upstream, path: str) -> Any:
    (seen,) = [one for one in upstream.seen if one.target.startswith(path)]
    return seen


def test_a_paid_request_is_a_trace_without_its_secrets(traced, collector, upstream, payer):
    query = "key=" + os.urandom(16).hex()
    server = traced(otlp_service="till")
    assert server.unpaid("/paid/a").payment
    credential = server.buy(f"/paid/a?{query}", payer)
    answer = server.request(f"/paid/a?{query}", headers=[("Authorization", credential)])
    assert answer.status == 200

    wait_for(lambda: [s for s in collector.spans(SERVER) if s.attributes["octroi.outcome"] == "paid"], 30, "its span")
    (paid,) = [s for s in collector.spans(SERVER) if s.attributes["octroi.outcome"] == "paid"]
    assert paid.name == "GET paid" and paid.parent == "" and not paid.failed
    assert paid.resource["service.name"] == "till"
    assert re.fullmatch(r"[0-9a-f-]{36}", paid.resource["service.instance.id"])
    expected = {
        "http.request.method": "GET",
        "url.path": "/paid/a",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "octroi.door": "paywall",
        "octroi.service": "paid",
        "octroi.scheme": "payment",
        "octroi.intent": "charge",
        "octroi.outcome": "paid",
        "octroi.request_id": answer.get("X-Request-Id"),
    }
    assert paid.attributes == expected
    (hop,) = [s for s in collector.spans(CLIENT) if s.trace == paid.trace]
    assert hop.parent == paid.id and hop.attributes["http.response.status_code"] == 200
    assert hop.attributes["server.address"].endswith(f":{upstream.port}")
    assert int(paid.raw["startTimeUnixNano"]) <= int(hop.raw["startTimeUnixNano"]) <= int(hop.raw["endTimeUnixNano"])
    assert at_upstream(upstream, "/paid/a").all("traceparent") == [f"00-{paid.trace}-{hop.id}-01"]

    # Those that were not paid for are traces as well, and no failures.
    unpaid = [s for s in collector.spans(SERVER) if s.attributes["http.response.status_code"] == 402]
    assert len(unpaid) >= 2 and not any(s.failed for s in unpaid)
    assert len({s.trace for s in collector.spans(SERVER)}) == len(collector.spans(SERVER))
    for post in collector.taken("traces"):
        assert post.message.resource_spans
        assert query.encode() not in post.body and b"?" not in post.body


def test_who_comes_with_a_trace_is_joined(traced, collector, upstream):
    server = traced(otlp_sample="0%")
    assert server.request("/free/joined", headers=[("traceparent", PARENT), ("tracestate", "a=1"), ("tracestate", "b=2")]).status == 200
    assert server.request("/free/unsampled", headers=[("traceparent", PARENT[:-2] + "00"), ("tracestate", "c=3")]).status == 200
    assert server.request("/free/alone").status == 200
    assert server.request("/free/upper", headers=[("traceparent", PARENT.upper())]).status == 200
    assert server.request("/free/twice", headers=[("traceparent", PARENT), ("traceparent", PARENT)]).status == 200
    assert server.request("/free/last", headers=[("traceparent", PARENT)]).status == 200
    wait_for(lambda: "/free/last" in {s.attributes["url.path"] for s in collector.spans(SERVER)}, 30, "the last span")
    server.stop()  # whatever there was is there

    spans = {s.attributes["url.path"]: s for s in collector.spans(SERVER)}
    assert set(spans) == {"/free/joined", "/free/last"}
    joined = spans["/free/joined"]
    assert (joined.trace, joined.parent, joined.raw["traceState"]) == (TRACE, SPAN, "a=1,b=2")
    assert joined.raw["flags"] == 0x301
    (hop,) = [s for s in collector.spans(CLIENT) if s.parent == joined.id]
    assert at_upstream(upstream, "/free/joined").all("traceparent") == [f"00-{TRACE}-{hop.id}-01"]
    assert at_upstream(upstream, "/free/joined").all("tracestate") == ["a=1,b=2"]
    # What is not recorded passes as it came.
    assert at_upstream(upstream, "/free/unsampled").all("traceparent") == [PARENT[:-2] + "00"]
    assert at_upstream(upstream, "/free/unsampled").all("tracestate") == ["c=3"]
    assert at_upstream(upstream, "/free/alone").all("traceparent") == []


def test_a_trace_that_cannot_be_gone_on_with_is_begun_anew(traced, collector, upstream):
    server = traced()
    paths = {
        "/free/upper": [("traceparent", PARENT.upper()), ("tracestate", "a=1")],
        "/free/zero": [("traceparent", f"00-{'0' * 32}-{SPAN}-01"), ("tracestate", "a=1")],
        "/free/twice": [("traceparent", PARENT), ("traceparent", PARENT)],
        "/free/version": [("traceparent", "ff" + PARENT[2:])],
        "/free/none": [],
    }
    for path, headers in paths.items():
        assert server.request(path, headers=headers).status == 200
    spans = {s.attributes["url.path"]: s for s in wait_for_spans(collector, len(paths))}
    assert set(spans) == set(paths)
    for path, span in spans.items():
        assert span.trace != TRACE and span.parent == "" and "traceState" not in span.raw, path
        (sent,) = at_upstream(upstream, path).all("traceparent")
        assert sent.startswith(f"00-{span.trace}-") and at_upstream(upstream, path).all("tracestate") == []


def test_failures_are_those_of_the_conventions(traced, collector, upstream):
    server = traced()
    for path in ("/free/a?status=404", "/free/b?status=503", "/nowhere"):
        server.request(path)
    spans = {s.attributes["url.path"]: s for s in wait_for_spans(collector, 3)}
    hops = {s.parent: s for s in collector.spans(CLIENT)}
    assert not spans["/free/a"].failed and hops[spans["/free/a"].id].failed
    assert hops[spans["/free/a"].id].attributes["error.type"] == "404"
    assert spans["/free/b"].failed and spans["/free/b"].attributes["error.type"] == "503"
    assert not spans["/nowhere"].failed and spans["/nowhere"].id not in hops
    assert spans["/nowhere"].name == "GET" and spans["/nowhere"].attributes["octroi.outcome"] == "not_found"
    upstream.stop()
    assert server.request("/free/gone").status >= 500
    gone = {s.attributes["url.path"]: s for s in wait_for_spans(collector, 4)}["/free/gone"]
    assert gone.failed
    wait_for(lambda: gone.id in {s.parent for s in collector.spans(CLIENT)}, 30, "the hop")
    (hop,) = [s for s in collector.spans(CLIENT) if s.parent == gone.id]
    assert hop.failed and "http.response.status_code" not in hop.attributes


def test_opentelemetrys_sdk_is_the_parent_and_the_child(traced, collector, upstream):
    server = traced(otlp_sample="0%")
    propagator = TraceContextTextMapPropagator()
    recorded, silent = (TracerProvider(sampler=s).get_tracer("client") for s in (ALWAYS_ON, ALWAYS_OFF))
    sent: dict[str, str] = {}
    with recorded.start_as_current_span("agent") as span:
        propagator.inject(sent)
        assert server.request("/free/sdk", headers=list(sent.items())).status == 200
        ours = span.get_span_context()
    quiet: dict[str, str] = {}
    with silent.start_as_current_span("agent"):
        propagator.inject(quiet)
        assert server.request("/free/quiet", headers=list(quiet.items())).status == 200
    (made,) = wait_for_spans(collector, 1)
    assert made.trace == otel.format_trace_id(ours.trace_id) and made.parent == otel.format_span_id(ours.span_id)
    # The upstream's SDK goes on with it.
    carrier = {name.lower(): value for name, value in at_upstream(upstream, "/free/sdk").headers}
    parent = otel.get_current_span(propagator.extract(carrier)).get_span_context()
    (hop,) = [s for s in wait_for_spans(collector, 1, CLIENT) if s.trace == made.trace]
    assert parent.is_valid and parent.is_remote and parent.trace_flags.sampled
    assert otel.format_span_id(parent.span_id) == hop.id and parent.trace_id == ours.trace_id
    assert [s.attributes["url.path"] for s in collector.spans(SERVER)] == ["/free/sdk"]
    # By OpenTelemetry's own message type.
    messages = [post.message for post in collector.taken("traces")]
    spans = {s.kind: s for m in messages for r in m.resource_spans for scope in r.scope_spans for s in scope.spans}
    assert spans[SERVER].parent_span_id.hex() == made.parent and spans[CLIENT].parent_span_id == spans[SERVER].span_id


def points(collector: Collector, name: str) -> list[Any]:
    out = []
    for post in collector.taken("metrics"):
        for resource in post.message.resource_metrics:
            for scope in resource.scope_metrics:
                out += [metric for metric in scope.metrics if metric.name == name]
    return out


def test_metrics_come_every_interval(traced, collector):
    server = traced()
    for _ in range(3):
        server.request("/free/a")

    def counted() -> list[Any]:
        return [
            (metric, point)
            for metric in points(collector, "octroi_requests_total")
            for point in metric.sum.data_points
            if point.as_int == 3 and {a.key: a.value.string_value for a in point.attributes}["service"] == "free"
        ]

    wait_for(counted, 30, "three requests in a message")
    metric, point = counted()[-1]
    assert metric.sum.is_monotonic and metric.sum.aggregation_temporality == 2 and metric.unit == "1"
    assert 0 < point.start_time_unix_nano < point.time_unix_nano
    histogram = points(collector, "octroi_request_duration_seconds")[-1]
    assert histogram.unit == "s" and histogram.histogram.aggregation_temporality == 2
    for one in histogram.histogram.data_points:
        assert len(one.bucket_counts) == len(one.explicit_bounds) + 1 and sum(one.bucket_counts) == one.count
        assert list(one.explicit_bounds) == sorted(one.explicit_bounds)
    assert points(collector, "octroi_lightning_up") or [
        m for post in collector.taken("metrics") for m in post.message.resource_metrics[0].scope_metrics[0].metrics if m.WhichOneof("data") == "gauge"
    ]
    # What /metrics shows is what the collector sees.
    shown = {line.split()[2] for line in exposition(server).splitlines() if line.startswith("# TYPE")}
    last = {m.name for m in collector.taken("metrics")[-1].message.resource_metrics[0].scope_metrics[0].metrics}
    assert last <= shown


def exposition(server) -> str:
    from harness import web

    return web.request(server.admin_url + "/metrics").text


def test_the_collector_is_shown_its_headers(gateway, upstream, collector, leaks, workdir):
    token = os.urandom(24).hex()
    leaks.register(token, "collector token")
    file = workdir / "collector.token"
    file.write_text(token)
    file.chmod(0o600)
    leaks.exempt(file)
    telemetry = {"otlp": collector.url + "/otlp/", "otlp_interval": "1s", "otlp_headers": {"Authorization": f"Bearer ${{file://{file}}}", "X-Scope-OrgID": "till"}}
    server = gateway([free(upstream)], top={"telemetry": telemetry})
    assert server.request("/free/a").status == 200
    wait_for(lambda: collector.taken("traces") and collector.taken("metrics"), 30, "both")
    for post in collector.posts:
        assert post.path in ("/otlp/v1/traces", "/otlp/v1/metrics")
        assert post.all("Authorization") == [f"Bearer {token}"] and post.all("X-Scope-OrgID") == ["till"]
        assert post.all("Content-Type") == ["application/json"]


def test_a_collector_that_is_full_gets_it_later(traced, collector):
    refused: list[str] = []

    def full(post: Any) -> tuple[int, dict[str, str]]:
        refused.append(post.path)
        return 503, {"Retry-After": "1"}

    collector.answer = full
    server = traced()
    assert all(server.request(f"/free/{n}").status == 200 for n in range(20))
    wait_for(lambda: "/v1/traces" in refused, 30, "a refusal")
    assert all(server.request(f"/free/{n}").status == 200 for n in range(20, 40))
    assert collector.spans() == []
    collector.answer = lambda post: (200, {})
    spans = wait_for_spans(collector, 40)
    assert {s.attributes["url.path"] for s in spans} == {f"/free/{n}" for n in range(40)} and len(spans) == 40
    wait_for(lambda: server.metric("octroi_otlp_spans_total") == 80, 30, "what was sent, counted")
    assert server.metric("octroi_otlp_dropped_total") == 0
    assert server.metric("octroi_otlp_requests_total", signal="traces", outcome="later") > 0


def test_what_it_refuses_is_dropped_and_counted(traced, collector):
    collector.answer = lambda post: (400, {})
    server = traced()
    assert server.request("/free/a").status == 200
    wait_for(lambda: server.metric("octroi_otlp_dropped_total", reason="refused") == 2, 30, "two spans dropped")
    collector.answer = lambda post: (200, {})
    assert server.request("/free/b").status == 200
    assert [s.attributes["url.path"] for s in wait_for_spans(collector, 1)] == ["/free/b"]


def test_without_a_collector_everything_else_goes_on(gateway, upstream):
    telemetry = {"metrics": "public", "otlp": f"http://127.0.0.1:{free_port()}", "otlp_interval": "1s"}
    server = gateway([free(upstream)], top={"telemetry": telemetry})
    for n in range(50):
        assert server.request(f"/free/{n}").status == 200
    wait_for(lambda: server.metric("octroi_otlp_requests_total", outcome="later") > 0, 30, "an attempt")
    assert server.request("/free/after").status == 200
    assert server.metric("octroi_otlp_spans_total") == 0
    assert server.stop() == 0


def test_what_is_left_goes_out_at_the_end(traced, collector):
    # Last words are given two seconds, which a machine may once be too busy for.
    for attempt in range(5):
        collector.posts.clear()
        server = traced(otlp_interval="60s")
        assert server.request("/free/last").status == 200
        assert server.stop() == 0
        if collector.spans(SERVER) and collector.taken("metrics"):
            break
    assert [s.attributes["url.path"] for s in collector.spans(SERVER)] == ["/free/last"]
    assert points(collector, "octroi_requests_total")


def test_nothing_is_sent_unless_it_is_asked_for(gateway, upstream, collector):
    server = gateway([free(upstream)])
    assert server.request("/free/a", headers=[("traceparent", PARENT), ("tracestate", "a=1")]).status == 200
    assert at_upstream(upstream, "/free/a").all("traceparent") == [PARENT]  # as any other field
    assert server.metric("octroi_otlp_requests_total") == 0
    assert server.stop() == 0
    assert collector.posts == []
