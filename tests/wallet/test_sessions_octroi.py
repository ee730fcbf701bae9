"""The wallet's prepaid sessions against octroi itself: both doors over one simulated network."""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import pytest

from harness import sim
from harness.process import environment, wait_for
from harness.serving import Server
from harness.settings import service


class Chat:
    """An upstream that streams `n` events."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.end_headers()
                for number in range(int(self.path.split("n=")[1])):
                    self.wfile.write(f"data: part {number}\n\n".encode())
                    self.wfile.flush()
                self.wfile.write(b"data: [DONE]\n\n")

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(Handler)
        self.url = f"http://127.0.0.1:{self._server.port}"

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def chat():
    one = Chat()
    yield one
    one.stop()


def session_service(name: str, path: str, upstream: str, **session) -> dict:
    return service(
        name,
        path,
        upstream,
        "10 sat",
        schemes=["payment"],
        session={"price": "2 sat", "deposit": "20 sat", **session},
    )


@pytest.fixture
def server(gateway, upstream, chat, payer):
    payer.balance_msat()
    return gateway(
        [
            session_service("weather", "^/weather/", upstream.url),
            session_service("tides", "^/tides/", upstream.url, price="3 sat"),
            session_service("short", "^/short/", upstream.url, idle_timeout="1s"),
            session_service("chat", "^/chat/", chat.url, unit="chunk"),
            {**session_service("only", "^/only/", upstream.url), "payment": {"intents": ["session"]}},
        ]
    )


def test_the_life_of_a_session(server, fetch, sessions, payer, upstream, paid):
    before = payer.balance_msat()
    first = fetch(server.url + "/weather/x")
    assert (first["status"], first["paid_msat"], first["session"]["opened"]) == (200, 20_000, True)
    for _ in range(9):
        again = fetch(server.url + "/weather/x")
        assert (again["status"], again["paid_msat"]) == (200, 0)
    assert again["session"]["spent_msat"] == 20_000
    assert server.metric("octroi_challenges_total", service="weather") == 1
    dry = fetch(server.url + "/weather/x")
    assert (dry["status"], dry["paid_msat"], dry["session"]["topped_up_msat"]) == (200, 20_000, 20_000)
    assert dry["session"]["id"] == first["session"]["id"]
    assert len(upstream.of_path("/weather/x")) == 11
    (closed,) = sessions("close", first["session"]["id"])
    assert closed["mismatch"] is False and closed["notes"] == []
    assert (closed["state"], closed["refund_sat"], closed["refund_seen_msat"]) == ("closed", 18, 18_000)
    assert (closed["deposit_msat"], closed["spent_msat"]) == (40_000, 22_000)
    assert payer.balance_msat() == before - 22_000
    assert paid() == 2
    (known,) = sessions()
    assert (known["state"], known["refund_sat"], known["refund_seen"]) == ("closed", 18, True)


def test_without_being_asked_a_charge_is_paid(server, fetch):
    answer = fetch(server.url + "/weather/x", session=False)
    assert (answer["paid_msat"], answer.get("session")) == (10_000, None)


def test_a_service_with_sessions_only(server, fetch, paid):
    assert fetch(server.url + "/only/x", session=False)["session"]["opened"] is True
    assert fetch(server.url + "/only/x", session=False)["paid_msat"] == 0
    assert paid() == 1


def test_where_no_session_is_sold_a_charge_is_paid(gateway, upstream, fetch):
    plain = gateway([service("plain", "^/plain/", upstream.url, "7 sat", schemes=["payment"])])
    answer = fetch(plain.url + "/plain/x")
    assert (answer["status"], answer["paid_msat"], answer.get("session")) == (200, 7000, None)


def test_two_services_of_one_realm_have_a_session_each(server, fetch, sessions, paid):
    fetch(server.url + "/weather/x")
    fetch(server.url + "/tides/x")
    for path in ("/weather/x", "/tides/x", "/weather/y", "/tides/y"):
        answer = fetch(server.url + path)
        assert (answer["status"], answer["paid_msat"]) == (200, 0), path
    assert (paid(), len(sessions())) == (2, 2)
    assert {one["spent_msat"] for one in sessions()} == {6000, 9000}


def test_processes_at_once_open_one(server, fetch, paid, upstream):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: fetch(server.url + "/weather/x"), range(4)))
    assert [one["status"] for one in answers] == [200] * 4
    assert sum(one["session"]["opened"] for one in answers) == 1
    assert paid() == 1
    assert len(upstream.of_path("/weather/x")) == 4


def test_killed_between_paying_and_opening(server, fetch, payer, paid, sim_file, octroi_binary):
    sim.fault(sim_file, "agent", "pay", "delay", delay_ms=2000)
    running = subprocess.Popen(
        [str(octroi_binary), "--config", str(payer.config), "fetch", "--session", server.url + "/weather/x"],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: paid() == 1, 10, "the payment")
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    time.sleep(2.2)
    resumed = fetch(server.url + "/weather/x")
    assert (resumed["status"], resumed["paid_msat"], resumed["session"]["opened"]) == (200, 0, True)
    assert paid() == 1
    assert fetch(server.url + "/weather/x")["session"]["spent_msat"] == 4000


def test_an_idle_session_comes_back(server, fetch, sessions, payer):
    before = payer.balance_msat()
    fetch(server.url + "/short/x")

    def came_back():
        (known,) = sessions()
        return known["state"] == "closed" and known["refund_seen_msat"] == 18_000

    wait_for(came_back, 20, "the refund of an idle session", pause=0.5)
    assert payer.balance_msat() == before - 2000
    assert fetch(server.url + "/short/x")["session"]["opened"] is True


def test_a_session_outlives_the_server(server, fetch, paid):
    fetch(server.url + "/weather/x")
    server.kill()
    server.start()
    answer = fetch(server.url + "/weather/x")
    assert (answer["status"], answer["paid_msat"], answer["session"]["spent_msat"]) == (200, 0, 4000)
    assert paid() == 1


def test_post_with_different_bodies(server, fetch, upstream, paid):
    for body in ("one", "two", "three"):
        assert fetch("-d", body, server.url + "/weather/post")["status"] == 200
    assert [one.body for one in upstream.of_path("/weather/post")] == [b"one", b"two", b"three"]
    assert paid() == 1


def test_a_stream_is_topped_up_while_it_runs(server, fetch, paid, payer, sessions):
    before = payer.balance_msat()
    done = fetch("--close-after", server.url + "/chat/s?n=25")
    parts = "".join(f"data: part {n}\n\n" for n in range(25))
    assert done["body"] == parts + "data: [DONE]\n\n"
    units = done["session"]["stream_receipt"]["units"]
    assert units in (25, 26)  # whether the last word is sold is the seller's decision
    assert done["session"]["stream_receipt"]["spent"] == 2 * units
    assert done["session"]["topped_up_msat"] == 40_000
    assert (done["session"]["closed"], done["session"]["refund_sat"]) == (True, 60 - 2 * units)
    assert payer.balance_msat() == before - 2000 * units
    assert paid() == 3
