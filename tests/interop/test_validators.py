"""Judges that we did not write look at what octroi sends."""

from __future__ import annotations

import mpp as pympp
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


@pytest.fixture
def theirs():
    """A token made by pymacaroons, with a root key that the test knows."""
    made = Macaroon(location="lsat", identifier=IDENTIFIER, key=ROOT_KEY, version=MACAROON_V2)
    for caveat in ("services=api:0", "api_valid_until=4102444800"):
        made.add_first_party_caveat(caveat)
    return made


PREIMAGE = "07" * 32
IDENTIFIER = b"\0\0" + bytes.fromhex(payment.payment_hash(PREIMAGE)) + bytes(range(32))
ROOT_KEY = bytes(range(32))


def test_conformance_reads_what_pymacaroons_makes(conformance, theirs):
    read = conformance.value("macaroon.decode", theirs.serialize())
    assert read["identifier_hex"] == IDENTIFIER.hex()
    assert read["payment_hash"] == payment.payment_hash(PREIMAGE)
    assert read["caveats"] == ["services=api:0", "api_valid_until=4102444800"]
    assert read["signature_hex"] == theirs.signature


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"service": "other"}, False),
        ({"now": 4102444800}, False),
        ({"root_key_hex": "00" * 32}, False),
        ({"preimage_hex": "00" * 32}, False),
    ],
    ids=["good", "other service", "expired", "other key", "other preimage"],
)
def test_conformance_verifies_what_pymacaroons_makes(conformance, theirs, change, valid):
    given = {
        "macaroon": theirs.serialize(),
        "root_key_hex": ROOT_KEY.hex(),
        "preimage_hex": PREIMAGE,
        "service": "api",
        "now": 1700000000,
        **change,
    }
    assert conformance.ask("macaroon.verify", given)["ok"] is valid


# ---- pympp: a second reading of the Payment scheme ------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pympp_reads_challenge_and_receipt_and_writes_the_credential(payment_service, payer, leaks, method):
    body = "a body" if method == "POST" else None
    line = payment_service.unpaid("/v1/data", method, body=body).answer.all("WWW-Authenticate")[0]
    challenge = pympp.Challenge.from_www_authenticate(line)
    ours = payment.parse_challenges([line])[0]
    assert (challenge.id, challenge.method, challenge.intent) == (ours["id"], "lightning", "charge")
    assert challenge.request == ours.request, "the request is canonical: read and written again it is the same"
    assert challenge.to_echo().request == ours["request"]
    preimage = payer.pay(ours.invoice)
    credential = pympp.Credential(challenge.to_echo(), {"preimage": preimage}).to_authorization()
    leaks.register(credential.removeprefix("Payment "), "Payment credential")
    answer = payment_service.request("/v1/data", method, {"Authorization": credential}, body)
    assert answer.status == 200
    receipt = pympp.Receipt.from_payment_receipt(answer.get("Payment-Receipt"))
    assert (receipt.status, receipt.method) == ("success", "lightning")
    assert receipt.reference == payment.payment_hash(preimage)
