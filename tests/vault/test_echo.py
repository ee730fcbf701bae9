"""A vendor that answers with the real key never shows it to the agent, however it writes it."""

from __future__ import annotations

import base64
import gzip
import html
import json
import urllib.parse
import zlib

import brotli
import pytest

from harness.vault import REAL_STRIPE_KEY as KEY
from harness.vault import Reply

SPELLINGS = {
    "raw": KEY,
    "upper": KEY.upper(),
    "lower": KEY.lower(),
    "base64_0": base64.b64encode(KEY.encode()).decode(),
    "base64_1": base64.b64encode(b"x" + KEY.encode()).decode(),
    "base64_2": base64.b64encode(b"xx" + KEY.encode()).decode(),
    "base64_basic": base64.b64encode(KEY.encode() + b":").decode(),
    "base64url": base64.urlsafe_b64encode(b"?" + KEY.encode()).decode(),
    "hex": KEY.encode().hex(),
    "percent": "".join(f"%{ord(c):02X}" for c in KEY),
    "some_percent": "".join(f"%{ord(c):02x}" if i % 3 else c for i, c in enumerate(KEY)),
    "json": "".join(f"\\u{ord(c):04x}" for c in KEY),
    "html_decimal": "".join(f"&#{ord(c)};" for c in KEY),
    "html_hex": "".join(f"&#x{ord(c):X};" for c in KEY),
    "html_named": KEY.replace("_", "&lowbar;"),
}


def readings(text: str) -> list[str]:
    """Whatever somebody who looks for the key would try."""
    out = [text, urllib.parse.unquote(text), html.unescape(text)]
    try:
        out.append(json.loads('"' + text.replace('"', '\\"') + '"'))
    except ValueError:
        pass
    return out


CODINGS = {
    "identity": lambda b: b,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
}


def shows(where: str) -> bool:
    return (
        "vault_redacted" not in where
        or any(KEY.lower() in r.lower() for r in readings(where))
        or base64.b64encode(KEY.encode()).decode()[4:24] in where
        or KEY.encode().hex() in where.lower()
    )


@pytest.mark.parametrize("coding", CODINGS)
def test_no_spelling_in_any_coding_and_in_no_piece(stripe_vault, capture, coding):
    """In the body, whole and cut anywhere, and in a header."""
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    shown = []
    for name, spelling in SPELLINGS.items():
        body = CODINGS[coding](("before " + spelling + " after").encode())
        headers = (
            ("Content-Type", "text/plain"),
            ("X-Echo", spelling),
            *([] if coding == "identity" else [("Content-Encoding", coding)]),
        )
        ways = {
            "whole": Reply(headers=headers, body=body),
            "bytes": Reply(headers=headers, pieces=tuple(body[i : i + 1] for i in range(len(body)))),
            "odd": Reply(headers=headers, pieces=tuple(body[i : i + 17] for i in range(0, len(body), 17))),
        }
        for way, reply in ways.items():
            capture.reply = lambda call, r=reply: r
            answer = vault.request("/stripe/v1/customers", key)
            assert answer.status == 200, (name, way, answer)
            assert "before " in answer.text and answer.text.endswith(" after"), (name, way, answer.text)
            assert not answer.all("Content-Encoding")
            shown += [(name, way, where) for where in (answer.text, " ".join(answer.all("X-Echo"))) if shows(where)]
    assert not shown, shown


@pytest.mark.parametrize("size", [0, 500, 60_000, 300_000])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_short_answer_keeps_a_length(stripe_vault, capture, coding, size):
    """Also one that was packed into few bytes is let go of when it turns out to be long."""
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    text = "x" * size + SPELLINGS["raw"] + "y"
    packed = CODINGS[coding](text.encode())
    capture.reply = lambda call: Reply(headers=(() if coding == "identity" else (("Content-Encoding", coding),)), body=packed)
    answer = vault.request("/stripe/v1/customers", key)
    assert answer.status == 200 and answer.text == "x" * size + answer.text[size:]
    assert answer.text.endswith("y") and not shows(answer.text)
    lengths = answer.all("Content-Length")
    assert lengths == ([str(len(answer.text))] if size < 64 * 1024 else [])


def test_an_answer_that_cannot_be_searched_is_withheld(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    capture.reply = lambda call: Reply(headers=(("Content-Encoding", "zstd"),), body=b"\x28\xb5\x2f\xfd")
    answer = vault.request("/stripe/v1/customers", key)
    assert answer.status == 502 and "withheld" in answer.text
