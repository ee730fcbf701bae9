"""Random macaroons of our writer beside those of PyPI's pymacaroons and Go's gopkg.in/macaroon.v2:
byte for byte the same, and each side verifies what the other made."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.process import TEST_ENV

COUNT = 100
GO_PEER = """
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"gopkg.in/macaroon.v2"
)

type job struct {
	Root     string   `json:"root_key_hex"`
	Location string   `json:"location"`
	ID       string   `json:"identifier_hex"`
	Caveats  []string `json:"caveats"`
	Macaroon string   `json:"macaroon_hex"`
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var j job
		check(json.Unmarshal(lines.Bytes(), &j))
		root, err := hex.DecodeString(j.Root)
		check(err)
		if j.Macaroon != "" {
			raw, err := hex.DecodeString(j.Macaroon)
			check(err)
			var m macaroon.Macaroon
			if m.UnmarshalBinary(raw) != nil {
				fmt.Println("malformed")
			} else if m.Verify(root, func(string) error { return nil }, nil) != nil {
				fmt.Println("invalid")
			} else {
				fmt.Println("valid")
			}
			continue
		}
		id, err := hex.DecodeString(j.ID)
		check(err)
		m, err := macaroon.New(root, id, j.Location, macaroon.V2)
		check(err)
		for _, c := range j.Caveats {
			check(m.AddFirstPartyCaveat([]byte(c)))
		}
		raw, err := m.MarshalBinary()
		check(err)
		fmt.Println(hex.EncodeToString(raw))
	}
}
"""


@pytest.fixture(scope="module")
def tool() -> Path:
    build = os.environ.get("OCTROI_BUILD")
    if not build:
        pytest.skip("OCTROI_BUILD does not name a build directory")
    found = Path(build) / "macaroon_tool"
    if not found.exists():
        pytest.skip(f"{found} is not built; build the target macaroon_tool")
    return found


@pytest.fixture(scope="module")
def go_peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go", path=f"{TEST_ENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    if go is None:
        pytest.skip("no Go here; script/bootstrap --tests installs one")
    home = tmp_path_factory.mktemp("go_macaroon")
    (home / "main.go").write_text(GO_PEER)
    (home / "go.mod").write_text("module octroi.dev/tests/macaroon\n\ngo 1.21\n\nrequire gopkg.in/macaroon.v2 v2.1.0\n")
    # Fetched sums are checked by the checksum database; nothing else is downloaded.
    for step in (["mod", "tidy"], ["build", "-o", "peer", "."]):
        done = subprocess.run([go, *step], cwd=home, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            pytest.skip(f"the Go peer cannot be built: {done.stderr.strip()[-300:]}")
    return home / "peer"


def jobs() -> list[dict[str, Any]]:
    rng = random.Random(20261121)
    out: list[dict[str, Any]] = []
    for number in range(COUNT):
        caveats = ["services=weather:0", "weather_capabilities=read,write", "weather_valid_until=1900000000", "é=ü"]
        caveats += ["x" * rng.choice([1, 126, 127, 128, 129, 300])]
        out.append(
            {
                # Roots and identifiers as ours are, and others, for the key derivation and the varints.
                "root_key_hex": rng.randbytes(rng.choice([32, 1, 24, 64, 100])).hex(),
                "location": rng.choice(["lsat", "", "https://example.com/" + "l" * 120]),
                "identifier_hex": (rng.randbytes(66) if number % 2 else b"id-%d" % number + b"i" * rng.randrange(200)).hex(),
                "caveats": rng.sample(caveats, rng.randrange(len(caveats) + 1)),
            }
        )
    return out


def run(program: list[str], lines: list[dict[str, Any]]) -> list[str]:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run(program, input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-1000:]
    return done.stdout.split()


def with_pymacaroons(job: dict[str, Any]) -> str:
    pymacaroons = pytest.importorskip("pymacaroons", reason="pymacaroons is not installed; script/bootstrap --tests does it")
    made = pymacaroons.Macaroon(
        location=job["location"],
        identifier=bytes.fromhex(job["identifier_hex"]),
        key=bytes.fromhex(job["root_key_hex"]),
        version=pymacaroons.MACAROON_V2,
    )
    for caveat in job["caveats"]:
        made.add_first_party_caveat(caveat)
    text = made.serialize()
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()


def checks_of(made: list[str], work: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each macaroon as it is, and with one bit of its signature changed."""
    out = []
    for text, job in zip(made, work, strict=True):
        changed = text[:-1] + ("0" if text[-1] != "0" else "1")
        out += [{"root_key_hex": job["root_key_hex"], "macaroon_hex": m} for m in (text, changed)]
    return out


def test_pymacaroons_writes_the_same_bytes(tool):
    work = jobs()
    ours = run([str(tool), "make"], work)
    theirs = [with_pymacaroons(job) for job in work]
    for job, our_text, text in zip(work, ours, theirs, strict=True):
        # pymacaroons writes a location that is empty where others write none.
        assert our_text == (text if job["location"] else text.replace("020100", "02", 1)), job
    assert run([str(tool), "verify"], checks_of(theirs, work)) == ["valid", "invalid"] * len(work)


def test_go_writes_the_same_bytes_and_both_verify_each_other(tool, go_peer):
    work = jobs()
    ours = run([str(tool), "make"], work)
    assert ours == run([str(go_peer)], work)
    checks = checks_of(ours, work)
    expected = ["valid", "invalid"] * len(work)
    assert run([str(tool), "verify"], checks) == expected
    assert run([str(go_peer)], checks) == expected
