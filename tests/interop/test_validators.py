"""Judges that we did not write look at what octroi sends."""

from __future__ import annotations

import json

import pytest
from httplint.message import HttpResponseLinter
from httplint.note import levels
from bolt11 import decode as decode_bolt11
from pymacaroons import MACAROON_V2, Macaroon

from harness import payment, peers
from harness.settings import service


@pytest.fixture
def payment_service(gateway, upstream):
    return gateway([service("api", "^/v1/", upstream.url, "10 sat", schemes=["payment"])])


def test_mppx_validate(payment_service, node_peers):
    done = peers.npx("mppx", "validate", payment_service.url, "-e", "GET:/v1/data", "-j")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_mppx_validate_by_discovery(payment_service, node_peers):
    done = peers.npx("mppx", "validate", payment_service.url, "-j")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_mppx_discover_validate(payment_service, node_peers):
    done = peers.npx("mppx", "discover", "validate", payment_service.url + "/openapi.json")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def lint(answer, method: str = "GET", url: str = "http://127.0.0.1/") -> list[str]:
    """What httplint calls bad about an answer."""
    linter = HttpResponseLinter()
    linter.process_response_topline(b"HTTP/1.1", str(answer.status).encode(), answer.reason.encode())
    linter.process_headers([(name.encode(), value.encode("latin-1")) for name, value in answer.headers])
    linter.feed_content(answer.body)
    linter.finish_content(True, [])
    return [f"{type(note).__name__}: {note.summary}" for note in linter.notes if note.level == levels.BAD]


@pytest.mark.parametrize("schemes", [["l402"], ["payment"], ["l402", "payment"]], ids="+".join)
def test_httplint_402(gateway, upstream, schemes):
    server = gateway([service("api", "^/v1/", upstream.url, schemes=schemes)])
    assert lint(server.unpaid("/v1/data").answer) == []


def test_httplint_200(payment_service, payer):
    bought = payment_service.buy("/v1/data", payer)
    answer = payment_service.request("/v1/data", headers={"Authorization": bought})
    assert answer.status == 200
    assert lint(answer) == []


@pytest.mark.parametrize("path", ["/openapi.json", "/llms.txt"])
def test_httplint_discovery(payment_service, path):
    answer = payment_service.request(path)
    assert answer.status == 200
    assert lint(answer) == []


# ---- macaroons: pymacaroons reads, narrows and verifies our tokens --------------------------------


@pytest.fixture
def token_service(gateway, upstream):
    return gateway([service("tokens", "^/t/", upstream.url, "10 sat", schemes=["l402"], token={"valid_for": "24h"})])


def test_pymacaroons_reads_a_token(token_service):
    offer = token_service.unpaid("/t/x").l402
    theirs = Macaroon.deserialize(offer["macaroon"])
    ours = payment.decode_macaroon(offer["macaroon"])
    assert theirs.identifier == ours.identifier and len(theirs.identifier) == 66
    assert theirs.identifier[:2] == b"\0\0"
    assert ours.payment_hash == decode_bolt11(offer["invoice"]).payment_hash
    assert theirs.signature == ours.signature.hex()
    caveats = [one.caveat_id.decode() for one in theirs.caveats]
    assert caveats == [one.decode() for one in ours.caveats]
    assert caveats[0].startswith("services=tokens:")
    assert any(one.startswith("tokens_valid_until=") for one in caveats)


def narrowed(text: str, *caveats: str) -> str:
    token = Macaroon.deserialize(text)
    for caveat in caveats:
        token.add_first_party_caveat(caveat)
    made = token.serialize().replace("-", "+").replace("_", "/")
    return made + "=" * (-len(made) % 4)


def test_a_token_narrowed_by_pymacaroons(token_service, payer, leaks):
    """Any holder may add a caveat that restricts; octroi obeys it."""
    offer = token_service.unpaid("/t/x").l402
    preimage = payer.pay(offer["invoice"])

    def shown(*caveats: str) -> int:
        token = narrowed(offer["macaroon"], *caveats)
        leaks.register(token, "macaroon")
        return token_service.request("/t/x", headers={"Authorization": f"L402 {token}:{preimage}"}).status

    assert shown() == 200
    assert shown("note=for-a-friend") == 200
    assert shown("tokens_valid_until=1") == 402
    assert shown("services=other:0") == 402
    assert shown("tokens_valid_until=99999999999") == 402, "a caveat may only restrict what is already there"


def test_pymacaroons_and_the_harness_narrow_alike(token_service):
    offer = token_service.unpaid("/t/x").l402
    theirs = narrowed(offer["macaroon"], "tokens_valid_until=1")
    assert theirs == payment.attenuate(offer["macaroon"], "tokens_valid_until=1")


def test_conformance_reads_what_pymacaroons_makes(conformance):
    theirs = Macaroon(location="lsat", identifier=b"\0" * 66, key=bytes(range(32)), version=MACAROON_V2)
    for caveat in ("services=api:0", "api_valid_until=4102444800"):
        theirs.add_first_party_caveat(caveat)
    decoded = json.dumps(conformance.value("macaroon.decode", theirs.serialize()))
    for part in ("services=api:0", "api_valid_until=4102444800", theirs.signature):
        assert part in decoded
