"""`octroi fetch` pays what it was told to, and nothing else."""

from __future__ import annotations

import json

import pytest

from harness import payment
from harness.fake_paywall import FakePaywall
from harness.settings import service


@pytest.fixture
def server(gateway, upstream):
    return gateway(
        [
            service("both", "^/both/", upstream.url, "10 sat"),
            service("l402", "^/l402/", upstream.url, "11 sat", schemes=["l402"]),
            service("charge", "^/charge/", upstream.url, "12 sat", schemes=["payment"]),
            service("dear", "^/dear/", upstream.url, "5000 sat", schemes=["payment"]),
        ]
    )


@pytest.fixture
def fetch(payer, leaks):
    def run(*words: str, status: int = 0):
        done = payer.run("fetch", *words, check=False)
        assert done.returncode == status, f"exit {done.returncode}: {done.stderr[-1500:]}"
        if "--json" in words and done.stdout.strip().startswith("{"):
            answer = json.loads(done.stdout)
            if answer.get("receipt"):
                leaks.register(str(answer["receipt"]), "Payment-Receipt")
            return answer
        return done

    return run


@pytest.mark.parametrize(("path", "scheme", "paid"), [("/l402/x", "l402", 11_000), ("/charge/x", "payment", 12_000)])
def test_pays(server, fetch, upstream, path, scheme, paid):
    answer = fetch("--json", server.url + path)
    assert (answer["status"], answer["scheme"], answer["paid_msat"]) == (200, scheme, paid)
    assert json.loads(answer["body"])["path"] == path
    assert len(upstream.of_path(path)) == 1


def test_body_on_stdout(server, fetch):
    assert json.loads(fetch(server.url + "/both/x").stdout)["upstream"] == "ok"


def test_output_file(server, fetch, workdir):
    fetch("-o", str(workdir / "out.json"), server.url + "/both/x")
    assert json.loads((workdir / "out.json").read_text())["upstream"] == "ok"


def test_free_pages_cost_nothing(upstream, fetch):
    assert fetch("--json", upstream.url + "/free")["paid_msat"] == 0


def test_post(server, fetch, upstream):
    fetch("-d", "the body", "-H", "X-Mine: yes", server.url + "/charge/post")
    seen = upstream.of_path("/charge/post")[0]
    assert (seen.method, seen.body, seen.all("X-Mine")) == ("POST", b"the body", ["yes"])


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--no-pay"], None),
        (["--dry-run"], 10),
        (["--max-cost", "9"], 7),
    ],
    ids=["no-pay", "dry run", "too dear"],
)
def test_does_not_pay(server, fetch, payer, upstream, words, status):
    before = payer.balance_msat()
    done = payer.run("fetch", *words, server.url + "/both/x", check=False)
    if status is not None:
        assert done.returncode == status, done.stderr
    assert payer.balance_msat() == before
    assert upstream.count == 0


def test_the_default_cap_is_a_thousand_sat(server, fetch, payer):
    before = payer.balance_msat()
    fetch(server.url + "/dear/x", status=7)
    assert payer.balance_msat() == before
    fetch("--max-cost", "5000", server.url + "/dear/x")


def test_dry_run_of_a_free_page(upstream, fetch):
    fetch("--dry-run", upstream.url + "/free", status=11)


def test_fail_on_http_errors(upstream, fetch):
    fetch("--fail", upstream.url + "/x?status=404", status=22)


def test_nobody_listens(fetch):
    from harness.process import free_port

    fetch(f"http://127.0.0.1:{free_port()}/", status=4)


# ---- challenges that lie: decoded, compared and refused before a payment ---------------------------


@pytest.fixture
def liar(payer):
    """A paywall whose challenge is built by the test from a real invoice of the simulated network."""
    made: list[FakePaywall] = []

    def new_invoice() -> tuple[str, str]:
        invoice = json.loads(payer_of_liar.run("wallet", "invoice", "--amount", "10 sat", "--json").stdout)
        return invoice["invoice"], invoice["payment_hash"]

    payer_of_liar = payer

    def make(lines) -> FakePaywall:
        made.append(FakePaywall(new_invoice, lines))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def _with_request(offer, **changed) -> list[str]:
    request = {
        "amount": "10",
        "currency": "sat",
        "methodDetails": {"invoice": offer.invoice, "paymentHash": offer.payment_hash, "network": "regtest"},
    }
    details = changed.pop("methodDetails", {})
    request.update(changed)
    request["methodDetails"] = {**request["methodDetails"], **details}
    return [offer.payment(request=payment.b64url(payment.json_text(request).encode()))]


