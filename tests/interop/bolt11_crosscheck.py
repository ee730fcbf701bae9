"""The same fields of an invoice as libraries by others read them, under the names of `bolt11_tool`.

Each reader returns only what its library understands, so that a field that it has no notion of (a
taproot address, say) is not compared instead of being excused.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


def tool_make(tool: Path, count: int, seed: int) -> list[dict[str, Any]]:
    done = subprocess.run([tool, "make", str(count), str(seed)], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def tool_decode(tool: Path, invoices: list[str]) -> list[dict[str, Any]]:
    done = subprocess.run([tool, "decode"], input="".join(f"{i}\n" for i in invoices), capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def read_with_python(invoice: str) -> dict[str, Any]:
    from bolt11 import decode

    got = decode(invoice)
    fields: dict[str, Any] = {
        "prefix": got.currency,
        "amount_msat": None if got.amount_msat is None else int(got.amount_msat),
        "timestamp": got.date,
        "payment_hash": got.payment_hash,
        "payment_secret": got.payment_secret,
        "payee": got.payee,
        "expiry": got.expiry,
        "min_final_cltv": got.min_final_cltv_expiry,
        "description": got.description,
        "description_hash": got.description_hash,
        "metadata": got.metadata,
    }
    hops = [route.public_key for hint in got.route_hints for route in hint.routes]
    fields["hops"] = hops
    return fields


NODE_READER = """
const [bolt11, light] = [require('bolt11'), require('light-bolt11-decoder')];
const networks = {
  bcrt: { bech32: 'bcrt', pubKeyHash: 0x6f, scriptHash: 0xc4, validWitnessVersions: [0, 1] },
  tbs: { bech32: 'tbs', pubKeyHash: 0x6f, scriptHash: 0xc4, validWitnessVersions: [0, 1] },
};
const lines = require('fs').readFileSync(0, 'utf8').trim().split('\\n').map((line) => JSON.parse(line));
for (const { invoice, prefix } of lines) {
  const full = bolt11.decode(invoice, networks[prefix]);
  const tags = Object.fromEntries(full.tags.map((tag) => [tag.tagName, tag.data]));
  const out = { bolt11: {
    amount_msat: full.millisatoshis === null ? null : Number(full.millisatoshis),
    timestamp: full.timestamp, payment_hash: tags.payment_hash, payment_secret: tags.payment_secret,
    payee: full.payeeNodeKey, expiry: tags.expire_time ?? 3600,
    min_final_cltv: tags.min_final_cltv_expiry ?? 18, description: tags.description ?? null,
    description_hash: tags.purpose_commit_hash ?? null,
  } };
  if (prefix !== 'tbs') { // which light-bolt11-decoder has never heard of
    const s = Object.fromEntries(light.decode(invoice).sections.map((one) => [one.name, one.value]));
    out.light = {
      amount_msat: s.amount === undefined ? null : Number(s.amount), timestamp: s.timestamp,
      payment_hash: s.payment_hash, payment_secret: s.payment_secret, expiry: s.expiry ?? 3600,
      min_final_cltv: s.min_final_cltv_expiry ?? 18, description: s.description ?? null,
      description_hash: s.description_hash ?? null, metadata: s.metadata ?? null,
    };
  }
  console.log(JSON.stringify(out));
}
"""


def read_with_node(node: str, home: Path, made: list[dict[str, Any]]) -> list[dict[str, dict[str, Any]]]:
    """`home` is the folder that has node_modules."""
    lines = "".join(json.dumps({"invoice": m["invoice"], "prefix": m["fields"]["prefix"]}) + "\n" for m in made)
    done = subprocess.run([node, "-e", NODE_READER], input=lines, capture_output=True, text=True, cwd=home)
    if done.returncode != 0:
        raise RuntimeError(f"the Node reader ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """What the two readers disagree about; a field that `theirs` does not list is not compared."""
    seen = dict(ours)
    seen["hops"] = [hop["node"] for route in ours["routes"] for hop in route]
    return [f"{key}: {value!r}, ours is {seen.get(key)!r}" for key, value in theirs.items() if value != seen.get(key)]
