"""A Payment charge buys one request, once (architecture 3.7)."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import payment
from harness.settings import service


@pytest.fixture
def server(gateway, upstream):
    return gateway([service("api", "^/api/", upstream.url, "10 sat", schemes=["payment"])])


def redeem(server, path, credential, **headers):
    return server.request(path, headers={"Authorization": credential, **{k.replace("_", "-"): v for k, v in headers.items()}})


def test_paid_and_delivered(server, payer, upstream):
    offer = server.unpaid("/api/x").payment
    answer = redeem(server, "/api/x", payment.credential(offer, payer.pay(offer.invoice)))
    assert answer.status == 200 and answer.json()["upstream"] == "ok"
    receipt = payment.receipt(answer.get("Payment-Receipt"))
    assert {key: receipt[key] for key in ("challengeId", "method", "reference", "status")} == {
        "challengeId": offer["id"],
        "method": "lightning",
        "reference": offer.request["methodDetails"]["paymentHash"],
        "status": "success",
    }
    assert receipt["timestamp"].endswith("Z")
    assert "private" in answer.tokens("Cache-Control")
    assert upstream.count == 1


def test_padded_credentials_are_read_too(server, payer):
    credential = server.buy("/api/x", payer)
    padded = credential + "=" * (-len(credential.removeprefix("Payment ")) % 4)
    assert redeem(server, "/api/x", padded.replace("Payment ", "pAyMeNt ")).status == 200


def test_again_is_refused_with_a_fresh_challenge(server, payer, upstream):
    offer = server.unpaid("/api/x").payment
    credential = payment.credential(offer, payer.pay(offer.invoice))
    assert redeem(server, "/api/x", credential).status == 200
    again = redeem(server, "/api/x", credential)
    assert again.status == 402 and again.problem == "lightning/unknown-challenge"
    assert not again.all("Payment-Receipt")
    fresh = payment.parse_challenges(again.all("WWW-Authenticate"))[0]
    assert fresh["id"] != offer["id"] and fresh.invoice != offer.invoice
    assert upstream.count == 1


def test_sixty_four_at_once_give_one_answer(server, payer, upstream):
    credential = server.buy("/api/storm", payer)
    start = threading.Barrier(64)

    def send() -> tuple[int, str]:
        start.wait()
        answer = redeem(server, "/api/storm", credential)
        return answer.status, answer.problem if answer.status == 402 else ""

    with ThreadPoolExecutor(64) as pool:
        answers = Counter(future.result() for future in [pool.submit(send) for _ in range(64)])
    assert answers[(200, "")] == 1, answers
    refused = {key: count for key, count in answers.items() if key != (200, "")}
    # The unpaid bound may turn some refusals into 429, since each would carry a fresh challenge.
    assert all(key in ((402, "lightning/unknown-challenge"), (429, "")) for key in refused), answers
    assert len(upstream.of_path("/api/storm")) == 1


def test_sixty_four_at_once_with_one_idempotency_key(server, payer, upstream):
    """All get the one stored answer, or 409 with Retry-After while it is on its way."""
    credential = server.buy("/api/same", payer)
    start = threading.Barrier(64)

    def send():
        start.wait()
        return redeem(server, "/api/same", credential, Idempotency_Key="k1")

    with ThreadPoolExecutor(64) as pool:
        answers = [future.result() for future in [pool.submit(send) for _ in range(64)]]
    statuses = Counter(answer.status for answer in answers)
    assert statuses[200] >= 1 and set(statuses) <= {200, 409}, statuses
    assert len({answer.body for answer in answers if answer.status == 200}) == 1
    assert all(answer.get("Retry-After") for answer in answers if answer.status == 409)
    assert len(upstream.of_path("/api/same")) == 1


def test_replay_by_idempotency_key(server, payer, upstream):
    credential = server.buy("/api/x", payer)
    first = redeem(server, "/api/x", credential, Idempotency_Key="order-1")
    again = redeem(server, "/api/x", credential, Idempotency_Key="order-1")
    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert again.get("Content-Type") == first.get("Content-Type")
    other = redeem(server, "/api/x", credential, Idempotency_Key="order-2")
    assert other.status == 402 and other.problem == "lightning/unknown-challenge"
    assert redeem(server, "/api/x", credential).status == 402
    assert upstream.count == 1


def test_a_stored_failure_is_replayed_too(server, payer, upstream):
    credential = server.buy("/api/x?status=503", payer)
    first = redeem(server, "/api/x?status=503", credential, Idempotency_Key="k")
    again = redeem(server, "/api/x?status=503", credential, Idempotency_Key="k")
    assert (first.status, again.status) == (503, 503)
    assert not first.all("Payment-Receipt"), "a receipt is for success only"
    assert upstream.count == 1


def test_body_too_big_to_keep_is_never_run_again(server, payer, upstream):
    credential = server.buy("/api/x?size=100000", payer)
    first = redeem(server, "/api/x?size=100000", credential, Idempotency_Key="k")
    assert first.status == 200 and len(first.body) == 100_000
    again = redeem(server, "/api/x?size=100000", credential, Idempotency_Key="k")
    assert again.status == 502 and again.problem == "internal-payment-error"
    assert upstream.count == 1


def test_wrong_preimage_repeats_the_holders_challenge(server, payer, upstream):
    """Byte for byte, so that a client that confused two invoices can still pay the right one."""
    shown = server.unpaid("/api/x")
    wrong = redeem(server, "/api/x", payment.credential(shown.payment, "00" * 32))
    assert wrong.status == 402 and wrong.problem == "lightning/invalid-preimage"
    assert wrong.all("WWW-Authenticate") == shown.answer.all("WWW-Authenticate")
    right = payment.credential(shown.payment, payer.pay(shown.payment.invoice))
    assert redeem(server, "/api/x", right).status == 200
    assert upstream.count == 1


@pytest.mark.parametrize("payload", ["one more field", "another preimage"])
def test_other_payload_for_a_used_challenge(server, payer, upstream, payload):
    offer = server.unpaid("/api/x").payment
    preimage = payer.pay(offer.invoice)
    assert redeem(server, "/api/x", payment.credential(offer, preimage), Idempotency_Key="k").status == 200
    changed = {"preimage": preimage, "x": "1"} if payload == "one more field" else {"preimage": "11" * 32}
    other = redeem(
        server, "/api/x", payment.credential_of({"challenge": offer.fields, "payload": changed}), Idempotency_Key="k"
    )
    assert other.status == 402 and other.problem == "lightning/unknown-challenge"
    assert payment.parse_challenges(other.all("WWW-Authenticate"))[0]["id"] != offer["id"], "it is used up: not to be paid again"
    assert upstream.count == 1


@pytest.mark.parametrize("field", ["id", "realm", "request", "expires", "intent"])
def test_a_changed_echo_is_unknown(server, payer, upstream, field):
    offer = server.unpaid("/api/x").payment
    preimage = payer.pay(offer.invoice)
    changed = {
        "id": "A" * 43,
        "realm": "other.example",
        "request": payment.b64url(payment.json_text({**offer.request, "amount": "1"}).encode()),
        "expires": "2099-01-01T00:00:00Z",
        "intent": "session",
    }[field]
    answer = redeem(server, "/api/x", payment.credential(offer, preimage, **{field: changed}))
    assert answer.status in (400, 402) and not answer.all("Payment-Receipt")
    assert upstream.count == 0
    assert redeem(server, "/api/x", payment.credential(offer, preimage)).status == 200, "nothing was consumed"


def test_echo_without_optional_fields(server, payer):
    """`description` is for display; an echo without it is as good."""
    offer = server.unpaid("/api/x").payment
    assert redeem(server, "/api/x", payment.credential(offer, payer.pay(offer.invoice), drop=["description"])).status == 200


@pytest.mark.parametrize(
    ("value", "status", "problem"),
    [
        ("Payment", 402, "malformed-credential"),
        ("Payment !!!", 402, "malformed-credential"),
        ("Payment e30", 402, "malformed-credential"),
        ("Payment " + payment.b64url(b"not json"), 402, "malformed-credential"),
        ("Payment " + payment.b64url(b'{"challenge":{},"payload":{}}'), 402, "malformed-credential"),
        ("Payment " + payment.b64url(b'{"challenge":1,"challenge":2}'), 402, "malformed-credential"),
    ],
    ids=str,
)
def test_malformed_credentials(server, upstream, value, status, problem):
    answer = server.request("/api/x", headers={"Authorization": value})
    assert (answer.status, answer.problem) == (status, problem)
    assert answer.all("WWW-Authenticate") and answer.json()["detail"]
    assert upstream.count == 0


@pytest.mark.parametrize("preimage", ["AB" * 32, "ab" * 31, "ab" * 33, "zz" * 32, ""], ids=["upper", "short", "long", "no hex", "empty"])
def test_malformed_preimages(server, upstream, preimage):
    offer = server.unpaid("/api/x").payment
    answer = redeem(server, "/api/x", payment.credential(offer, preimage))
    assert answer.status == 402 and answer.problem == "lightning/malformed-credential"
    assert upstream.count == 0


def test_two_credentials_are_a_bad_request(server, payer, upstream):
    first, second = server.buy("/api/x", payer), server.buy("/api/x", payer)
    answer = server.request("/api/x", headers=[("Authorization", first), ("Authorization", second)])
    assert answer.status == 400 and answer.problem == "bad-request"
    assert upstream.count == 0
    assert redeem(server, "/api/x", first).status == 200, "nothing was consumed"


def test_a_method_that_is_not_accepted(server):
    offer = server.unpaid("/api/x").payment
    answer = redeem(server, "/api/x", payment.credential(offer, "00" * 32, method="tempo"))
    assert answer.status == 400 and answer.problem == "method-unsupported"


def test_head_is_bought_like_get(server, payer, upstream):
    credential = server.buy("/api/x", payer, method="HEAD")
    answer = server.request("/api/x", "HEAD", {"Authorization": credential})
    assert answer.status == 200 and answer.body == b""
    assert [one.method for one in upstream.seen] == ["HEAD"]


def test_caching_directives_are_kept(server, payer):
    path = "/api/x?header=Cache-Control:max-age%3D60"
    answer = redeem(server, path, server.buy(path, payer))
    assert answer.status == 200
    assert {"max-age=60", "private"} <= answer.tokens("Cache-Control")


def test_the_upstreams_own_payment_headers_stay_inside(server, payer):
    path = "/api/x?header=Payment-Receipt:forged&header=WWW-Authenticate:Payment%20id%3D%22x%22"
    answer = redeem(server, path, server.buy(path, payer))
    assert answer.status == 200
    assert "forged" not in answer.all("Payment-Receipt") and len(answer.all("Payment-Receipt")) == 1
    assert not answer.all("WWW-Authenticate")


def test_a_restart_changes_nothing(server, payer, upstream):
    """Neither for what is paid and not yet used, nor for what is used."""
    used, unused = server.buy("/api/x", payer), server.buy("/api/x", payer)
    assert redeem(server, "/api/x", used, Idempotency_Key="k").status == 200
    server.restart()
    assert redeem(server, "/api/x", unused).status == 200
    assert redeem(server, "/api/x", unused).status == 402
    assert redeem(server, "/api/x", used).status == 402
    assert redeem(server, "/api/x", used, Idempotency_Key="k").status == 200
    assert upstream.count == 2


def test_challenges_survive_a_restart_without_a_configured_secret(gateway, upstream, payer):
    server = gateway([service("api", "^/api/", upstream.url, schemes=["payment"])], start=False)
    del server.config["paywall"]["secret"]
    server.start()
    credential = server.buy("/api/x", payer)
    server.restart()
    assert redeem(server, "/api/x", credential).status == 200


def test_a_price_change_does_not_reprice(server, payer):
    credential = server.buy("/api/x", payer)
    server.stop()
    server.config["paywall"]["services"][0]["price"] = "500 sat"
    server.start()
    assert redeem(server, "/api/x", credential).status == 200


def test_key_rotation(server, payer, leaks):
    """A challenge made under the previous key is good while that key is listed, and not after."""
    import os

    kept, dropped = server.buy("/api/x", payer), server.buy("/api/x", payer)
    fresh = os.urandom(32).hex()
    leaks.register(fresh, "paywall secret")
    key = server.directory / "mpp2.key"
    key.write_text(fresh)
    leaks.exempt(key)
    old = server.config["paywall"]["secret"]
    server.stop()
    server.config["paywall"]["secret"] = [f"file://{key}", old]
    server.start()
    assert redeem(server, "/api/x", kept).status == 200
    server.stop()
    server.config["paywall"]["secret"] = [f"file://{key}"]
    server.start()
    assert redeem(server, "/api/x", dropped).status == 402


def test_expired_challenges(gateway, upstream, payer):
    import time

    server = gateway(
        [service("api", "^/api/", upstream.url, schemes=["payment"])], paywall={"challenge_ttl": "10s"}
    )
    credential = server.buy("/api/x", payer)
    time.sleep(11)
    answer = redeem(server, "/api/x", credential)
    assert answer.status == 402 and answer.problem in ("payment-expired", "lightning/expired-invoice")
    assert upstream.count == 0
