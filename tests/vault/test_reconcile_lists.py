"""`octroi vault reconcile` by what vendors show: Resend's list of mails, page by page, and vendors who
show an ordinary key no list at all."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from harness.process import wait_for
from harness.vault import Reply, Vault

JSON = {"Content-Type": "application/json"}


class Mails:
    """Resend's side: takes mails, answers or not, and lists what it took, newest first."""

    def __init__(self, capture: Any) -> None:
        self.capture = capture
        self.taken: list[dict[str, Any]] = []
        self.answers = True
        self.may_list = True
        self.wrong: set[int] = set()  # of a batch that may be taken in part
        capture.reply = self.reply

    def add(self, age: timedelta = timedelta(), **mail: Any) -> dict[str, Any]:
        made = {"id": f"4ef9a417-{len(self.taken):04}", "cc": None, "bcc": None, "last_event": "delivered", **mail,
                "created_at": (datetime.now(timezone.utc) - age).isoformat()}
        self.taken.append(made)
        return made

    @staticmethod
    def written(mail: dict[str, Any]) -> dict[str, Any]:
        """With the subject of its template, where it has one."""
        template = mail.pop("template", None)
        return {"subject": f"by {template['id']}", **mail} if template else mail

    def reply(self, call: Any) -> Reply:
        if call.method == "POST" and call.target == "/emails/batch":
            sent = json.loads(call.body)
            made = [self.add(**self.written(mail)) for n, mail in enumerate(sent) if n not in self.wrong]
            errors = [{"index": n, "message": "Invalid `to` field."} for n in range(len(sent)) if n in self.wrong]
            answer = {"data": [{"id": mail["id"]} for mail in made], **({"errors": errors} if errors else {})}
            return Reply(body=json.dumps(answer).encode()) if self.answers else Reply(drop=True)
        if call.method == "POST":
            made = self.add(**self.written(json.loads(call.body)))
            return Reply(body=json.dumps({"id": made["id"]}).encode()) if self.answers else Reply(drop=True)
        if not self.may_list:
            return Reply(status=401, body=b'{"statusCode":401,"name":"restricted_api_key","message":"only to send"}')
        query = parse_qs(urlsplit(call.target).query)
        shown = sorted(self.taken, key=lambda mail: mail["created_at"], reverse=True)
        if "after" in query:
            shown = shown[[mail["id"] for mail in shown].index(query["after"][0]) + 1:]
        page = shown[:int(query["limit"][0])]
        return Reply(body=json.dumps({"object": "list", "has_more": len(page) < len(shown), "data": page}).encode())

    @property
    def lists(self) -> list[str]:
        return [c.target for c in self.capture.calls if c.method == "GET"]


@pytest.fixture
def mails(capture) -> Mails:
    return Mails(capture)


@pytest.fixture
def vault(make_vault, capture, mails) -> Vault:
    return make_vault(
        {"resend": (capture, "re_TheRealKey0123456789", {})},
        {"mail": {"vendor": "resend", "endpoints": ["emails.*"], "daily_cap": "1 usd"}},
    ).start()


def outcomes(vault: Vault, count: int) -> None:
    """Answers are passed on before what became of their calls is written."""
    wait_for(lambda: len(vault.audit_rows("--kind", "call.outcome")) >= count, 20, f"{count} outcomes")


def send(vault: Vault, key: Any, subject: str = "hello", to: Any = ("ann@example.com",)) -> Any:
    body = json.dumps({"from": "Bot <bot@example.com>", "to": list(to), "subject": subject, "text": "hi"})
    before = len(vault.audit_rows("--kind", "call.outcome"))
    answer = vault.request("/resend/emails", key, "POST", JSON, body)
    outcomes(vault, before + 1)
    return answer


def report(vault: Vault, *words: str, ok: bool = True) -> dict[str, Any]:
    done = vault.command("vault", "reconcile", *words, ok=ok)
    if not ok:
        assert done.returncode == 1, done.stderr
        done = json.loads(done.stdout)
    (one,) = done["vendors"]
    return one


