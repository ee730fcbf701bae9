"""`octroi policy check | show | explain`: what policies say, and what they make of a request."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest

from harness.process import environment

CONFIG = """
store: sqlite://{folder}/octroi.db
vault:
  listen: 127.0.0.1:18403
  vendors:
    stripe: {{ upstream: "https://api.stripe.com", credential: env://STRIPE_KEY }}
  rates: {{ as_of: 2026-11-21T00:00:00Z, max_age: 30d, haircut: 0, usd: {{ EUR: 1.1 usd }} }}
  policies:
    bot:
      vendor: stripe
      endpoints: [charges.create, "GET /v1/charges/**"]
      daily_cap: 45 usd
      max_amount: 50 usd
      approve_over: 40 usd
      customers: [cus_123]
      expires: 2026-12-31T00:00:00Z
"""
AT = "2026-11-22T12:00:00Z"


@pytest.fixture
def octroi(octroi_binary, tmp_path):
    config = tmp_path / "octroi.yaml"
    config.write_text(CONFIG.format(folder=tmp_path))

    def run(*words: str, status: int = 0, stdin: str | None = None) -> dict:
        command = [str(octroi_binary), "--config", str(config), "--json", "policy", *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60,
                              env=environment() | {"STRIPE_KEY": "sk_test_x"})
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout or done.stderr)

    return run


def test_check_and_show_have_one_text(octroi):
    found = octroi("check")["policies"]
    assert [p["name"] for p in found] == ["bot"]
    assert found[0]["advice"] == []
    text = json.dumps(octroi("show", "bot"), separators=(",", ":"), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest() == found[0]["hash"]
    again = octroi("check", "other", "--file", "-", stdin=text)["policies"][0]
    assert again["hash"] == found[0]["hash"], "the text of a policy is a policy"


def test_check_names_the_field_and_the_fix(octroi):
    refused = octroi("check", "--file", "-", stdin='{"vendor":"stripe","daily_cap":5}', status=2)
    assert refused["error"]["code"] == "policy.bad_policy"
    assert refused["error"]["message"].startswith("daily_cap: write an amount in dollars")
    open_door = octroi("check", "--file", "-", stdin='{"vendor":"stripe"}')["policies"][0]
    assert "nothing is allowed" in open_door["advice"][0]


@pytest.mark.parametrize(("name", "data", "reason", "status"), [
    ("at the threshold", "amount=4000&currency=usd&customer=cus_123", "none", 0),
    ("over it", "amount=4001&currency=usd&customer=cus_123", "needs_approval", 8),
    ("at the cap", "amount=4500&currency=usd&customer=cus_123", "needs_approval", 8),
    ("one cent over it", "amount=4501&currency=usd&customer=cus_123", "cap_exceeded", 7),
    ("in euros", "amount=3636&currency=eur&customer=cus_123", "none", 0),
    ("a cent more", "amount=3637&currency=eur&customer=cus_123", "needs_approval", 8),
    ("no rate", "amount=1&currency=gbp&customer=cus_123", "currency_refused", 7),
    ("one cent over the most", "amount=5001&currency=usd&customer=cus_123", "amount_over_max", 7),
    ("another customer", "amount=1&currency=usd&customer=cus_1234", "customer_denied", 7),
    ("no customer", "amount=1&currency=usd&source=tok_visa", "customer_unknown", 7),
])
def test_explain_judges_as_the_door_would(octroi, name, data, reason, status):
    said = octroi("explain", "bot", "POST /v1/charges", "--data", data, "--at", AT, status=status)
    assert said["reason"] == reason, name
    assert said["operation"] == "charges.create"
    assert all(check["detail"] for check in said["checks"])


def test_explain_refuses_what_two_readers_could_read_differently(octroi):
    refused = octroi("explain", "bot", "POST /v1/charges", "--data", "amount=1&amount=2", status=2)
    assert refused["error"]["code"] == "vault.ambiguous"


def test_explain_of_other_operations_and_times(octroi):
    assert octroi("explain", "bot", "POST /v1/refunds", "--data", "charge=ch_1", "--at", AT,
                  status=7)["reason"] == "operation_denied"
    assert octroi("explain", "bot", "GET /v1/charges?customer=cus_123", "--at", AT)["verdict"] == "allow"
    # Whose charge it is only Stripe knows.
    assert octroi("explain", "bot", "GET /v1/charges/ch_1", "--at", AT,
                  status=7)["reason"] == "customer_unknown"
    assert octroi("explain", "bot", "GET /v1/charges", "--at", "2026-12-31T00:00:00Z",
                  status=7)["reason"] == "policy_expired"
    assert "no policy" in octroi("explain", "nobody", "GET /v1/charges", status=1)["error"]["message"]


def test_explain_says_what_it_does_not_know(octroi, tmp_path):
    """Another process has the store, and it is no server that could be asked."""
    charge = ("explain", "bot", "POST /v1/charges", "--data", "amount=100&currency=usd&customer=cus_123", "--at", AT)
    assert octroi(*charge)["unused"] is False, "no store yet: nothing is spent"
    assert not (tmp_path / "octroi.db").exists(), "and none is made to say so"
    assert octroi(*charge, "--unused")["unused"] is True
    (tmp_path / "octroi.db").write_text("no database")
    assert "--unused" in octroi(*charge, status=1)["error"]["message"]
    policy = {"vendor": "stripe", "endpoints": ["refunds.create"], "unknown_amount": "lookup", "max_amount": "5 usd"}
    asked = octroi("explain", "bot", "POST /v1/refunds", "--data", "charge=ch_1", "--at", AT, "--unused", "--file", "-",
                   stdin=json.dumps(policy), status=9)
    assert asked["verdict"] == "lookup", "nobody knows before the vendor was asked"


def test_check_names_a_vendor_that_is_not_there_and_a_policy_that_is_over(octroi):
    refused = octroi("check", "--file", "-", stdin='{"vendor":"strip","endpoints":["*"]}', status=2)
    assert '"strip" is not one of vault.vendors, which are stripe' in refused["error"]["message"]
    over = '{"vendor":"stripe","endpoints":["*"],"expires":"2020-12-31T00:00:00Z"}'
    advice = octroi("check", "--file", "-", stdin=over)["policies"][0]["advice"]
    assert any("nothing is allowed" in line for line in advice)


def test_check_knows_the_operations_of_vendors(octroi, octroi_binary, tmp_path):
    """A mistyped name in `approve` would let pass what somebody is to look at."""
    for key, name in (("endpoints", "charges.craete"), ("approve", "refunds.creat")):
        policy = {"vendor": "stripe", "endpoints": ["charges.create"], key: [name]}
        told = octroi("check", "--file", "-", stdin=json.dumps(policy), status=2)["error"]["message"]
        assert f"{key}: {name} is no operation of stripe" in told
    config = tmp_path / "octroi.yaml"
    config.write_text(config.read_text().replace("daily_cap: 45 usd", "approve: [charges.craete]"))
    for words in (["check", "--no-secrets"], ["policy", "check"], ["serve"]):
        done = subprocess.run([str(octroi_binary), "--config", str(config), *words], capture_output=True, text=True, timeout=60,
                              env=environment(STRIPE_KEY="rk_test_0123456789abcdef"))
        assert done.returncode in (1, 2) and "approve: charges.craete is no operation of stripe" in done.stderr, (words, done)
