"""gRPC through octroi, with grpcio at both ends: every kind of call, free and paid, deadlines,
cancellation, errors with details, large messages, metadata. No generated code: bytes go as they are.
"""

from __future__ import annotations

import base64
import queue
import threading
import time
from concurrent import futures
from http.server import BaseHTTPRequestHandler
from typing import Any, Callable, Iterator

import grpc
import pytest

from harness import payment
from harness.process import free_port, wait_for
from harness.serving import Server
from harness.settings import service

LARGE = 3 * 1024 * 1024


class Servicer(grpc.GenericRpcHandler):
    """/free.Talk/*, /paid.Talk/* and /once.Talk/*: the same methods behind different prices."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.ended: queue.Queue[tuple[str, str]] = queue.Queue()
        self.remaining: list[float | None] = []
        self.release = threading.Semaphore(0)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        name = details.method.rsplit("/", 1)[1]
        self.calls.append((details.method, dict(details.invocation_metadata)))
        kinds: dict[str, grpc.RpcMethodHandler] = {
            "Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "Hang": grpc.unary_unary_rpc_method_handler(self.hang),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Drip": grpc.unary_stream_rpc_method_handler(self.drip),
            "Join": grpc.stream_unary_rpc_method_handler(self.join),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }
        return kinds.get(name)

    def echo(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.send_initial_metadata((("x-initial", "1"), ("x-data-bin", b"\x00\xff")))
        context.set_trailing_metadata((("x-trailing", "2"), ("x-more-bin", b"\x01\xfe")))
        self.remaining.append(context.time_remaining())
        return request

    def fail(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\x08\x09details"),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "näher: 100 % \n gone ")
        raise AssertionError

    def hang(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        gone = threading.Event()
        context.add_callback(gone.set)
        self.remaining.append(context.time_remaining())
        gone.wait(30)
        self.ended.put(("Hang", "gone" if not context.is_active() else "active"))
        return b""

    def count(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        for number in range(int(request)):
            yield str(number).encode()

    def drip(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """One message each time the test says so, for ever."""
        context.add_callback(lambda: self.ended.put(("Drip", "gone")))
        number = 0
        while context.is_active():
            if self.release.acquire(timeout=0.1):
                yield str(number).encode()
                number += 1

    def join(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        return b",".join(requests)

    def chat(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for request in requests:
            yield request.upper()

    def seen(self, method: str) -> dict[str, Any]:
        return next(metadata for name, metadata in reversed(self.calls) if name == method)


@pytest.fixture
def talk() -> Iterator[tuple[Servicer, int]]:
    servicer = Servicer()
    server = grpc.server(
        futures.ThreadPoolExecutor(16),
        handlers=(servicer,),
        options=[("grpc.max_receive_message_length", 16 << 20), ("grpc.max_send_message_length", 16 << 20)],
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, port
    server.stop(0).wait(10)


@pytest.fixture
def server(gateway, talk):
    url = f"http://127.0.0.1:{talk[1]}"
    nobody = f"http://127.0.0.1:{free_port()}"
    return gateway(
        [
            service("free", "^/free[.]Talk/", url, "0 sat", auth="off"),
            service("paid", "^/paid[.]Talk/", url, "5 sat"),
            service("once", "^/once[.]Talk/", url, "5 sat", schemes=["payment"]),
            service("down", "^/down[.]Talk/", nobody, "0 sat", auth="off"),
            service("silent", "^/silent[.]Talk/", url, "0 sat", auth="off", timeouts={"first_byte": "1s"}),
        ]
    )


class Caller:
    def __init__(self, server) -> None:
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{server.port}",
            options=[
                ("grpc.max_receive_message_length", 16 << 20),
                ("grpc.max_send_message_length", 16 << 20),
                ("grpc.enable_retries", 0),
                ("grpc.max_metadata_size", 64 * 1024),
                ("grpc.absolute_max_metadata_size", 128 * 1024),
            ],
        )

    def unary(self, method: str) -> Callable[..., Any]:
        return self.channel.unary_unary(method)

    def down(self, method: str) -> Callable[..., Any]:
        return self.channel.unary_stream(method)

    def up(self, method: str) -> Callable[..., Any]:
        return self.channel.stream_unary(method)

    def both(self, method: str) -> Callable[..., Any]:
        return self.channel.stream_stream(method)


@pytest.fixture
def caller(server) -> Iterator[Caller]:
    made = Caller(server)
    yield made
    made.channel.close()


class Talker:
    """The request side of a stream that the test feeds message by message."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | None] = queue.Queue()

    def say(self, message: bytes) -> None:
        self._queue.put(message)

    def end(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> "Talker":
        return self

    def __next__(self) -> bytes:
        if (message := self._queue.get()) is None:
            raise StopIteration
        return message


def refused(call: Callable[[], Any]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value


def offers(error: Any, leaks) -> list[payment.Challenge]:
    metadata = list(error.trailing_metadata()) + list(error.initial_metadata() or ())
    found = payment.parse_challenges([str(v) for k, v in metadata if k == "www-authenticate"])
    for offer in found:
        if "macaroon" in offer.names:
            leaks.register(offer["macaroon"], "macaroon")
    return found


def l402_metadata(error: Any, payer, leaks) -> tuple[tuple[str, str], ...]:
    offer = payment.of_scheme(offers(error, leaks), "L402")[0]
    return (("authorization", payment.l402(offer, payer.pay(offer.invoice))),)


def payment_metadata(error: Any, payer, leaks) -> tuple[tuple[str, str], ...]:
    offer = payment.of_scheme(offers(error, leaks), "Payment")[0]
    credential = payment.credential(offer, payer.pay(offer.invoice))
    leaks.register(credential.removeprefix("Payment "), "Payment credential")
    return (("authorization", credential),)


def keep_receipts(call: Any, leaks) -> list[str]:
    found = [str(v) for k, v in call.initial_metadata() if k == "payment-receipt"]
    for value in found:
        leaks.register(value, "Payment-Receipt")
    return found


# ---- a free route -------------------------------------------------------------------------------


def test_unary(caller, talk):
    answer, call = caller.unary("/free.Talk/Echo").with_call(
        b"hello", metadata=(("x-mine", "1"), ("x-mine-bin", b"\x00\x80\xff")), timeout=20
    )
    assert answer == b"hello"
    assert call.code() is grpc.StatusCode.OK
    initial, trailing = dict(call.initial_metadata()), dict(call.trailing_metadata())
    assert initial["x-initial"] == "1" and initial["x-data-bin"] == b"\x00\xff"
    assert trailing["x-trailing"] == "2" and trailing["x-more-bin"] == b"\x01\xfe"
    seen = talk[0].seen("/free.Talk/Echo")
    assert seen["x-mine"] == "1" and seen["x-mine-bin"] == b"\x00\x80\xff"
    assert "x-forwarded-for" in seen


def test_every_kind_of_stream(caller):
    assert list(caller.down("/free.Talk/Count")(b"50", timeout=20)) == [str(n).encode() for n in range(50)]
    assert caller.up("/free.Talk/Join")(iter([b"a", b"b", b"c"]), timeout=20) == b"a,b,c"
    assert list(caller.both("/free.Talk/Chat")(iter([b"a", b"b"]), timeout=20)) == [b"A", b"B"]
    assert caller.up("/free.Talk/Join")(iter([]), timeout=20) == b""
    assert list(caller.down("/free.Talk/Count")(b"0", timeout=20)) == []


def test_both_ends_talk_in_turn(caller):
    # Each message is sent only when the answer to the one before was read.
    talker = Talker()
    answers = caller.both("/free.Talk/Chat")(talker, timeout=30)
    for word in (b"one", b"two", b"three"):
        talker.say(word)
        assert next(answers) == word.upper()
    talker.end()
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def test_messages_come_one_by_one(caller, talk):
    answers = caller.down("/free.Talk/Drip")(b"", timeout=60)
    for number in range(5):
        talk[0].release.release()
        assert next(answers) == str(number).encode()
    answers.cancel()
    assert talk[0].ended.get(timeout=20) == ("Drip", "gone")


def test_large_messages(caller):
    message = bytes(range(256)) * (LARGE // 256)
    assert caller.unary("/free.Talk/Echo")(message, timeout=60) == message
    assert caller.up("/free.Talk/Join")(iter([message, message]), timeout=60) == message + b"," + message


def test_a_stream_may_be_longer_than_a_body(caller):
    # Five times max_body (10 MiB by default) in messages that are each below it.
    message = b"x" * LARGE
    total = sum(len(m) for m in caller.both("/free.Talk/Chat")(iter([message] * 17), timeout=120))
    assert total == 17 * LARGE


def test_a_message_beyond_max_body_is_refused(caller):
    error = refused(lambda: caller.unary("/free.Talk/Echo")(b"x" * (11 << 20), timeout=60))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "larger than this service takes" in error.details()


def test_errors_keep_their_details(caller):
    error = refused(lambda: caller.unary("/free.Talk/Fail")(b"", timeout=20))
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    # Blanks at the end of a field value are no part of it (RFC 9110, section 5.5).
    assert error.details() == "näher: 100 % \n gone"
    assert dict(error.trailing_metadata())["grpc-status-details-bin"] == b"\x08\x09details"


def test_an_unknown_method_is_the_upstreams_to_refuse(caller):
    error = refused(lambda: caller.unary("/free.Talk/Nothing")(b"", timeout=20))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_no_service(caller):
    error = refused(lambda: caller.unary("/other.Talk/Echo")(b"", timeout=20))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert error.details() == "no service answers at this host and path"


def test_a_deadline_reaches_the_upstream_and_ends_the_call(caller, talk):
    begun = time.monotonic()
    error = refused(lambda: caller.unary("/free.Talk/Hang")(b"", timeout=1.0))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 10
    assert talk[0].remaining[-1] is not None and talk[0].remaining[-1] <= 1.5  # the client rounds up
    assert talk[0].ended.get(timeout=20) == ("Hang", "gone")


def test_octroi_keeps_the_deadline_too(server, talk):
    # A client that sets no timer of its own: the header alone, over HTTP/1.1.
    begun = time.monotonic()
    answer = server.request(
        "/free.Talk/Hang",
        "POST",
        {"Content-Type": "application/grpc", "TE": "trailers", "grpc-timeout": "700m"},
        b"\0\0\0\0\0",
    )
    assert answer.status == 200 and answer.get("grpc-status") == "4", answer
    assert 0.5 < time.monotonic() - begun < 10
    assert talk[0].ended.get(timeout=20) == ("Hang", "gone")


def test_cancellation_reaches_the_upstream(caller, talk):
    call = caller.unary("/free.Talk/Hang").future(b"", timeout=60)
    wait_for(lambda: any(name == "/free.Talk/Hang" for name, _ in talk[0].calls), 20, "the call")
    call.cancel()
    assert talk[0].ended.get(timeout=20) == ("Hang", "gone")


def test_an_upstream_that_is_not_there_is_unavailable(caller):
    error = refused(lambda: caller.unary("/down.Talk/Echo")(b"", timeout=20))
    assert error.code() is grpc.StatusCode.UNAVAILABLE


def test_an_upstream_that_is_late_exceeds_its_time(caller):
    error = refused(lambda: caller.unary("/silent.Talk/Hang")(b"", timeout=20))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_many_calls_at_once_over_one_connection(caller):
    calls = [caller.unary("/free.Talk/Echo").future(str(n).encode(), timeout=60) for n in range(200)]
    assert [call.result() for call in calls] == [str(n).encode() for n in range(200)]


# ---- a priced route -----------------------------------------------------------------------------


def test_unpaid_calls_of_every_kind_are_refused_before_the_first_message(caller, talk, leaks):
    def never() -> Iterator[bytes]:
        yield b"first"
        time.sleep(30)
        yield b"last"

    for call in (
        lambda: caller.unary("/paid.Talk/Echo")(b"", timeout=20),
        lambda: list(caller.down("/paid.Talk/Count")(b"3", timeout=20)),
        lambda: caller.up("/paid.Talk/Join")(never(), timeout=20),
        lambda: list(caller.both("/paid.Talk/Chat")(never(), timeout=20)),
    ):
        error = refused(call)
        assert error.code() is grpc.StatusCode.INTERNAL  # 13: what L402 clients look for
        assert error.details() == "payment required"
        assert {offer.scheme for offer in offers(error, leaks)} == {"L402", "LSAT", "Payment"}
    assert not talk[0].calls


def test_l402_pays_for_every_kind(caller, talk, payer, leaks):
    token = l402_metadata(refused(lambda: caller.unary("/paid.Talk/Echo")(b"", timeout=20)), payer, leaks)
    assert caller.unary("/paid.Talk/Echo")(b"x", metadata=token, timeout=20) == b"x"
    assert list(caller.down("/paid.Talk/Count")(b"3", metadata=token, timeout=20)) == [b"0", b"1", b"2"]
    assert caller.up("/paid.Talk/Join")(iter([b"a", b"b"]), metadata=token, timeout=20) == b"a,b"
    talker = Talker()
    answers = caller.both("/paid.Talk/Chat")(talker, metadata=token, timeout=30)
    for word in (b"one", b"two"):
        talker.say(word)
        assert next(answers) == word.upper()
    talker.end()
    assert list(answers) == []
    for _, metadata in talk[0].calls:
        assert "authorization" not in metadata


def test_l402_from_macaroon_metadata(caller, payer, leaks):
    error = refused(lambda: caller.unary("/paid.Talk/Echo")(b"", timeout=20))
    offer = payment.of_scheme(offers(error, leaks), "L402")[0]
    preimage = payer.pay(offer.invoice)
    proven = base64.b64decode(payment.attenuate(offer["macaroon"], f"preimage={preimage}")).hex()
    leaks.register(proven, "macaroon")
    for name in ("macaroon", "grpc-metadata-macaroon"):
        assert caller.unary("/paid.Talk/Echo")(b"m", metadata=((name, proven),), timeout=20) == b"m"


@pytest.mark.parametrize("kind", ["unary", "down", "up", "both"])
def test_payment_pays_for_every_kind_once(caller, talk, payer, leaks, kind):
    method = {"unary": "Echo", "down": "Count", "up": "Join", "both": "Chat"}[kind]
    path = f"/once.Talk/{method}"
    stub = getattr(caller, kind)(path)
    request = {"unary": b"5", "down": b"5", "up": [b"a", b"b"], "both": [b"a", b"b"]}[kind]
    expected = {"unary": b"5", "down": [b"0", b"1", b"2", b"3", b"4"], "up": b"a,b", "both": [b"A", b"B"]}[kind]

    def run(metadata: Any = None) -> tuple[Any, Any]:
        given = iter(request) if isinstance(request, list) else request
        if kind in ("unary", "up"):
            return stub.with_call(given, metadata=metadata, timeout=20)
        call = stub(given, metadata=metadata, timeout=20)
        return list(call), call

    error = refused(run)
    assert [offer.scheme for offer in offers(error, leaks)] == ["Payment"]
    credential = payment_metadata(error, payer, leaks)
    answer, call = run(credential)
    assert answer == expected
    (receipt,) = keep_receipts(call, leaks)
    assert payment.receipt(receipt)["status"] == "success"
    assert len(talk[0].calls) == 1
    assert "authorization" not in talk[0].calls[0][1]
    # Spent: nothing more happens upstream.
    again = refused(lambda: run(credential))
    assert again.code() is grpc.StatusCode.INTERNAL
    assert len(talk[0].calls) == 1


def test_the_same_payment_with_its_idempotency_key_tells_the_same_answer(caller, talk, payer, leaks):
    unpaid = refused(lambda: caller.unary("/once.Talk/Echo")(b"x", timeout=20))
    metadata = payment_metadata(unpaid, payer, leaks) + (("idempotency-key", "k1"),)
    for _ in range(3):
        answer, call = caller.unary("/once.Talk/Echo").with_call(b"x", metadata=metadata, timeout=20)
        assert answer == b"x" and call.code() is grpc.StatusCode.OK
        keep_receipts(call, leaks)
    assert len(talk[0].calls) == 1


def test_a_paid_call_that_fails_is_told_again_and_has_no_receipt(caller, talk, payer, leaks):
    unpaid = refused(lambda: caller.unary("/once.Talk/Fail")(b"x", timeout=20))
    metadata = payment_metadata(unpaid, payer, leaks) + (("idempotency-key", "k2"),)
    for _ in range(2):
        error = refused(lambda: caller.unary("/once.Talk/Fail")(b"x", metadata=metadata, timeout=20))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error.details() == "näher: 100 % \n gone"
        assert not keep_receipts(error, leaks)
    assert len(talk[0].calls) == 1


def test_a_paid_stream_is_not_held_back(caller, talk, payer, leaks):
    # Neither side is read ahead: the answer begins while the request goes on, although the scheme
    # binds bodies elsewhere and keeps answers.
    credential = payment_metadata(
        refused(lambda: list(caller.both("/once.Talk/Chat")(iter([b"x"]), timeout=20))), payer, leaks
    )
    talker = Talker()
    answers = caller.both("/once.Talk/Chat")(talker, metadata=credential, timeout=60)
    for word in (b"one", b"two", b"three"):
        talker.say(word)
        assert next(answers) == word.upper()
    talker.end()
    assert list(answers) == []
    keep_receipts(answers, leaks)


# ---- grpc-web -----------------------------------------------------------------------------------


def test_grpc_web_passes_unharmed(gateway):
    # The trailers of grpc-web are bytes of the body, and its requests are whole.
    frames = b"\0\0\0\0\2ok\x80\0\0\0\x0fgrpc-status:0\r\n"
    seen: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            seen.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Type", "application/grpc-web+proto")
            self.send_header("Content-Length", str(len(frames)))
            self.end_headers()
            self.wfile.write(frames)

        def log_message(self, *_: object) -> None:
            pass

    web_server = Server(Handler)
    try:
        url = f"http://127.0.0.1:{web_server.port}"
        server = gateway([service("web", "^/web/", url, "0 sat", auth="off"), service("paid", "^/paid/", url)])
        answer = server.request("/web/x", "POST", {"Content-Type": "application/grpc-web+proto"}, b"\0\0\0\0\1x")
        assert answer.status == 200 and answer.body == frames
        assert answer.get("Content-Type") == "application/grpc-web+proto"
        assert seen == [("application/grpc-web+proto", b"\0\0\0\0\1x")]
        # It reads statuses of HTTP, so a refusal is one.
        assert server.request("/paid/x", "POST", {"Content-Type": "application/grpc-web"}, b"").status == 402
    finally:
        web_server.stop()
