"""Requests that two readers could understand differently are judged by what the vendor would see,
or refused: none of them gets past a limit (vault notes 2.3)."""

from __future__ import annotations

import gzip

import pytest

from harness.web import raw_exchange, status_of

FORM = "application/x-www-form-urlencoded"
OVER = "amount=100000&currency=usd&customer=cus_1"

# What is sent, and what must not reach the vendor: an amount above the limit.
SHAPES = {
    "amount_twice": ("/v1/charges", FORM, "amount=1&amount=100000&currency=usd", {}),
    "amount_escaped": ("/v1/charges", FORM, "%61mount=100000&currency=usd", {}),
    "amount_twice_escaped": ("/v1/charges", FORM, "amount=1&%61mount=100000&currency=usd", {}),
    "amount_list": ("/v1/charges", FORM, "amount=1&amount[]=100000&currency=usd", {}),
    "amount_in_query": ("/v1/charges?amount=100000", FORM, "amount=1&currency=usd", {}),
    "amount_signed": ("/v1/charges", FORM, "amount=%2B100000&currency=usd", {}),
    "amount_negative": ("/v1/charges", FORM, "amount=-1&currency=usd", {}),
    "amount_exponent": ("/v1/charges", FORM, "amount=1e6&currency=usd", {}),
    "amount_decimal": ("/v1/charges", FORM, "amount=1000.00&currency=usd", {}),
    "amount_space": ("/v1/charges", FORM, "amount=+1&currency=usd", {}),
    "amount_huge": ("/v1/charges", FORM, "amount=18446744073709551617&currency=usd", {}),
    "no_amount": ("/v1/charges", FORM, "currency=usd", {}),
    "no_currency": ("/v1/charges", FORM, "amount=1", {}),
    "unknown_currency": ("/v1/charges", FORM, "amount=1&currency=xxq", {}),
    "currency_without_rate": ("/v1/charges", FORM, "amount=1&currency=eur", {}),
    "json_on_v1": ("/v1/charges", "application/json", '{"amount":100000,"currency":"usd"}', {}),
    "multipart": ("/v1/charges", "multipart/form-data; boundary=x", "--x\r\n\r\n--x--", {}),
    "no_type": ("/v1/charges", "text/plain", OVER, {}),
    "other_charset": ("/v1/charges", FORM + "; charset=utf-7", "amount=1&currency=usd", {}),
    "compressed": ("/v1/charges", FORM, gzip.compress(OVER.encode()), {"Content-Encoding": "gzip"}),
    "double_slash": ("/v1//charges", FORM, OVER, {}),
    "dot_segment": ("/v1/./charges", FORM, OVER, {}),
    "escaped_dot": ("/v1/%2e%2e/v1/charges", FORM, OVER, {}),
    "escaped_letter": ("/v1/%63harges", FORM, OVER, {}),
    "escaped_slash": ("/v1%2Fcharges", FORM, OVER, {}),
    "parameter": ("/v1/charges;x", FORM, OVER, {}),
    "trailing_slash": ("/v1/charges/", FORM, OVER, {}),
    "override_header": ("/v1/charges", FORM, "amount=1&currency=usd", {"X-HTTP-Method-Override": "DELETE"}),
    "override_field": ("/v1/charges", FORM, "amount=1&currency=usd&_method=DELETE", {}),
    "key_in_body": ("/v1/charges", FORM, "amount=1&currency=usd&key=sk_test_x", {}),
    "other_account": ("/v1/charges", FORM, "amount=1&currency=usd", {"Stripe-Account": "acct_1"}),
    "other_context": ("/v1/charges", FORM, "amount=1&currency=usd", {"Stripe-Context": "acct_1"}),
    "unknown_operation": ("/v1/everything", FORM, "amount=1&currency=usd", {}),
    "not_utf8": ("/v1/charges", FORM, "amount=1&currency=usd&description=%ff", {}),
    "empty_field": ("/v1/charges", FORM, "amount=1&&currency=usd", {}),
    "amount_index": ("/v1/charges", FORM, "amount=1&amount[0]=100000&currency=usd", {}),
    "pushed_and_numbered": ("/v1/charges", FORM, "amount=1&currency=usd&expand[0]=x&expand[]=y", {}),
    "amount_below": ("/v1/charges", FORM, "amount[value]=100000&currency=usd", {}),
    "amount_hex": ("/v1/charges", FORM, "amount=0x186a0&currency=usd", {}),
    "amount_zeroes": ("/v1/charges", FORM, "amount=0000001&currency=usd", {}),
    "amount_other_digits": ("/v1/charges", FORM, "amount=%D9%A1&currency=usd", {}),
    "amount_capital": ("/v1/charges", FORM, "Amount=100000&currency=usd", {}),
    "semicolon_separates": ("/v1/charges", FORM, "amount=1;amount=100000&currency=usd", {}),
    "nul_in_name": ("/v1/charges", FORM, "amount%00=100000&amount=1&currency=usd", {}),
    "half_escape": ("/v1/charges", FORM, "amount=1&currency=usd&description=%4", {}),
    "currency_twice": ("/v1/charges", FORM, "amount=1&currency=usd&currency=kwd", {}),
    "credit_beside": ("/v1/customers", FORM, "email=a@b.c&balance=-100000", {}),
    "fully_escaped_dots": ("/v1/%252e%252e/v1/charges", FORM, OVER, {}),
    "backslash": ("/v1\\charges", FORM, OVER, {}),
    "escaped_nul": ("/v1/charges%00", FORM, OVER, {}),
    "override_method": ("/v1/charges", FORM, "amount=1&currency=usd", {"X-Method-Override": "DELETE"}),
    "type_twice": ("/v1/charges", FORM, "amount=1&currency=usd", [("Content-Type", "application/json")]),
    "deflated": ("/v1/charges", FORM, OVER, {"Content-Encoding": "deflate"}),
    "two_codings": ("/v1/charges", FORM, OVER, {"Content-Encoding": "gzip, br"}),
    "json_v2_twice": (
        "/v2/money_management/outbound_payments", "application/json",
        '{"amount":{"value":1,"currency":"usd"},"amount":{"value":100000,"currency":"usd"}}', {},
    ),
    "json_v2_escaped_twice": (
        "/v2/money_management/outbound_payments", "application/json",
        '{"amount":{"value":1,"v\\u0061lue":100000,"currency":"usd"}}', {},
    ),
    "json_v2_form": ("/v2/money_management/outbound_payments", FORM, "amount[value]=100000&amount[currency]=usd", {}),
    "json_v2_comment": (
        "/v2/money_management/outbound_payments", "application/json",
        '{"amount":{"value":1/*,"value":100000*/,"currency":"usd"}}', {},
    ),
    "json_v2_list_of_types": (
        "/v2/money_management/outbound_payments", FORM + ", a/b+json",
        '{"amount":{"value":1,"currency":"usd"},"note":"&amount[value]=100000&"}', {},
    ),
    "json_v2_two_charsets": (
        "/v2/money_management/outbound_payments", "application/json; charset=utf-8; charset=utf-7",
        '{"amount":{"value":1,"currency":"usd"},"note":"+ACI-,+ACI-amount+ACI-:+AHs-+ACI-value+ACI-:100000+AH0-"}', {},
    ),
    "json_v2_spaced_charset": (
        "/v2/money_management/outbound_payments", "application/json; charset = utf-7",
        '{"amount":{"value":1,"currency":"usd"},"note":"+ACI-,+ACI-amount+ACI-:+AHs-+ACI-value+ACI-:100000+AH0-"}', {},
    ),
    "other_path_in_a_header": ("/v1/charges", FORM, "amount=1&currency=usd", {"X-Original-URL": "/v1/payouts"}),
    "rewritten_path": ("/v1/charges", FORM, "amount=1&currency=usd", {"X-Rewrite-URL": "/v1/payouts"}),
    "json_v2_after": (
        "/v2/money_management/outbound_payments", "application/json",
        '{"amount":{"value":1,"currency":"usd"}}{"amount":{"value":100000,"currency":"usd"}}', {},
    ),
}


