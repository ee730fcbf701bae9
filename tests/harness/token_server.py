"""A mock authorization server: gives out access tokens for a client's secret or a signed assertion,
and knows which of them are good. It checks what it is shown with Python alone."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Callable
from urllib.parse import parse_qsl, unquote_plus

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from .serving import Server


@dataclass(frozen=True)
class Asked:
    path: str
    headers: tuple[tuple[str, str], ...]
    form: dict[str, str]
    claims: dict[str, Any] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)


class Refused(Exception):
    """The word of RFC 6749 section 5.2."""


def pem_of(key: Any, style: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8) -> str:
    return key.private_bytes(serialization.Encoding.PEM, style, serialization.NoEncryption()).decode()


def new_key(algorithm: str) -> Any:
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else rsa.generate_private_key(65537, 2048)


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class TokenServer:
    """`clients` are ids with the secrets that are good now; `keys` issuers with their public keys.
    `answer`, when it is set, stands in for the whole of it: a status and a body, or None to drop the
    connection. `pause` is waited for before each answer."""

    def __init__(self, leaks: Any, certificate: tuple[Path, Path] | None = None) -> None:
        self.clients: dict[str, set[str]] = {}
        self.keys: dict[str, Any] = {}
        self.asked: list[Asked] = []
        self.good: set[str] = set()
        self.minted: list[str] = []
        self.expires_in: Any = 3600
        self.answer: Callable[[], tuple[int, bytes, dict[str, str]] | None] | None = None
        self.pause: threading.Event | None = None
        self._leaks = leaks
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                asked, status, made = outer._serve(self.path, tuple(self.headers.items()), body)
                with outer._lock:
                    outer.asked.append(asked)
                if outer.pause is not None:
                    outer.pause.wait(60)
                headers: dict[str, str] = {}
                if outer.answer is not None:
                    instead = outer.answer()
                    if instead is None:
                        self.close_connection = True
                        self.connection.close()
                        return
                    status, made, headers = instead
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Cache-Control": "no-store", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(made)))
                self.end_headers()
                self.wfile.write(made)

            def log_message(self, *_: object) -> None:
                pass

        class Secured(Server):
            def get_request(self) -> Any:
                link, address = super().get_request()
                return context.wrap_socket(link, server_side=True, do_handshake_on_connect=False), address

        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
        self._server = (Secured if certificate else Server)(Handler)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.port}/oauth/token"

    def _serve(self, path: str, headers: tuple[tuple[str, str], ...], body: str) -> tuple[Asked, int, bytes]:
        pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=True)
        form = dict(pairs)
        asked = Asked(path, headers, form)
        try:
            if len(form) != len(pairs):
                raise Refused("invalid_request")
            if form.get("grant_type") == "client_credentials":
                self._check_client(asked)
            elif form.get("grant_type") == "urn:ietf:params:oauth:grant-type:jwt-bearer":
                asked = Asked(path, headers, form, self._check_assertion(form.get("assertion", "")))
            else:
                raise Refused("unsupported_grant_type")
        except Refused as why:
            status = 401 if str(why) == "invalid_client" else 400
            return asked, status, json.dumps({"error": str(why), "error_description": f"you sent {body}"}).encode()
        token = "at-" + secrets.token_urlsafe(36)
        self._leaks.register(token, "access token")
        with self._lock:
            self.good.add(token)
            self.minted.append(token)
        made = {"access_token": token, "token_type": "bearer", "scope": form.get("scope", "")}
        if self.expires_in is not None:
            made["expires_in"] = self.expires_in
        return asked, 200, json.dumps(made).encode()

    def _check_client(self, asked: Asked) -> None:
        name, secret = asked.form.get("client_id", ""), asked.form.get("client_secret", "")
        shown = asked.get("Authorization")
        if shown is not None:
            if "client_secret" in asked.form:
                raise Refused("invalid_request")  # one way at a time
            name, _, secret = base64.b64decode(shown.removeprefix("Basic ")).decode().partition(":")
            name, secret = unquote_plus(name), unquote_plus(secret)
        if secret not in self.clients.get(name, set()):
            raise Refused("invalid_client")

    def _check_assertion(self, assertion: str) -> dict[str, Any]:
        head, payload, signature = assertion.split(".")
        header, claims = json.loads(_raw(head)), json.loads(_raw(payload))
        key, signed, made = self.keys.get(claims.get("iss")), f"{head}.{payload}".encode(), _raw(signature)
        try:
            if isinstance(key, ec.EllipticCurvePublicKey):
                assert header["alg"] == "ES256" and len(made) == 64
                der = encode_dss_signature(int.from_bytes(made[:32], "big"), int.from_bytes(made[32:], "big"))
                key.verify(der, signed, ec.ECDSA(hashes.SHA256()))
            else:
                assert header["alg"] == "RS256" and key is not None
                key.verify(made, signed, padding.PKCS1v15(), hashes.SHA256())
            assert claims["aud"] == self.url and header["typ"] == "JWT" and claims["sub"] and claims["jti"]
            assert claims["iat"] - 60 <= time.time() <= claims["exp"]
        except Exception as why:
            raise Refused("invalid_grant") from why
        return {**claims, "kid": header.get("kid")}

    def revoke(self) -> None:
        """Every token that was given out is bad from now on."""
        with self._lock:
            self.good.clear()

    def stop(self) -> None:
        if self.pause is not None:
            self.pause.set()
        self._server.stop()
