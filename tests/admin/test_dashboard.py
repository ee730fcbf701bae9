"""The page of the admin listener, as octroi serves it, run in a DOM against both doors: who gets in,
keys, and calls that wait for a human."""

from __future__ import annotations

import concurrent.futures
import json
import re
from urllib.parse import urlsplit

from harness.process import wait_for

from .conftest import log_in, settled

HOSTILE = "<img src=x onerror=alert(1)>"
MOVED = "anna\u202egnp.exe"  # what follows the mark is shown from right to left


def test_nothing_is_shown_before_the_token_and_a_wrong_one_is_told(make_doors, dashboard):
    doors = make_doors()
    tab = dashboard(doors.url)
    assert tab.texts("main h1") == ["Admin token"]
    assert tab.do("requests") == []  # nobody asks before there is something to ask with
    assert tab.do("count", selector="main table") == 0

    tab.log_in("wrong")
    tab.sees("The token is refused", "[role=alert]")
    assert tab.do("focus")["id"] == "token" and tab.texts("main h1") == ["Admin token"]
    tab.log_in("pass word")
    tab.sees("no blanks", "[role=alert]")

    log_in(tab, doors)
    assert tab.text("[role=alert]") == ""
    assert tab.do("focus")["id"] == "overview-title"  # who cannot see the change is taken there
    assert [one.split(" ")[0] for one in tab.texts("#nav a")] == ["Overview", "Keys", "Approvals", "Policies", "Paywall", "Audit"]
    assert tab.do("attributes", selector="#nav a[aria-current]", name="href") == ["#overview"]

    tab.press("Forget the token")
    tab.sees("forgotten", "[role=status]")
    assert tab.texts("main h1") == ["Admin token"] and tab.do("count", selector="main tr") == 0
    assert tab.do("timers") == [] and tab.do("faults") == []


def test_the_token_is_in_one_header_and_nowhere_else(make_doors, dashboard):
    doors = make_doors()
    doors.issue(name="shop")
    tab = dashboard(doors.url)
    log_in(tab, doors)
    for section in ("Keys", "Approvals", "Policies", "Paywall", "Audit", "Overview"):
        tab.go(section)
        tab.sees(section if section != "Keys" else "Vault keys", "main h1")
        settled(tab)
    state = tab.do("state")
    assert state["session"] == state["local"] == 0 and state["cookies"] == ""
    seen = tab.do("requests")
    assert len(seen) > 10
    for request in seen:
        assert doors.token not in request["url"] and request["url"].startswith(doors.url + "/"), request["url"]
        api = urlsplit(request["url"]).path.startswith("/api/v1/")
        assert request["headers"] == (["authorization"] if api else []) and request["credentials"] == "omit"
    assert doors.token not in state["url"] and doors.token not in tab.text("html")
    assert doors.token not in (doors.gateway.directory / "octroi.log").read_text()
    assert sorted(state["ids"]) == sorted(set(state["ids"]))

    # A page that is loaded again asks again, unless it was told to keep the token in its tab.
    tab.load()
    assert tab.texts("main h1") == ["Admin token"]
    log_in(tab, doors, keep=True)
    assert tab.do("state")["session"] == 1
    tab.load("#keys")
    tab.sees("shop", "#keys")
    tab.press("Forget the token")
    assert tab.do("state")["session"] == 0
    tab.load()
    assert tab.texts("main h1") == ["Admin token"] and tab.do("faults") == []


def test_a_key_that_is_revoked_opens_nothing(make_doors, dashboard):
    doors = make_doors()
    shop = doors.issue(name="shop", agent="helper", run="run-7", expires="2099-01-01T00:00:00Z")
    other = doors.issue(name="other", agent="buyer")
    assert doors.charge(shop, 700).status == 200
    tab = dashboard(doors.url, "#keys")
    tab.log_in(doors.token)
    tab.sees("2 of 2 keys", "#keys-count")
    (row,) = [r for r in tab.texts("#keys tbody tr") if "shop" in r]
    for text in ("active", "helper", "run-7", "stripe", "bot", "7 usd of 50 usd", "2099"):
        assert text in row, row

    tab.do("type", selector="#keys-filter", text="HELPER")
    assert len(tab.texts("#keys tbody tr")) == 1
    tab.sees("1 of 2 keys", "#keys-count")
    tab.do("type", selector="#keys-filter", text="")

    name = f"“shop” ({shop.id})"
    tab.press(f"Pause {name}")
    tab.sees(f"The key {name} is paused.", "[role=status]")
    assert doors.charge(shop).status == 401
    tab.wait(lambda: f"Resume {name}" in tab.do("names", selector="button"), "the way back")
    tab.press(f"Resume {name}")
    tab.sees("is active.", "[role=status]")
    assert doors.charge(shop).status == 200
    tab.wait(lambda: f"Pause {name}" in tab.do("names", selector="button"), "a key in force")

    tab.press(f"Revoke {name}")
    dialog = tab.text("dialog")
    assert name in dialog and "final" in dialog and "helper" in dialog
    tab.press("Cancel")
    assert tab.text("dialog") == "" and tab.do("focus")["name"] == f"Revoke {name}"
    assert doors.charge(shop).status == 200
    tab.press(f"Revoke {name}")
    tab.press("Revoke")
    tab.sees(f"The key {name} is revoked.", "[role=status]")
    assert doors.charge(shop).status == 401 and doors.charge(other).status == 200
    tab.wait(lambda: f"Revoke {name}" not in tab.do("names", selector="button"), "nothing to press")
    assert doors.api("GET", "vault/keys")["keys"][0]["state"] == "revoked" and tab.do("faults") == []


