"""An L402 token is bought once and used as often as it allows."""

from __future__ import annotations

import base64

import pytest

from harness import payment
from harness.settings import service


@pytest.fixture
def server(gateway, upstream):
    return gateway(
        [
            service("one", "^/one/", upstream.url, "5 sat", schemes=["l402"]),
            service("two", "^/two/", upstream.url, "5 sat", schemes=["l402"]),
            service("charge", "^/charge/", upstream.url, "5 sat", schemes=["payment"]),
        ]
    )


@pytest.fixture
def bought(server, payer):
    offer = server.unpaid("/one/x").l402
    return offer["macaroon"], payer.pay(offer["invoice"])


def status(server, path="/one/x", **headers):
    return server.request(path, headers={key.replace("_", "-"): value for key, value in headers.items()}).status


def with_preimage_caveat(macaroon: str, preimage: str) -> str:
    return base64.b64decode(payment.attenuate(macaroon, f"preimage={preimage}")).hex()


@pytest.mark.parametrize(
    "carrier",
    [
        lambda m, p: {"Authorization": f"L402 {m}:{p}"},
        lambda m, p: {"Authorization": f"LSAT {m}:{p}"},
        lambda m, p: {"Authorization": f"l402 {m}:{p}"},
        lambda m, p: {"Authorization": f"L402 {m.rstrip('=')}:{p}"},
        lambda m, p: {"Authorization": "L402 " + m.replace("+", "-").replace("/", "_") + f":{p}"},
        lambda m, p: {"Grpc-Metadata-Macaroon": with_preimage_caveat(m, p)},
        lambda m, p: {"Macaroon": with_preimage_caveat(m, p)},
    ],
    ids=["L402", "LSAT", "lower case", "no padding", "base64url", "Grpc-Metadata-Macaroon", "Macaroon"],
)
def test_carriers(server, bought, upstream, leaks, carrier):
    headers = carrier(*bought)
    leaks.register(next(iter(headers.values())).split(" ")[-1].split(":")[0], "macaroon")
    assert server.request("/one/x", headers=headers).status == 200
    seen = upstream.seen[-1]
    assert not (seen.all("Authorization") + seen.all("Macaroon") + seen.all("Grpc-Metadata-Macaroon"))


def test_as_often_as_one_likes(server, bought, upstream):
    token = "L402 {}:{}".format(*bought)
    assert [status(server, f"/one/{i}", Authorization=token) for i in range(20)] == [200] * 20
    server.restart()
    assert status(server, Authorization=token) == 200
    assert upstream.count == 21


def test_both_spellings_with_one_token_are_one_credential(server, bought):
    macaroon, preimage = bought
    pairs = [("Authorization", f"{scheme} {macaroon}:{preimage}") for scheme in ("LSAT", "L402")]
    assert server.request("/one/x", headers=pairs).status == 200


def test_two_different_tokens_are_a_bad_request(server, bought, payer):
    other = server.buy_token("/one/x", payer)
    pairs = [("Authorization", "L402 {}:{}".format(*bought)), ("Authorization", other)]
    assert server.request("/one/x", headers=pairs).status == 400


def last_byte_changed(token: str) -> str:
    raw = base64.b64decode(token)
    return base64.b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda m, p: f"L402 {m}:{'00' * 32}",
        lambda m, p: f"L402 {m}:{p[:-2]}",
        lambda m, p: f"L402 {m}",
        lambda m, p: f"L402 {m}:",
        lambda m, p: f"L402 :{p}",
        lambda m, p: f"L402 {m}:{p}:{p}",
        lambda m, p: f"L402 {m[:-8]}:{p}",
        lambda m, p: f"L402 {last_byte_changed(m)}:{p}",
        lambda m, p: f"L402 {m[:20]}\u00e9{m[20:]}:{p}",
    ],
    ids=["wrong preimage", "short preimage", "no preimage", "empty preimage", "no token", "extra colon", "cut", "forged", "no ASCII"],
)
def test_what_is_not_a_proof(server, bought, upstream, change):
    value = change(*bought)
    answer = server.request("/one/x", headers={"Authorization": value})
    assert answer.status in (400, 402), answer
    assert upstream.count == 0


def test_another_service(server, bought, upstream):
    token = "L402 {}:{}".format(*bought)
    assert status(server, "/two/x", Authorization=token) == 402
    assert status(server, "/charge/x", Authorization=token) in (400, 402)
    assert upstream.count == 0


@pytest.mark.parametrize(
    ("caveats", "expected"),
    [
        (["services=one:0"], 200),
        (["services=two:0"], 402),
        (["services=one:0,two:0"], 402),
        (["one_valid_until=1"], 402),
        (["one_valid_until=99999999999999"], 402),
        (["hello=world"], 200),
    ],
    ids=str,
)
def test_holders_may_only_narrow(server, bought, leaks, caveats, expected):
    macaroon, preimage = bought
    for caveat in caveats:
        macaroon = payment.attenuate(macaroon, caveat)
    leaks.register(macaroon, "macaroon")
    assert status(server, Authorization=f"L402 {macaroon}:{preimage}") == expected


def test_a_token_outlives_the_charge_key(server, bought, leaks):
    """The ring of charge keys and the ring of token roots are two."""
    import os

    fresh = os.urandom(32).hex()
    leaks.register(fresh, "paywall secret")
    key = server.directory / "mpp-new.key"
    key.write_text(fresh)
    leaks.exempt(key)
    server.stop()
    server.config["paywall"]["secret"] = f"file://{key}"
    server.start()
    assert status(server, Authorization="L402 {}:{}".format(*bought)) == 200


def test_ordinary_authorization_passes_beside_a_token_header(server, bought, upstream, leaks):
    """A caller that must also authenticate with the upstream carries the token elsewhere."""
    token = with_preimage_caveat(*bought)
    leaks.register(token, "macaroon")
    answer = server.request("/one/x", headers={"Grpc-Metadata-Macaroon": token, "Authorization": "Bearer for-the-upstream"})
    assert answer.status == 200
    assert upstream.seen[-1].all("Authorization") == ["Bearer for-the-upstream"]
