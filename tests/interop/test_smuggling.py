"""Requests that are built to be read differently by two parsers, with four upstreams behind octroi whose
parsers are strict and not ours. What must hold, whatever comes in:

- an upstream sees no request that octroi did not judge: each carries an id that octroi gave, once, for
  this method and path, as its access log says, and none is the priced request hidden in another;
- every ambiguous framing is refused and the connection ends with the refusal;
- the upstream's connections stay in step: the request after it gets its own answer.
"""

from __future__ import annotations

import json
import posixpath
import re
import socket
import time
from typing import Any
from urllib.parse import unquote

import hpack
import pytest
from hyperframe.frame import DataFrame, Frame, GoAwayFrame, HeadersFrame, RstStreamFrame, SettingsFrame

from harness import referees, web
from harness.octroi import Gateway
from harness.process import ROOT, run_dir, wait_for
from harness.settings import service

CORPUS = ROOT / "tests" / "testdata" / "smuggling"


def load(name: str) -> list[Any]:
    cases = json.loads((CORPUS / name).read_text())["cases"]
    assert len({case["name"] for case in cases}) == len(cases)
    return [pytest.param(case, id=re.sub(r"[^a-zA-Z0-9]+", "-", case["name"])) for case in cases]


def read_as(target: str) -> str:
    """The path as a server reads it that decodes and then resolves dots."""
    target = re.sub(r"(?i)^https?://[^/]*", "", target)
    return posixpath.normpath("/" + unquote(target.split("?")[0]).lstrip("/"))


class Court:
    """octroi with a free and a priced service at each referee."""

    def __init__(self, octroi_binary, leaks, folder) -> None:
        self.referees = {kind: referees.make(kind, folder / kind) for kind in referees.KINDS}
        services = []
        for kind, referee in self.referees.items():
            url = f"http://127.0.0.1:{referee.port}"
            services.append({"name": f"free-{kind}", "match": {"path": f"/free/{kind}/"}, "upstream": url, "auth": "off"})
            services.append(service(f"paid-{kind}", f"/paid/{kind}/", url))
        node = {"backend": "sim", "sim": {"file": str(folder / "sim.db"), "account": "merchant"}}
        self.server = Gateway(octroi_binary, folder, services, node, leaks, paywall={"max_unpaid": 0}).start()
        self._count = 0

    def verify(self) -> None:
        """Each request that an upstream saw is one that octroi judged, and judged as what it was."""
        seen = [(kind, one) for kind, referee in self.referees.items() for one in referee.report().seen]
        ids = [one.id for _, one in seen]
        assert all(ids) and len(set(ids)) == len(ids), "a request without an id of its own reached an upstream"
        wait_for(lambda: set(ids) <= set(self._judged()), 5, "the access log")
        judged = self._judged()
        for kind, one in seen:
            method, path = judged[one.id]
            assert method == one.method and posixpath.normpath(path) == read_as(one.target), f"{kind} saw {one}, judged: {path}"

    def _judged(self) -> dict[str, tuple[str, str]]:
        """Method and path by request id, as the access log has them."""
        assert self.server.program
        lines = self.server.program.stdout_path.read_text().splitlines()
        found = (json.loads(line) for line in lines if line.startswith("{"))
        return {one["request_id"]: (one["method"], one["path"]) for one in found if "request_id" in one}

    def follow_up(self, kind: str) -> str:
        """Another request to the same upstream, over a connection of its own: it gets its own answer."""
        self._count += 1
        target = f"/free/{kind}/after-{self._count}"
        answer = self.server.request(target)
        assert answer.status == 200 and answer.text == target, "an answer to somebody else's request"
        return target

    def stop(self) -> None:
        self.verify()
        assert self.server.stop() == 0
        for referee in self.referees.values():
            referee.stop()


@pytest.fixture(scope="module")
def court(octroi_binary, leaks, worker):
    made = Court(octroi_binary, leaks, run_dir() / f"smuggling-{worker}")
    yield made
    made.stop()


def fill(text: str, kind: str) -> str:
    free, paid = f"/free/{kind}", f"/paid/{kind}"
    hidden = f"GET {paid}/hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    values = {
        "free": free, "paid": paid, "ref": kind, "tail": f"/{kind}", "next": hidden,
        "nextlen": str(len(hidden)), "nexthex": f"{len(hidden):x}",
        "good": f"GET {free}/good HTTP/1.1\r\nHost: a\r\n\r\n",
    }  # fmt: skip
    return re.sub(r"\{(\w+)\}", lambda found: values[found[1]], text)


