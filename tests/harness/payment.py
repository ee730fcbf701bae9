"""The Payment and L402 schemes as a client sees them, written from the drafts and from nothing in
`src/`: what octroi says is checked against a second reading of the same text.

Challenges (RFC 9110, section 11.6.1): several in one field value or in several. Credentials and
receipts: base64url of JSON. Nothing here pays; a payer does (`harness.payers`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Sequence

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


class BadHeader(ValueError):
    pass


@dataclass(frozen=True)
class Challenge:
    scheme: str
    params: tuple[tuple[str, str], ...]  # in the order of the wire

    @property
    def fields(self) -> dict[str, str]:
        return dict(self.params)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.params]

    def __getitem__(self, name: str) -> str:
        return self.fields[name]

    # -- Payment
    @property
    def request(self) -> dict[str, Any]:
        return json.loads(unb64url(self["request"]))

    @property
    def invoice(self) -> str:
        if self.scheme.lower() == "payment":
            return self.request["methodDetails"]["invoice"]
        return self["invoice"]

    @property
    def expires(self) -> datetime:
        return datetime.fromisoformat(self["expires"].replace("Z", "+00:00"))


def parse_challenges(values: Sequence[str]) -> list[Challenge]:
    """All challenges of all `WWW-Authenticate` values, in order. Strict: anything odd is an error."""
    found: list[Challenge] = []
    for value in values:
        found += _parse_value(value)
    return found


def _parse_value(value: str) -> list[Challenge]:
    position = 0
    found: list[Challenge] = []

    def space(at: int) -> int:
        while at < len(value) and value[at] in " \t":
            at += 1
        return at

    def token(at: int) -> tuple[str, int]:
        match = _TOKEN.match(value, at)
        if not match:
            raise BadHeader(f"a token was expected at column {at}")
        return match.group(), match.end()

    def quoted(at: int) -> tuple[str, int]:
        text = ""
        at += 1
        while at < len(value):
            char = value[at]
            if char == '"':
                return text, at + 1
            if char == "\\":
                at += 1
                if at >= len(value):
                    break
                char = value[at]
            elif ord(char) < 32 and char != "\t" or ord(char) == 127:
                raise BadHeader(f"a control character at column {at}")
            text += char
            at += 1
        raise BadHeader("an unfinished quoted string")

    scheme: str | None = None
    params: list[tuple[str, str]] = []

    def close() -> None:
        if scheme is None:
            return
        names = [name for name, _ in params]
        if len(set(names)) != len(names):
            raise BadHeader(f"a repeated parameter in a {scheme} challenge")
        found.append(Challenge(scheme, tuple(params)))

    while True:
        position = space(position)
        while position < len(value) and value[position] == ",":
            position = space(position + 1)
        if position >= len(value):
            break
        name, after = token(position)
        equals = space(after)
        if equals < len(value) and value[equals] == "=" and scheme is not None:
            start = space(equals + 1)
            if start < len(value) and value[start] == '"':
                text, position = quoted(start)
            else:
                text, position = token(start)
            params.append((name.lower(), text))
        else:
            close()
            scheme, params = name, []
            position = after
            if position < len(value) and value[position] not in " \t,":
                raise BadHeader(f"a space was expected after the scheme at column {position}")
            continue
        position = space(position)
        if position < len(value) and value[position] != ",":
            raise BadHeader(f"a comma was expected at column {position}")
    close()
    return found


def of_scheme(challenges: Sequence[Challenge], scheme: str) -> list[Challenge]:
    return [one for one in challenges if one.scheme.lower() == scheme.lower()]


# ---- codecs ------------------------------------------------------------------------------------


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64url(text: str) -> bytes:
    if re.search(r"[^A-Za-z0-9_\-]", text):
        raise BadHeader("not base64url without padding")
    return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)


def json_text(value: Any) -> str:
    """RFC 8785 for what these tests send: ASCII keys, strings, no fractions."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def payment_hash(preimage: str) -> str:
    return hashlib.sha256(bytes.fromhex(preimage)).hexdigest()


