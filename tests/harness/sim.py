"""The simulated network's file, from outside: what no command of octroi does."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import time
from pathlib import Path

_OPERATIONS = ("any", "info", "add_invoice", "lookup", "subscribe", "pay", "track", "balance")
_KINDS = ("unavailable", "fail", "delay", "lose_answer")


def _connect(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, timeout=10, isolation_level=None)


def fault(file: Path, account: str, operation: str, kind: str, count: int = 1, delay_ms: int = 0) -> None:
    """The next `count` calls of this operation go wrong (adapters/sim/sim_node.h says how)."""
    with _connect(file) as db:
        db.execute(
            "INSERT INTO faults(account, operation, kind, remaining, delay_ms) VALUES(?,?,?,?,?)",
            (account, _OPERATIONS.index(operation), _KINDS.index(kind), count, delay_ms),
        )


def clear_faults(file: Path, account: str) -> None:
    with _connect(file) as db:
        db.execute("DELETE FROM faults WHERE account=?", (account,))


def pay(file: Path, payer: str, invoice: str) -> str:
    """Pays as `octroi wallet pay` does, in a thousandth of its time; returns the preimage."""
    with _connect(file) as db:
        db.execute("BEGIN IMMEDIATE")
        account, payment_hash, state, msat, seed = db.execute(
            "SELECT account, hash, state, amount_msat, seed FROM invoices WHERE bolt11=?", (invoice,)).fetchone()
        assert state == 0 and msat > 0 and account != payer, f"state {state}, amount {msat}"
        (key,) = db.execute("SELECT node_key FROM accounts WHERE name=?", (account,)).fetchone()
        preimage = hmac.digest(key, b"octroi/sim/preimage/1" + seed, "sha256")
        assert hashlib.sha256(preimage).digest() == payment_hash
        now = int(time.time() * 1000)
        paid = db.execute("UPDATE accounts SET balance_msat = balance_msat - ?1 WHERE name=?2 AND balance_msat >= ?1",
                          (msat, payer)).rowcount
        assert paid == 1, "the payer is broke, or not there"
        db.execute("UPDATE accounts SET balance_msat = balance_msat + ? WHERE name=?", (msat, account))
        db.execute("INSERT INTO payments(payer, hash, state, amount_msat, fee_msat, due_ms, reason) VALUES(?,?,2,?,0,?,'')",
                   (payer, payment_hash, msat, now))
        db.execute(
            "UPDATE invoices SET state=2, paid_msat=?, settled_ms=?,"
            " settle_index=(SELECT coalesce(max(settle_index),0)+1 FROM invoices) WHERE hash=?", (msat, now, payment_hash))
        db.execute("COMMIT")
    return preimage.hex()


def pay_amountless(file: Path, payer: str, invoice: str, sat: int) -> None:
    """Pays an invoice that names no amount, as nodes can and `octroi wallet pay` does not."""
    with _connect(file) as db:
        db.execute("BEGIN IMMEDIATE")
        row = db.execute("SELECT account, hash, state, amount_msat FROM invoices WHERE bolt11=?", (invoice,)).fetchone()
        assert row is not None, "the invoice is not of this network"
        account, payment_hash, state, amount = row
        assert state == 0 and amount == 0, f"state {state}, amount {amount}"
        msat = sat * 1000
        db.execute("UPDATE accounts SET balance_msat = balance_msat - ? WHERE name=?", (msat, payer))
        db.execute("UPDATE accounts SET balance_msat = balance_msat + ? WHERE name=?", (msat, account))
        db.execute(
            "UPDATE invoices SET state=2, paid_msat=?, settled_ms=?,"
            " settle_index=(SELECT coalesce(max(settle_index),0)+1 FROM invoices) WHERE hash=?",
            (msat, int(time.time() * 1000), payment_hash),
        )
        db.execute("COMMIT")


def deposits_paid(file: Path, payer: str) -> int:
    """How many payments this account has made, or has under way."""
    with _connect(file) as db:
        return db.execute("SELECT count(*) FROM payments WHERE payer=? AND state<>0", (payer,)).fetchone()[0]
