"""HTTPS_PROXY: the vault ends tunnels to vendors' hosts itself and judges every request inside."""

from __future__ import annotations

import http.client
import json
import ssl
import stat

import pytest

from harness import reach
from harness.reach import STRIPE, WAYS, basic, charge, tunnel
from harness.vault import REAL_STRIPE_KEY
from harness.web import request


def code_of(answer) -> str:
    return answer.json()["error"]["code"] if answer.body else ""


@pytest.mark.parametrize("way", WAYS)
def test_the_same_policy_gives_the_same_verdict(make_vault, capture, way):
    vault = make_vault(
        {"stripe": (capture, REAL_STRIPE_KEY, {}), "shop": (capture, "shop-real-key-0123456789", {"mode": "test"})},
        {
            "bot": {
                "vendor": "stripe", "endpoints": ["charges.create", "charges.list"], "max_amount": "20 usd",
                "daily_cap": "21 usd", "customers": ["cus_1"],
            },
            "seller": {"vendor": "shop", "endpoints": ["GET /orders/**"]},
        },
    ).start()
    key, revoked = vault.issue("stripe", "bot"), vault.issue("stripe", "bot")
    live, shop = vault.issue("stripe", "bot", test=False), vault.issue("shop", "seller")
    vault.revoke(revoked)
    ask = WAYS[way](vault)
    read = {"Authorization": f"Bearer {key.text}"}
    # A key alone tells the vendor, too: there, one of another vendor leads to that vendor.
    other = 200 if way == "key" else 403
    rows = [
        (charge(key, 2000), 200, ""),
        (charge(key, 2001), 403, "amount_over_max"),
        (charge(key, 101), 403, "cap_exceeded"),
        (charge(key, 100), 200, ""),
        (charge(key, 1), 403, "cap_exceeded"),
        (charge(key, 1, customer="cus_2"), 403, "customer_denied"),
        (charge(key, "1e2"), 400, None),
        (charge(key, "1&amount=2"), 400, None),
        (("GET", "/v1/charges", read, None), 200, ""),
        (("GET", "/v1/customers", read, None), 403, "operation_denied"),
        (("POST", "/v1/no_such_thing", {**reach.FORM, **read}, "a=1"), 403, None),
        (("GET", "/v1/charges", {}, None), 401, None),
        (("GET", "/v1/charges", {"Authorization": f"Bearer {key.text}x"}, None), 401, None),
        (("GET", "/v1/charges", {"Authorization": f"Bearer {revoked.text}"}, None), 401, "key_revoked"),
        (("GET", "/v1/charges", {"Authorization": f"Bearer {live.text}"}, None), 401, None),
        (("GET", "/orders/1", {"Authorization": f"Bearer {shop.text}"}, None), other, None),
        (("GET", "/v1/charges", {**read, "X-Api-Key": key.text}, None), 401, None),
        (("GET", "/v1/charges", {**read, "Stripe-Account": "acct_1"}, None), 403, None),
    ]
    for sent, status, code in rows:
        answer = ask(*sent)
        assert answer.status == status, (way, sent[1], sent[3], answer.status, answer.text)
        if code:
            assert code_of(answer) == code, (way, sent, answer.text)
    stripe_calls = [c for c in capture.calls if c.target.startswith("/v1/")]
    # What octroi adds (a name of the call, to find it again) comes after what the agent said.
    assert [(c.method, c.body.split(b"&metadata")[0]) for c in stripe_calls] == [
        ("POST", b"amount=2000&currency=usd&customer=cus_1"),
        ("POST", b"amount=100&currency=usd&customer=cus_1"),
        ("GET", b""),
    ]
    for call in stripe_calls:
        assert call.all("Authorization") == [f"Bearer {REAL_STRIPE_KEY}"]
        assert call.all("Host") == [f"127.0.0.1:{capture.port}"]
        assert not call.all("Proxy-Authorization") and not call.all("Proxy-Connection")
        assert key.text not in str(call)


def test_the_proxys_key_stands_in_and_names_the_run(stripe_vault, capture):
    vault = stripe_vault()
    key, other = vault.issue("stripe", "bot"), vault.issue("stripe", "bot")
    link = tunnel(vault, proxy=basic("run-9", key.text))
    for headers in ({}, {"Authorization": "Bearer sk_test_placeholder"}, {"Authorization": f"Bearer {other.text}"}):
        link.request("GET", "/v1/customers", headers=headers)
        assert (answer := link.getresponse()).status == 200, answer.read()
        answer.read()
    link = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=30)
    link.request("GET", f"http://{STRIPE}/v1/customers", headers={"Proxy-Authorization": basic("octroi", key.text)})
    assert link.getresponse().status == 200
    assert all(c.all("Authorization") == [f"Bearer {REAL_STRIPE_KEY}"] for c in capture.calls)
    rows = [(r["key_id"], r.get("run") or "") for r in reach.outcomes(vault, 4)]
    assert sorted(rows) == sorted([(key.id, "run-9"), (key.id, "run-9"), (other.id, "run-9"), (key.id, "")])


