"""Ten SDKs and boto3, none of them changed, with vault keys before mocks that others made of the
vendors' APIs, in every way to the vault that the SDK can take: allowed, denied, revoked, retried."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import urlencode

import pytest

from harness.leaks import Leaks
from harness.llm import Models
from harness.process import ROOT, run_dir, wait_for
from harness.vault import REAL_STRIPE_KEY, Call, Key, LocalStripe, Reply, Vault, noon
from harness.vendors import Before, Driver, prism, resend_local, stripe_mock
from harness.web import request

ACCOUNT = "AC0123456789abcdef0123456789abcdef"
CARD = {"object": "card", "number": "4242424242424242", "exp_month": "12", "exp_year": "2099", "cvc": "123"}
MAIL = {"from": "Us <us@example.com>", "subject": "s", "html": "h"}
ERROR = (("Content-Type", "application/json"),)


@dataclass(frozen=True)
class Vendor:
    """What a vendor's SDKs are told to do: within the policy, and not."""

    real: str
    host: str
    policy: dict[str, Any]
    good: dict[str, Any]
    bad: dict[str, Any]
    reason: str  # why `bad` is refused
    fault: Reply  # what the vendor answers once
    faulted: str  # what the audit calls that: "unknown" stays held, "failed" does not
    tells: int = 0  # the status that an SDK tells its program which tries nothing again
    again: dict[str, Any] = field(default_factory=dict)  # what makes a call and its repetition one
    calls: int = 2  # that the cap must have room for
    below: str = ""  # path that the SDK wants in a base URL
    mocks: tuple[str, ...] = ("",)
    more: dict[str, Any] = field(default_factory=dict)


