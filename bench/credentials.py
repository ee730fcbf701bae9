"""Keys of the benchmark, and credentials made with them.

The gateways under test get their keys from files, so whoever has the files can make what they would
have sold: L402 tokens and paid Payment charges, a hundred thousand in a few seconds. The invoices
behind them are written into the gateways' databases before they start. Formats: docs/paywall.md,
src/octroi/l402/README.md, src/octroi/mpp/README.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import sqlite3
import struct
import time
from pathlib import Path

REALM = "bench.example"
PRICE_SAT = 10
DAY = 86_400


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Keys:
    """The two rings of one gateway, one key each, as the files that its configuration names."""

    def __init__(self, directory: Path, seed: int = 1):
        self.random = random.Random(seed)
        self.payment = self.random.randbytes(32).hex().encode()
        self.l402 = self.random.randbytes(32).hex().encode()
        self.payment_file = directory / "payment.key"
        self.l402_file = directory / "l402.key"
        self.admin_file = directory / "admin.token"
        admin = self.random.randbytes(32).hex().encode()
        for path, key in ((self.payment_file, self.payment), (self.l402_file, self.l402), (self.admin_file, admin)):
            path.write_bytes(key)
            path.chmod(0o600)
        self.l402_key_id = _mac(self.l402, b"octroi/l402/key-id/1")[:8]

    def preimage(self) -> bytes:
        return self.random.randbytes(32)

    def macaroon(self, service: str, payment_hash: bytes, valid_until: int) -> bytes:
        token_id = self.l402_key_id + self.random.randbytes(24)
        root = _mac(self.l402, b"octroi/l402/root/1" + token_id)
        identifier = b"\0\0" + payment_hash + token_id
        out = bytearray(b"\x02\x01\x04lsat\x02" + _varint(len(identifier)) + identifier + b"\0")
        signature = _mac(_mac(b"macaroons-key-generator", root), identifier)
        for caveat in (f"services={service}:0", f"{service}_rule=default", f"{service}_valid_until={valid_until}"):
            raw = caveat.encode()
            out += b"\x02" + _varint(len(raw)) + raw + b"\0"
            signature = _mac(signature, raw)
        return bytes(out + b"\0\x06\x20" + signature)

    def token(self, service: str) -> tuple[bytes, str]:
        """The payment hash and the Authorization value of a paid L402 token."""
        preimage = self.preimage()
        payment_hash = hashlib.sha256(preimage).digest()
        raw = self.macaroon(service, payment_hash, int(time.time()) + DAY)
        return payment_hash, f"L402 {base64.b64encode(raw).decode()}:{preimage.hex()}"

    def binding_key(self, service: str, method: str, scope: str) -> bytes:
        message = b"".join(
            struct.pack(">Q", len(field)) + field
            for field in (b"octroi/binding/1", b"payment", service.encode(), method.encode(), scope.encode())
        )
        return _mac(self.payment, message)

    def session(self, service: str, bolt11: str) -> tuple[bytes, str]:
        """The id of a prepaid session, and the Authorization value of a request on it."""
        preimage = self.preimage()
        session = hashlib.sha256(preimage).digest()
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + DAY))
        request = _b64url(
            f'{{"amount":"{PRICE_SAT}","currency":"sat","depositAmount":"{PRICE_SAT * 20}","depositInvoice":"{bolt11}",'
            f'"idleTimeout":"300","paymentHash":"{session.hex()}","unitType":"request"}}'.encode()
        )
        slots = f"{REALM}|lightning|session|{request}|{expires}||"
        challenge_id = _b64url(_mac(self.binding_key(service, "", "session"), slots.encode()))
        credential = (
            f'{{"challenge":{{"expires":"{expires}","id":"{challenge_id}","intent":"session",'
            f'"method":"lightning","realm":"{REALM}","request":"{request}"}},'
            f'"payload":{{"action":"bearer","preimage":"{preimage.hex()}","sessionId":"{session.hex()}"}}}}'
        )
        return session, "Payment " + _b64url(credential.encode())

    def charges(self, service: str, path: str, bolt11: str, count: int):
        """Payment hashes and Authorization values of paid charges. All name the same invoice text: a
        gateway goes by the hash, which the id binds."""
        key = self.binding_key(service, "GET", "path:" + path)
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + DAY))
        head, tail = f"{REALM}|lightning|charge|", f"|{expires}||"
        for _ in range(count):
            preimage = self.preimage()
            payment_hash = hashlib.sha256(preimage).digest()
            request = _b64url(
                f'{{"amount":"{PRICE_SAT}","currency":"sat","methodDetails":{{"invoice":"{bolt11}",'
                f'"network":"regtest","paymentHash":"{payment_hash.hex()}"}}}}'.encode()
            )
            challenge_id = _b64url(_mac(key, (head + request + tail).encode()))
            credential = (
                f'{{"challenge":{{"expires":"{expires}","id":"{challenge_id}","intent":"charge",'
                f'"method":"lightning","realm":"{REALM}","request":"{request}"}},'
                f'"payload":{{"preimage":"{preimage.hex()}"}}}}'
            )
            yield payment_hash, "Payment " + _b64url(credential.encode())


def forged_token(authorization: str) -> str:
    """The same token with the last byte of its signature changed."""
    macaroon, preimage = authorization.removeprefix("L402 ").split(":")
    raw = bytearray(base64.b64decode(macaroon))
    raw[-1] ^= 1
    return f"L402 {base64.b64encode(bytes(raw)).decode()}:{preimage}"


def malformed_token(authorization: str) -> str:
    """The same token cut off in the middle of a caveat: it decodes as base64 and as nothing else."""
    macaroon, preimage = authorization.removeprefix("L402 ").split(":")
    raw = base64.b64decode(macaroon)
    return f"L402 {base64.b64encode(raw[:-50]).decode()}:{preimage}"


def record_in_octroi(database: Path, hashes: list[bytes]) -> None:
    now = int(time.time() * 1000)
    end = now + DAY * 1000
    with sqlite3.connect(database) as db:
        db.executemany(
            "INSERT INTO invoices (hash, amount_msat, created_at, expires_at, keep_until, node_index)"
            " VALUES (?, ?, ?, ?, ?, 0)",
            ((h, PRICE_SAT * 1000, now, end, end) for h in hashes),
        )
    db.close()


def record_session(database: Path, session: bytes, service: str) -> None:
    """An open session with a deposit that no run uses up, as if its invoice had been paid."""
    now = int(time.time() * 1000)
    row = {
        "id": session,
        "service": service,
        "return_invoice": "bench",
        "return_hash": hashlib.sha256(session).digest(),
        "deposit_msat": PRICE_SAT * 1000 * 1_000_000_000,
        "spent_msat": 0,
        "opened_at": now,
        "last_used_at": now,
        "idle_ms": DAY * 1000,
        "look_at": now,
        "state": "open",
        "close_reason": "",
        "refund_stage": "none",
        **dict.fromkeys(("refund_msat", "rounding_msat", "refund_fee_msat", "refund_attempts", "refund_at"), 0),
        "refund_detail": "",
        "refund_boot": "",
    }
    with sqlite3.connect(database) as db:
        db.execute(
            "INSERT INTO consumed (hash, auth_type, service, challenge_id, payload_digest, idempotency_key, boot_id,"
            " consumed_at, body_kept) VALUES (?, 'mpp_session', ?, '', ?, '', '', ?, 0)",
            (session, service, bytes(32), now),
        )
        db.execute(f"INSERT INTO sessions ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
    db.close()


def record_in_go(database: Path, hashes: list[bytes]) -> None:
    now = int(time.time() * 1000)
    with sqlite3.connect(database) as db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS invoices (hash BLOB NOT NULL PRIMARY KEY, amount_msat BIGINT NOT NULL,"
            " created_at BIGINT NOT NULL, expires_at BIGINT NOT NULL)"
        )
        db.executemany(
            "INSERT INTO invoices VALUES (?, ?, ?, ?)",
            ((h, PRICE_SAT * 1000, now, now + DAY * 1000) for h in hashes),
        )
    db.close()


def write_pool(path: Path, keys: Keys, bolt11: str, count: int) -> list[bytes]:
    """Invoices that the Go program hands out; returns their hashes."""
    hashes = [hashlib.sha256(keys.preimage()).digest() for _ in range(count)]
    with path.open("w") as out:
        for one in hashes:
            out.write(json.dumps({"hash": one.hex(), "bolt11": bolt11, "amount_msat": PRICE_SAT * 1000}) + "\n")
    return hashes
