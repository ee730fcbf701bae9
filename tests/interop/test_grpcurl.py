"""grpcurl through priced routes: what a person at a terminal sees, pays and gets, with every kind of
call and both schemes."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent import futures
from pathlib import Path
from typing import Iterator

import grpc
import pytest

from harness import payment
from harness.process import TEST_ENV, environment
from harness.settings import service

PROTO = """
syntax = "proto3";
package PACKAGE;
message Words { string text = 1; }
service Talk {
  rpc Echo(Words) returns (Words);
  rpc Thrice(Words) returns (stream Words);
  rpc Last(stream Words) returns (Words);
  rpc Chat(stream Words) returns (stream Words);
}
"""

CALLS = {
    "Echo": (["a"], ["a"]),
    "Thrice": (["b"], ["b", "b", "b"]),
    "Last": (["c", "d"], ["d"]),
    "Chat": (["e", "f", "g"], ["e", "f", "g"]),
}


class Servicer(grpc.GenericRpcHandler):
    """Messages are bytes here; two of them after each other read as the last one."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        self.calls.append(details.method)
        return {
            "Echo": grpc.unary_unary_rpc_method_handler(lambda request, _: request),
            "Thrice": grpc.unary_stream_rpc_method_handler(lambda request, _: iter([request] * 3)),
            "Last": grpc.stream_unary_rpc_method_handler(lambda requests, _: b"".join(requests)),
            "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, _: requests),
        }.get(details.method.rsplit("/", 1)[1])


@pytest.fixture
def talk() -> Iterator[tuple[Servicer, int]]:
    servicer = Servicer()
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=(servicer,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, port
    server.stop(0).wait(10)


class Grpcurl:
    def __init__(self, port: int, folder: Path) -> None:
        self.program = TEST_ENV / "bin" / "grpcurl"
        if not self.program.exists():
            pytest.fail("grpcurl is missing; run script/bootstrap --peers", pytrace=False)
        self.port, self.folder = port, folder
        for package in ("l402", "payment"):
            (folder / f"{package}.proto").write_text(PROTO.replace("PACKAGE", package))

    def __call__(self, package: str, method: str, words: list[str], *headers: str) -> subprocess.CompletedProcess[str]:
        sent = "\n".join(json.dumps({"text": word}) for word in words)
        extra = [part for header in headers for part in ("-H", header)]
        return subprocess.run(
            [str(self.program), "-plaintext", "-v", "-max-time", "30", "-import-path", str(self.folder),
             "-proto", f"{package}.proto", *extra, "-d", "@", f"127.0.0.1:{self.port}", f"{package}.Talk/{method}"],
            input=sent, capture_output=True, text=True, timeout=60, env=environment(),
        )  # fmt: skip


@pytest.mark.parametrize("scheme", ["l402", "payment"])
@pytest.mark.parametrize("method", list(CALLS))
def test_grpcurl_pays(gateway, talk, payer, leaks, tmp_path, scheme, method):
    servicer, port = talk
    server = gateway([service(scheme, f"^/{scheme}[.]Talk/", f"http://127.0.0.1:{port}", "5 sat", schemes=[scheme])])
    grpcurl = Grpcurl(server.port, tmp_path)
    words, answers = CALLS[method]

    refused = grpcurl(scheme, method, words)
    assert refused.returncode != 0 and servicer.calls == []
    assert "Code: Internal" in refused.stderr and "payment required" in refused.stderr
    lines = re.findall(r"(?m)^www-authenticate: (.*)$", refused.stdout)
    offer = payment.of_scheme(payment.parse_challenges(lines), "L402" if scheme == "l402" else "Payment")[0]
    if scheme == "l402":
        leaks.register(offer["macaroon"], "macaroon")
        credential = payment.l402(offer, payer.pay(offer.invoice))
    else:
        credential = payment.credential(offer, payer.pay(offer.invoice))
        leaks.register(credential.removeprefix("Payment "), "Payment credential")

    paid = grpcurl(scheme, method, words, f"authorization: {credential}")
    assert paid.returncode == 0, paid.stdout + paid.stderr
    for receipt in re.findall(r"(?m)^payment-receipt: (.*)$", paid.stdout):
        leaks.register(receipt, "Payment-Receipt")
    assert re.findall(r'"text": "(\w+)"', paid.stdout) == answers
    assert servicer.calls == [f"/{scheme}.Talk/{method}"]