def test_a_mail_whose_answer_was_lost_is_found_in_the_list(vault, mails):
    key = vault.issue("resend", "mail", test=False)
    mails.answers = False
    assert send(vault, key, "lost", ["Ann <Ann@example.com>", "bob@example.com"]).status == 502
    mails.answers = True
    assert send(vault, key, "kept").status == 200
    mails.add(**{"from": "x@example.com", "to": ["c@example.com"], "subject": "of somebody else"})
    found = report(vault)
    (call,) = found["calls"]
    assert (call["action"], call["object"], call["vendor_amount"]) == ("settled", mails.taken[0]["id"], "0.0018 usd")
    assert (found["ledger"], found["held"], found["others"], found["complete"]) == ("0.0027 usd", "0 usd", 1, True)
    assert mails.lists == ["/emails?limit=100"]
    assert report(vault)["calls"] == []  # once


def test_pages_are_read_back_to_what_is_looked_for_and_no_further(vault, mails):
    key = vault.issue("resend", "mail", test=False)
    for n in range(250):  # older than anything that is looked for
        mails.add(timedelta(days=40, minutes=n), **{"from": "x@example.com", "to": ["c@example.com"], "subject": f"old {n}"})
    mails.answers = False
    assert send(vault, key, "lost").status == 502
    mails.answers = True
    for n in range(120):  # newer: the one that was lost stands on the second page
        mails.add(timedelta(seconds=-n), **{"from": "x@example.com", "to": ["c@example.com"], "subject": f"new {n}"})
    (call,) = report(vault)["calls"]
    assert call["action"] == "settled"
    assert len(mails.lists) == 2 and "&after=4ef9a417-" in mails.lists[1]


def test_a_mail_that_is_not_there_is_released_only_by_a_list_that_covers_it(vault, mails, capture):
    key = vault.issue("resend", "mail", test=False)
    capture.reply = lambda call: Reply(drop=True)
    assert send(vault, key, "never").status == 502
    capture.reply = mails.reply
    mails.may_list = False  # a key that may only send
    kept = report(vault, "--grace", "0s", ok=False)
    assert kept["complete"] is False and "401" in kept["error"]
    assert [c["action"] for c in kept["calls"]] == ["kept"]
    mails.may_list = True
    broken = mails.add(**{"from": "x@example.com", "to": ["c@example.com"], "subject": "s"})
    broken["created_at"] = "soon"
    assert [c["action"] for c in report(vault, "--grace", "0s", ok=False)["calls"]] == ["kept"]
    mails.taken.clear()
    assert [c["action"] for c in report(vault, "--grace", "0s")["calls"]] == ["released"]


def send_batch(vault: Vault, key: Any, mails: list[dict[str, Any]], **headers: str) -> Any:
    before = len(vault.audit_rows("--kind", "call.outcome"))
    body = json.dumps([{"from": "Bot <bot@example.com>", "text": "hi", **mail} for mail in mails])
    answer = vault.request("/resend/emails/batch", key, "POST", {**JSON, **headers}, body)
    outcomes(vault, before + 1)
    return answer


def test_each_mail_of_a_batch_is_found_in_the_list(vault, mails):
    key = vault.issue("resend", "mail", test=False)
    batch = [{"to": [f"p{n}@example.com"], "subject": f"to {n}"} for n in range(99)] + [{"to": ["a@b.example", "c@d.example"], "subject": "two"}]
    mails.answers = False
    assert send_batch(vault, key, batch).status == 502
    mails.answers = True
    assert send_batch(vault, key, batch[:2]).status == 200
    found = report(vault)
    (call,) = found["calls"]
    assert (call["action"], call["vendor_amount"]) == ("settled", "0.0909 usd")
    assert (found["ledger"], found["held"], found["others"], found["complete"]) == ("0.0927 usd", "0 usd", 0, True)
    assert report(vault)["calls"] == []  # and found again
    # One that Resend deleted, or never took: only what an answer said is left for a human.
    del mails.taken[-1]
    (call,) = report(vault, "--grace", "0s")["calls"]
    assert (call["action"], call["note"]) == ("missing", "the vendor shows 1 of 2")


def test_a_batch_that_was_taken_in_part_waits_for_the_list(vault, mails):
    key = vault.issue("resend", "mail", test=False)
    mails.wrong = {1}
    batch = [{"to": [f"p{n}@example.com"], "subject": f"to {n}"} for n in range(3)]
    assert send_batch(vault, key, batch, **{"X-Batch-Validation": "permissive"}).status == 200
    held = report(vault)
    assert held["held"] == "0.0027 usd"
    assert [(c["action"], c["note"]) for c in held["calls"]] == [("kept", "the vendor shows 2 of 3")]
    (call,) = report(vault, "--grace", "0s")["calls"]
    assert (call["action"], call["vendor_amount"]) == ("settled", "0.0018 usd")
    assert report(vault, "--grace", "0s")["calls"] == []


