"""What the conformance suite of Connect and gRPC starts as its server under test: the reference server
with octroi in front.

    python conformance_server.py OCTROI FOLDER SERVER

Speaks the suite's protocol on standard input and output: one message each way, protobuf behind four
bytes of length. The request passes through to the server; of its answer the port becomes octroi's.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Iterator

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.octroi import Gateway  # noqa: E402
from harness.process import keep_to_part_of_ports  # noqa: E402

AT_ONCE = 16  # of these programs, at most

HTTP_VERSION, HTTP_1, PORT = 2, 1, 2  # field of the request, one of its values, field of the answer


def framed(stream) -> bytes:
    return stream.read(int.from_bytes(stream.read(4), "big"))


def varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        value, at = varint(data, at)
        if key & 7 == 2:
            yield key >> 3, data[at : at + value]
            at += value
        else:
            yield key >> 3, value


def encoded(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def main(octroi: Path, folder: Path, server_program: str) -> None:
    keep_to_part_of_ports(folder, AT_ONCE)
    request = framed(sys.stdin.buffer)
    server = subprocess.Popen([server_program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdin and server.stdout
    server.stdin.write(len(request).to_bytes(4, "big") + request)
    server.stdin.close()
    port = dict(fields(framed(server.stdout)))[PORT]
    protocol = "http1" if dict(fields(request)).get(HTTP_VERSION) == HTTP_1 else "h2"
    upstream = {"url": f"http://127.0.0.1:{port}", "protocol": protocol}
    free = {"name": "free", "match": {"path": "/"}, "upstream": upstream, "auth": "off"}
    leaks = SimpleNamespace(register=lambda *_: None, exempt=lambda *_: None)
    node = {"backend": "sim", "sim": {"file": str(folder / f"sim-{port}.db"), "account": "merchant"}}
    gateway = Gateway(octroi, folder / f"gateway-{port}", [free], node, leaks).start()

    def end(*_: object) -> None:
        gateway.stop()
        server.terminate()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    host = b"127.0.0.1"
    answer = b"\x0a" + encoded(len(host)) + host + b"\x10" + encoded(gateway.port)
    sys.stdout.buffer.write(len(answer).to_bytes(4, "big") + answer)
    sys.stdout.buffer.flush()
    server.wait()
    gateway.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
