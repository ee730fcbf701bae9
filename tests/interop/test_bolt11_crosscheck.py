"""200 random invoices of our encoder, read by ourselves and by libraries from PyPI and npm; and what
PyPI's library writes, read by us."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

import pytest

from harness import peers

from .bolt11_crosscheck import differences, read_with_node, read_with_python, tool_decode, tool_make

COUNT = 200
SEED = 20261121


@pytest.fixture(scope="module")
def tool() -> Path:
    build = os.environ.get("OCTROI_BUILD")
    if not build:
        pytest.skip("OCTROI_BUILD does not name a build directory")
    found = Path(build) / "bolt11_tool"
    if not found.exists():
        pytest.skip(f"{found} is not built; build the target bolt11_tool")
    return found


@pytest.fixture(scope="module")
def made(tool: Path) -> list[dict]:
    rows = tool_make(tool, COUNT, SEED)
    assert len(rows) == COUNT
    # Every network, every form of amount, every kind of field has to be among them.
    fields = [row["fields"] for row in rows]
    assert {f["prefix"] for f in fields} == {"bc", "tb", "tbs", "bcrt", "sb"}
    for key in ("amount_msat", "description", "description_hash", "metadata"):
        assert 0 < sum(key in f for f in fields) < COUNT, key
    for key in ("fallbacks", "routes"):
        assert 0 < sum(bool(f[key]) for f in fields) < COUNT, key
    return rows


def test_we_read_what_we_wrote(tool: Path, made: list[dict]) -> None:
    for row, again in zip(made, tool_decode(tool, [row["invoice"] for row in made]), strict=True):
        assert again.get("fields") == row["fields"], row["invoice"]


def test_python_reads_the_same(made: list[dict]) -> None:
    pytest.importorskip("bolt11", reason="PyPI bolt11 is not installed")
    known = [row for row in made if row["fields"]["prefix"] != "sb"]  # it has never heard of simnet
    assert len(known) > COUNT / 2
    for row in known:
        assert not differences(row["fields"], read_with_python(row["invoice"])), row["invoice"]


def test_node_reads_the_same(made: list[dict]) -> None:
    home = Path(os.environ.get("OCTROI_NODE_HOME", peers.NODE_HOME))
    if not all((home / "node_modules" / name).exists() for name in ("bolt11", "light-bolt11-decoder")):
        pytest.skip(f"npm bolt11 and light-bolt11-decoder are not in {home}/node_modules")
    for row, seen in zip(made, read_with_node(peers.node_program(), home, made), strict=True):
        for library, fields in seen.items():
            assert not differences(row["fields"], fields), (library, row["invoice"])


def test_we_read_what_python_writes(tool: Path) -> None:
    pytest.importorskip("bolt11", reason="PyPI bolt11 is not installed")
    from bolt11 import Bolt11, MilliSatoshi, encode
    from bolt11.models.tags import Tag, TagChar, Tags

    written = []
    for amount in (None, 1, 10, 1500, 100_000, 123_456_000, 2_500_000_000):
        tags = Tags(
            [
                Tag(TagChar.payment_hash, secrets.token_hex(32)),
                Tag(TagChar.payment_secret, secrets.token_hex(32)),
                Tag(TagChar.description, "ein Kaffee ☕"),
                Tag(TagChar.expire_time, 60),
            ]
        )
        value = None if amount is None else MilliSatoshi(amount)
        written.append(encode(Bolt11("bcrt", int(time.time()), tags, value), secrets.token_hex(32)))
    for invoice, ours in zip(written, tool_decode(tool, written), strict=True):
        assert "fields" in ours, (ours, invoice)
        assert not differences(ours["fields"], read_with_python(invoice)), invoice
