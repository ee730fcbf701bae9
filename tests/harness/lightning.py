"""A Lightning network on this machine: btcd on regtest and two lnd nodes with one funded channel.

`merchant` is the node that octroi asks for invoices, `payer` the one that clients pay from. Both
programs are built by script/bootstrap --lnd. Ready in some 40 seconds, most of it lnd making its
wallets; a test session starts one network at most, and only when a test asks for it.
"""

from __future__ import annotations

import base64
import http.client
import json
import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

from .process import TEST_ENV, Program, free_port, wait_for

BIN = TEST_ENV / "bin"


class LndError(RuntimeError):
    pass


class PaymentFailed(LndError):
    """The node says the payment did not happen."""


@dataclass(frozen=True)
class Paid:
    preimage: str
    payment_hash: str
    value_msat: int
    fee_msat: int


class LndRest:
    """The few REST calls of an lnd node that tests need."""

    def __init__(self, port: int, directory: Path):
        self.port = port
        self.directory = directory

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def tls_cert(self) -> Path:
        return self.directory / "tls.cert"

    def macaroon_file(self, name: str = "admin") -> Path:
        return self.directory / "data" / "chain" / "bitcoin" / "regtest" / f"{name}.macaroon"

    def macaroon_hex(self, name: str = "admin") -> str:
        return self.macaroon_file(name).read_bytes().hex()

    def lines(self, method: str, path: str, body: Any = None, timeout: float = 60.0) -> Iterator[dict]:
        """The answer's JSON values, one a line: streaming calls have several."""
        context = ssl.create_default_context(cafile=str(self.tls_cert))
        context.check_hostname = False  # the pinned certificate is the identity
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=context)
        try:
            connection.request(
                method,
                path,
                body=None if body is None else json.dumps(body),
                headers={"Grpc-Metadata-Macaroon": self.macaroon_hex()},
            )
            answer = connection.getresponse()
            if answer.status != 200:
                raise LndError(f"{method} {path.split('?')[0]}: {answer.status} {answer.read()[:300]!r}")
            for line in answer:
                if line.strip():
                    yield json.loads(line)
        finally:
            connection.close()

    def call(self, method: str, path: str, body: Any = None, timeout: float = 60.0) -> dict:
        text = list(self.lines(method, path, body, timeout))
        return text[-1] if text else {}

    def info(self) -> dict:
        return self.call("GET", "/v1/getinfo")

    def add(self, amount_msat: int, memo: str = "", expiry: int = 600) -> dict:
        return self.call(
            "POST", "/v1/invoices", {"value_msat": str(amount_msat), "memo": memo, "expiry": str(expiry)}
        )

    def decode(self, invoice: str) -> dict:
        return self.call("GET", f"/v1/payreq/{invoice}")

    def lookup(self, payment_hash: str) -> dict:
        """`payment_hash` in hex; its `state` is OPEN, SETTLED, CANCELED or ACCEPTED."""
        return self.call("GET", f"/v1/invoice/{payment_hash}")

    def invoices(self) -> list[dict]:
        found: list[dict] = []
        offset = 0
        while True:
            page = self.call("GET", f"/v1/invoices?index_offset={offset}&num_max_invoices=1000")
            found += page.get("invoices", [])
            if len(page.get("invoices", [])) < 1000:
                return found
            offset = int(page["last_index_offset"])

    def balance_msat(self) -> int:
        return int(self.call("GET", "/v1/balance/channels")["local_balance"]["msat"])

    def pay(self, invoice: str, fee_limit_msat: int = 10_000, timeout: int = 30) -> Paid:
        result: dict = {}
        request = {
            "payment_request": invoice,
            "timeout_seconds": timeout,
            "fee_limit_msat": str(fee_limit_msat),
            "no_inflight_updates": True,
        }
        for line in self.lines("POST", "/v2/router/send", request, timeout + 15):
            result = line.get("result", result)
        if result.get("status") != "SUCCEEDED":
            raise PaymentFailed(result.get("failure_reason", "no status"))
        return Paid(
            result["payment_preimage"], result["payment_hash"], int(result["value_msat"]), int(result["fee_msat"])
        )


