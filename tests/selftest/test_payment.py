"""The harness's own reading of challenges and macaroons, on what is known to be right."""

from __future__ import annotations

import base64

import pytest

from harness import payment

# The macaroon vector of the Go library gopkg.in/macaroon.v2: key of 32 zero bytes, one caveat.
MACAROON = bytes.fromhex(
    "020207746573742d696400020d6163636f756e743d31323334350000062027682fa644ce1b94922b6d84d57d111a1d784093b548be9a9d6fdb809b06a001"
)


def test_macaroon():
    read = payment.decode_macaroon(base64.b64encode(MACAROON).decode())
    assert (read.identifier, read.caveats) == (b"test-id", (b"account=12345",))
    assert read.signature.hex().startswith("27682fa6")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (['A x="1", B y=2'], [("A", {"x": "1"}), ("B", {"y": "2"})]),
        (['A x="a, B y=\\"2\\""'], [("A", {"x": 'a, B y="2"'})]),
        (["Basic, A x=1"], [("Basic", {}), ("A", {"x": "1"})]),
        (['A x = "1" ,, y="2"', "B"], [("A", {"x": "1", "y": "2"}), ("B", {})]),
    ],
    ids=str,
)
def test_challenges(values, expected):
    assert [(one.scheme, one.fields) for one in payment.parse_challenges(values)] == expected


@pytest.mark.parametrize("value", ['A x="1', 'A x="1" y="2"', 'A x="1", X="2"', "A x=", '=1', 'A x="a\rb"'])
def test_bad_challenges(value):
    with pytest.raises(payment.BadHeader):
        payment.parse_challenges([value])


def test_challenge_id():
    """Golden values that several SDKs of the scheme share."""
    fields = (
        ("realm", "api.example.com"),
        ("method", "tempo"),
        ("intent", "charge"),
        ("request", payment.b64url(b'{"amount":"1000000"}')),
    )
    assert (
        payment.challenge_id(b"test-vector-secret", payment.Challenge("Payment", fields))
        == "X6v1eo7fJ76gAxqY0xN9Jd__4lUyDDYmriryOM-5FO4"
    )
