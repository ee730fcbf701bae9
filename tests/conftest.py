"""Fixtures of the black-box tests. What they start lives in `harness/`; every test gets a folder of
its own under build/test-run, kept after the run for whoever has to look."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any, Callable, Iterator
from xml.sax.saxutils import escape

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import leaks as leak_check  # noqa: E402
from harness import payment, web  # noqa: E402
from harness.leaks import Leaks  # noqa: E402
from harness.lightning import Network  # noqa: E402
from harness.octroi import Conformance, Gateway, find_binary  # noqa: E402
from harness.payers import LndPayer, SimPayer  # noqa: E402
from harness.process import TEST_ENV, run_dir  # noqa: E402
from harness.upstream import Upstream  # noqa: E402


def _values_dir() -> Path:
    # Beside the run, not in it: this is the one place that holds the values on purpose.
    return run_dir().with_suffix(".values")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lnd: needs the Lightning network of btcd and two lnd nodes")
    config.addinivalue_line("markers", "slow: more than ten seconds")
    if not hasattr(config, "workerinput"):
        for folder in (run_dir(), _values_dir()):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # One network serves all tests that need it, so they share a worker.
    for item in items:
        if "network" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.lnd)
            item.add_marker(pytest.mark.xdist_group("lnd"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """The search for leaks, once, after the last worker has ended."""
    if hasattr(session.config, "workerinput") or session.config.option.collectonly:
        return
    values, files, findings = leak_check.scan(run_dir(), _values_dir())
    line = f"leak check: {values} secret values in {files} files: {len(findings)} finding(s)"
    shown = findings[:20] + ([f"… and {len(findings) - 20} more"] if len(findings) > 20 else [])
    print("", line, *shown, sep="\n")
    if junit := session.config.getoption("xmlpath", None):
        # A result of its own, so that the count of script/test has it.
        failure = f'<failure message="{escape(line)}">{escape(chr(10).join(findings))}</failure>' if findings else ""
        Path(junit).with_name("leaks." + Path(junit).name).write_text(
            f'<testsuites><testsuite name="leaks" tests="1" failures="{int(bool(findings))}" errors="0" skipped="0">'
            f'<testcase classname="leaks" name="{Path(junit).stem}">{failure}</testcase></testsuite></testsuites>'
        )
    if findings and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    return getattr(request.config, "workerinput", {}).get("workerid", "main")


@pytest.fixture(scope="session", autouse=True)
def leaks(worker: str) -> Iterator[Leaks]:
    """`leaks.register(value, kind)` for whatever a test learns that must not be written down. What
    passes through `harness.web` registers itself."""
    found = Leaks(run_dir(), _values_dir(), worker)

    def observe(answer: web.Response) -> None:
        for value in answer.all("Payment-Receipt"):
            found.register(value, "Payment-Receipt")
        if answer.status == 402:
            try:
                offers = payment.parse_challenges(answer.all("WWW-Authenticate"))
            except payment.BadHeader:
                return  # the test that sent the request says what is wrong with it
            for offer in offers:
                if "macaroon" in offer.names:
                    found.register(offer["macaroon"], "macaroon")

    web.observers.append(observe)
    yield found
    web.observers.remove(observe)


@pytest.fixture(scope="session")
def octroi_binary() -> Path:
    found = find_binary()
    if found is None:
        pytest.fail("there is no octroi binary; run script/build", pytrace=False)
    return found


@pytest.fixture(scope="session")
def conformance() -> Iterator[Conformance]:
    found = find_binary("octroi-conformance")
    if found is None:
        pytest.fail("there is no octroi-conformance binary; run script/build", pytrace=False)
    tool = Conformance(found)
    yield tool
    tool.close()


@pytest.fixture
def workdir(request: pytest.FixtureRequest) -> Path:
    """A folder for this test alone. Its path stays short because sockets and certificates mind."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.nodeid.split("tests/")[-1]).strip("-")
    # Two tests may differ in signs alone ("a/b" and "a//b"), and run at once.
    own = hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:6]
    folder = run_dir() / f"{name[-113:]}-{own}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    server = Upstream()
    yield server
    server.stop()


@pytest.fixture
def sim_file(workdir: Path) -> Path:
    return workdir / "sim.db"


@pytest.fixture
def gateway(
    octroi_binary: Path, workdir: Path, upstream: Upstream, sim_file: Path, leaks: Leaks
) -> Iterator[Callable[..., Gateway]]:
    """Makes gateways over simulated Lightning: `gateway([service(...)], paywall={...})`."""
    made: list[Gateway] = []

    def make(services: list[dict[str, Any]], lightning: dict[str, Any] | None = None, **options: Any) -> Gateway:
        node = lightning or {"backend": "sim", "sim": {"file": str(sim_file), "account": "merchant"}}
        start = options.pop("start", True)
        folder = workdir / f"gateway-{len(made)}"
        one = Gateway(octroi_binary, folder, services, node, leaks, **options)
        made.append(one)
        return one.start() if start else one

    yield make
    for one in made:
        if one.program and one.program.running():
            status = one.stop()
            assert status == 0, f"octroi serve ended with {status} on SIGTERM:\n{one.program.output()[-2000:]}"


@pytest.fixture
def payer(octroi_binary: Path, workdir: Path, sim_file: Path, leaks: Leaks) -> SimPayer:
    return SimPayer(octroi_binary, workdir / "payer", sim_file, leaks)


@pytest.fixture(scope="session")
def network(worker: str) -> Iterator[Network]:
    """btcd and two lnd nodes with a funded channel, started by the first test that asks."""
    if reason := Network.missing():
        pytest.fail(reason, pytrace=False)
    started = Network(TEST_ENV / "networks" / f"{os.getpid()}-{worker}").start()
    yield started
    started.stop()
    shutil.rmtree(started.directory, ignore_errors=True)


@pytest.fixture
def lnd_lightning(network: Network, leaks: Leaks) -> dict[str, Any]:
    """The `lightning` section for the merchant's node, with the rights that octroi asks for."""
    leaks.register(network.merchant.macaroon_hex("admin"), "node macaroon")
    leaks.register(network.merchant.macaroon_hex("invoice"), "node macaroon")
    return {
        "backend": "lnd",
        "lnd": {
            "url": network.merchant.url,
            "macaroon": f"file://{network.merchant.macaroon_file('invoice')}",
            "tls_cert": f"file://{network.merchant.tls_cert}",
        },
    }


@pytest.fixture
def lnd_payer(network: Network, leaks: Leaks) -> LndPayer:
    return LndPayer(network.payer, leaks)