def test_a_call_that_waits_passes_when_its_ticket_is_approved(make_doors, dashboard):
    doors = make_doors(wait="100s")
    key = doors.issue(name="shop", agent="helper", run="run-7")
    tab = dashboard(doors.url, "#approvals")
    tab.log_in(doors.token)
    tab.sees("No tickets.", "#approvals-count")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yes, no = pool.submit(doors.charge, key, 1100, "cus_yes"), pool.submit(doors.charge, key, 1200, "cus_no")
        wait_for(lambda: len(doors.api("GET", "approvals?state=pending")["approvals"]) == 2, 60, "two tickets")
        settled(tab)
        tab.do("fire")
        tab.sees("2 waiting", "#nav")
        tab.sees("2 tickets", "#approvals-count")
        assert tab.do("state")["title"] == "(2) octroi"
        cards = {re.search(r"cus_\w+", card).group(): card for card in tab.texts("#approvals > li")}
        tickets = {t["customer"]: t for t in doors.api("GET", "approvals?state=pending")["approvals"]}
        for customer, amount in (("cus_yes", "11 usd"), ("cus_no", "12 usd")):
            for text in (tickets[customer]["id"], "charges.create", "stripe", amount, "helper", "run-7", "bot", key.id,
                         "POST /v1/charges", tickets[customer]["body_sha256"], tickets[customer]["reason"]):
                assert text in cards[customer], cards[customer]
        # The browser's zone, and UTC in the title.
        asked, expires = tab.do("attributes", selector=f"li[data-key={tickets['cus_yes']['id']}] time", name="title")
        assert asked == tickets["cus_yes"]["asked_at"].replace("T", " ").replace("Z", " UTC")
        assert expires == tickets["cus_yes"]["expires_at"].replace("T", " ").replace("Z", " UTC")

        tab.do("type", selector="#by", text="Ann")
        for customer, name, done in (("cus_yes", "Approve", "approved"), ("cus_no", "Deny", "denied")):
            ticket = tickets[customer]
            tab.press(f"{name} {ticket['id']}, charges.create at stripe: {ticket['amount']}")
            for text in (ticket["id"], ticket["amount"], customer, "helper", "run-7"):
                assert text in tab.text("dialog"), tab.text("dialog")
            tab.press(name)
            tab.sees(f"The ticket {ticket['id']} is {done}.", "[role=status]")
        assert yes.result(120).status == 200
        assert json.loads(no.result(120).body)["error"]["code"] == "approval_denied"
    assert len(doors.capture.calls) == 1 and b"cus_yes" in doors.capture.calls[0].body
    tab.sees("No tickets.", "#approvals-count")
    # What was focused went away with its ticket; the focus did not go with it.
    assert tab.do("focus")["id"] == "approvals-title"
    tab.do("type", selector="#approvals-state", text="denied")
    tab.sees("Ann", "#approvals")
    assert tab.do("faults") == []


def test_a_decision_that_comes_too_late_says_why(make_doors, dashboard):
    doors = make_doors(wait="0s")
    assert doors.charge(doors.issue(), 1500).status == 403
    (ticket,) = doors.api("GET", "approvals?state=pending")["approvals"]
    tab = dashboard(doors.url, "#approvals")
    tab.log_in(doors.token)
    tab.sees("1 ticket", "#approvals-count")
    tab.press(f"Approve {ticket['id']}, charges.create at stripe: 15 usd")
    doors.api("POST", f"approvals/{ticket['id']}/deny")
    tab.press("Approve")
    tab.sees("this ticket is denied already", "[role=alert]")
    assert tab.do("faults") == []


def test_names_are_text_and_cannot_look_like_others(make_doors, dashboard):
    doors = make_doors(wait="0s")
    key = doors.issue(name=HOSTILE, agent=MOVED, run=HOSTILE)
    assert doors.charge(key, 500).status == 200
    assert doors.charge(key, 1500, "%3Cscript%3Ealert(1)%3C/script%3E").status == 403
    tab = dashboard(doors.url)
    log_in(tab, doors)
    for section, place in (("Keys", "#keys"), ("Approvals", "#approvals"), ("Audit", "#audit")):
        tab.go(section)
        tab.sees(HOSTILE, place)
        tab.sees(r"anna\u{202e}gnp.exe", place)
        assert "\u202e" not in tab.text(place)
        for element in ("img", "script"):
            assert tab.do("count", selector=f"body {element}") == 0
    tab.go("Keys")
    tab.press(f"Revoke “{HOSTILE}” ({key.id})")
    assert HOSTILE in tab.text("#confirm-title") and tab.do("count", selector="img") == 0
    tab.press("Cancel")
    tab.go("Approvals")
    tab.sees("<script>alert(1)</script>", "#approvals")
    assert tab.do("faults") == []


def test_who_reads_is_not_disturbed(make_doors, dashboard):
    doors = make_doors()
    one, two = doors.issue(name="one"), doors.issue(name="two")
    tab = dashboard(doors.url, "#keys")
    tab.log_in(doors.token)
    tab.sees("2 of 2 keys", "#keys-count")
    settled(tab)
    tab.do("focusOn", name=f"Pause “one” ({one.id})")
    doors.api("POST", f"vault/keys/{two.id}/pause")
    doors.issue(name="three")
    tab.do("fire")
    tab.sees("3 of 3 keys", "#keys-count")
    tab.sees("paused", "#keys")
    assert tab.do("focus")["name"] == f"Pause “one” ({one.id})"
    settled(tab)
    doors.api("POST", f"vault/keys/{one.id}/pause")  # the very row that has the focus
    tab.do("fire")
    tab.wait(lambda: tab.do("focus")["name"] == f"Resume “one” ({one.id})", "the focus on the same place")
    assert tab.do("faults") == []
