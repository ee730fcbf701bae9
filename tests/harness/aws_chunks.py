"""A client of S3 that signs its body chunk by chunk, written from the S3 API reference ("Signature
calculations for the Authorization header: transferring payload in multiple chunks", also "including
trailing headers"). boto3 never signs chunks; other SDKs do, over http."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import zlib
from dataclasses import dataclass, field
from typing import Callable
from urllib.parse import urlsplit

from . import web

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def _hex(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def crc32(data: bytes) -> str:
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@dataclass
class ChunkedClient:
    """`change` sees the wire before it is sent, `fields` go beside those of the chunks."""

    base: str
    key_id: str
    secret: str
    region: str = "us-east-1"
    at: float | None = None  # when it is signed
    last: dict[str, str] = field(default_factory=dict)  # what was sent

    def put(self, path: str, body: bytes, way: str = SIGNED, size: int = 8192,
            change: Callable[[bytes], bytes] = lambda wire: wire, **fields: str) -> web.Response:
        now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self.at))
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        parts = urlsplit(self.base + path)
        headers = {
            "host": parts.netloc, "content-encoding": "aws-chunked", "x-amz-content-sha256": way, "x-amz-date": now,
            "x-amz-decoded-content-length": str(len(body)), **{k.replace("_", "-"): v for k, v in fields.items()},
        }
        if way != SIGNED:
            headers.setdefault("x-amz-trailer", "x-amz-checksum-crc32")
        names = ";".join(sorted(headers))
        canonical = "\n".join(["PUT", parts.path, parts.query, *(f"{n}:{headers[n]}" for n in sorted(headers)), "", names, way])
        key = f"AWS4{self.secret}".encode()
        for step in scope.split("/"):
            key = _mac(key, step)
        before = _mac(key, "\n".join(["AWS4-HMAC-SHA256", now, scope, _hex(canonical.encode())])).hex()
        headers["authorization"] = \
            f"AWS4-HMAC-SHA256 Credential={self.key_id}/{scope}, SignedHeaders={names}, Signature={before}"

        wire = b""
        for start in [*range(0, len(body), size), len(body)]:
            data = body[start:start + size]
            wire += b"%x" % len(data)
            if way != UNSIGNED_TRAILER:
                before = _mac(key, "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", now, scope, before, _hex(b""), _hex(data)])).hex()
                wire += f";chunk-signature={before}".encode()
            wire += b"\r\n" + (data + b"\r\n" if data else b"")
        if way != SIGNED:
            line = f"x-amz-checksum-crc32:{crc32(body)}"
            wire += line.encode() + b"\r\n"
            if way == SIGNED_TRAILER:
                before = _mac(key, "\n".join(["AWS4-HMAC-SHA256-TRAILER", now, scope, before, _hex(f"{line}\n".encode())])).hex()
                wire += f"x-amz-trailer-signature:{before}\r\n".encode()
        self.last = headers
        return web.request(self.base + path, "PUT", headers, change(wire + b"\r\n"))
