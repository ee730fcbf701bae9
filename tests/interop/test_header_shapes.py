"""Which shapes of a 402 the clients in use understand, and so why octroi's 402 has the one it has.

The paywall here is a stand-in that says whatever a row tells it to; rows are those of the notes on
the Payment scheme (6.1) and on L402 challenge forms. When a newer client release changes a row, the
test says so and octroi's shape can be thought over again. That octroi has the good shape is asserted
on octroi itself, in paywall/test_challenge_shape.py.
"""

from __future__ import annotations

import pytest

from harness import l402_client

from .conftest import decode_credential

SHAPES = {
    "single charge": lambda o: [o.payment()],
    "charge, then session": lambda o: [o.payment(), o.payment("session")],
    "session, then charge": lambda o: [o.payment("session"), o.payment()],
    "charge and session folded": lambda o: [o.payment() + ", " + o.payment("session")],
    "session and charge folded": lambda o: [o.payment("session") + ", " + o.payment()],
    "L402, then Payment": lambda o: [o.l402(), o.payment()],
    "L402, LSAT, Payment": lambda o: [o.l402(), o.l402("LSAT"), o.payment()],
    "Payment, then L402": lambda o: [o.payment(), o.l402()],
    "digest": lambda o: [o.payment(digest="sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")],
    "opaque": lambda o: [o.payment(opaque="eyJrIjoidiJ9")],
    "header": lambda o: [o.payment(header="Payment-Authorization")],
    "quotes in the description": lambda o: [o.payment(description='the "good" one')],
    "L402 of the specification": lambda o: [o.l402_spec()],
    "macaroon first, version and token after": lambda o: [o.l402()],
}

# What the client answered with: the scheme, or None when it gave up.
ALBY = [
    ("single charge", "Payment"),
    ("charge, then session", None),
    ("session and charge folded", "Payment"),
    ("L402, then Payment", "L402"),
    ("L402, LSAT, Payment", "L402"),
    ("Payment, then L402", "Payment"),
    ("L402 of the specification", "L402"),
    ("quotes in the description", "Payment"),
]
MPPX = [
    ("single charge", "Payment"),
    ("charge, then session", "Payment"),
    ("session, then charge", "Payment"),
    ("charge and session folded", "Payment"),
    ("L402, LSAT, Payment", "Payment"),
    ("Payment, then L402", "Payment"),
    ("quotes in the description", "Payment"),
]
L402_REQUESTS = [
    ("macaroon first, version and token after", "L402"),
    ("L402 of the specification", None),
    ("L402, then Payment", "L402"),
    ("L402, LSAT, Payment", "L402"),
    ("Payment, then L402", "L402"),
]


@pytest.mark.parametrize(("shape", "scheme"), ALBY, ids=lambda value: str(value))
def test_alby_lightning_tools(fake, pay_with, shape, scheme):
    wall = fake(SHAPES[shape])
    result = pay_with("pay_alby.mjs", wall.url + "/x")
    _check(wall, scheme, result.get("first", {}).get("status"))


@pytest.mark.parametrize(("shape", "scheme"), MPPX, ids=lambda value: str(value))
def test_mppx(fake, pay_with, shape, scheme):
    wall = fake(SHAPES[shape])
    result = pay_with("pay_mppx.mjs", wall.url + "/x")
    _check(wall, scheme, result.get("first", {}).get("status"))


@pytest.mark.parametrize(("shape", "scheme"), L402_REQUESTS, ids=lambda value: str(value))
def test_l402_requests(fake, network, leaks, shape, scheme):
    wall = fake(SHAPES[shape])
    client, wallet = l402_client.client(network.payer)
    answer = client.get(wall.url + "/x")
    for preimage in wallet.preimages:
        leaks.register(preimage, "preimage")
    _check(wall, scheme, answer.status_code)


def _check(wall, scheme, status):
    if scheme is None:
        assert not wall.credentials and status != 200, "the client understands this shape now"
        return
    assert status == 200
    assert {value.split(" ")[0] for _, value in wall.credentials} == {scheme}


@pytest.mark.parametrize("parameter", ["digest", "opaque"])
def test_alby_drops_the_echo_of(fake, pay_with, parameter):
    """Why octroi binds the digest to the body that really came and sends `opaque` only when told."""
    wall = fake(SHAPES[parameter])
    pay_with("pay_alby.mjs", wall.url + "/x")
    echo = decode_credential(wall.credentials[0][1])["challenge"]
    assert parameter not in echo
    assert {"id", "realm", "method", "intent", "request", "expires"} <= set(echo)


@pytest.mark.parametrize("parameter", ["digest", "opaque"])
def test_mppx_echoes(fake, pay_with, parameter):
    wall = fake(SHAPES[parameter])
    pay_with("pay_mppx.mjs", wall.url + "/x")
    assert parameter in decode_credential(wall.credentials[0][1])["challenge"]


def test_only_mppx_minds_the_header_parameter(fake, pay_with):
    """Why `payment.header` is off unless configured."""
    wall = fake(SHAPES["header"])
    pay_with("pay_alby.mjs", wall.url + "/x")
    assert {name for name, _ in wall.credentials} == {"Authorization"}
    wall.credentials.clear()
    pay_with("pay_mppx.mjs", wall.url + "/x")
    assert {name for name, _ in wall.credentials} == {"Payment-Authorization"}


def test_mppx_reads_escaped_quotes(fake, pay_with):
    wall = fake(SHAPES["quotes in the description"])
    result = pay_with("pay_mppx.mjs", wall.url + "/x")
    assert result["paid"][0]["description"] == 'the "good" one'
