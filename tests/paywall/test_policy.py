"""Who pays, who does not, and who is not let in at all."""

from __future__ import annotations

import datetime

import pytest

from harness.settings import service


def test_auth_off_is_free(gateway, upstream):
    free = service("free", "^/free/", upstream.url, auth="off")
    del free["price"], free["schemes"]
    assert gateway([free]).request("/free/x").status == 200


def test_free_paths(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url, free_paths=["^/api/health$"])])
    assert server.request("/api/health").status == 200
    assert server.request("/api/healthy").status == 402
    assert server.request("/api/health/../secret").status == 402


def test_paths_without_invoices(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url, no_invoice_paths=["^/api/poll$"])])
    answer = server.request("/api/poll")
    assert answer.status == 401
    assert "invoice" not in (answer.get("WWW-Authenticate") or "")


def test_methods(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url, methods=["GET"])])
    answer = server.request("/api/x", "DELETE")
    assert answer.status == 405 and "GET" in (answer.get("Allow") or "")
    assert upstream.count == 0


def test_free_quota(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url, free={"requests": 3, "per": "24h", "by": "ip"})])
    assert [server.request("/api/x").status for _ in range(5)] == [200, 200, 200, 402, 402]
    server.restart()
    assert server.request("/api/x").status == 402, "the quota is kept"


def test_rate_limit_counts_challenges_too(gateway, upstream):
    server = gateway(
        [service("api", "^/api/", upstream.url, rate_limits=[{"requests": 3, "per": "60s", "by": "ip"}])]
    )
    answers = [server.request("/api/x") for _ in range(5)]
    assert [answer.status for answer in answers] == [402, 402, 402, 429, 429]
    assert int(answers[-1].get("Retry-After")) >= 1


@pytest.mark.parametrize("blocked", ["127.0.0.1", "127.0.0.0/8"])
def test_block(gateway, upstream, blocked):
    server = gateway([service("api", "^/api/", upstream.url, block=[blocked])])
    answer = server.request("/api/x")
    assert answer.status == 403 and not answer.all("WWW-Authenticate")


def test_first_match_wins(gateway, upstream):
    server = gateway(
        [
            service("narrow", "^/api/dear/", upstream.url, "50 sat", schemes=["payment"]),
            service("wide", "^/api/", upstream.url, "1 sat", schemes=["payment"]),
        ]
    )
    assert server.unpaid("/api/dear/x").payment.request["amount"] == "50"
    assert server.unpaid("/api/other").payment.request["amount"] == "1"


def test_host(gateway, upstream):
    one = service("named", "^/", upstream.url, "7 sat", schemes=["payment"])
    one["match"]["host"] = r"api\.example\.com"
    server = gateway([one])
    assert server.request("/x").status == 404
    assert server.request("/x", headers={"Host": "api.example.com"}).status == 402
    assert server.request("/x", headers={"Host": "api.example.com:8402"}).status == 402
    assert server.request("/x", headers={"Host": "evil-api.example.com"}).status == 404


def test_price_in_usd_rounds_up(gateway, upstream):
    server = gateway(
        [service("api", "^/api/", upstream.url, "0.05 usd", schemes=["payment"])],
        top={"rates": {"btc_usd": "65000 usd", "as_of": datetime.date.today().isoformat(), "max_age": "30d"}},
    )
    assert server.unpaid("/api/x").payment.request["amount"] == "77"  # 76.92… sat


def test_a_stale_rate_sells_nothing(gateway, upstream):
    old = (datetime.date.today() - datetime.timedelta(days=31)).isoformat()
    with pytest.raises(RuntimeError, match="stale"):
        gateway(
            [service("api", "^/api/", upstream.url, "0.05 usd", schemes=["payment"])],
            top={"rates": {"btc_usd": "65000 usd", "as_of": old, "max_age": "30d"}},
        )


def test_price_below_a_sat_is_never_nothing(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url, "1 msat", schemes=["payment"])])
    assert server.unpaid("/api/x").payment.request["amount"] == "1"


def test_credentials_for_the_upstream(gateway, upstream, payer, workdir, leaks):
    """A header of the configuration replaces what the client sent, and never shows."""
    key = workdir / "api.key"
    key.write_text("upstream-key-4f1c0a9e77d2")
    leaks.register("upstream-key-4f1c0a9e77d2", "injected secret")
    leaks.exempt(key)
    server = gateway([service("api", "^/api/", upstream.url, schemes=["payment"], headers={"X-Api-Key": f"file://{key}"})])
    answer = server.request(
        "/api/x", headers={"Authorization": server.buy("/api/x", payer), "X-Api-Key": "the client's"}
    )
    assert answer.status == 200
    assert upstream.seen[-1].all("X-Api-Key") == ["upstream-key-4f1c0a9e77d2"]


@pytest.mark.parametrize("forward", ["none", "identity"])
def test_what_the_upstream_learns(gateway, upstream, payer, forward):
    server = gateway([service("api", "^/api/", upstream.url, "10 sat", schemes=["payment"], forward=forward)])
    forged = {"X-Octroi-Service": "forged", "X-Octroi-Amount-Msat": "1", "X-Octroi-Token-Id": "forged"}
    assert server.request("/api/x", headers={"Authorization": server.buy("/api/x", payer), **forged}).status == 200
    seen = upstream.seen[-1]
    assert not seen.all("Authorization")
    assert seen.all("X-Octroi-Service") == (["api"] if forward == "identity" else [])
    assert seen.all("X-Octroi-Amount-Msat") == (["10000"] if forward == "identity" else [])
    assert "forged" not in str(seen.headers)


def test_strict_refuses_an_unsettled_preimage(gateway, upstream, payer):
    """With `strict` the node is asked; a paid invoice passes."""
    server = gateway([service("api", "^/api/", upstream.url, schemes=["payment"], strict=True)])
    assert server.request("/api/x", headers={"Authorization": server.buy("/api/x", payer)}).status == 200


def test_an_upstream_that_is_down_consumes_nothing(gateway, payer, upstream):
    from harness.process import free_port

    server = gateway([service("api", "^/api/", f"http://127.0.0.1:{free_port()}", schemes=["payment"])])
    credential = server.buy("/api/x", payer)
    answer = server.request("/api/x", headers={"Authorization": credential})
    assert answer.status in (502, 503, 504) and not answer.all("Payment-Receipt")


def test_bodies_over_the_limit(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url, max_body="64KiB", digest_limit="64KiB")])
    assert server.request("/api/x", "POST", body=b"x" * 65_537).status == 413
    assert server.request("/api/x", "POST", body=b"x" * 65_536).status == 402
