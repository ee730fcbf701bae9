"""The same key and the same policy by path, by Host and by the key alone."""

from __future__ import annotations

import pytest

from harness import octroi
from harness.vault import REAL_STRIPE_KEY

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    "path, host",
    [("/stripe/v1/charges", None), ("/v1/charges", "api.stripe.com"), ("/v1/charges", None)],
    ids=["path", "host", "key"],
)
def test_the_same_verdict_everywhere(stripe_vault, capture, path, host):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    headers = {**FORM, **({"Host": host} if host else {})}
    good = vault.request(path, key, "POST", headers, "amount=100&currency=usd&customer=cus_1")
    assert good.status == 200, good.text
    bad = vault.request(path, key, "POST", headers, "amount=100000&currency=usd&customer=cus_1")
    assert bad.status == 403, bad.text
    assert [(c.target, c.asked, c.all("Authorization")) for c in capture.calls] == [
        ("/v1/charges", b"amount=100&currency=usd&customer=cus_1", [f"Bearer {REAL_STRIPE_KEY}"])
    ]


def test_two_accounts_of_one_vendor_share_its_host(make_vault, capture):
    """Which of them is meant, the key says: by Host as by itself."""
    other = "sk_test_51TheKeyOfTheOtherAccount0123456789"
    vault = make_vault(
        {"stripe": (capture, REAL_STRIPE_KEY, {}), "second": (capture, other, {"pack": "stripe"})},
        {name: {"vendor": vendor, "endpoints": ["customers.*"]} for name, vendor in (("one", "stripe"), ("two", "second"))},
    ).start()
    first, second = vault.issue("stripe", "one"), vault.issue("second", "two")
    for key in (first, second, first):
        answer = vault.request("/v1/customers", key, headers={"Host": "api.stripe.com"})
        assert answer.status == 200, answer.text
    assert [c.all("Authorization")[0] for c in capture.calls] == [f"Bearer {k}" for k in (REAL_STRIPE_KEY, other, REAL_STRIPE_KEY)]
    # A path names one of them; the other's key does not open it.
    assert "wrong_vendor" in vault.request("/stripe/v1/customers", second).text
    vault.revoke(second)
    refused = vault.request("/v1/customers", second, headers={"Host": "api.stripe.com"})
    assert refused.status == 401 and refused.get("Stripe-Should-Retry") == "false"


def test_basic_credentials(stripe_vault, capture):
    import base64

    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    basic = base64.b64encode(f"{key.text}:".encode()).decode()
    assert vault.request("/stripe/v1/customers", headers={"Authorization": f"Basic {basic}"}).status == 200
    assert capture.calls[0].all("Authorization") == [f"Bearer {REAL_STRIPE_KEY}"]


def test_without_a_key_or_with_a_wrong_one(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    live = vault.issue("stripe", "bot", test=False)
    for headers in (
        {},
        {"Authorization": "Bearer sk_test_somebody"},
        {"Authorization": f"Bearer {key.text[:-1]}"},
        {"Authorization": f"Bearer {key.text}x"},
        {"Authorization": f"Bearer {live.text}"},  # a live key before a test account
        [("Authorization", f"Bearer {key.text}"), ("Authorization", f"Bearer {key.text}")],
        {"Authorization": f"Bearer {key.text}", "X-Api-Key": key.text},
    ):
        answer = vault.request("/stripe/v1/customers", headers=headers)
        assert answer.status == 401, (headers, answer.text)
        assert answer.get("Stripe-Should-Retry") == "false"
        assert '"error"' in answer.text
    assert not capture.calls


def test_a_key_opens_its_own_vendor_only(make_vault, capture):
    vault = make_vault(
        {"stripe": (capture, REAL_STRIPE_KEY, {}), "shop": (capture, "shop-real-key-0123456789", {"mode": "test"})},
        {"bot": {"vendor": "stripe", "endpoints": ["customers.*"]}, "seller": {"vendor": "shop", "endpoints": ["GET /orders/**"]}},
    ).start()
    key = vault.issue("stripe", "bot")
    assert vault.request("/shop/orders/1", key).status == 403
    assert vault.request("/stripe/v1/customers", key).status == 200
    shop = vault.issue("shop", "seller")
    assert vault.request("/shop/orders/1", shop).status == 200
    assert [c.all("Authorization") for c in capture.calls] == [[f"Bearer {REAL_STRIPE_KEY}"], ["Bearer shop-real-key-0123456789"]]


def test_a_second_vault_at_the_address_is_refused(stripe_vault, octroi_binary):
    """Or each would have a part of the calls, and know half of the keys."""
    one, other = stripe_vault(), stripe_vault()
    other.stop()
    other.config["vault"]["listen"] = one.config["vault"]["listen"]
    other.write()
    done = octroi.run(octroi_binary, "serve", "--config", other.file)
    assert done.returncode not in (0, -15), done.stderr
    assert f"127.0.0.1:{one.port}" in done.stderr and "in use" in done.stderr.lower(), done.stderr
    key = one.issue("stripe", "bot")
    assert {one.request("/stripe/v1/customers", key).status for _ in range(20)} == {200}