VENDORS = {
    "stripe": Vendor(
        REAL_STRIPE_KEY, "api.stripe.com",
        {"endpoints": ["charges.create"], "max_amount": "20 usd"},
        {"amount": 2000, "currency": "usd"}, {"amount": 2001, "currency": "usd"}, "amount_over_max",
        Reply(drop=True), "unknown", mocks=("localstripe", "stripe-mock"),
    ),
    "twilio": Vendor(
        f"{ACCOUNT}:00112233445566778899aabbccddeeff", "api.twilio.com",
        {"endpoints": ["messages.*"], "countries": ["US"]},
        {"to": "+15551234567", "body": "hello"}, {"to": "+447700900123", "body": "hello"}, "country_denied",
        Reply(429, ERROR, b'{"code":20429,"message":"too many","status":429}'), "failed", 429, mocks=("prism",),
    ),
    "resend": Vendor(
        "re_TheRealKey0123456789", "api.resend.com",
        {"endpoints": ["emails.*"], "recipients": ["*@customer.example"]},
        {**MAIL, "to": ["a@customer.example"]}, {**MAIL, "to": ["a@elsewhere.example"]}, "recipient_denied",
        Reply(drop=True), "unknown", 502, {"again": "one-mail"}, mocks=("resend-local",),
    ),
    "openai": Vendor(
        "sk-proj-TheRealKeyThatNoAgentMayEverSee0123456789", "api.openai.com",
        {"endpoints": ["chat.completions.create"], "max_amount": "0.01 usd"},
        {"tokens": 100}, {"tokens": 5000}, "amount_over_max",
        Reply(503, ERROR, b'{"error":{"message":"busy","type":"server_error"}}'), "failed", below="/v1", mocks=("models",),
    ),
    "anthropic": Vendor(
        "sk-ant-api03-TheRealKeyThatNoAgentMayEverSee0123456789", "api.anthropic.com",
        {"endpoints": ["messages.create"], "max_amount": "0.01 usd"},
        {"tokens": 100}, {"tokens": 5000}, "amount_over_max",
        Reply(529, ERROR, b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'), "failed", mocks=("models",),
    ),
    "aws": Vendor(
        "AKIAREALREALREALREAL:TheRealSecretThatNoAgentMaySee0123456789", "s3.eu-west-1.amazonaws.com",
        {"endpoints": ["s3.PutObject"], "fields": [{"field": "bucket", "one_of": ["mine"]}]},
        {"bucket": "mine"}, {"bucket": "other"}, "field_denied",
        Reply(503, (("Content-Type", "application/xml"),), b"<Error><Code>SlowDown</Code><Message>busy</Message></Error>"),
        "unknown", calls=3, mocks=("moto",), more={"hosts": ["s3.eu-west-1.amazonaws.com"]},
    ),
}


@dataclass(frozen=True)
class Sdk:
    """Under `ways` are those that the SDK can take; how it calls a refusal and a revoked key; whether
    it tries again by itself what may be tried again."""

    name: str
    vendor: str
    language: str
    ways: tuple[str, ...]
    denied: str
    revoked: str
    retries: bool = True

    @property
    def driver(self) -> str:
        return "boto3" if self.vendor == "aws" else self.vendor


ALL = ("path", "host", "key", "proxy", "run")
# Their base URL is nowhere in the environment, so that `octroi run` is the proxy.
NO_BASE = ("path", "host", "key", "proxy")

SDKS = [
    Sdk("stripe-python", "stripe", "python", NO_BASE, "PermissionError", "AuthenticationError"),
    # Takes a host, and no path.
    Sdk("stripe-node", "stripe", "node", ("host", "key", "proxy"), "StripePermissionError", "StripeAuthenticationError"),
    Sdk("twilio-python", "twilio", "python", NO_BASE, "TwilioRestException", "TwilioRestException", retries=False),
    Sdk("twilio-node", "twilio", "node", NO_BASE, "RestException", "RestException"),
    Sdk("resend-python", "resend", "python", ALL, "ResendError", "ResendError", retries=False),
    Sdk("resend-node", "resend", "node", ALL, "ResendError", "ResendError", retries=False),
    Sdk("openai-python", "openai", "python", ALL, "PermissionDeniedError", "AuthenticationError"),
    Sdk("openai-node", "openai", "node", ALL, "PermissionDeniedError", "AuthenticationError"),
    Sdk("anthropic-python", "anthropic", "python", ALL, "PermissionDeniedError", "AuthenticationError"),
    Sdk("anthropic-node", "anthropic", "node", ALL, "PermissionDeniedError", "AuthenticationError"),
    Sdk("boto3", "aws", "python", NO_BASE, "AccessDenied", "ClientError"),
]


@dataclass(frozen=True)
class Field:
    """A field of a policy: what Stripe's SDKs are told, for each the word of the audit."""

    policy: Callable[[str], dict[str, Any]]  # of a customer
    asks: list[tuple[str, dict[str, Any], str]]


FIELDS = {
    "daily-cap": Field(
        lambda who: {"daily_cap": "30 usd", "time_zone": noon()},
        [("make", {"amount": 2000}, "allowed"), ("make", {"amount": 1001}, "cap_exceeded"),
         ("make", {"amount": 1000}, "allowed"), ("make", {"amount": 50}, "cap_exceeded")],
    ),
    "max-amount": Field(
        lambda who: {"max_amount": "20 usd"},
        [("make", {"amount": 2000}, "allowed"), ("make", {"amount": 2001}, "amount_over_max")],
    ),
    "customers": Field(
        lambda who: {"customers": [who]},
        [("make", {"amount": 100}, "allowed"), ("make", {"amount": 100, "customer": "{customer}1"}, "customer_denied")],
    ),
    "endpoints": Field(
        lambda who: {}, [("make", {"amount": 100}, "allowed"), ("read", {}, "operation_denied")],
    ),
}


class World:
    """One vault before all vendors, and what stands behind it, each started by the first who asks."""

    def __init__(self, binary: Path, directory: Path, leaks: Leaks) -> None:
        self.directory = directory
        self.before = {name: Before() for name in VENDORS}
        self._mocks: dict[str, Any] = {}
        self._drivers: dict[str, Driver] = {}
        self._customer = ""
        self.vault = Vault(binary, directory / "vault", leaks, {}, {})
        section = self.vault.config["vault"]
        for name, v in VENDORS.items():
            section["vendors"][name] = {
                "upstream": f"http://127.0.0.1:{self.before[name].port}", "credential": self.vault.secret(name, v.real), **v.more}
            section["policies"][name] = {"vendor": name, "caps": [{"per": "lifetime", "calls": v.calls, "by": "key"}], **v.policy}
        self.vault.start()

    def mock(self, name: str) -> int:
        if name not in self._mocks:
            self._mocks[name] = self._start(name, self.directory / name)
        one = self._mocks[name]
        return int(one.get_host_and_port()[1] if name == "moto" else one.port)

    def _start(self, name: str, directory: Path) -> Any:
        if name == "localstripe":
            return LocalStripe(directory)
        if name == "models":
            return Models()
        if name == "moto":
            from moto.server import ThreadedMotoServer  # slow to load

            cloud = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
            cloud.start()
            port = cloud.get_host_and_port()[1]
            credential = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKIAREALREALREALREAL/20261121/eu-west-1/s3/aws4_request"}
            place = "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>"
            assert request(f"http://127.0.0.1:{port}/mine", "PUT", credential, place).status == 200
            return cloud
        return {"stripe-mock": stripe_mock, "prism": prism, "resend-local": resend_local}[name](directory)

    def customer(self) -> str:
        """Somebody with a card, made past the vault."""
        if not self._customer:
            form = urlencode({"email": "a@example.com", **{f"source[{k}]": v for k, v in CARD.items()}})
            headers = {"Authorization": f"Bearer {REAL_STRIPE_KEY}", "Content-Type": "application/x-www-form-urlencoded"}
            made = request(f"http://127.0.0.1:{self.mock('localstripe')}/v1/customers", "POST", headers, form)
            self._customer = str(made.json()["id"])
        return self._customer

    def policy(self, act: str, name: str, **fields: Any) -> str:
        """Of the store: `add` or `set`."""
        text = json.dumps({"vendor": "stripe", "endpoints": ["charges.create"], **fields})
        self.vault.command("policy", act, name, "--file", "-", stdin=text)
        return name

    def issue(self, vendor: str, policy: str = "", *words: str) -> Key:
        return self.vault.issue(vendor, policy or vendor, "--shape", "vendor", *words, test=vendor == "stripe")

    def credentials(self, vendor: str, key: Key) -> dict[str, str]:
        if vendor == "twilio":
            return {"sid": key.whole["account_sid"], "token": key.whole["auth_token"]}
        if vendor == "aws":
            return {"id": key.whole["access_key_id"], "secret": key.whole["secret_access_key"]}
        return {"key": key.text}

    def open(self, sdk: Sdk, way: str, key: Key) -> Driver:
        """A client that reaches the vault by this way with this key."""
        v, vault = VENDORS[sdk.vendor], self.vault
        bases = {
            "path": f"{vault.url}/{sdk.vendor}", "host": f"http://{v.host}:{vault.port}", "key": vault.url,
            "proxy": f"https://{v.host}",
        }
        words: dict[str, Any] = {"retries": 2}
        if way in bases:
            words["base"] = bases[way] + v.below
        if way in ("proxy", "run"):
            if "run" not in sdk.ways:  # nothing is said of a base URL at all
                del words["base"]
            driver = self._behind_run(sdk, key)
        else:
            driver = self._straight(sdk)
            words |= self.credentials(sdk.vendor, key)
        assert driver("open", **words) == {"value": None}
        return driver

    def _straight(self, sdk: Sdk) -> Driver:
        if sdk.name not in self._drivers:
            hosts = ",".join(v.host for v in VENDORS.values())
            self._drivers[sdk.name] = Driver(sdk.driver, sdk.language, self.directory / f"{sdk.name}.log", VAULT_SDK_NAMES=hosts)
        return self._drivers[sdk.name]

    def _behind_run(self, sdk: Sdk, key: Key) -> Driver:
        if old := self._drivers.pop(f"{sdk.name}-run", None):
            old.end()
        words = [str(self.vault.binary), "run", "--config", str(self.vault.file), "--vault", key.text, "--"]
        made = Driver(sdk.driver, sdk.language, self.directory / f"{sdk.name}-run.log", words)
        self._drivers[f"{sdk.name}-run"] = made
        return made

    def stop(self) -> None:
        for driver in self._drivers.values():
            driver.close()
        for driver in self._drivers.values():
            driver.end()
        self.vault.stop()
        for before in self.before.values():
            before.stop()
        for mock in self._mocks.values():
            mock.stop()


@pytest.fixture(scope="module")
def world(octroi_binary: Path, worker: str, leaks: Leaks) -> Iterator[World]:
    made = World(octroi_binary, run_dir() / f"vault-sdks-{worker}", leaks)
    yield made
    made.stop()


def cases() -> list[Any]:
    return [
        pytest.param(sdk, way, mock, id="-".join([sdk.name, way, *([mock] if sdk.vendor == "stripe" else [])]),
                     marks=pytest.mark.xdist_group(f"sdk-{sdk.vendor}"))
        for sdk in SDKS for way in sdk.ways for mock in VENDORS[sdk.vendor].mocks
    ]


@pytest.mark.parametrize("sdk, way, mock", cases())
def test_sdk(world: World, sdk: Sdk, way: str, mock: str) -> None:
    """The policy lets a key make two calls. The second one meets a fault of the vendor and is tried
    again, by the SDK or else by its program; the third is over the cap."""
    v, before = VENDORS[sdk.vendor], world.before[sdk.vendor]
    before.mock = world.mock(mock)
    before.begin()
    more = {"customer": world.customer()} if sdk.vendor == "stripe" else {}
    key = world.issue(sdk.vendor)
    do = world.open(sdk, way, key)

    allowed = do("make", **v.good, **more)
    assert allowed.get("value"), allowed
    denied = do("make", **v.bad, **more)
    check_refused(denied, sdk.denied, 403, f"Policy {sdk.vendor} does not allow")
    assert len(before.writes) == 1

    before.faults.append(v.fault)
    again = do("make", **v.good, **v.again, **more)
    if not sdk.retries:
        assert again["error"]["status"] == v.tells, again
        again = do("make", **v.good, **v.again, **more)
    assert again.get("value"), again
    assert len(before.writes) == 3 and not before.faults
    over = do("make", **v.good, **more)
    check_refused(over, sdk.denied, 403, "0 calls left")

    world.vault.revoke(key)
    revoked = do("make", **v.good, **more)
    check_refused(revoked, sdk.revoked, 403 if sdk.vendor == "aws" else 401, "revoked")
    assert len(before.writes) == 3, "a refused call was sent"
    for call in before.writes:
        check_exchanged(sdk.vendor, key, call)

    # A row for each attempt: a refusal was never tried again. A signature that a revoked key cannot
    # have made is nobody's, and is only counted.
    rows = outcomes(world.vault, key, 5)
    last = [] if sdk.vendor == "aws" else [("denied", "key_revoked")]
    assert [(row["verdict"], row.get("reason")) for row in rows] == [
        ("allowed", None), ("denied", v.reason), (v.faulted, None), ("allowed", None), ("denied", "cap_exceeded"), *last]


@pytest.mark.parametrize("sdk", [
    pytest.param(sdk, id=sdk.name, marks=pytest.mark.xdist_group(f"sdk-{sdk.vendor}")) for sdk in SDKS if sdk.vendor in ("openai", "anthropic")])
def test_a_stream_that_is_tried_again(world: World, sdk: Sdk) -> None:
    before = world.before[sdk.vendor]
    before.mock = world.mock("models")
    before.begin()
    key = world.issue(sdk.vendor)
    do = world.open(sdk, "path", key)
    before.faults.append(VENDORS[sdk.vendor].fault)
    assert do("stream", tokens=100) == {"value": "one two three four "}
    assert [row["verdict"] for row in outcomes(world.vault, key, 2)] == ["failed", "allowed"]


STRIPES = [pytest.param(sdk, id=sdk.name, marks=pytest.mark.xdist_group("sdk-stripe")) for sdk in SDKS if sdk.vendor == "stripe"]


def charge(world: World, do: Driver, act: str = "make", **more: Any) -> dict[str, Any]:
    return do(act, **({"currency": "usd", "customer": world.customer(), **more} if act == "make" else {}))


@pytest.mark.parametrize("name", list(FIELDS))
@pytest.mark.parametrize("sdk", STRIPES)
def test_field(world: World, sdk: Sdk, name: str) -> None:
    """At the limit it passes, one unit over it does not; `audit query` lists both for the run."""
    before, run = world.before["stripe"], f"{sdk.name}-{name}"
    before.mock = world.mock("localstripe")
    before.begin()
    policy = world.policy("add", run, **FIELDS[name].policy(world.customer()))
    do = world.open(sdk, "host", world.issue("stripe", policy, "--run", run))
    for act, words, told in FIELDS[name].asks:
        filled = {k: v.format(customer=world.customer()) if isinstance(v, str) else v for k, v in words.items()}
        answer = charge(world, do, act, **filled)
        if told == "allowed":
            assert answer.get("value"), answer
        else:
            check_refused(answer, sdk.denied, 403, "")
    expected = [(("denied", told) if told != "allowed" else (told, None)) for _, _, told in FIELDS[name].asks]
    assert told_of(world.vault, run, len(expected)) == expected
    assert len(before.calls) == sum(told == "allowed" for _, _, told in FIELDS[name].asks)


@pytest.mark.parametrize("sdk", STRIPES)
def test_expiry(world: World, sdk: Sdk) -> None:
    """Up to the moment it passes, from then on it does not. Where the machine was too slow to ask in
    time, the refusal has come late enough, and there is more time the next time."""
    world.before["stripe"].mock = world.mock("localstripe")
    name = world.policy("add", f"{sdk.name}-expires")
    do = world.open(sdk, "key", world.issue("stripe", name))
    for seconds in (2, 10, 60):
        ends = int(time.time()) + seconds
        world.policy("set", name, expires=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends)))
        answer = charge(world, do, amount=100)
        if "value" in answer:
            break
        check_refused(answer, sdk.denied, 403, "it ended at")
        assert time.time() >= ends, "it was refused before its time"
    assert answer.get("value"), answer
    wait_for(lambda: time.time() >= ends, 120, "the end of the policy")
    check_refused(charge(world, do, amount=100), sdk.denied, 403, "it ended at")


