"""What the wallet pays, in the audit: `octroi audit … --wallet` over the wallet's own store."""

from __future__ import annotations

import csv
import io
import json
import signal
import sqlite3
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from harness.process import environment, wait_for
from harness.serving import Server
from harness.settings import dump, service


@pytest.fixture
def server(gateway, upstream):
    return gateway([service("l402", "^/l402/", upstream.url, "11 sat", schemes=["l402"]),
                    service("charge", "^/charge/", upstream.url, "12 sat", schemes=["payment"])])


@pytest.fixture
def audit(payer):
    def run(*words, status: int = 0) -> str:
        done = payer.run("--json", "audit", *map(str, words), check=False)
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout or done.stderr

    return run


def store_of(payer) -> Path:
    return payer.config.parent / "wallet-agent" / "journal.db"


def told(row: dict) -> tuple:
    return row["details"]["stage"], row["verdict"], row["operation"], row["amount"]


def test_a_fetch_leaves_what_it_was_about_to_pay_and_what_became_of_it(server, payer, audit):
    who = ["--run", "R1", "--agent", "buyer", "--name", "weather bot"]
    payer.run("fetch", *who, server.url + "/l402/x?key=secret")
    payer.run("fetch", "-H", "X-Agent-Run-Id: R2", server.url + "/charge/x")
    rows = json.loads(audit("query", "--run", "R1"))["rows"]  # no --wallet: nothing else is configured
    assert [told(row) for row in rows] == [("settled", "allowed", "l402", 11_000), ("intent", "allowed", "l402", 11_000)]
    for row in rows:
        assert (row["kind"], row["agent"], row["key_name"], row["vendor"]) == ("payment", "buyer", "weather bot", "127.0.0.1")
        assert (row["currency"], row["direction"]) == ("msat", "payout")
        assert len(row["id"]) == 64 and row["id"] == rows[0]["id"]
        assert "secret" not in json.dumps(row)
    assert "fee_msat" in rows[0]["details"] and "fee_limit_msat" in rows[1]["details"]
    second = json.loads(audit("query", "--wallet", "--run", "R2"))["rows"]
    assert [told(row)[2] for row in second] == ["payment", "payment"]
    tail = [json.loads(line) for line in audit("tail", "--wallet", "-n", "3").splitlines()]
    assert [row["seq"] for row in tail] == [3, 4, 5], "one chain, though two processes paid"
    report = json.loads(audit("verify", "--wallet"))
    assert (report["rows"], report["valid"], report["writers"], report["unsigned_rows"]) == (5, True, 1, 0)


def test_what_the_limits_refuse_is_there_too(server, payer, audit):
    payer.config.write_text(payer.config.read_text().replace("9000000 sat", "30 sat"))
    payer.run("fetch", "--run", "R", server.url + "/l402/x")
    done = payer.run("fetch", "--run", "R", server.url + "/l402/y", check=False)
    assert done.returncode == 7, done.stderr
    denied = json.loads(audit("query", "--run", "R", "--verdict", "denied"))["rows"]
    assert [(told(row)[0], row["reason"]) for row in denied] == [("refused", "spend.over-limit")]


def test_an_export_is_verified_elsewhere(server, payer, audit, octroi_binary, workdir):
    for n in range(3):
        payer.run("fetch", "--run", f"R{n}", f"{server.url}/l402/{n}")
    key = json.loads(audit("key", "--wallet"))["public_key"]
    export = workdir / "wallet.jsonl"
    export.write_text(audit("export", "--wallet"))
    proof = workdir / "proof.jsonl"
    proof.write_text(audit("export", "--wallet", "--run", "R1", "--proof"))
    table = list(csv.DictReader(io.StringIO(audit("export", "--wallet", "--csv", "--kind", "payment"))))
    assert [row["run"] for row in table] == ["R0", "R0", "R1", "R1", "R2", "R2"]

    def verify(file: Path, status: int = 0) -> dict:
        done = subprocess.run([str(octroi_binary), "--json", "audit", "verify", str(file), "--key", key],
                              capture_output=True, text=True, env=environment(), cwd=workdir, timeout=60)
        assert done.returncode == status, done.stderr + done.stdout
        return json.loads(done.stdout)

    whole = verify(export)
    assert (whole["rows"], whole["unsigned_rows"], whole["trusted_key"]) == (7, 0, True)
    shown = verify(proof)
    assert (shown["run"], shown["rows"]) == ("R1", 2)
    export.write_text(export.read_text().replace('"run":"R1"', '"run":"R7"', 1))
    bad = verify(export, 1)["first_bad"]
    assert (bad["seq"], bad["fault"]) == (4, "changed")


def test_a_flipped_byte_in_the_wallets_store_is_named(server, payer, audit):
    payer.run("fetch", "--run", "R1", server.url + "/l402/x")
    payer.run("fetch", "--run", "R2", server.url + "/l402/y")
    with sqlite3.connect(store_of(payer)) as db:
        (text,) = db.execute("SELECT row_text FROM audit_rows WHERE seq = 3").fetchone()
        at = text.index("11000")
        db.execute("UPDATE audit_rows SET row_text = ? WHERE seq = 3", (text[:at] + "9" + text[at + 1:],))
    db.close()
    report = json.loads(audit("verify", "--wallet", status=1))
    assert not report["valid"]
    assert (report["first_bad"]["seq"], report["first_bad"]["fault"]) == (3, "changed")