LIES = {
    "other amount": lambda o: _with_request(o, amount="9"),
    "other hash": lambda o: _with_request(o, methodDetails={"paymentHash": "00" * 32}),
    "other network": lambda o: _with_request(o, methodDetails={"network": "mainnet"}),
    "other currency": lambda o: _with_request(o, currency="usd"),
    "no invoice": lambda o: _with_request(o, methodDetails={"invoice": "lnbcrt1nonsense"}),
    "expired": lambda o: [o.payment(expires="2020-01-01T00:00:00Z")],
    "unknown header": lambda o: [o.payment(header="X-Pay")],
    "empty id": lambda o: [o.payment(id="")],
    "repeated parameter": lambda o: [o.payment() + f', realm="{o.realm}"'],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_challenge_that_does_not_agree_with_its_invoice(liar, fetch, payer, lie):
    before = payer.balance_msat()
    wall = liar(LIES[lie])
    done = payer.run("fetch", wall.url + "/x", check=False)
    assert done.returncode != 0
    assert payer.balance_msat() == before and not wall.credentials


@pytest.mark.parametrize(
    "lines",
    [
        lambda o: [o.l402_spec()],
        lambda o: [o.l402()],
        lambda o: [o.l402("LSAT")],
        lambda o: [o.payment("session") + ", " + o.payment()],
        lambda o: ['Basic realm="x"', o.payment()],
        lambda o: [o.payment(description='say "hi"')],
        lambda o: [f'L402 version="0", token="opaque-{o.id}", invoice="{o.invoice}"'],
        lambda o: [o.payment(opaque="eyJrIjoidiJ9", digest="sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")],
    ],
    ids=["spec", "macaroon", "LSAT", "folded", "beside Basic", "quotes", "a token that is no macaroon", "opaque and digest"],
)
def test_shapes_of_other_servers(octroi_binary, workdir, sim_file, leaks, payer, fetch, lines):
    """Real paywalls answer in all of these; the seller here is another account of the same network."""
    from harness.payers import SimPayer

    seller = SimPayer(octroi_binary, workdir / "seller", sim_file, leaks, account="seller")

    def new_invoice() -> tuple[str, str]:
        made = json.loads(seller.run("wallet", "invoice", "--amount", "10 sat", "--json").stdout)
        return made["invoice"], made["payment_hash"]

    wall = FakePaywall(new_invoice, lines)
    try:
        answer = fetch("--json", wall.url + "/x")
        assert (answer["status"], answer["paid_msat"]) == (200, 10_000)
        if " opaque" in str(lines(_Probe())):
            echo = json.loads(payment.unb64url(wall.credentials[0][1].split(" ")[1].rstrip("=")))["challenge"]
            assert {"opaque", "digest"} <= set(echo)
    finally:
        wall.stop()


class _Probe:
    """Shows what a row asks of an offer, without one."""

    id = invoice = ""

    def l402(self, scheme: str = "L402") -> str:
        return scheme

    def l402_spec(self) -> str:
        return "L402"

    def payment(self, intent: str = "charge", **more: str) -> str:
        return " ".join(["Payment", intent, *more])


def test_refused_after_payment(octroi_binary, workdir, sim_file, leaks, payer):
    """The seller takes the money and says 402 again: exit 5, and never a second payment."""
    from harness.payers import SimPayer

    seller = SimPayer(octroi_binary, workdir / "seller", sim_file, leaks, account="seller")

    def new_invoice() -> tuple[str, str]:
        made = json.loads(seller.run("wallet", "invoice", "--amount", "10 sat", "--json").stdout)
        return made["invoice"], made["payment_hash"]

    wall = FakePaywall(new_invoice, lambda o: [o.payment()])
    wall._paid = lambda value: False  # type: ignore[method-assign]
    try:
        before = payer.balance_msat()
        done = payer.run("fetch", wall.url + "/x", check=False)
        assert done.returncode == 5, done.stderr
        assert before - payer.balance_msat() == 10_000
        assert len(wall.credentials) == 1
    finally:
        wall.stop()


def test_a_header_of_ones_own_is_never_overwritten(server, fetch, payer, upstream, gateway):
    """The proof would go where the caller's own credential stands, so nothing is paid; where the service
    names the other field, both are sent."""
    before = payer.balance_msat()
    done = fetch("-H", "Authorization: Bearer mine", "--json", server.url + "/both/x", status=2)
    error = json.loads(done.stderr.strip().splitlines()[-1])["error"]
    assert error["code"] == "wallet.field-taken" and "mine" not in error["message"]
    assert payer.balance_msat() == before and upstream.count == 0
    own = gateway([service("own", "^/own/", upstream.url, "10 sat", schemes=["payment"], payment={"header": True})])
    answer = fetch("-H", "Authorization: Bearer mine", "--json", own.url + "/own/x")
    assert (answer["status"], answer["paid_msat"]) == (200, 10_000)
    assert upstream.of_path("/own/x")[0].all("Authorization") == ["Bearer mine"]


def test_a_price_of_zero_is_proven_and_not_paid(gateway, upstream, fetch, payer):
    server = gateway([service("zero", "^/zero/", upstream.url, "0 sat", schemes=["payment"])])
    before = payer.balance_msat()
    for _ in range(2):
        answer = fetch("--json", server.url + "/zero/x")
        assert (answer["status"], answer["scheme"], answer["paid_msat"]) == (200, "payment", 0)
    assert payer.balance_msat() == before
    assert len(upstream.of_path("/zero/x")) == 2
