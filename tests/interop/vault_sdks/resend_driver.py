"""resend-python."""

import resend
from loop import serve


def make(how):
    if "key" in how:
        resend.api_key = how["key"]
    if "base" in how:
        resend.api_url = how["base"]


def send(_, mail):
    options = {"idempotency_key": mail.pop("again")} if "again" in mail else None
    return resend.Emails.send(mail, options)["id"]


serve(make, {"make": send}, lambda e: int(e.code) if str(getattr(e, "code", "")).isdigit() else None)