def test_every_shape_is_refused_and_nothing_reaches_the_vendor(stripe_vault, capture):
    vault = stripe_vault(endpoints=["*"])
    key = vault.issue("stripe", "bot")
    wrong = []
    for name, (path, kind, body, more) in SHAPES.items():
        headers = [("Content-Type", kind), *(more.items() if isinstance(more, dict) else more)]
        answer = vault.request("/stripe" + path, key, "POST", headers, body)
        if answer.status not in (400, 403, 415) or capture.calls:
            wrong.append((name, answer.status, answer.text[:200], [c.target for c in capture.calls]))
            capture.calls.clear()
    assert not wrong, wrong


def test_a_hop_by_hop_name_does_not_take_the_real_key_out(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    answer = vault.request("/stripe/v1/customers", key, headers={"Connection": "authorization, close"})
    # Taken out before it is judged, it is no key; put in, it stays in.
    assert answer.status in (200, 401)
    assert all(len(call.all("Authorization")) == 1 for call in capture.calls)
    assert len(capture.calls) == (answer.status == 200)


def test_what_was_judged_is_what_is_sent(stripe_vault, capture):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    answer = vault.request(
        "/stripe/v1/%63harges", key, "POST", {"Content-Type": FORM + ";charset=UTF-8"},
        "%61mount=100&currency=usd&metadata[a%20b]=c+d&expand[]=x&expand[]=y",
    )
    assert answer.status == 200, answer.text
    call = capture.calls[0]
    assert call.target == "/v1/charges"
    assert call.asked == b"amount=100&currency=usd&metadata%5Ba+b%5D=c+d&expand%5B%5D=x&expand%5B%5D=y"
    assert call.all("Content-Type") == [FORM]
    assert call.all("Accept-Encoding") == ["identity"]


def test_a_body_goes_out_under_its_bare_type(make_vault, capture):
    """A parameter that some server reads could make another text of it."""
    vault = make_vault({"api": (capture, "real-key-0123456789", {})}, {"all": {"vendor": "api", "endpoints": ["*", "POST /**"]}}).start()
    key = vault.issue("api", "all", test=False)
    for sent, bare in (
        ("application/json; xcharset=utf-7", "application/json"),
        ('application/JSON; a="; charset=utf-7"', "application/json"),
        ("application/vnd.api+json; charset=UTF-8", "application/vnd.api+json"),
    ):
        capture.calls.clear()
        answer = vault.request("/api/x", key, "POST", {"Content-Type": sent}, '{"a":"+ACI-"}')
        assert answer.status == 200, answer.text
        assert capture.calls[0].all("Content-Type") == [bare]


def test_a_rule_about_fields_wants_a_body_that_can_be_read(make_vault, capture):
    policy = {"vendor": "api", "endpoints": ["POST /**"], "fields": [{"field": "destination", "absent": True}]}
    vault = make_vault({"api": (capture, "real-key-0123456789", {})}, {"fielded": policy}).start()
    key = vault.issue("api", "fielded", test=False)

    def post(kind: str, body: str) -> int:
        return vault.request("/api/x", key, "POST", {"Content-Type": kind}, body).status

    assert post("application/json", '{"a":1}') == 200
    for kind, body in (
        ("application/json", '{"destination":1}'), ("application/json", '{"Destination":1}'), (FORM, "destination=1"),
        ("text/json", "{}"), ("multipart/form-data; boundary=x", "--x--"), ("text/plain", "a"), ("", "a"),
    ):
        assert post(kind, body) == 403, (kind, body)
    assert len(capture.calls) == 1


def test_other_methods_never_carry_the_key(stripe_vault, capture):
    vault = stripe_vault(endpoints=["*"])
    key = vault.issue("stripe", "bot")
    for method in ("OPTIONS", "TRACE", "CONNECT"):
        answer = vault.request("/stripe/v1/customers", key, method)
        assert answer.status >= 400, (method, answer)
    assert not capture.calls


# Written byte for byte, as no client library would: what two servers could cut or address differently.
RAW = {
    "length_and_chunks": ("POST /stripe/v1/charges HTTP/1.1", ["Content-Length: 4", "Transfer-Encoding: chunked"], b"0\r\n\r\n"),
    "two_lengths": ("POST /stripe/v1/charges HTTP/1.1", ["Content-Length: 4", "Content-Length: 40"], b"a=1&"),
    "list_of_lengths": ("POST /stripe/v1/charges HTTP/1.1", ["Content-Length: 4, 40"], b"a=1&"),
    "chunked_twice": ("POST /stripe/v1/charges HTTP/1.1", ["Transfer-Encoding: chunked, chunked"], b"0\r\n\r\n"),
    "unknown_coding": ("POST /stripe/v1/charges HTTP/1.1", ["Transfer-Encoding: identity"], b""),
    "space_before_colon": ("POST /stripe/v1/charges HTTP/1.1", ["Content-Length : 4"], b"a=1&"),
    "folded": ("POST /stripe/v1/charges HTTP/1.1", ["X-A: b", " Content-Length: 4"], b"a=1&"),
    "two_hosts": ("POST /stripe/v1/charges HTTP/1.1", ["Host: api.stripe.com", "Content-Length: 0"], b""),
    "absolute_other_host": ("POST http://other.example/v1/charges HTTP/1.1", ["Content-Length: 0"], b""),
    "trailers": (
        "POST /stripe/v1/charges HTTP/1.1",
        ["Content-Type: " + FORM, "Transfer-Encoding: chunked"],
        b"1c\r\namount=1&currency=usd&source=x\r\n0\r\nX-Amount: 100000\r\n\r\n",
    ),
}


@pytest.mark.parametrize("shape", RAW)
def test_what_can_be_cut_in_two_ways_goes_nowhere(stripe_vault, capture, shape):
    vault = stripe_vault(endpoints=["*"])
    key = vault.issue("stripe", "bot")
    line, headers, body = RAW[shape]
    head = "\r\n".join([line, "Host: localhost", f"Authorization: Bearer {key.text}", "Connection: close", *headers])
    answer = raw_exchange("127.0.0.1", vault.port, head.encode() + b"\r\n\r\n" + body)
    assert (status_of(answer) or 400) >= 400, answer[:300]
    assert not capture.calls