@pytest.mark.parametrize("sdk", STRIPES)
def test_what_a_run_did(world: World, sdk: Sdk) -> None:
    world.before["stripe"].mock, run = world.mock("localstripe"), f"{sdk.name}-run"
    do = world.open(sdk, "key", world.issue("stripe", world.policy("add", run, max_amount="20 usd"), "--run", run))
    assert "value" in charge(world, do, amount=100)
    check_refused(charge(world, do, amount=2001), sdk.denied, 403, "is more than one call may move")
    assert "error" in charge(world, do, amount=100, customer="cus_nobody")  # Stripe's own no
    assert told_of(world.vault, run, 3) == [("allowed", None), ("denied", "amount_over_max"), ("failed", None)]


def told_of(vault: Vault, run: str, count: int) -> list[tuple[str, str | None]]:
    """What `octroi audit query --run` lists, once there are so many."""

    def rows() -> list[dict[str, Any]] | None:
        found = vault.audit_rows("--run", run, "--kind", "call.outcome")
        return found if len(found) >= count else None

    return [(row["verdict"], row.get("reason")) for row in wait_for(rows, 60, "the rows of the run")]  # type: ignore[attr-defined]


def test_the_table_of_the_documentation() -> None:
    """docs/vault.md says which SDK takes which way; so does this file."""
    lines = (ROOT / "docs" / "vault.md").read_text().split("### Which SDK, by which way", 1)[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")][:len(SDKS) + 2]
    head = [cell.strip("`") for cell in rows[0][1:6]]
    assert head == ["path", "host", "key", "proxy", "run"]
    said = {row[0]: {way for way, cell in zip(head, row[1:6]) if cell == "yes"} for row in rows[2:]}
    assert said == {sdk.name: {*sdk.ways, *(["run"] if "proxy" in sdk.ways else [])} for sdk in SDKS}


def check_refused(answer: dict[str, Any], kind: str, status: int, says: str) -> None:
    error = answer.get("error", {})
    assert (error.get("class"), error.get("status")) == (kind, status), answer
    assert says in error["message"], answer


def check_exchanged(vendor: str, key: Key, call: Call) -> None:
    """The vendor saw the real key in its own place, and nothing of the other one."""
    (shown,) = call.all("X-Api-Key" if vendor == "anthropic" else "Authorization")
    real = VENDORS[vendor].real
    if vendor == "aws":
        assert shown.startswith(f"AWS4-HMAC-SHA256 Credential={real.split(':')[0]}/")
    elif vendor == "twilio":
        assert shown == "Basic " + base64.b64encode(real.encode()).decode()
        assert call.target == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    else:
        assert shown == (real if vendor == "anthropic" else f"Bearer {real}")
    seen = str(call)
    assert all(secret not in seen for secret in (key.text, *key.text.split(":")))


def outcomes(vault: Vault, key: Key, count: int) -> list[dict[str, Any]]:
    """The rows of what became of this key's calls, once there are so many: they come after the answer."""

    def rows() -> list[dict[str, Any]] | None:
        found = vault.audit_rows("--key", key.id, "--kind", "call.outcome")
        return found if len(found) >= count else None

    return wait_for(rows, 60, "the outcomes")  # type: ignore[return-value]