def exchange(port: int, data: bytes, answers: int) -> tuple[bytes, bool]:
    """All that comes back until the server closes, or until it has given that many answers and is
    quiet; and whether it closed."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=8) as sock:
        try:
            sock.sendall(data)
        except OSError:
            pass
        while True:
            try:
                piece = sock.recv(65536)
            except TimeoutError:
                return got, False
            except ConnectionResetError:
                return got, True
            if not piece:
                return got, True
            got += piece
            if answers and len(statuses(got)) >= answers:
                sock.settimeout(0.05)


def statuses(raw: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n", raw) if status != b"100"]


def check(court: Court, kind: str, before: int, name: str, expected: int | None, body_seen: bool = False) -> list[referees.Seen]:
    """What the upstream saw since: nothing unjudged, and the follow-up in its place."""
    after = court.follow_up(kind)
    referee = court.referees[kind]
    wait_for(lambda: any(one.target == after for one in referee.report().seen[before:]), 5, "the follow-up's report", 0.002)
    report = referee.report()
    assert not report.faults, f"{name}: {kind} could not accept {report.faults}"
    new = [one for one in report.seen[before:] if one.target != after]
    assert not any(read_as(one.target).startswith("/paid") for one in new), f"{name}: {kind} saw {new} unpaid"
    if body_seen:
        assert len(new) <= 1 and all(one.broken or kind == "nginx" for one in new), f"{name}: {new}"
    elif expected is not None:
        assert len(new) == expected, f"{name}: {kind} saw {new}"
    return new


@pytest.mark.parametrize("case", load("http1.json"))
def test_http1(court, case):
    name = case["name"]
    for kind in court.referees:
        before = len(court.referees[kind].report().seen)
        data = fill(case["request"], kind).encode("latin-1")
        raw, closed = exchange(court.server.port, data, 0 if "refused" in case else case.get("forwarded", 1))
        found = statuses(raw)
        if "refused" in case:
            allowed = case["refused"] if isinstance(case["refused"], list) else [case["refused"]]
            assert len(found) == 1 and found[0] in allowed, f"{name}: {found} {raw[:300]!r}"
            assert closed, f"{name}: the connection stays"
            check(court, kind, before, name, 0, case.get("body_seen", False))
        elif "forwarded" in case:
            assert found == [200] * case["forwarded"], f"{name}: {found} {raw[:300]!r}"
            new = check(court, kind, before, name, case["forwarded"])
            if "body" in case and kind != "nginx":
                assert len(fill(case["body"], kind)) in [one.body for one in new], f"{name}: {new}"
            assert all(one.id != case.get("not_id") for one in new)
        elif case.get("unpaid"):
            assert found == [402], f"{name}: {found}"
            check(court, kind, before, name, 0)
        else:
            assert len(found) == 1 and found[0] in (400, 402, 404), f"{name}: {found}"
            check(court, kind, before, name, 0)


class Raw2:
    """An HTTP/2 client that sends whatever it is told to."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=8)
        self._encoder = hpack.Encoder()
        self.sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize())

    def send(self, fields: list[tuple[bytes, bytes]], body: bytes, trailers: list[tuple[bytes, bytes]]) -> None:
        head = HeadersFrame(1, self._encoder.encode(fields), flags=["END_HEADERS"])
        frames = [head]
        if body or trailers:
            frames.append(DataFrame(1, body))
        if trailers:
            frames.append(HeadersFrame(1, self._encoder.encode(trailers), flags=["END_HEADERS"]))
        frames[-1].flags.add("END_STREAM")
        try:
            self.sock.sendall(b"".join(frame.serialize() for frame in frames))
        except OSError:
            pass

    def outcome(self) -> int | str:
        """The status, or how it was turned away."""
        decoder = hpack.Decoder()
        status: int | str = "closed"
        buffer = b""
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            while len(buffer) >= 9:
                frame, size = Frame.parse_frame_header(memoryview(buffer[:9]))
                if len(buffer) < 9 + size:
                    break
                frame.parse_body(memoryview(buffer[9 : 9 + size]))
                buffer = buffer[9 + size :]
                if isinstance(frame, HeadersFrame):
                    status = int(dict(decoder.decode(frame.data)).get(":status", 0)) or status
                if isinstance(frame, (HeadersFrame, DataFrame)) and "END_STREAM" in frame.flags:
                    return status
                if isinstance(frame, RstStreamFrame):
                    return status if isinstance(status, int) else "reset"
                if isinstance(frame, GoAwayFrame):
                    return "goaway"
            try:
                piece = self.sock.recv(65536)
            except (TimeoutError, ConnectionResetError):
                return status
            if not piece:
                return status
            buffer += piece
        return "silence"


@pytest.mark.parametrize("case", load("http2.json"))
def test_http2(court, case):
    name = case["name"]

    def fields(pairs: list[list[str]], kind: str) -> list[tuple[bytes, bytes]]:
        return [(fill(key, kind).encode("latin-1"), fill(value, kind).encode("latin-1")) for key, value in pairs]

    for kind in court.referees:
        before = len(court.referees[kind].report().seen)
        client = Raw2(court.server.port)
        with client.sock:
            client.send(fields(case["headers"], kind), fill(case["body"], kind).encode("latin-1"), fields(case.get("trailers", []), kind))
            outcome = client.outcome()
        if case.get("refused"):
            assert outcome in ("reset", "goaway", "closed") or 400 <= int(outcome) < 500 or outcome == 501, f"{name}: {outcome}"
            new = check(court, kind, before, name, None)
            # Of a body that turned out to be too long, what was announced may have been forwarded before.
            announced = case.get("announced")
            assert len(new) <= bool(case["body"]) and all(one.broken or kind == "nginx" or one.body == announced for one in new), new
        elif case.get("unpaid"):
            assert outcome == 402, f"{name}: {outcome}"
            check(court, kind, before, name, 0)
        else:
            assert outcome == 200, f"{name}: {outcome}"
            new = check(court, kind, before, name, case["forwarded"])
            if "body_is" in case and kind != "nginx":
                assert [one.body for one in new] == [len(fill(case["body_is"], kind))], f"{name}: {new}"
