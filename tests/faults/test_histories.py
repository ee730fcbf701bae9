"""Three replicas on one PostgreSQL, each over a network of its own that cuts, delays, stalls and resets
connections, also before and after a COMMIT; sixty-four clients; and porcupine, which looks for one
order of everything that happened that a single ledger could have told (guarantees 1, 2 and 6;
acceptance point 2 of the issue of sessions).

What ended in 503 may have happened or not; everything else must fit."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable

import pytest

from harness import payment, web
from harness.octroi import Gateway
from harness.payers import QuickPayer
from harness.replica_history import History, judge
from harness.replica_proxy import Proxy, Trouble
from harness.replica_set import make_replicas, through, wait_until_ready
from harness.session import Client, Session
from harness.settings import service

CLIENTS = 64
SECONDS = 4  # of trouble
PROOFS = 40


@pytest.fixture
def payer(octroi_binary, workdir, sim_file, leaks) -> QuickPayer:
    return QuickPayer(octroi_binary, workdir / "payer", sim_file, leaks)


@pytest.fixture
def replicas(gateway, upstream, postgres, proxy, shared) -> Callable[..., list[Gateway]]:
    def make(*services: dict[str, Any]) -> list[Gateway]:
        url = postgres.database()
        return make_replicas(gateway, list(services), [through(postgres, url, port) for port in proxy.ports], shared)

    return make


def send(server: Gateway, path: str, credential: str, **headers: str) -> web.Response | None:
    """None: nobody knows what came of it. Real clients wait a little then, and so do these."""
    answer = server.request(path, headers={"Authorization": credential, **headers}, timeout=30)
    if answer.status == 503 and "nothing was counted" in answer.text:
        # A replica that does not know what is revoked: it did not happen, so it is asked again.
        time.sleep(0.1)
        return send(server, path, credential, **headers)
    if answer.status in (500, 503, 504):
        time.sleep(0.1)
        return None
    return answer


def known(server: Gateway, path: str, credential: str) -> web.Response:
    """For after the storm: a connection that it broke may be found broken only when it is used, and what
    was sent on it has an unknown end once more. So it is asked again until the end is known."""
    for _ in range(20):
        if (answer := send(server, path, credential)) is not None:
            return answer
    pytest.fail("the store does not come back")


def storm(client: Callable[[int, random.Random], None], proxy: Proxy, servers: list[Gateway], seed: int) -> int:
    """Sixty-four clients, each doing one thing after the other while the network has its troubles; ends
    when all are well again. Returns how many troubles there were."""
    end = time.monotonic() + SECONDS
    failed: list[BaseException] = []

    def work(n: int) -> None:
        chance = random.Random(seed * 1000 + n)
        try:
            while time.monotonic() < end and not failed:
                client(n, chance)
        except BaseException as why:  # noqa: BLE001: told below
            failed.append(why)

    trouble = Trouble(proxy, seed)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(CLIENTS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    trouble.stop()
    if failed:
        raise failed[0]
    wait_until_ready(servers)
    return trouble.count


# ---- claims --------------------------------------------------------------------------------------


def redeemed(answer: web.Response | None) -> dict[str, Any] | None:
    if answer is None:
        return None
    if answer.status == 200:
        return {"result": "ok", "answer": str(answer.json()["n"])}
    if answer.status == 402:
        assert answer.problem == "lightning/unknown-challenge", answer.text
        return {"result": "taken"}
    assert answer.status in (409, 502), (answer, answer.text[:300])
    return {"result": "busy" if answer.status == 409 else "lost"}


def test_a_charge_is_redeemed_once(replicas, proxy, upstream, payer, workdir):
    """Also by clients with keys, who are given the same answer again."""
    servers = replicas(service("api", "^/", upstream.url, "1 sat", schemes=["payment"]))
    history = History()
    paths = [f"/plain/{n}" for n in range(PROOFS)] + [f"/keyed/{n}" for n in range(PROOFS)]
    with ThreadPoolExecutor(8) as pool:
        bought = dict(zip(paths, pool.map(lambda p: servers[0].buy(p, payer), paths)))

    began = time.monotonic()

    def client(n: int, chance: random.Random) -> None:
        # All go through the list at the pace of the storm, so that each is asked for by many at once.
        at = (time.monotonic() - began) / SECONDS * PROOFS
        number = min(PROOFS - 1, max(0, int(at + chance.uniform(-3, 3))))
        path, key = chance.choice([(f"/plain/{number}", ""), (f"/keyed/{number}", chance.choice("ab"))])
        replica = chance.randrange(3)
        headers = {"Idempotency-Key": key} if key else {}
        history.run("claim", path, n, lambda: redeemed(send(servers[replica], path, bought[path], **headers)),
                    op="claim", id=key, gate=str(replica))

    troubles = storm(client, proxy, servers, seed=1)
    # Nobody is in the way now: whoever comes gets what is left.
    for path in paths:
        for replica in (0, 2):
            headers = {"Idempotency-Key": "a"} if path.startswith("/keyed") else {}
            history.run("claim", path, 100, lambda: redeemed(send(servers[replica], path, bought[path], **headers)),
                        op="claim", id=headers.get("Idempotency-Key", ""), gate=str(replica))
    told = history.judge(workdir)
    assert told["verdict"] == "ok", told
    assert all(len(upstream.of_path(path)) <= 1 for path in paths)
    served = {one["key"] for one in history.of("ok")}
    assert served == {path for path in paths if upstream.of_path(path)} and len(served) > PROOFS
    assert troubles >= 10 and history.unknown, (troubles, told)


def test_a_deposit_tops_up_one_session(replicas, proxy, upstream, payer, leaks, workdir):
    """Which is asked to be topped up with it, as two are."""
    servers = replicas(prepaid(upstream, "100 sat"))
    clients = [Client(one, payer, leaks) for one in servers]
    both = [clients[0].open(), clients[0].open()]
    history = History()
    deposits = PROOFS

    def make(_: int) -> list[str]:
        challenge = clients[0].challenge()
        preimage = payer.pay(challenge.request["depositInvoice"])
        return [clients[0].credential(challenge, action="topUp", sessionId=one.id, topUpPreimage=preimage) for one in both]

    with ThreadPoolExecutor(8) as pool:
        credentials = list(pool.map(make, range(deposits)))

    def topped(answer: web.Response | None) -> dict[str, Any] | None:
        if answer is None:
            return None
        if answer.status == 402:
            assert answer.problem == "lightning/unknown-challenge", answer.text
            return {"result": "taken"}
        assert answer.status in (200, 409), (answer, answer.text[:300])
        return {"result": "ok", "answer": "added"} if answer.status == 200 else {"result": "busy"}

    began = time.monotonic()

    def client(n: int, chance: random.Random) -> None:
        at = (time.monotonic() - began) / SECONDS * deposits
        number = min(deposits - 1, max(0, int(at + chance.uniform(-2, 2))))
        which, replica = chance.randrange(2), chance.randrange(3)
        value = credentials[number][which]
        history.run("claim", str(number), n, lambda: topped(send(servers[replica], "/api/x", value)),
                    op="claim", id=str(which), gate=str(replica))

    storm(client, proxy, servers, seed=2)
    owners: list[int] = []
    for number, values in enumerate(credentials):
        answers = [topped(known(servers[number % 3], "/api/x", value)) for value in values]
        for which, told in enumerate(answers):
            history.add("claim", str(number), 100, call := time.monotonic_ns(), call + 1, op="claim", id=str(which),
                        gate=str(number % 3), **told)
        assert [one["result"] for one in answers].count("ok") == 1, (number, answers)
        owners.append(0 if answers[0]["result"] == "ok" else 1)
    told = history.judge(workdir)
    assert told["verdict"] == "ok", told
    for which, session in enumerate(both):
        assert look(servers[which], session)["deposit"] == 100 * (1 + owners.count(which)), "each added once"


# ---- accounts --------------------------------------------------------------------------------------


def prepaid(upstream, deposit: str) -> dict[str, Any]:
    return service("api", "^/", upstream.url, schemes=["payment"], payment={"intents": ["session"]},
                   session={"price": "2 sat", "deposit": deposit, "idle_timeout": "600s", "refund": {"wait": "0s"}})


def look(server: Gateway, session: Session) -> dict[str, Any] | None:
    """The session as this replica reads it, in satoshi."""
    row = session.row(server)
    return row and {"result": "ok", "deposit": row["deposit_msat"] // 1000, "spent": row["spent_msat"] // 1000,
            "closed": row["state"] == "closed"}


def debited(answer: web.Response | None) -> dict[str, Any] | None:
    if answer is None or answer.status == 200:
        return answer and {"result": "ok"}
    assert answer.status == 402, (answer, answer.text[:300])
    if answer.problem == "lightning/session-closed":
        return {"result": "closed"}
    assert answer.problem == "lightning/insufficient-balance", answer.text
    return {"result": "insufficient", "spent": answer.json()["balanceSpent"]}


def changed(answer: web.Response | None) -> dict[str, Any] | None:
    """What a top-up or a close was told."""
    if answer is None or answer.status == 409:
        return answer and {"result": "busy"}
    if answer.status == 200:
        return {"result": "ok", "refund": answer.json().get("refundSats", 0)}
    assert answer.status == 402 and answer.problem == "lightning/session-closed", (answer, answer.text[:300])
    return {"result": "closed"}


def test_sessions_are_drawn_topped_up_read_and_closed(replicas, proxy, upstream, payer, leaks, workdir):
    """The balance is one register: each debit takes all of its price or nothing, each top-up adds once, each
    reader at each replica sees what was done before, and the close gives back what was left."""
    deposit, price = 30, 2
    servers = replicas(prepaid(upstream, f"{deposit} sat"))
    clients = [Client(one, payer, leaks) for one in servers]
    history = History()
    count = 16

    def make(_: int) -> tuple[Session, list[str], list[str]]:
        session = clients[0].open()
        return (session, [session.top_up_credential() for _ in range(6)], [session.close_credential() for _ in range(2)])

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(count)))
    challenge = clients[0].challenge()
    for number in range(count):
        history.add("account", str(number), 100, call := time.monotonic_ns(), call + 1, op="open", id="", amount=deposit,
                    debit=price, result="ok")
    began = time.monotonic()

    def client(n: int, chance: random.Random) -> None:
        # Two thirds stay with one session; the others go where they like.
        number = n % count if chance.random() < 0.67 else chance.randrange(count)
        session, top_ups, closes = made[number]
        key, replica = str(number), chance.randrange(3)
        at = (time.monotonic() - began) / SECONDS
        what = chance.random()
        if what < 0.2:
            call = time.monotonic_ns()
            if told := look(servers[replica], session):  # one that was not told anything says nothing
                history.add("account", key, n, call, time.monotonic_ns(), op="read", **told)
        elif what < 0.35:
            which = min(5, int(at * 6))
            history.run("account", key, n, lambda: changed(send(servers[replica], "/api/x", top_ups[which])),
                        op="add", id=f"t{which}", amount=deposit)
        elif what < 0.4 and at > 0.8:
            which = chance.randrange(2)
            history.run("account", key, n, lambda: changed(send(servers[replica], "/api/x", closes[which])),
                        op="close", id=f"c{which}")
        else:
            bearer = session.bearer(challenge)
            history.run("account", key, n, lambda: debited(send(servers[replica], f"/api/{number}", bearer)),
                        op="debit", amount=price)

    troubles = storm(client, proxy, servers, seed=3)
    for number, (session, _, _) in enumerate(made):
        told = look(servers[number % 3], session)
        history.add("account", str(number), 100, call := time.monotonic_ns(), call + 1, op="read", **told)
        served = len(upstream.of_path(f"/api/{number}"))
        paid = len([one for one in history.of("ok", "debit") if one["key"] == str(number)])
        assert paid <= served, "all that was answered was served"
        assert price * (served + 1) <= told["spent"] <= told["deposit"], "all that was served was debited"
    told = history.judge(workdir)
    assert told["verdict"] == "ok", told
    assert len(history.of("ok", "debit")) > 100
    assert troubles >= 10 and history.unknown, (troubles, told)


def test_a_token_of_ten_requests_opens_ten(replicas, proxy, upstream, payer, workdir):
    """And its first sight, at whichever replica, is booked once."""
    uses = 10
    servers = replicas(service("api", "^/", upstream.url, "1 sat", schemes=["l402"], token={"max_requests": uses}))
    history = History()
    count = PROOFS
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda n: servers[0].buy_token("/t", payer), range(count)))
    for number in range(count):
        history.add("account", f"token {number}", 100, call := time.monotonic_ns(), call + 1, op="open", id="",
                    amount=uses, debit=0, result="ok")

    def shown(answer: web.Response | None) -> dict[str, Any] | None:
        if answer is None or answer.status == 200:
            return answer and {"result": "ok"}
        assert answer.status == 402, (answer, answer.text[:300])
        return {"result": "insufficient"}  # it is refused for nothing else: the judge would mind

    began = time.monotonic()

    def client(n: int, chance: random.Random) -> None:
        at = (time.monotonic() - began) / SECONDS * count
        number = min(count - 1, max(0, int(at + chance.uniform(-3, 3))))
        replica = chance.randrange(3)
        history.run("account", f"token {number}", n, lambda: shown(send(servers[replica], f"/t/{number}", tokens[number])),
                    op="debit", amount=1)

    storm(client, proxy, servers, seed=4)
    for number in range(count):
        for _ in range(uses + 1):
            if shown(known(servers[number % 3], f"/t/{number}", tokens[number]))["result"] == "insufficient":
                break
        else:
            pytest.fail("it opens for ever")
        assert len(upstream.of_path(f"/t/{number}")) <= uses
    told = history.judge(workdir)
    assert told["verdict"] == "ok", told
    first = sum(one.metric("octroi_payments_total", scheme="l402") for one in servers)
    assert first <= count, "each is new to one replica, once"
    rows = web.request(f"{servers[1].admin_url}/api/v1/transactions?state=settled&limit=1000",
                       headers={"Authorization": f"Bearer {servers[1].admin_token}"}).json()["transactions"]
    assert len(rows) == len({row["payment_hash"] for row in rows}) == count, "and booked once"


# ---- the judge itself ------------------------------------------------------------------------------


def told(model: str, op: str, at: tuple[int, int], **rest: Any) -> dict[str, Any]:
    return {"model": model, "key": "k", "client": 0, "call": at[0], "return": at[1], "op": op, "id": "", **rest}


OPENED = told("account", "open", (1, 2), amount=4, debit=0, result="ok")
WRONG = {
    "one proof, two answers": [
        told("claim", "claim", (1, 2), result="ok", answer="1"), told("claim", "claim", (3, 4), result="ok", answer="2")],
    "another answer to the same key": [
        told("claim", "claim", (1, 2), id="a", result="ok", answer="1"),
        told("claim", "claim", (3, 4), id="a", result="ok", answer="2")],
    "taken before anybody had it": [told("claim", "claim", (1, 2), result="taken")],
    "delivered elsewhere after a doubt": [
        told("claim", "claim", (1, 0), id="", gate="1"), told("claim", "claim", (3, 4), gate="2", result="taken"),
        told("claim", "claim", (5, 6), gate="2", result="ok", answer="1")],
    "more than there was": [OPENED] + [told("account", "debit", (n, n + 1), amount=2, result="ok") for n in (3, 5, 7)],
    "insufficient while there was enough": [OPENED, told("account", "debit", (3, 4), amount=2, result="insufficient")],
    "a reader who is late": [
        OPENED, told("account", "debit", (3, 4), amount=2, result="ok"),
        told("account", "read", (5, 6), result="ok", deposit=4, spent=0)],
    "a debit that was lost": [
        OPENED, told("account", "debit", (3, 4), amount=2, result="ok"), told("account", "debit", (3, 4), amount=2, result="ok"),
        told("account", "read", (5, 6), result="ok", deposit=4, spent=2)],
    "a top-up that counts twice": [
        OPENED, told("account", "add", (3, 4), id="t", amount=4, result="ok"),
        told("account", "add", (5, 6), id="t", amount=4, result="ok"),
        told("account", "read", (7, 8), result="ok", deposit=12, spent=0)],
    "a close that forgets a debit": [
        OPENED, told("account", "debit", (3, 4), amount=2, result="ok"), told("account", "close", (5, 6), id="c", refund=4, result="ok")],
    "a debit after the close": [
        OPENED, told("account", "close", (3, 4), id="c", refund=4, result="ok"), told("account", "debit", (5, 6), amount=2, result="ok")],
    "two unknown debits that cannot explain three": [
        OPENED, told("account", "debit", (3, 0), amount=1), told("account", "debit", (3, 0), amount=1),
        told("account", "read", (5, 6), result="ok", deposit=4, spent=3)],
}
RIGHT = {
    "at once, in whatever order": [
        told("claim", "claim", (1, 9), result="taken"), told("claim", "claim", (2, 8), result="ok", answer="1")],
    "the same answer again": [
        told("claim", "claim", (1, 2), id="a", result="ok", answer="1"), told("claim", "claim", (3, 4), id="a", result="ok", answer="1")],
    "delivered where the doubt was": [
        told("claim", "claim", (1, 0), gate="1"), told("claim", "claim", (3, 4), gate="2", result="taken"),
        told("claim", "claim", (5, 6), gate="1", result="ok", answer="1")],
    "an unknown debit that happened": [
        OPENED, told("account", "debit", (3, 0), amount=4), told("account", "debit", (5, 6), amount=2, result="insufficient", spent=4)],
    "an unknown debit that did not": [
        OPENED, told("account", "debit", (3, 0), amount=4), told("account", "debit", (5, 6), amount=4, result="ok"),
        told("account", "read", (7, 8), result="ok", deposit=4, spent=4)],
}


@pytest.mark.parametrize("name", [*WRONG, *RIGHT])
def test_the_judge_knows_right_from_wrong(name, workdir):
    verdict = judge((WRONG | RIGHT)[name], workdir)["verdict"]
    assert verdict == ("illegal" if name in WRONG else "ok")


def test_a_history_of_sixty_four_with_one_lie_is_seen_through(workdir):
    """In a history as long and as crowded as those above, one debit too many."""
    chance = random.Random(7)
    operations, spent = [told("account", "open", (1, 2), amount=600, debit=0, result="ok")], 0
    for n in range(300):
        operations.append(told("account", "debit", (10 * n - chance.randrange(60) + 100, 10 * n + chance.randrange(60) + 100),
                               amount=2, result="ok"))
        spent += 2
    final = told("account", "read", (9000, 9001), result="ok", deposit=600, spent=spent)
    assert judge([*operations, final], workdir)["verdict"] == "ok"
    # Many that nobody knows of: they may have been what is missing, all but one.
    unknown = [told("account", "debit", (20 * n + 200, 0), amount=2) for n in range(40)]
    fewer = [one for n, one in enumerate(operations) if n % 10 != 5]
    assert judge([*fewer, *unknown, final], workdir)["verdict"] == "ok"
    lie = told("account", "debit", (2000, 2010), amount=2, result="ok")
    assert judge([*operations, lie, final], workdir)["verdict"] == "illegal"


@pytest.mark.parametrize("seed", range(4))
def test_a_crowd_before_one_account_is_judged_too(seed, workdir):
    """A stall holds all clients at one token; some of their questions are never answered. Each moment of
    the account was in the middle of most of them."""
    chance = random.Random(seed)

    def crowd(count: int, **rest: Any) -> list[dict[str, Any]]:
        return [told("account", "debit", (chance.randrange(4, 100), chance.randrange(1000, 2000)), amount=1, **rest)
                for _ in range(count)]

    silent, served, refused = crowd(20), crowd(7, result="ok"), crowd(37, result="insufficient")
    operations = [told("account", "open", (1, 2), amount=10, debit=0, result="ok"),
                  *({**one, "return": 0} for one in silent), *served, *refused]
    chance.shuffle(operations)
    assert judge(operations, workdir)["verdict"] == "ok", "three of the silent ones happened"
    early = told("account", "debit", (2, 3), amount=1, result="insufficient")
    assert judge([*operations, early], workdir)["verdict"] == "illegal"
    assert judge([*operations, *crowd(4, result="ok")], workdir)["verdict"] == "illegal"
