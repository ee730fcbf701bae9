"""What others in the field advertise and leave open (our notes on Aperture, sections 4 and 11), each with the
test that shows it closed here. Those that had no test stand below; the table is checked against the files."""

from __future__ import annotations

import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from harness import web
from harness.model_upstream import ModelUpstream
from harness.settings import dump, service
from harness.sse import Stream

ROOT = Path(__file__).resolve().parents[2]

CLOSED = {
    # sessions
    "a replayed topUp is answered as accepted and proxied": "tests/paywall/test_session.py::test_replayed_top_up_adds_nothing_and_serves_nothing",
    "open, topUp and close are proxied and free": "tests/paywall/test_session.py::test_open_top_up_and_close_give_no_free_request",
    "a bearer is billed the challenge that its client picks": "tests/paywall/test_session.py::test_cheap_challenge_opens_nothing_dear",
    "a deposit counts for two sessions": "tests/paywall/test_session.py::test_deposit_is_used_once_over_open_and_top_up",
    "idleTimeout is advertised and nobody reaps": "tests/paywall/test_session.py::test_idle_session_is_closed_and_refunded",
    "a refund is lost in a crash": "tests/paywall/test_session.py::test_refund_is_paid_once_over_a_kill_between_send_and_record",
    "a refund that was not yet sent is lost in a crash": "tests/paywall/test_session.py::test_kill_between_close_and_send_refunds_later",
    "a refund is tried once and nobody can repeat it": "tests/cli/test_sessions.py::test_a_failed_refund_is_sent_again_when_the_operator_says_so",
    "a refund on its way is never told as what became of it": "tests/paywall/test_session.py::test_sigterm_lets_a_refund_on_its_way_end",
    "the need-topup event is defined and never sent": "tests/paywall/test_metered.py::test_a_stream_runs_dry_is_topped_up_elsewhere_and_finishes",
    "a dry stream hangs": "tests/paywall/test_metered.py::test_a_stream_that_nobody_tops_up_ends_with_session_timeout",
    "session deposits are in no books": "tests/paywall/test_session.py::test_transactions_list_deposits_and_top_ups",
    "a bearer needs a new 402 every quarter of an hour": "src/octroi/paywall/gate_session_test.cc::BearersDrawOnTheDepositWithOneChallenge",
    "many at once overdraw a session": "tests/paywall/test_session.py::test_sixty_four_at_once_never_overdraw",
    # the Payment scheme
    "a charge for a cheap path opens a dear one": "tests/paywall/test_binding.py::test_a_cheap_challenge_opens_only_its_own",
    "one problem type for everything": "tests/paywall/test_problem_types.py::test_is_emitted",
    "a receipt is made up from what the client sent": "tests/paywall/test_charge.py::test_a_changed_echo_is_unknown",
    "a receipt of the upstream passes as ours": "tests/paywall/test_charge.py::test_the_upstreams_own_payment_headers_stay_inside",
    "a scheme that is not taken is offered": "tests/paywall/test_challenge_shape.py::test_only_accepted_schemes_are_offered",
    "gRPC and Payment do not go together": "tests/interop/test_grpcurl.py::test_grpcurl_pays",
    "a challenge outlives what can be paid, or the invoice the challenge": "tests/paywall/test_challenge_shape.py::test_challenge_ends_before_its_invoice",
    # everything else
    "each 402 leaves secrets and rows for ever": "tests/paywall/test_unpaid_bound.py::test_simulated",
    "the free quota dies of concurrency": "tests/paywall/test_aperture_holes.py::test_many_clients_on_one_free_quota",
    "a long answer stalls everybody when something is changed": "tests/paywall/test_aperture_holes.py::test_a_stream_stalls_no_change",
    "a changed price loses the conditions of tokens": "tests/paywall/test_aperture_holes.py::test_a_changed_price_keeps_the_conditions",
    "a path with a colon or comma can be bought and not used": "tests/paywall/test_aperture_holes.py::test_a_path_of_any_characters_can_be_used",
    "the process ends with the node's stream": "tests/paywall/test_restart_and_drain.py::test_loss_of_the_node",
    "behind a proxy everybody is one address": "tests/paywall/test_unpaid_bound.py::test_forwarded_addresses_count_only_from_trusted_proxies",
    "an admin of whoever comes from this machine": "tests/cli/test_sessions.py::test_the_admin_api_needs_the_token",
    "a typo makes a service free": "tests/cli/test_check.py::test_no_typo_makes_a_free_service",
    "credentials in the log": "tests/selftest/test_leaks.py::",
    "a store that comes second is not locked out": "tests/paywall/test_crash.py::test_a_second_server_on_the_same_store_refuses",
    "a quoted price can be changed after it was paid": "src/octroi/paywall/gate_quote_test.cc::AnAmountOnceQuotedIsNeverRepriced",
    "a service of the database loses fields of its twin in the file": "src/octroi/config/stored_test.cc::EveryKeyOfAServiceIsWhatItWouldBeInTheFile",
    "a service of the database replaces one of the file": "tests/cli/test_services.py::test_the_file_wins_a_name_and_says_so",
    "services are other ones after a restart": "tests/cli/test_services.py::test_a_service_is_added_while_octroi_serves_and_is_the_same_after_a_restart",
    "a changed price ends what was sold under the old one": "tests/cli/test_services.py::test_what_was_sold_under_the_old_price_is_still_good",
    "a source of prices that is away makes things free": "src/octroi/paywall/gate_quote_test.cc::CredentialsAreJudgedWhileTheSourceIsAway",
}