class Network:
    """btcd, merchant and payer. `start` returns when a payment can be made."""

    CHANNEL_SAT = 16_000_000
    PUSH_SAT = 4_000_000

    def __init__(self, directory: Path):
        self.directory = directory
        self.programs: dict[str, Program] = {}
        self._btcd_ports = (free_port(), free_port())
        self.merchant = LndRest(free_port(), directory / "merchant")
        self.payer = LndRest(free_port(), directory / "payer")
        self._peer_ports = {"merchant": free_port(), "payer": free_port()}
        self._rpc_ports = {"merchant": free_port(), "payer": free_port()}

    @staticmethod
    def missing() -> str | None:
        """Why no network can be started, or None."""
        for program in ("btcd", "btcctl", "lnd"):
            if not (BIN / program).exists():
                return f"{program} is not built; run script/bootstrap --tests"
        return None

    def start(self) -> "Network":
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        try:
            self._start_btcd()
            self._start_lnd("merchant")
            self._start_lnd("payer")
            for node in (self.merchant, self.payer):
                wait_for(node.macaroon_file().exists, 90, f"{node.directory.name} wallet")
                wait_for(node.info, 60, f"{node.directory.name} API")
            # btcd takes its mining address only at start; both nodes reconnect by themselves.
            address = self.payer.call("GET", "/v1/newaddress")["address"]
            self.programs["btcd"].stop()
            self._start_btcd("--miningaddr=" + address)
            self.mine(500)
            for node in (self.merchant, self.payer):
                wait_for(lambda: node.info()["synced_to_chain"], 90, f"{node.directory.name} chain sync", 0.2)
            self._open_channel()
        except BaseException:
            self.stop()
            raise
        return self

    def _open_channel(self) -> None:
        wait_for(
            lambda: int(self.payer.call("GET", "/v1/balance/blockchain")["confirmed_balance"]) > self.CHANNEL_SAT,
            60,
            "funds on the payer",
            0.2,
        )
        merchant_key = self.merchant.info()["identity_pubkey"]
        host = f"127.0.0.1:{self._peer_ports['merchant']}"

        def connected() -> bool:
            # The API answers before the node is ready to connect; asking again while connected is an error.
            if self.payer.call("GET", "/v1/peers").get("peers"):
                return True
            self.payer.call("POST", "/v1/peers", {"addr": {"pubkey": merchant_key, "host": host}, "timeout": "10"})
            return False

        wait_for(connected, 60, "peer connection", 0.2)

        def open_channel() -> dict:
            return self.payer.call(
                "POST",
                "/v1/channels",
                {
                    "node_pubkey": base64.b64encode(bytes.fromhex(merchant_key)).decode(),
                    "local_funding_amount": str(self.CHANNEL_SAT),
                    "push_sat": str(self.PUSH_SAT),
                },
            )

        wait_for(open_channel, 60, "channel opening", 0.5)
        wait_for(lambda: json.loads(self._btcctl("getrawmempool")), 30, "the funding transaction", 0.1)
        self.mine(6)
        for node in (self.merchant, self.payer):
            wait_for(lambda: node.info()["num_active_channels"] == 1, 90, "active channel", 0.2)
        # "Active" comes before the first payment can be routed: try until one goes through.
        deadline = time.monotonic() + 60
        while True:
            try:
                self.payer.pay(self.merchant.add(1000, "first")["payment_request"], timeout=10)
                return
            except LndError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _start_btcd(self, *more: str) -> None:
        listen, rpc = self._btcd_ports
        home = self.directory / "btcd"
        program = Program(
            "btcd",
            [
                BIN / "btcd",
                "--regtest",
                f"--datadir={home}/data",
                f"--logdir={home}/logs",
                "--configfile=/dev/null",
                f"--listen=127.0.0.1:{listen}",
                f"--rpclisten=127.0.0.1:{rpc}",
                "--rpcuser=u",
                "--rpcpass=p",
                f"--rpccert={home}/rpc.cert",
                f"--rpckey={home}/rpc.key",
                "--txindex",
                "--nodnsseed",
                *more,
            ],
            home,
        )
        self.programs["btcd"] = program

        def ready() -> bool:
            program.must_run()
            return self._btcctl("getblockcount") is not None

        wait_for(ready, 30, "btcd")

    def _btcctl(self, *words: str) -> str:
        home = self.directory / "btcd"
        return subprocess.run(
            [
                BIN / "btcctl",
                "--regtest",
                "--configfile=/dev/null",
                f"--rpcserver=127.0.0.1:{self._btcd_ports[1]}",
                "--rpcuser=u",
                "--rpcpass=p",
                f"--rpccert={home}/rpc.cert",
                *words,
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout

    def mine(self, blocks: int) -> None:
        self._btcctl("generate", str(blocks))

    def _start_lnd(self, name: str) -> None:
        home = self.directory / name
        node = self.merchant if name == "merchant" else self.payer
        btcd = self.directory / "btcd"
        self.programs[name] = Program(
            "lnd",
            [
                BIN / "lnd",
                f"--lnddir={home}",
                "--configfile=/dev/null",
                "--noseedbackup",
                f"--alias={name}",
                "--bitcoin.regtest",
                "--bitcoin.node=btcd",
                f"--btcd.dir={btcd}",
                f"--btcd.rpchost=127.0.0.1:{self._btcd_ports[1]}",
                "--btcd.rpcuser=u",
                "--btcd.rpcpass=p",
                f"--btcd.rpccert={btcd}/rpc.cert",
                f"--listen=127.0.0.1:{self._peer_ports[name]}",
                f"--rpclisten=127.0.0.1:{self._rpc_ports[name]}",
                f"--restlisten=127.0.0.1:{node.port}",
                "--tlsdisableautofill",
                "--tlsextraip=127.0.0.1",
                "--nobootstrap",
                "--trickledelay=50",
                "--bitcoin.defaultchanconfs=1",
            ],
            home,
        )

    def restart_merchant(self) -> None:
        """For tests of what happens when the node goes away: stop it with `stop_merchant` first."""
        self._start_lnd("merchant")
        info = wait_for(self.merchant.info, 60, "merchant API")
        address = {"pubkey": info["identity_pubkey"], "host": f"127.0.0.1:{self._peer_ports['merchant']}"}

        def active() -> bool:
            if self.merchant.info()["num_active_channels"] == 1:
                return True
            # The payer tries again by itself, but waits longer each time; a busy machine can outlast it.
            try:
                self.payer.call("POST", "/v1/peers", {"addr": address, "timeout": "5"})
            except Exception:  # connected already, or not yet ready: the next look tells
                pass
            return False

        wait_for(active, 150, "active channel", 1.0)

    def stop_merchant(self) -> None:
        self.programs["merchant"].stop(30)

    def stop(self) -> None:
        for name in ("payer", "merchant", "btcd"):
            if name in self.programs:
                self.programs[name].stop()