def test_a_wallet_that_was_put_back_is_found(server, payer, audit):
    payer.run("fetch", server.url + "/l402/x")
    store = store_of(payer)
    old = store.read_bytes()  # closed: nothing is left in the log beside it
    payer.run("fetch", server.url + "/l402/y")
    for beside in ("-wal", "-shm"):
        Path(f"{store}{beside}").unlink(missing_ok=True)
    store.write_bytes(old)
    report = json.loads(audit("verify", "--wallet", status=1))
    assert (report["first_bad"]["seq"], report["first_bad"]["fault"]) == (4, "cut_off")


def test_many_at_once_write_one_chain(server, payer, audit):
    def one(n: int) -> int:
        return payer.run("fetch", "--run", f"R{n % 3}", f"{server.url}/l402/{n}", check=False).returncode

    with ThreadPoolExecutor(6) as pool:
        ended = list(pool.map(one, range(12)))
    assert ended == [0] * 12
    report = json.loads(audit("verify", "--wallet"))
    assert (report["rows"], report["writers"], report["valid"], report["unsigned_rows"]) == (25, 1, True, 0)
    rows = json.loads(audit("query", "--wallet", "--kind", "payment", "--limit", "1000"))["rows"]
    by_payment: dict[str, list[str]] = {}
    for row in reversed(rows):
        by_payment.setdefault(row["id"], []).append(row["details"]["stage"])
    assert sorted(by_payment.values()) == [["intent", "settled"]] * 12
    assert len(json.loads(audit("query", "--wallet", "--run", "R1"))["rows"]) == 8


# ---- a crash between the two ---------------------------------------------------------------------


class SilentNode:
    """An lnd that takes an order to pay and says nothing about it; whom it is asked about afterwards it
    has never seen."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.over = threading.Event()
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/v1/getinfo":
                    return self.answer(200, {"version": "0.20.0-beta", "alias": "n", "identity_pubkey": "02" + "11" * 32,
                                             "synced_to_chain": True, "num_active_channels": 1,
                                             "chains": [{"chain": "bitcoin", "network": "regtest"}]})
                self.answer(404, {"code": 5, "message": "payment isn't initiated"})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                node.asked.set()
                node.over.wait(60)

            def answer(self, status: int, body: dict) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(Handler)
        self.url = f"http://127.0.0.1:{self._server.port}"

    def stop(self) -> None:
        self.over.set()
        self._server.stop()


@pytest.fixture
def silent_node():
    node = SilentNode()
    yield node
    node.stop()


def test_a_process_that_is_killed_while_it_pays_leaves_its_intent(payer, silent_node, octroi_binary, workdir):
    made = json.loads(payer.run("wallet", "invoice", "--amount", "10 sat", "--json").stdout)
    config = workdir / "crash.yaml"
    (workdir / "macaroon").write_text("0201036c6e64")
    config.write_text(dump({"wallet": {
        "lightning": {"backend": "lnd", "lnd": {"url": silent_node.url, "macaroon": f"file://{workdir}/macaroon"}},
        "store": str(workdir / "crash-wallet")}}))

    def run(*words: str, status: int = 0) -> dict:
        done = subprocess.run([str(octroi_binary), "--config", str(config), "--json", *words],
                              capture_output=True, text=True, env=environment(), timeout=60)
        assert done.returncode == status, f"{words}: {done.returncode} {done.stdout} {done.stderr}"
        return json.loads(done.stdout)

    def stages() -> list[str]:
        rows = run("audit", "query", "--run", "R", "--kind", "payment")["rows"]
        return [row["details"]["stage"] for row in reversed(rows)]

    paying = subprocess.Popen([str(octroi_binary), "--config", str(config), "wallet", "pay", made["invoice"],
                               "--run", "R", "--agent", "buyer"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment())
    try:
        wait_for(lambda: silent_node.asked.is_set() or paying.poll() is not None, 60, "the node is asked to pay")
        assert paying.poll() is None, paying.stderr.read().decode()
        assert stages() == ["intent"], "before the node hears of it"
    finally:
        paying.send_signal(signal.SIGKILL)
        paying.wait()
        paying.stderr.close()
    assert stages() == ["intent"]
    report = run("audit", "verify", "--wallet")
    assert (report["valid"], report["rows"], report["unsigned_rows"]) == (True, 2, 0)
    # Whoever looks later writes the outcome, under the run of the intent.
    assert [p["state"] for p in run("wallet", "reconcile")["payments"]] == ["failed"]
    assert stages() == ["intent", "failed"]
    last = run("audit", "query", "--run", "R", "--verdict", "failed")["rows"]
    assert [(row["agent"], row["id"]) for row in last] == [("buyer", made["payment_hash"])]
    assert run("audit", "verify", "--wallet")["valid"]


def test_words_that_do_not_fit(server, payer, audit):
    assert "paid nothing yet" in audit("query", "--wallet", status=1)
    assert "--wallet" in audit("verify", "--wallet", "--store", status=2)
    assert "--wallet have their own" in audit("verify", "--wallet", "--key", "00" * 32, status=2)
    done = subprocess.run([str(payer._binary), "--config", str(server.config_file), "audit", "query", "--wallet"],
                          capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 1 and "no wallet section" in done.stderr