def test_a_mail_that_a_template_writes_is_found_in_the_list(vault, mails):
    key = vault.issue("resend", "mail", test=False)
    mails.answers = False
    body = json.dumps({"from": "bot@example.com", "to": ["ann@example.com"], "template": {"id": "welcome", "variables": {"n": 1}}})
    assert vault.request("/resend/emails", key, "POST", JSON, body).status == 502
    assert send(vault, key, "with a subject").status == 502
    found = report(vault)
    assert {(c["action"], c["object"]) for c in found["calls"]} == {("settled", mail["id"]) for mail in mails.taken}
    assert len(found["calls"]) == 2 and found["others"] == 0


# --- vendors without a list


@pytest.mark.parametrize(("name", "real", "word"), [
    ("openai", "sk-TheRealKeyOfTheAccount0123456789", "OpenAI shows"),
    ("anthropic", "sk-ant-api03-TheRealKeyOfTheAccount0123456789", "Anthropic shows"),
    ("aws", "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS shows"),
], ids=["openai", "anthropic", "aws"])
def test_a_vendor_without_a_list_says_so(make_vault, capture, name, real, word):
    vault = make_vault({name: (capture, real, {})}, {"bot": {"vendor": name, "endpoints": ["*"]}}).start()
    found = report(vault)  # nothing is open: done
    assert found["unlisted"].startswith(word) and "list of its calls" in found["unlisted"]
    assert found["complete"] is True and "error" not in found
    assert not capture.calls
    if name != "openai":
        return
    key = vault.issue(name, "bot", "--shape", "vendor", test=False)
    capture.reply = lambda call: Reply(drop=True)
    body = json.dumps({"model": "gpt-4o-mini", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]})
    assert vault.request("/openai/v1/chat/completions", key, "POST", JSON, body).status == 502
    outcomes(vault, 1)
    found = report(vault, ok=False)  # a call is open, and nobody can say what became of it
    assert found["complete"] is False
    assert [(c["action"], c["note"]) for c in found["calls"]] == [("kept", "the vendor has no list that would show it")]
    assert {c.method for c in capture.calls} == {"POST"}


# --- tickets that are over


def test_tickets_go_after_their_retention_and_what_they_let_pass_stays(stripe_vault, capture):
    vault = stripe_vault(approve_over="10 usd", daily_cap=None, lifetime_cap="100 usd")
    key = vault.issue("stripe", "bot")

    def charge(cents: int, **headers: str) -> Any:
        return vault.request("/stripe/v1/charges", key, "POST",
                             {"Content-Type": "application/x-www-form-urlencoded", **headers},
                             f"amount={cents}&currency=usd&customer=cus_1")

    def ticket(cents: int) -> str:
        refused = charge(cents)
        assert refused.status == 403
        return next(value for name, value in refused.headers if name.lower() == "x-octroi-approval")

    used, denied, pending = ticket(1100), ticket(1200), ticket(1300)
    vault.command("approval", "approve", used)
    vault.command("approval", "deny", denied)
    assert charge(1100).status == 200
    rows = len(vault.audit_rows("--kind", "approval.approved"))

    def usage() -> dict[str, Any]:
        return {**vault.command("policy", "usage", "bot"), "at": None}

    outcomes(vault, 4)  # three that were asked about, and one that passed
    before = usage()
    assert "11 usd" in json.dumps(before)
    vault.stop()
    with sqlite3.connect(vault.directory / "octroi.db") as db:
        month = 30 * 86_400_000
        db.execute("UPDATE approvals SET asked_at = asked_at - ?1, expires_at = expires_at - ?1,"
                   " decided_at = decided_at - ?1, used_at = used_at - ?1", (month,))
    db.close()
    vault.config["retention"] = {"approvals": "29d"}
    vault.write()
    assert vault.command("store", "prune")["approvals"] == 2
    assert vault.command("store", "prune")["approvals"] == 0
    with sqlite3.connect(vault.directory / "octroi.db") as db:
        assert db.execute("SELECT id, state FROM approvals").fetchall() == [(pending, "pending")]
    db.close()
    assert len(vault.audit_rows("--kind", "approval.approved")) == rows == 1
    vault.start()
    assert usage() == before