def test_a_key_bound_to_a_run_refuses_the_proxys_other_one(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot", "--run", "run-1")
    for run, status in (("run-1", 200), ("run-2", 403)):
        link = tunnel(vault, proxy=basic(run, key.text))
        link.request("GET", "/v1/customers")
        assert link.getresponse().status == status
    assert len(capture.calls) == 1


def test_one_tunnel_leads_to_one_host(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    link = tunnel(vault)
    for host, status in ((STRIPE, 200), ("api.stripe.com:443", 200), ("files.stripe.com", 400), ("127.0.0.1", 400)):
        link.request("GET", "/v1/customers", headers={"Host": host, "Authorization": f"Bearer {key.text}"})
        answer = link.getresponse()
        assert answer.status == status, (host, answer.read())
        answer.read()
    assert len(capture.calls) == 2


def test_clear_text_inside_a_tunnel_is_judged_as_well(stripe_vault, capture):
    """Some clients open tunnels for http:// too."""
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    link = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=30)
    link.set_tunnel(STRIPE, 80)
    for amount, status in ((2000, 200), (2001, 403)):
        link.request(*(charge(key, amount)[i] for i in (0, 1, 3, 2)))
        answer = link.getresponse()
        assert answer.status == status
        answer.read()
    assert len(capture.calls) == 1


def test_the_authority_stays_and_its_key_is_sealed(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    before = reach.authority(vault).read_text()
    file = vault.directory / "vault-ca.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "PRIVATE KEY" not in file.read_text() and before in file.read_text()
    context = reach.trust(vault)
    vault.stop()
    vault.start()
    assert reach.authority(vault).read_text() == before
    link = tunnel(vault, context=context)
    link.request("GET", "/v1/customers", headers={"Authorization": f"Bearer {key.text}"})
    assert link.getresponse().status == 200
    names = link.sock.getpeercert()
    assert names["subjectAltName"] == (("DNS", STRIPE),)
    with pytest.raises(ssl.SSLCertVerificationError):  # nobody trusts it who was not told to
        tunnel(vault, context=ssl.create_default_context()).connect()


def connect(vault, target: str, proxy: str | None = None):
    """The proxy's answer to CONNECT."""
    link = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=30)
    link.putrequest("CONNECT", target, skip_host=True, skip_accept_encoding=True)
    link.putheader("Host", target)
    if proxy:
        link.putheader("Proxy-Authorization", proxy)
    link.endheaders()
    return link.getresponse()


def test_other_hosts_are_refused(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot", "--agent", "helper")
    assert connect(vault, "example.com:443").status == 403
    refused = connect(vault, "example.com:443", basic("run-3", key.text))
    assert refused.status == 403 and b"vault.proxy.others" in refused.read()
    link = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=30)
    link.request("GET", "http://example.com/stripe/v1/customers", headers={"Authorization": f"Bearer {key.text}"})
    assert link.getresponse().status == 403  # and not taken for a path of ours
    assert not capture.calls
    rows = [r for r in vault.audit() if r["kind"] == "tunnel.open"]
    assert [(r["verdict"], r["path"], r["run"], r["key_id"], r["agent"]) for r in rows] == [
        ("denied", "example.com:443", "run-3", key.id, "helper")
    ]


def test_tunnels_to_others_need_a_key_and_never_lead_inside(make_vault, capture):
    vault = make_vault(
        {"stripe": (capture, REAL_STRIPE_KEY, {})},
        {"bot": {"vendor": "stripe", "endpoints": ["customers.*"]}},
        proxy={"others": "tunnel"},
    ).start()
    key, gone = vault.issue("stripe", "bot"), vault.issue("stripe", "bot")
    vault.revoke(gone)
    shown = basic("octroi", key.text)
    for target, proxy, status in (
        ("example.com:443", None, 407),
        ("example.com:443", basic("octroi", "sk_test_somebody"), 407),
        ("example.com:443", basic("octroi", gone.text), 407),
        (f"127.0.0.1:{capture.port}", shown, 403),
        ("127.0.0.1:443", shown, 403),
        ("169.254.169.254:80", shown, 403),
        ("localhost:443", shown, 403),
        ("2130706433:443", shown, 403),
        ("[::ffff:127.0.0.1]:443", shown, 403),
        ("example.com:22", shown, 403),
    ):
        answer = connect(vault, target, proxy)
        assert answer.status == status, (target, answer.status, answer.read())
        assert (answer.getheader("Proxy-Authenticate") is not None) == (status == 407)
    link = http.client.HTTPConnection("127.0.0.1", vault.port, timeout=30)
    link.request("GET", f"http://169.254.169.254/latest/meta-data", headers={"Proxy-Authorization": shown})
    assert link.getresponse().status == 403
    assert not capture.calls


def test_a_vault_that_is_no_proxy(make_vault, capture):
    vault = make_vault(
        {"stripe": (capture, REAL_STRIPE_KEY, {})},
        {"bot": {"vendor": "stripe", "endpoints": ["customers.*"]}},
        proxy={"enabled": False},
    ).start()
    key = vault.issue("stripe", "bot")
    assert connect(vault, f"{STRIPE}:443").status == 403
    assert vault.request("/stripe/v1/customers", key).status == 200
    assert not (vault.directory / "vault-ca.pem").exists()


def test_what_a_key_opens_is_told_to_who_has_it(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    path = "/.well-known/octroi/vault"
    assert vault.request(path).status == 401
    told = json.loads(vault.request(path, key).body)
    assert told["id"] == key.id
    assert told["vendor"] == "stripe" and told["hosts"] == [STRIPE] or STRIPE in told["hosts"]
    assert told["ca"] == reach.authority(vault).read_text() and told["others"] == "refuse"
    vault.revoke(key)
    assert request(vault.url + path, headers={"Authorization": f"Bearer {key.text}"}).status == 401
    assert not capture.calls
