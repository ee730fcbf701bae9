"""A price of zero asks for a proof without money, and each is good once."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import payment
from harness.settings import service


@pytest.fixture
def server(gateway, upstream):
    return gateway([service("api", "^/api/", upstream.url, "0 sat", schemes=["payment"])])


def proof(challenge: payment.Challenge) -> str:
    return payment.credential_of({"challenge": dict(challenge.params), "payload": {"type": "proof"}})


def show(server, credential, path="/api/x"):
    return server.request(path, headers={"Authorization": credential})


def test_a_proof_opens_one_request(server, upstream):
    offer = server.unpaid("/api/x").payment
    assert offer.request["amount"] == "0" and "methodDetails" not in offer.request
    answer = show(server, proof(offer))
    assert answer.status == 200
    assert payment.receipt(answer.get("Payment-Receipt"))["reference"] == offer["id"]
    again = show(server, proof(offer))
    assert again.status == 402 and again.problem == "lightning/unknown-challenge"
    assert upstream.count == 1
    assert not upstream.of_path("/api/x")[0].all("Authorization")


def test_sixty_four_at_once_give_one_answer(server, upstream):
    credential = proof(server.unpaid("/api/storm").payment)
    start = threading.Barrier(64)

    def send():
        start.wait()
        answer = show(server, credential, "/api/storm")
        return answer.status, answer.problem if answer.status == 402 else ""

    with ThreadPoolExecutor(64) as pool:
        answers = Counter(future.result() for future in [pool.submit(send) for _ in range(64)])
    assert answers == {(200, ""): 1, (402, "lightning/unknown-challenge"): 63}
    assert len(upstream.of_path("/api/storm")) == 1


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restart_forgets_no_proof(server, upstream, how):
    used = proof(server.unpaid("/api/x").payment)
    unused = proof(server.unpaid("/api/x").payment)
    assert show(server, used).status == 200
    getattr(server, how)()
    server.start()
    again = show(server, used)
    assert again.status == 402 and again.problem == "lightning/unknown-challenge"
    assert show(server, unused).status == 200
    assert upstream.count == 2


def test_it_opens_nothing_that_costs(gateway, upstream):
    server = gateway(
        [
            service(
                "api", "^/api/", upstream.url, "10 sat", schemes=["l402", "payment"],
                prices=[{"path": "^/api/trial", "price": "0 sat"}],
            )
        ]
    )
    trial = server.unpaid("/api/trial")
    assert len(trial.challenges) == 1, "L402 cannot ask for nothing"
    credential = proof(trial.payment)
    for path in ("/api/dear", "/api/trial-and-more", "/api/trial/other"):
        assert show(server, credential, path).status == 402
    priced = server.unpaid("/api/dear").payment
    assert show(server, proof(priced), "/api/dear").problem == "lightning/malformed-credential"
    assert show(server, credential, "/api/trial").status == 200
    assert upstream.count == 1
