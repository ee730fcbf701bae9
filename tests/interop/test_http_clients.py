"""Node's fetch, curl and nghttp through octroi, free and paid."""

from __future__ import annotations

import subprocess

import pytest

from harness import peers
from harness.process import environment
from harness.settings import service


@pytest.fixture
def server(gateway, upstream):
    free = {"name": "free", "match": {"path": "/free/.*"}, "upstream": upstream.url, "auth": "off"}
    return gateway([free, service("paid", "/paid/.*", upstream.url, digest="off")])


@pytest.mark.parametrize("kind", ["free", "l402"])
def test_nodes_fetch(server, payer, upstream, node_peers, kind):
    """GET, POST of a text and of a stream, a large answer, an answer given up, fifty at once."""
    shown = server.buy_token("/paid/x", payer) if kind == "l402" else ""
    base = server.url + ("/paid" if kind == "l402" else "/free")
    result = peers.node_script("fetch.mjs", base, shown)
    assert result == {"get": 200, "post": "POST", "streamed": 200, "large": 5_000_000, "aborted": "AbortError", "many": 50, "after": 200}
    prefix = base.removeprefix(server.url)
    assert upstream.of_path(f"{prefix}/post")[0].body == b"a text"
    assert upstream.of_path(f"{prefix}/stream")[0].body == b"piece " * 100
    assert not any(one.all("Authorization") for one in upstream.seen)


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2", "--http2-prior-knowledge"])
@pytest.mark.parametrize("kind", ["free", "l402"])
def test_curl(server, payer, version, kind):
    shown = ["-H", f"Authorization: {server.buy_token('/paid/x', payer)}"] if kind == "l402" else []
    url = f"{server.url}/{'paid' if kind == 'l402' else 'free'}/x?size=100000"
    # Twice over one connection, but where curl 7.88 cannot: it fails with nginx, too.
    once = ["-o", "/dev/null", "-w", "%{http_code} %{size_download} ", url]
    done = subprocess.run(
        ["curl", "-sS", version, *shown, "-d", "@-", *once, *([] if version == "--http2-prior-knowledge" else once)],
        capture_output=True, text=True, timeout=30, env=environment(), input="x" * 50_000,
    )  # fmt: skip
    assert done.returncode == 0 and set(done.stdout.split()) == {"200", "100000"}, done.stderr


@pytest.mark.parametrize("kind", ["free", "l402"])
def test_nghttp_with_priorities(server, payer, kind):
    shown = ["-H", f"authorization: {server.buy_token('/paid/x', payer)}"] if kind == "l402" else []
    urls = [f"{server.url}/{'paid' if kind == 'l402' else 'free'}/{number}?size=50000" for number in range(20)]
    done = subprocess.run(["nghttp", "-nvs", *shown, *urls], capture_output=True, text=True, timeout=30, env=environment())
    assert done.stdout.count(":status: 200") == 20, done.stdout[-2000:]
    assert "RST_STREAM" not in done.stdout
