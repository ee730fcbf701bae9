"""What was bought cheaply opens nothing dear (acceptance point 4 of the first issue)."""

from __future__ import annotations

import pytest

from harness import payment
from harness.settings import service


@pytest.fixture
def server(gateway, upstream):
    return gateway(
        [
            service(
                "shop",
                "^/shop/",
                upstream.url,
                "1 sat",
                schemes=["payment"],
                prices=[
                    {"path": "/shop/dear.*", "price": "100 sat"},
                    {"methods": ["DELETE"], "price": "200 sat"},
                ],
            ),
            service("other", "^/other/", upstream.url, "1 sat", schemes=["payment"]),
            service("ruled", "^/ruled/", upstream.url, "1 sat", schemes=["payment"], scope="rule"),
            service("exact", "^/exact/", upstream.url, "1 sat", schemes=["payment"], scope="query"),
        ]
    )


def show(server, path, credential, method="GET", body=None):
    return server.request(path, method, {"Authorization": credential}, body)


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("/shop/dear", "GET", None),
        ("/shop/dear/er", "GET", None),
        ("/shop/cheap2", "GET", None),
        ("/shop/cheap/sub", "GET", None),
        ("/shop/cheap/../dear", "GET", None),
        ("/shop/%2e%2e/shop/dear", "GET", None),
        ("/shop//cheap/../dear", "GET", None),
        ("/other/cheap", "GET", None),
        ("/ruled/cheap", "GET", None),
        ("/shop/cheap", "DELETE", None),
        ("/shop/cheap", "POST", "x"),
        ("/shop/cheap", "PUT", ""),
    ],
)
def test_a_cheap_challenge_opens_only_its_own(server, payer, upstream, path, method, body):
    credential = server.buy("/shop/cheap", payer)
    answer = show(server, path, credential, method, body)
    assert answer.status in (400, 402, 404, 405), answer
    assert not answer.all("Payment-Receipt")
    assert upstream.count == 0
    assert show(server, "/shop/cheap", credential).status == 200, "the refusal consumed nothing"


@pytest.mark.parametrize("body", ["another body", "", "the bodyx"])
def test_another_body(server, payer, upstream, body):
    credential = server.buy("/shop/cheap", payer, "POST", "the body")
    assert show(server, "/shop/cheap", credential, "POST", body).status == 402
    assert upstream.count == 0
    answer = show(server, "/shop/cheap", credential, "POST", "the body")
    assert answer.status == 200
    assert upstream.seen[0].body == b"the body"


@pytest.mark.parametrize("echo", ["dropped", "forged"])
def test_the_digest_is_of_the_body_that_came(server, payer, upstream, echo):
    """Whatever the client echoes: dropping it is tolerated, forging it does not help."""
    offer = server.unpaid("/shop/cheap", "POST", body="small").payment
    preimage = payer.pay(offer.invoice)
    other = server.unpaid("/shop/cheap", "POST", body="huge").payment
    if echo == "dropped":
        credential = payment.credential(offer, preimage, drop=["digest"])
    else:
        credential = payment.credential(offer, preimage, digest=other["digest"])
    assert show(server, "/shop/cheap", credential, "POST", "huge").status == 402
    assert upstream.count == 0
    if echo == "dropped":
        assert show(server, "/shop/cheap", credential, "POST", "small").status == 200


def test_the_same_path_in_another_spelling(server, payer):
    """The path is bound as the server understands it."""
    credential = server.buy("/shop/cheap", payer)
    assert show(server, "/shop/%63heap", credential).status == 200


def test_the_query_is_free_by_default(server, payer):
    credential = server.buy("/shop/cheap?page=1", payer)
    assert show(server, "/shop/cheap?page=2", credential).status == 200


def test_scope_query(server, payer, upstream):
    credential = server.buy("/exact/a?page=1", payer)
    assert show(server, "/exact/a?page=2", credential).status == 402
    assert show(server, "/exact/a", credential).status == 402
    assert upstream.count == 0
    assert show(server, "/exact/a?page=1", credential).status == 200


def test_scope_rule(server, payer):
    credential = server.buy("/ruled/a", payer)
    assert show(server, "/ruled/b", credential).status == 200


def test_a_challenge_of_another_server(gateway, upstream, payer, server):
    """Same configuration, other key: unknown."""
    twin = gateway([service("shop", "^/shop/", upstream.url, "1 sat", schemes=["payment"])], paywall={"realm": server.realm})
    credential = twin.buy("/shop/cheap", payer)
    assert show(server, "/shop/cheap", credential).status == 402


def test_prices_are_per_path_and_method(server):
    def amount(path, method="GET"):
        return server.unpaid(path, method).payment.request["amount"]

    assert amount("/shop/cheap") == "1"
    assert amount("/shop/dear") == "100"
    assert amount("/shop/cheap", "DELETE") == "200"
    assert amount("/other/x") == "1"


def test_an_l402_preimage_pays_no_charge(gateway, upstream, payer):
    """Each offer has its own invoice: one payment cannot be spent under two schemes."""
    server = gateway([service("both", "^/both/", upstream.url, "5 sat")])
    offer = server.unpaid("/both/x")
    preimage = payer.pay(offer.l402["invoice"])
    assert server.request("/both/x", headers={"Authorization": payment.credential(offer.payment, preimage)}).status == 402
    assert server.request("/both/x", headers={"Authorization": payment.l402(offer.l402, preimage)}).status == 200


def test_a_charge_preimage_makes_no_token(gateway, upstream, payer):
    server = gateway([service("both", "^/both/", upstream.url, "5 sat")])
    offer = server.unpaid("/both/x")
    preimage = payer.pay(offer.payment.invoice)
    assert server.request("/both/x", headers={"Authorization": payment.l402(offer.l402, preimage)}).status == 402
