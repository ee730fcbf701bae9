"""`octroi check` names every mistake with its line and what to do (acceptance point 8)."""

from __future__ import annotations

import re

import pytest

from harness import octroi
from harness.process import ROOT

FIVE_MISTAKES = """\
listen: 127.0.0.1:8402
store: sqlite:///tmp/octroi-check/octroi.db
lightning:
  backend: simm
  sim: { file: /tmp/octroi-check/sim.db }
paywall:
  realm: api.example.com
  challenge_ttl: 15 parsecs
  services:
    - name: weather
      match: { path: "^/v1/(" }
      upstream: http://127.0.0.1:9000
      price: 10 sats
      shemes: [l402]
"""
LINES = {4: "sim", 8: "challenge_ttl", 11: "path", 13: "price", 14: "schemes"}


@pytest.fixture
def check(octroi_binary, workdir):
    def run(text: str, *words: str):
        file = workdir / "octroi.yaml"
        file.write_text(text)
        done = octroi.run(octroi_binary, "--config", file, "check", *words)
        return done.returncode, done.stdout + done.stderr

    return run


def test_five_mistakes(check):
    status, output = check(FIVE_MISTAKES)
    assert status == 2
    for line, word in LINES.items():
        named = [text for text in output.splitlines() if re.search(rf"octroi\.yaml:{line}:\d+", text)]
        assert named, f"line {line} is not named:\n{output}"
    for word in LINES.values():
        assert word in output, word


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("price: 10 sat", "price: 10 sat\n      price: 0 sat"), "price"),
        (("auth: on", "auth: onn"), "auth"),
        (("environment: development", "environment: production"), "sim"),
        (("secret: {}", "secret: env://OCTROI_TEST_NOT_SET"), "OCTROI_TEST_NOT_SET"),
        (("secret: {}", "secret: vault://mount/path#field"), "vault"),
        (("realm: api.example.com", "realm: a|b"), "realm"),
        (("listen: 127.0.0.1:8402", "listen: 0.0.0.0:8402"), "tls"),
        (("price: 10 sat", "price: 0.05 usd"), "rate"),
        (("price: 10 sat", "price: -1 sat"), "price"),
        (("schemes: [payment]", "schemes: [paiment]"), "payment"),
        (("schemes: [payment]", "schemes: []"), "schemes"),
    ],
    ids=lambda value: str(value[-1] if isinstance(value, tuple) else value)[:40],
)
def test_no_typo_makes_a_free_service(check, workdir, change, word):
    """Each single mistake is an error, whatever else is right."""
    good = (
        "environment: development\nlisten: 127.0.0.1:8402\n"
        f"store: sqlite://{workdir}/octroi.db\n"
        f"lightning: {{ backend: sim, sim: {{ file: {workdir}/sim.db }} }}\n"
        "paywall:\n  realm: api.example.com\n  secret: {}\n  services:\n"
        '    - name: api\n      match: { path: "^/v1/" }\n      upstream: http://127.0.0.1:9000\n'
        "      auth: on\n      price: 10 sat\n      schemes: [payment]\n"
    )
    right = good.replace("  secret: {}\n", "")
    status, output = check(right)
    assert status == 0, output
    old, new = change
    status, output = check((good if "secret" in old else right).replace(old, new))
    assert status == 2, output
    assert word in output


@pytest.mark.parametrize("content", ["", "   \n", "short"], ids=["empty", "blank", "short"])
def test_a_bad_key_file_stops_the_start_and_is_left_alone(octroi_binary, check, workdir, content):
    key = workdir / "mpp.key"
    key.write_text(content)
    status, output = check(
        f"listen: 127.0.0.1:8402\nstore: sqlite://{workdir}/octroi.db\n"
        f"lightning: {{ backend: sim, sim: {{ file: {workdir}/sim.db }} }}\n"
        f"paywall:\n  realm: localhost\n  secret: file://{key}\n  services:\n"
        '    - { name: api, match: { path: "^/" }, upstream: "http://127.0.0.1:9000", price: 1 sat, schemes: [payment] }\n'
    )
    assert status == 2, output
    assert "mpp.key" in output or "secret" in output
    assert key.read_text() == content


def test_the_example_is_good(octroi_binary, workdir):
    example = ROOT / "examples" / "octroi.yaml"
    done = octroi.run(octroi_binary, "--config", example, "check", cwd=workdir)
    assert done.returncode == 0, done.stdout + done.stderr
