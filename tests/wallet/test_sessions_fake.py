"""The wallet's prepaid sessions against a seller that knows the draft and nothing else, and that
loses answers, keeps refunds and lets streams run dry."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import sim
from harness.fake_session import FakeSessions
from harness.payers import SimPayer
from harness.process import environment, wait_for


@pytest.fixture
def seller(octroi_binary, workdir, sim_file, leaks, payer):
    payer.balance_msat()  # makes the account
    node = SimPayer(octroi_binary, workdir / "seller", sim_file, leaks, account="shop")
    made = FakeSessions(node, sim_file, "shop", leaks)
    yield made
    made.stop()


def test_one_deposit_serves_many_processes(seller, fetch, paid, sessions):
    first = fetch(seller.url + "/a")
    assert (first["status"], first["paid_msat"], first["scheme"]) == (200, 10_000, "payment")
    assert first["session"]["opened"] is True
    for number in range(2, 6):
        later = fetch(seller.url + "/a")
        assert (later["paid_msat"], later["session"]["opened"]) == (0, False)
        assert later["session"]["spent_msat"] == number * 2000
    assert paid() == 1
    # The last challenge is used again: no invoice is made for a request that needs none.
    assert [action for action, _ in seller.actions] == ["none", "open"] + ["bearer"] * 4
    assert set(seller.accept) == {"lightning/session, lightning/charge;q=0.5"}
    (known,) = sessions()
    assert (known["state"], known["deposit_msat"], known["spent_msat"]) == ("open", 10_000, 10_000)
    assert (known["origin"], known["refund_sat"], known["refund_seen"]) == (seller.url, None, False)


def test_the_only_offer_is_taken_without_being_asked_for(seller, payer, paid):
    done = payer.run("fetch", "--json", seller.url + "/a")
    assert json.loads(done.stdout)["session"]["opened"] is True
    again = json.loads(payer.run("fetch", "--json", seller.url + "/a").stdout)
    assert (again["status"], again["paid_msat"]) == (200, 0)
    assert paid() == 1


def test_tops_up_when_dry(seller, fetch, paid):
    for _ in range(5):
        fetch(seller.url + "/a")
    dry = fetch(seller.url + "/a")
    assert dry["paid_msat"] == 10_000
    assert dry["session"]["topped_up_msat"] == 10_000
    assert (dry["session"]["deposit_msat"], dry["session"]["spent_msat"]) == (20_000, 12_000)
    assert (paid(), seller.count("open"), seller.count("topUp")) == (2, 1, 1)


def test_a_top_up_stays_within_max_cost(seller, fetch, paid):
    for _ in range(5):
        fetch(seller.url + "/a")
    refused = fetch("--max-cost", "9", seller.url + "/a", status=7)
    assert refused["code"] == "wallet.over-limit"
    assert paid() == 1
    assert fetch(seller.url + "/a")["status"] == 200


@pytest.mark.parametrize("words", [["--max-cost", "9"], ["--no-pay"], ["--dry-run"]], ids=["too dear", "no-pay", "dry run"])
def test_does_not_pay(seller, payer, paid, words):
    done = payer.run("fetch", "--session", "--json", *words, seller.url + "/a", check=False)
    assert done.returncode == {"--max-cost": 7, "--no-pay": 0, "--dry-run": 10}[words[0]], done.stderr
    assert paid() == 0
    assert seller.sessions == {}


def test_two_processes_open_one_session(seller, fetch, paid):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: fetch(f"{seller.url}/a"), range(4)))
    assert [a["status"] for a in answers] == [200] * 4
    assert sum(a["session"]["opened"] for a in answers) == 1
    assert (paid(), len(seller.sessions)) == (1, 1)
    assert next(iter(seller.sessions.values())).spent == 8


def test_two_processes_top_up_once(seller, fetch, paid):
    for _ in range(5):
        fetch(seller.url + "/a")
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda n: fetch(f"{seller.url}/a"), range(3)))
    assert [a["status"] for a in answers] == [200] * 3
    assert (paid(), seller.count("topUp")) == (2, 1)


def test_close_gives_the_rest_back(seller, fetch, payer, sessions):
    before = payer.balance_msat()
    done = fetch("--close-after", seller.url + "/a")
    assert done["session"] | {"id": ""} == {
        "id": "",
        "opened": True,
        "topped_up_msat": 0,
        "deposit_msat": 10_000,
        "spent_msat": 2000,
        "closed": True,
        "refund_sat": 8,
        "refund_seen_msat": 8000,
    }
    assert "notes" not in done
    assert payer.balance_msat() == before - 2000
    (known,) = sessions()
    assert (known["state"], known["refund_sat"], known["refund_seen"]) == ("closed", 8, True)


def test_close_by_id_and_all(seller, fetch, sessions, payer):
    first = fetch(seller.url + "/a")["session"]["id"]
    (closed,) = sessions("close", first[:8])
    assert (closed["state"], closed["refund_seen_msat"], closed["mismatch"]) == ("closed", 8000, False)
    second = fetch(seller.url + "/a")
    assert second["session"]["opened"] is True and second["session"]["id"] != first
    assert [one["state"] for one in sessions("close", "--all")] == ["closed"]
    assert sessions("close", "--all") == []
    assert payer.run("wallet", "sessions", "close", "00000000", check=False).returncode == 1
    assert payer.run("wallet", "sessions", "close", check=False).returncode == 2


def test_a_refund_that_did_not_come_is_told(seller, fetch, sessions):
    fetch(seller.url + "/a")
    seller.refund_lie = 3
    (closed,) = sessions("close", "--all", status=1)
    assert closed["mismatch"] is True and "received 5 sat" in " ".join(closed["notes"])


def test_a_refund_that_comes_late_is_seen_later(seller, fetch, sessions):
    fetch(seller.url + "/a")
    seller.refund_status = "failed"
    (closed,) = sessions("close", "--all", status=1)
    assert (closed["refund_status"], closed["refund_seen"]) == ("failed", False)
    seller.pay_back(next(iter(seller.sessions.values())), 8)
    (known,) = sessions()
    assert (known["refund_seen"], known["refund_seen_msat"]) == (True, 8000)


def test_a_receipt_that_contradicts_is_told(seller, fetch):
    seller.lying_receipt = True
    done = fetch("--close-after", seller.url + "/a")
    assert "receipt" in " ".join(done["notes"])


def test_a_session_that_the_service_ended_is_followed_by_another(seller, fetch, sessions, paid):
    fetch(seller.url + "/a")
    seller.expire(next(iter(seller.sessions.values())))
    again = fetch(seller.url + "/a")
    assert (again["status"], again["session"]["opened"]) == (200, True)
    assert paid() == 2
    ended = next(one for one in sessions() if one["state"] == "closed")
    assert ended["refund_seen_msat"] == 8000


def test_a_page_that_knows_no_session_is_paid_for_once(seller, fetch, paid):
    fetch(seller.url + "/a")
    seller.refuse_open = "unknown-challenge"
    refused = fetch(seller.url + "/other/page", status=5)
    assert refused["code"] == "wallet.refused-after-pay"
    assert paid() == 2
    # The first session is as good as before.
    seller.refuse_open = None
    assert fetch(seller.url + "/a")["paid_msat"] == 0


def test_an_open_that_is_refused_is_not_paid_again(seller, fetch, paid, sessions):
    seller.refuse_open = "invalid-return-invoice"
    refused = fetch(seller.url + "/a", status=5)
    assert refused["code"] == "wallet.refused-after-pay"
    assert paid() == 1
    (known,) = sessions()
    assert known["state"] == "refused"
    # Nor by the next call, until somebody has looked into it.
    seller.refuse_open = None
    assert fetch(seller.url + "/a", status=5)["code"] == "wallet.refused-after-pay"
    assert paid() == 1
    (told,) = sessions("close", known["id"], status=1)
    assert "operator" in " ".join(told["notes"])
    assert fetch(seller.url + "/a")["session"]["opened"] is True


def test_a_top_up_that_is_refused_is_not_paid_again(seller, fetch, paid):
    for _ in range(5):
        fetch(seller.url + "/a")
    seller.refuse_top_up = "unknown-challenge"
    assert fetch(seller.url + "/a", status=5)["code"] == "wallet.refused-after-pay"
    assert paid() == 2


def test_a_new_price_is_shown_the_new_challenge(seller, fetch, paid):
    fetch(seller.url + "/a")
    seller.unit = 3
    dearer = fetch(seller.url + "/a")
    assert (dearer["status"], dearer["paid_msat"], dearer["session"]["spent_msat"]) == (200, 0, 5000)
    assert fetch(seller.url + "/a")["status"] == 200
    assert seller.count("none") == 1
    assert paid() == 1


def test_a_challenge_that_is_over_is_replaced(seller, fetch, paid):
    seller.ttl = 15
    fetch(seller.url + "/a")
    time.sleep(14)
    assert fetch(seller.url + "/a")["paid_msat"] == 0
    assert (seller.count("none"), paid()) == (2, 1)


def test_a_service_that_is_busy(seller, fetch, paid):
    fetch(seller.url + "/a")
    seller.busy = True
    assert fetch(seller.url + "/a", status=6)["code"] == "wallet.rate-limited"
    assert paid() == 1


def test_a_deposit_whose_challenge_is_over_is_told_and_not_paid_again(seller, fetch, paid, sessions, sim_file):
    seller.ttl = 20
    sim.fault(sim_file, "agent", "pay", "lose_answer")
    fetch(seller.url + "/a", status=9)
    time.sleep(20)
    assert fetch(seller.url + "/a", status=5)["code"] == "wallet.refused-after-pay"
    assert [one["state"] for one in sessions()] == ["refused"]
    assert paid() == 1


def test_post_carries_its_body_everywhere(seller, fetch):
    fetch("-d", "order", seller.url + "/a")
    assert seller.methods == [("POST", b"order")] * 2


def test_a_field_of_the_callers_is_not_overwritten(seller, payer, paid):
    done = payer.run("fetch", "--session", "-H", "Authorization: Bearer mine", seller.url + "/a", check=False)
    assert done.returncode == 2
    assert paid() == 0


# ---- what a crash or a lost answer leaves


def test_a_lost_answer_of_the_node_is_not_paid_again(seller, fetch, paid, sim_file):
    sim.fault(sim_file, "agent", "pay", "lose_answer")
    assert fetch(seller.url + "/a", status=9)["code"] == "wallet.payment-unknown"
    resumed = fetch(seller.url + "/a")
    assert (resumed["status"], resumed["paid_msat"]) == (200, 0)
    assert (paid(), seller.count("open")) == (1, 1)


def test_while_the_outcome_is_unknown_nothing_is_paid(seller, fetch, paid, sim_file):
    sim.fault(sim_file, "agent", "pay", "lose_answer")
    fetch(seller.url + "/a", status=9)
    sim.fault(sim_file, "agent", "track", "unavailable", count=2)
    for _ in range(2):
        assert fetch(seller.url + "/a", status=9)["code"] == "wallet.payment-unknown"
    assert fetch(seller.url + "/a")["status"] == 200
    assert paid() == 1


def test_a_payment_that_failed_is_tried_anew(seller, fetch, paid, sessions, sim_file):
    sim.fault(sim_file, "agent", "pay", "fail")
    fetch(seller.url + "/a", status=3)
    assert sessions() == []
    assert fetch(seller.url + "/a")["status"] == 200
    assert paid() == 1


def test_killed_while_the_deposit_is_under_way(seller, payer, fetch, paid, sim_file, octroi_binary):
    sim.fault(sim_file, "agent", "pay", "delay", delay_ms=2500)
    running = subprocess.Popen(
        [str(octroi_binary), "--config", str(payer.config), "fetch", "--session", seller.url + "/a"],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: paid() == 1, 10, "the payment")
    running.send_signal(signal.SIGKILL)
    running.wait(10)
    assert seller.count("open") == 0
    assert fetch(seller.url + "/a", status=9)["code"] == "wallet.payment-unknown"
    time.sleep(3)
    resumed = fetch(seller.url + "/a")
    assert (resumed["status"], resumed["paid_msat"]) == (200, 0)
    assert (paid(), seller.count("open")) == (1, 1)


@pytest.mark.parametrize("loss", ["fail_before_open", "drop_open"])
def test_a_lost_open_is_shown_again(seller, fetch, paid, loss):
    setattr(seller, loss, 1)
    assert fetch(seller.url + "/a", status=4)["code"] == "wallet.network"
    again = fetch(seller.url + "/a")
    assert (again["status"], again["paid_msat"]) == (200, 0)
    assert (paid(), len(seller.sessions)) == (1, 1)


def test_a_lost_top_up_is_shown_again(seller, fetch, paid):
    for _ in range(5):
        fetch(seller.url + "/a")
    seller.drop_top_up = 1
    assert fetch(seller.url + "/a", status=4)["code"] == "wallet.network"
    assert fetch(seller.url + "/a")["status"] == 200
    assert (paid(), next(iter(seller.sessions.values())).deposit) == (2, 20)


def test_what_was_paid_can_be_closed_without_being_used(seller, fetch, sessions, payer, sim_file):
    before = payer.balance_msat()
    sim.fault(sim_file, "agent", "pay", "lose_answer")
    fetch(seller.url + "/a", status=9)
    (closed,) = sessions("close", "--all")
    assert closed["state"] == "closed" and closed["refund_seen"] is True
    assert payer.balance_msat() >= before - 2000


# ---- streams


def test_a_stream_is_topped_up_while_it_runs(seller, fetch, paid):
    done = fetch(seller.url + "/stream?n=12")
    assert done["body"] == "".join(f"data: part {n}\n\n" for n in range(12)) + "data: [DONE]\n\n"
    assert done["session"]["stream_receipt"]["units"] == 12
    assert done["session"]["spent_msat"] == 24_000
    assert done["session"]["topped_up_msat"] == 20_000
    assert (done["paid_msat"], paid(), seller.count("topUp")) == (30_000, 3, 2)


def test_a_stream_comes_as_it_is_sent(seller, payer):
    done = payer.run("fetch", "--session", seller.url + "/stream?n=3")
    assert done.stdout == "data: part 0\n\ndata: part 1\n\ndata: part 2\n\ndata: [DONE]\n\n"


def test_a_stream_that_cannot_be_topped_up_ends(seller, fetch, paid):
    refused = fetch("--max-cost", "15", seller.url + "/stream?n=12", status=7)
    assert refused["code"] == "wallet.over-limit"
    assert paid() == 1


def test_a_stream_that_times_out_is_an_error(seller, fetch, sim_file):
    seller.hold = 0.3
    fetch(seller.url + "/a")
    sim.fault(sim_file, "agent", "pay", "delay", delay_ms=1500)
    refused = fetch(seller.url + "/stream?n=12", status=1)
    assert refused["code"] == "wallet.session-ended"


# ---- the store


def test_nothing_lies_about_in_clear(seller, fetch, payer, leaks, workdir):
    answer = fetch(seller.url + "/a")
    store = next((workdir / "payer").glob("wallet-agent"))
    assert (store.stat().st_mode & 0o777, (store / "sessions.key").stat().st_mode & 0o777) == (0o700, 0o600)
    (file,) = (store / "sessions").glob("*.session")
    assert file.stat().st_mode & 0o777 == 0o600
    assert seller.url.encode() not in file.read_bytes()
    leaks.exempt(store / "sessions.key")
    assert answer["session"]["id"] in file.name


def test_a_damaged_file_is_left_alone_and_nothing_is_paid(seller, fetch, paid, workdir):
    fetch(seller.url + "/a")
    (file,) = (workdir / "payer" / "wallet-agent" / "sessions").glob("*.session")
    whole = file.read_bytes()
    damaged = whole[:-1] + bytes([whole[-1] ^ 1])
    file.write_bytes(damaged)
    assert fetch(seller.url + "/a", status=1)["code"] == "wallet.session-store"
    assert file.read_bytes() == damaged
    assert paid() == 1
