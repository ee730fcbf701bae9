"""`octroi run` with Python's SDKs of other vendors: nothing is configured in them, and they find the
vault by what the environment says, or by the proxy."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import Any, Iterator

import pytest

from harness.llm import Models
from harness.vault import Reply

from .test_run import run
from .test_sdks import ANSWERS, POLICIES, REAL

PROGRAMS = {
    # No base URL anywhere: by the proxy, with the account's name in the path exchanged.
    "twilio": """
        import os, twilio.rest, twilio.base.exceptions
        client = twilio.rest.Client()
        def go(good):
            return client.messages.create(to="+15551234567" if good else "+447700900123", from_="+15550001111", body="x").sid
        refusal = twilio.base.exceptions.TwilioRestException
    """,
    "resend": """
        import os, resend, resend.exceptions
        def go(good):
            to = "a@customer.example" if good else "a@elsewhere.example"
            return resend.Emails.send({"from": "x@example.com", "to": [to], "subject": "s", "text": "t"})["id"]
        refusal = resend.exceptions.ResendError
    """,
    "openai": """
        import openai
        client = openai.OpenAI()
        def go(good):
            return client.chat.completions.create(model="gpt-4o-mini", max_tokens=100 if good else 50000,
                                                  messages=[{"role": "user", "content": "hi"}]).id
        refusal = openai.PermissionDeniedError
    """,
    "anthropic": """
        import anthropic
        client = anthropic.Anthropic()
        def go(good):
            return client.messages.create(model="claude-sonnet-4-5", max_tokens=100 if good else 5000,
                                          messages=[{"role": "user", "content": "hi"}]).id
        refusal = anthropic.PermissionDeniedError
    """,
}
END = """
import json
told = [go(True)]
try:
    told.append(go(False))
except refusal as e:
    told.append("refused")
print(json.dumps(told))
"""


@pytest.fixture
def models() -> Iterator[Models]:
    mock = Models()
    yield mock
    mock.stop()


@pytest.mark.parametrize("vendor", list(PROGRAMS))
def test_python(make_vault, capture, models, vendor):
    upstream: Any = models if vendor in ("openai", "anthropic") else capture
    if vendor in ANSWERS:
        capture.reply = lambda call: Reply(201 if vendor == "twilio" else 200, body=json.dumps(ANSWERS[vendor]).encode())
    vault = make_vault({vendor: (upstream, REAL[vendor], {})}, {"bot": {"vendor": vendor, **POLICIES[vendor]}}).start()
    key = vault.issue(vendor, "bot", test=False)
    done = run(vault, key, sys.executable, "-c", textwrap.dedent(PROGRAMS[vendor]) + END)
    assert done.returncode == 0, done.stderr
    made, refused = json.loads(done.stdout)
    assert made and refused == "refused"
    assert len(upstream.calls) == 1
    assert key.text not in str(upstream.calls[0])
