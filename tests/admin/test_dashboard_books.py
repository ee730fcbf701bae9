"""The page of the admin listener: caps, money, the audit, and how often it asks."""

from __future__ import annotations

import concurrent.futures
import json
from pathlib import Path

from harness import web
from harness.process import wait_for
from harness.settings import service
from harness.vault import Reply

from .conftest import log_in, settled


def test_caps_money_in_policies_and_services(make_doors, dashboard, payer):
    doors = make_doors(caps=[{"per": "day", "calls": 40}, {"per": "month", "usd": "500 usd", "by": "key"}])
    key = doors.issue(name="shop")
    assert doors.charge(key, 725).status == 200
    doors.capture.reply = lambda call: Reply(drop=True)
    assert doors.charge(key, 175).status == 502  # nobody knows: its money stays held
    paid = doors.gateway.buy("/w/x", payer)
    assert doors.gateway.request("/w/x", headers={"Authorization": paid}).status == 200
    wait_for(lambda: doors.api("GET", "revenue")["sales"] == 1, 60, "a sale in the books")
    tab = dashboard(doors.url)
    log_in(tab, doors)
    tab.sees("7.25 usd of 50 usd", "#caps")
    (daily,) = [r for r in tab.texts("#caps tbody tr") if "50 usd" in r and "500 usd" not in r]
    for text in ("stripe", "bot", "usd a day", "1.75 usd", "41 usd"):
        assert text in daily, daily
    assert any("calls a day" in r and "of 40" in r for r in tab.texts("#caps tbody tr"))
    assert any(f"key:{key.id}" in r for r in tab.texts("#caps tbody tr"))
    assert tab.do("attributes", selector="#caps meter", name="aria-label")[0] == "18 percent used"
    assert "regtest" in tab.text("#server") and "sim" in tab.text("#server")
    tab.sees("weather", "#revenue")
    (row,) = [r for r in tab.texts("#revenue tbody tr") if "weather" in r]
    assert "mpp_charge" in row and "10 sat" in row, row
    assert any("all services" in r and "10 sat" in r for r in tab.texts("#revenue tbody tr"))
    tab.go("Policies")
    tab.sees("the configuration file", "#policies")
    assert "approve_over" in tab.text("#policies pre") and "500 usd" in tab.text("#policies table")
    tab.go("Paywall")
    tab.sees("weather", "#services")
    assert tab.do("faults") == []


def test_the_audit_is_filtered_paged_and_taken_along(make_doors, dashboard, workdir: Path):
    doors = make_doors(daily_cap="1000 usd")
    first, second = doors.issue(run="run-1", agent="one"), doors.issue(run="run-2", agent="two")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {r.status for r in pool.map(lambda _: doors.charge(first, 100), range(60))} == {200}
    # Outcomes are written after the answers; the newest row shall be what is denied now.
    wait_for(lambda: len(doors.api("GET", "audit?kind=call.outcome&limit=100")["rows"]) == 60, 60, "60 outcomes")
    assert doors.charge(second, 2500).status == 403
    tab = dashboard(doors.url, "#audit")
    tab.log_in(doors.token)
    tab.sees("denied", "#audit")
    assert len(tab.texts("#audit tbody tr")) == 50
    newest = tab.texts("#audit tbody tr")[0]
    for text in ("denied", "amount_over_max", "two", "run run-2", "stripe charges.create", "POST /v1/charges", "25.00 usd"):
        assert text in newest, newest
    assert "1.00 usd settled" in tab.texts("#audit tbody tr")[1]
    tab.press("Older rows")
    tab.wait(lambda: len(tab.texts("#audit tbody tr")) == 61, "all rows")
    tab.wait(lambda: "Older rows" not in tab.do("names", selector="button"), "no more of them")
    # What came since is put in front, and what was loaded before stays.
    settled(tab)
    assert doors.charge(second, 300).status == 200

    def looks_again() -> bool:
        tab.do("fire")  # more than once if the outcome, which is written after the answer, was not there yet
        return len(tab.texts("#audit tbody tr")) == 62

    tab.wait(looks_again, "the new row")
    assert "3.00 usd" in tab.texts("#audit tbody tr")[0]

    settled(tab)
    tab.do("type", selector="#audit-run", text="run-2")
    tab.do("fire")
    tab.wait(lambda: len(tab.texts("#audit tbody tr")) == 2, "the rows of the run")
    tab.do("type", selector="#audit-verdict", text="denied")
    tab.do("fire")
    tab.wait(lambda: len(tab.texts("#audit tbody tr")) == 1, "what was denied of it")
    tab.press("Download what the filter finds")
    tab.sees("1 row.", "[role=status]")
    part = tab.wait(lambda: [s for s in tab.do("saved") if s["text"]], "a file")[0]
    (row,) = [json.loads(line) for line in part["text"].splitlines()]
    assert part["name"] == "octroi-audit-part.jsonl" and row["run"] == "run-2" and row["reason"] == "amount_over_max"

    tab.press("Download the whole audit")
    tab.wait(lambda: len([s for s in tab.do("saved") if s["text"]]) == 2, "the other file")
    text = tab.do("saved")[1]["text"]
    report = doors.verify(text, workdir)
    assert report["valid"] and report["trusted_key"] and report["checkpoints"] >= 1 and report["rows"] >= 124
    changed = doors.verify(text.replace('"amount":2500', '"amount":2501', 1), workdir)
    assert not changed["valid"] and tab.do("faults") == []