@pytest.mark.parametrize("hole", CLOSED)
def test_has_its_test(hole):
    path, name = CLOSED[hole].split("::")
    text = (ROOT / path).read_text()
    if not name:
        assert re.search(r"^def test_", text, re.M)
    elif path.endswith(".py"):
        assert re.search(rf"^def {name}\(", text, re.M), f"{path} has no {name}"
    else:
        assert re.search(rf"^TEST(_F|_P)?\(\w+,\s*{name}\)", text, re.M), f"{path} has no {name}"


# ---- what had no test ---------------------------------------------------------------------------


def test_many_clients_on_one_free_quota(gateway, upstream):
    server = gateway([service("api", "^/api/", upstream.url, free={"requests": 20, "per": "1h"})], paywall={"max_unpaid": 0})

    def ask(n: int) -> int:
        return server.request(f"/api/{n}").status

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(96)))
    assert (answers.count(200), answers.count(402)) == (20, 76)
    assert upstream.count == 20
    assert server.request("/api/after").status == 402, "and the process lives"


def reload(server) -> web.Response:
    token = server.admin_token
    return web.request(f"{server.admin_url}/api/v1/reload", method="POST", headers={"Authorization": f"Bearer {token}"}, timeout=30)


def change(server, edit) -> None:
    """Edits the configuration file as its owner would, and has it read again."""
    config = yaml.safe_load(server.config_file.read_text())
    edit(config)
    server.config_file.write_text(dump(config))
    answer = reload(server)
    assert answer.status == 200, answer.text


def test_a_stream_stalls_no_change(gateway):
    model = ModelUpstream()
    try:
        server = gateway([service("free", "^/", model.url, auth="off")])
        running = Stream(server.url + "/events?n=400&gap=0.02", {})
        running.until("", 10)
        began = time.monotonic()
        change(server, lambda config: config["paywall"]["services"][0].update(description="changed in mid-stream"))
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: server.request(f"/x?{n}").status, range(32)))
        assert answers == [200] * 32
        assert time.monotonic() - began < 5, "nobody waits for the stream, which has three seconds to go at least"
        assert not running.whole
        running.leave()
    finally:
        model.stop()


def conditions(macaroon: str) -> set[str]:
    raw = base64.b64decode(macaroon)
    return {part.decode() for part in re.findall(rb"[a-z_]+=[ -~]+?(?=[\x00-\x1f])", raw)}


def test_a_changed_price_keeps_the_conditions(gateway, upstream, payer):
    token = {"valid_for": "1h", "capabilities": ["read"], "constraints": {"days": "7"}, "facts": {"days": "query:days"}, "meter": {"count": 3}}
    server = gateway([service("api", "^/api/", upstream.url, "5 sat", schemes=["l402"], token=token)])

    def names(macaroon: str) -> list[str]:
        return sorted(one.split("=")[0] for one in conditions(macaroon) if not one.startswith("location"))

    before = server.unpaid("/api/x").l402
    change(server, lambda config: config["paywall"]["services"][0].update(price="9 sat"))
    after = server.unpaid("/api/x").l402
    assert names(before["macaroon"]) == names(after["macaroon"])
    assert {"api_capabilities", "api_meter", "api_valid_until", "days", "services"} <= set(names(after["macaroon"]))
    for offer in (before, after):
        headers = {"Authorization": f"L402 {offer['macaroon']}:{payer.pay(offer['invoice'])}"}
        assert server.request("/api/x?days=7", headers=headers).status == 200
        assert server.request("/api/x?days=8", headers=headers).status == 402


@pytest.mark.parametrize(
    "path",
    ["/api/a:b", "/api/a,b", "/api/a=b,c:d", "/api/a%20b", "/api/%C3%A4,%3A", "/api/a;b"],
    ids=["colon", "comma", "all of them", "blank", "escaped", "semicolon"],  # they name the folders
)
@pytest.mark.parametrize("scheme", ["l402", "payment"])
def test_a_path_of_any_characters_can_be_used(gateway, upstream, payer, path, scheme):
    rules = [{"path": "^/api/", "price": "3 sat"}]
    server = gateway([service("api", "^/api/", upstream.url, schemes=["l402", "payment"], prices=rules)])
    value = server.buy(path, payer) if scheme == "payment" else server.buy_token(path, payer)
    assert server.request(path, headers={"Authorization": value}).status == 200
    assert upstream.count == 1