def credential(challenge: Challenge, preimage: str, drop: Sequence[str] = (), **changed: str) -> str:
    """The value of `Authorization` that answers a Payment challenge. `drop` leaves fields out of the
    echo and `changed` overwrites some, for tests of what the server does about it."""
    echo = {key: value for key, value in challenge.params if key not in drop}
    echo.update(changed)
    return credential_of({"challenge": echo, "payload": {"preimage": preimage}})


def credential_of(envelope: Any) -> str:
    return "Payment " + b64url(json_text(envelope).encode())


def l402(challenge: Challenge, preimage: str, scheme: str = "L402") -> str:
    return f"{scheme} {challenge['macaroon']}:{preimage}"


def receipt(value: str) -> dict[str, Any]:
    return json.loads(unb64url(value))


def challenge_id(secret: bytes, challenge: Challenge) -> str:
    """The standard id of the drafts, seven slots or eight with `header`. octroi's own ids use a key
    derived for the route, so they do not equal this; foreign ones do."""
    fields = challenge.fields
    slots = [fields.get(name, "") for name in ("realm", "method", "intent", "request", "expires", "digest")]
    if "header" in fields:
        slots.append(fields["header"])
    slots.append(fields.get("opaque", ""))
    return b64url(hmac.new(secret, "|".join(slots).encode(), hashlib.sha256).digest())


# ---- macaroons, version 2 ----------------------------------------------------------------------


@dataclass(frozen=True)
class Macaroon:
    location: bytes
    identifier: bytes
    caveats: tuple[bytes, ...]
    signature: bytes

    @property
    def token_id(self) -> bytes:
        return self.identifier[34:66]

    @property
    def payment_hash(self) -> str:
        return self.identifier[2:34].hex()


def decode_macaroon(text: str) -> Macaroon:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        data = unb64url(text.rstrip("="))
    position = 0

    def varint() -> int:
        nonlocal position
        shift = value = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def section() -> dict[int, bytes]:
        nonlocal position
        fields: dict[int, bytes] = {}
        while (tag := varint()) != 0:
            length = varint()
            fields[tag] = data[position : position + length]
            if len(fields[tag]) != length:
                raise BadHeader("a macaroon field is cut off")
            position += length
        return fields

    if data[0] != 2:
        raise BadHeader(f"macaroon version {data[0]}")
    position = 1
    head = section()
    caveats: list[bytes] = []
    while fields := section():
        caveats.append(fields[2])
    if varint() != 6:
        raise BadHeader("a macaroon without signature")
    signature = data[position + 1 : position + 1 + varint()]
    return Macaroon(head.get(1, b""), head[2], tuple(caveats), signature)


def new_macaroon(payment_hash: str, *caveats: str) -> str:
    """A well-formed token as a seller makes it, under a key that nobody keeps."""
    identifier = b"\0\0" + bytes.fromhex(payment_hash) + os.urandom(32)
    key = hmac.new(b"macaroons-key-generator", os.urandom(32), hashlib.sha256).digest()
    signature = hmac.new(key, identifier, hashlib.sha256).digest()
    data = b"\x02\x01\x04lsat\x02\x42" + identifier + b"\0" + b"\0\x06\x20" + signature
    text = base64.b64encode(data).decode()
    for caveat in caveats:
        text = attenuate(text, caveat)
    return text


def attenuate(text: str, caveat: str) -> str:
    """The same token with one more first-party caveat, as any holder can make it."""
    data = base64.b64decode(text)
    signature = data[-32:]
    assert data[-34:-32] == b"\x06\x20", "not a version 2 macaroon"
    body = data[:-35]  # without the end of the caveats (one zero), the signature's tag and length
    added = caveat.encode()
    assert len(added) < 128
    narrowed = hmac.new(signature, added, hashlib.sha256).digest()
    return base64.b64encode(body + b"\x02" + bytes([len(added)]) + added + b"\x00" + b"\x00\x06\x20" + narrowed).decode()