def test_it_stops_while_nobody_looks_and_asks_less_often_while_it_fails(make_doors, dashboard):
    doors = make_doors()
    tab = dashboard(doors.url)
    log_in(tab, doors)
    settled(tab)
    assert tab.do("timers") == [5000]
    tab.do("hide", value=True)
    assert tab.do("timers") == []
    before = len(tab.do("requests"))
    tab.do("fire")
    assert len(tab.do("requests")) == before
    tab.do("hide", value=False)
    assert len(tab.do("requests")) > before  # at once
    settled(tab)

    doors.gateway.stop()
    for pause in (10_000, 20_000, 40_000, 60_000, 60_000):
        tab.do("fire")
        tab.wait(lambda: tab.do("timers") == [pause], f"a pause of {pause} ms")
        assert "cannot be reached" in tab.text("[role=alert]")
    doors.gateway.start()

    def recovers() -> bool:
        tab.do("fire")  # more than once if a connection of before is only now found to be closed
        settled(tab)
        return tab.text("[role=alert]") == ""

    tab.wait(recovers, "an answer again")
    assert tab.do("timers") == [5000] and tab.do("faults") == []


def test_a_token_that_was_changed_is_asked_for_again(make_doors, dashboard):
    doors = make_doors()
    doors.issue(name="shop")
    tab = dashboard(doors.url, "#keys")
    tab.log_in(doors.token, keep=True)
    tab.sees("shop", "#keys")
    settled(tab)
    doors.gateway.stop()
    file = Path(doors.gateway.config["admin"]["auth"]["token"].removeprefix("file://"))
    file.write_text("another-token-of-this-test-0123456789abcdef")
    doors.gateway.start()

    def asks_again() -> bool:
        tab.do("fire")  # more than once if a connection of before is only now found to be closed
        return "The token is refused" in tab.text("[role=alert]")

    tab.wait(asks_again, "the question for a token")
    assert tab.texts("main h1") == ["Admin token"] and tab.do("count", selector="#keys tr") == 0
    assert tab.do("state")["session"] == 0 and tab.do("timers") == [] and tab.do("faults") == []


def test_a_server_without_a_paywall_shows_its_vault_alone(make_doors, dashboard):
    doors = make_doors()
    doors.gateway.stop()
    del doors.gateway.config["paywall"], doors.gateway.config["lightning"], doors.gateway.config["listen"]
    doors.gateway.start()
    tab = dashboard(doors.url, "#paywall")
    log_in(tab, doors)
    assert "Paywall" not in tab.texts("#nav a") and "Money in" not in tab.text("main")
    tab.sees("50 usd", "#caps")
    assert tab.do("faults") == []


def test_a_server_without_a_vault_shows_its_paywall_alone(gateway, upstream, dashboard):
    one = gateway([service("weather", "^/w/", f"http://127.0.0.1:{upstream.port}")])
    tab = dashboard(one.admin_url, "#keys")
    tab.log_in(one.admin_token)
    tab.sees("Overview", "main h1")
    tab.sees("Money in", "main")
    assert tab.texts("#nav a") == ["Overview", "Paywall", "Audit"] and "Caps" not in tab.text("main")
    assert web.request(one.admin_url + "/").get("content-security-policy") and tab.do("faults") == []
