"""`octroi-conformance` answers every operation of this issue's modules (acceptance point 9)."""

from __future__ import annotations

import json

import pytest
import rfc8785

# Published HMAC ids: golden values that several SDKs of the Payment scheme carry in their own tests.
SECRET = b"test-vector-secret"
LONG = b"test-vector-secret-minimum-32-byte-secret"
IDS = [
    (LONG, {"amount": "1000000"}, {}, "6QDs0BmhrI_v67iWeCMvGqQJEFQ6ErWKlk7zi5xL6t0"),
    (LONG, {"amount": "1000000"}, {"expires": "2025-01-06T12:00:00Z"}, "ZcHgfEi5_Qyda9NQwUzamsCgCcWXw6N6EH2NLyaSTlg"),
    (LONG, {"amount": "1000000"}, {"header": "Payment-Authorization"}, "re8MIMJYpIJ0r_aiizscg6ghtipQM8IpOa_NtpwIU8E"),
    (SECRET, {"amount": "1000000"}, {}, "X6v1eo7fJ76gAxqY0xN9Jd__4lUyDDYmriryOM-5FO4"),
    (SECRET, {"amount": "1000000"}, {"opaque": "e30"}, "vb4IyH-0LdJ3s7L0QAw8jIzcZkyxksPhIvEfmHmzA9k"),
]


def b64url(text: str) -> str:
    import base64

    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(("secret", "request_json", "more", "expected"), IDS, ids=lambda value: str(value)[:24])
def test_challenge_ids(conformance, secret, request_json, more, expected):
    fields = {
        "secret_hex": secret.hex(),
        "realm": "api.example.com",
        "method": "tempo",
        "intent": "charge",
        "request": b64url(json.dumps(request_json, separators=(",", ":"))),
        **more,
    }
    assert conformance.value("challenge.id", fields) == expected


@pytest.mark.parametrize(
    "value",
    [
        {"b": 1, "a": [1.0, 1e21, 1e-7, 0.1, -0.0, 123456789.125]},
        {"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew", "1": "One", "\U0001f600": "Smile", "\u0080": "Control", "\u00f6": "o"},
        ["\u0000\u001f\"\\/\b\f\n\r\t", True, False, None, {}, []],
        333333333.33333329,
        4.5e-324,
    ],
    ids=["numbers", "UTF-16 order", "escapes", "rounding", "smallest"],
)
def test_canonical_json(conformance, value):
    """Against PyPI rfc8785, a second implementation."""
    assert conformance.value("jcs.canonicalize", json.dumps(value)) == rfc8785.dumps(value).decode()


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', "{", "[1,]", '"\\ud800"', "NaN", "[" * 5000 + "]" * 5000], ids=lambda text: text[:12])
def test_canonical_json_refuses(conformance, text):
    answer = conformance.ask("jcs.canonicalize", text)
    assert answer["ok"] is False and answer["error"]["type"] and answer["error"]["message"]


def test_base64url(conformance):
    assert conformance.value("base64url.encode", "00ff10") == "AP8Q"
    assert conformance.value("base64url.decode", "AP8Q") == "00ff10"
    assert conformance.value("base64url.decode", "AP8=") == "00ff"
    for bad in ("AP9", "A", "AP8\n", "AP+8", "====", "AP8=="):
        assert conformance.ask("base64url.decode", bad)["ok"] is False, bad


def test_challenges_round_trip(conformance):
    fields = {
        "id": "A" * 43,
        "realm": 'the "realm"',
        "method": "lightning",
        "intent": "charge",
        "request": b64url('{"amount":"1"}'),
        "expires": "2099-01-01T00:00:00Z",
    }
    header = conformance.value("challenge.format", fields)
    assert header.startswith('Payment id="')
    parsed = conformance.value("challenge.parse", [f'Basic realm="x", {header}'])
    assert [{key: one[key] for key in fields} for one in parsed] == [fields]


def test_credentials_round_trip(conformance):
    fields = {
        "challenge": {
            "id": "A" * 43,
            "realm": "r",
            "method": "lightning",
            "intent": "charge",
            "request": "e30",
            "expires": "2099-01-01T00:00:00Z",
        },
        "payload": {"preimage": "0" * 64},
    }
    header = conformance.value("credential.format", fields)
    assert header.startswith("Payment ")
    parsed = conformance.value("credential.parse", header)
    assert parsed["challenge"]["id"] == "A" * 43 and parsed["payload"]["preimage"] == "0" * 64


def test_receipts_round_trip(conformance):
    fields = {"method": "lightning", "status": "success", "timestamp": "2026-01-01T00:00:00Z", "reference": "ab" * 32}
    assert conformance.value("receipt.parse", conformance.value("receipt.format", fields)).items() >= fields.items()
    for missing in fields:
        partial = b64url(json.dumps({key: value for key, value in fields.items() if key != missing}))
        assert conformance.ask("receipt.parse", partial)["ok"] is False, missing


def test_accept_payment(conformance):
    offers = ["tempo/charge", "lightning/charge", "lightning/session"]
    ranked = conformance.value("accept_payment.rank", {"header": "lightning/*;q=0.9, tempo/charge;q=0.1", "offers": offers})
    assert ranked == ["lightning/charge", "lightning/session", "tempo/charge"]


def test_redact(conformance):
    secret = "s3cr3t-value-0123456789"
    text = conformance.value("redact", {"text": f"token={secret};", "secrets": [secret]})
    assert secret not in text and text.startswith("token=")


@pytest.mark.parametrize("op", ["bolt11.decode", "macaroon.decode", "macaroon.verify", "credential.parse", "challenge.parse"])
def test_refusals_have_a_type(conformance, op):
    given = {"challenge.parse": ["nonsense"]}.get(op, "nonsense")
    answer = conformance.ask(op, given)
    assert answer["ok"] is False and answer["error"]["type"]


def test_an_unknown_operation_is_refused(conformance):
    assert conformance.ask("no.such", None)["ok"] is False
