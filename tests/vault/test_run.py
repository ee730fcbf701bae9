"""`octroi run`: programs that were not made for it spend with a vault key: curl, Python's and Node's
Stripe SDK and an MCP server that wraps the latter, none of them changed or configured."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from harness.peers import NODE_HOME, node_missing, node_program
from harness.process import environment, wait_for
from harness.reach import FORM, STRIPE, outcomes
from harness.vault import REAL_STRIPE_KEY, Key, Reply, Vault
from harness.web import request

node = pytest.mark.skipif(node_missing() is not None, reason=node_missing() or "")


def words(vault: Vault, *given: str) -> list[str]:
    return [str(vault.binary), "run", "--config", str(vault.file), *given]


def run(vault: Vault, key: Key | None, *command: str, flags: tuple[str, ...] = (), stdin: str = "", **env: str):
    keys = ["--vault", key.text] if key else []
    return subprocess.run(
        words(vault, *keys, *flags, "--", *command),
        capture_output=True, text=True, timeout=90, env=environment(**env), input=stdin,
    )


def child_environment(vault: Vault, key: Key | None, *flags: str, **env: str) -> dict[str, str]:
    show = "import os, json, pathlib; e = dict(os.environ); " \
           "e['_extra'] = pathlib.Path(e['NODE_EXTRA_CA_CERTS']).read_text(); " \
           "e['_bundle'] = pathlib.Path(e['SSL_CERT_FILE']).read_text(); print(json.dumps(e))"
    done = run(vault, key, sys.executable, "-c", show, flags=flags, **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_file_with_the_key_may_be_what_key_issue_printed(stripe_vault, tmp_path):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    show = [sys.executable, "-c", "import os; print(os.environ['STRIPE_API_KEY'])"]
    seen = []
    for name, text in (("alone", key.text + "\n"), ("printed", json.dumps(key.whole) + "\n")):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
        seen.append(run(vault, None, *show, flags=("--vault", f"@{path}")).stdout)
    assert seen[0] == seen[1] and "vault" in seen[0]


def test_what_the_program_finds(stripe_vault, tmp_path):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    corporate = tmp_path / "corporate.pem"
    corporate.write_text("-----corporate-----\n")
    got = child_environment(
        vault, key,
        NO_PROXY="intern.example, *.stripe.com,.com", STRIPE_API_KEY=REAL_STRIPE_KEY, ALL_PROXY="http://elsewhere:1",
        REQUESTS_CA_BUNDLE=str(corporate), NODE_EXTRA_CA_CERTS=str(corporate), NODE_OPTIONS="--no-warnings",
        PYTHONPATH="/nowhere", OCTROI_VAULT_KEY="something",
    )
    proxy = f"http://octroi:{key.text}@127.0.0.1:{vault.port}"
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        assert got[name] == proxy
    assert got["NO_PROXY"] == got["no_proxy"] == "localhost,127.0.0.1,::1,intern.example"
    assert "ALL_PROXY" not in got and "OCTROI_VAULT_KEY" not in got
    assert got["STRIPE_API_KEY"] == got["STRIPE_SECRET_KEY"] == key.text.replace("vault_test_", "sk_test_vault")
    assert got["STRIPE_API_BASE"] == vault.url + "/stripe"
    ours = (vault.directory / "vault-ca.pem").read_text().split("octroi-sealed-key")[0]
    assert got["_extra"] == "-----corporate-----\n\n" + ours
    assert ours in got["_bundle"] and "-----corporate-----" in got["_bundle"]
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT"):
        assert got[name] == got["SSL_CERT_FILE"]
    assert got["NODE_OPTIONS"].endswith(" --no-warnings") and got["PYTHONPATH"].endswith(":/nowhere")
    assert REAL_STRIPE_KEY not in json.dumps(got)
    assert not Path(got["SSL_CERT_FILE"]).exists()  # its folder went with it


def test_real_keys_that_octroi_reads_from_its_environment_are_taken_away(make_vault, capture, monkeypatch):
    monkeypatch.setattr(
        "harness.vault.environment", lambda **more: environment(**{"THE_REAL_KEY": REAL_STRIPE_KEY, **more}))
    monkeypatch.setattr(
        "harness.process.environment", lambda **more: environment(**{"THE_REAL_KEY": REAL_STRIPE_KEY, **more}))
    vault = make_vault({"stripe": (capture, None, {"credential": "env://THE_REAL_KEY"})},
                       {"bot": {"vendor": "stripe", "endpoints": ["customers.*"]}}).start()
    key = vault.issue("stripe", "bot")
    got = child_environment(vault, key, THE_REAL_KEY=REAL_STRIPE_KEY)
    assert "THE_REAL_KEY" not in got and REAL_STRIPE_KEY not in json.dumps(got)


def test_a_key_from_a_file_or_the_environment_and_no_configuration(stripe_vault, capture, tmp_path):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    file = tmp_path / "agent.key"
    file.write_text(key.text + "\n")
    file.chmod(0o600)
    ask = ["curl", "-sS", "-f", f"https://{STRIPE}/v1/customers"]
    for given, env in ((["--vault", f"@{file}"], {}), ([], {"OCTROI_VAULT_KEY": key.text})):
        done = subprocess.run([str(vault.binary), "run", "--proxy", vault.url, *given, "--", *ask],
                              capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment(**env))
        assert done.returncode == 0, done.stderr
    assert len(capture.calls) == 2
    file.unlink()


@pytest.mark.parametrize(
    "command, code",
    [(["sh", "-c", "exit 7"], 7), (["sh", "-c", "kill -TERM $$"], 143), (["/no/such/program"], 127), (["/etc"], 126)],
    ids=["its-own", "by-signal", "missing", "not-runnable"],
)
def test_its_end_is_ours(stripe_vault, command, code):
    vault = stripe_vault()
    assert run(vault, vault.issue("stripe", "bot"), *command).returncode == code


def test_what_cannot_start(stripe_vault):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    assert run(vault, key).returncode == 2
    assert run(vault, None, "true").returncode == 2
    vault.revoke(key)
    refused = run(vault, key, "true")
    assert refused.returncode == 7 and "revoked" in refused.stderr and key.text not in refused.stderr
    vault.stop()
    unreachable = run(vault, key, "true")
    assert unreachable.returncode == 4 and "octroi serve" in unreachable.stderr


@pytest.mark.parametrize(
    "vendors, variable",
    [
        (["stripe", "stripe"], "STRIPE_API_KEY"),
        (["stripe", "stripe-eu"], "STRIPE_API_KEY"),
        (["my-api", "my_api"], "MY_API_API_KEY"),
    ],
    ids=["one-vendor", "one-pack", "one-name"],
)
def test_two_keys_that_would_stand_in_one_variable(make_vault, capture, tmp_path, vendors, variable):
    """The later would be the only one: nothing is started, and both are named."""
    stripe = "my" not in vendors[0]
    how = {"pack": "stripe"} if stripe else {"pack": "generic", "auth": "bearer"}
    real = REAL_STRIPE_KEY if stripe else "the-real-key-of-my-api"
    vault = make_vault(
        {name: (capture, real, {**how, "hosts": []}) for name in vendors},
        {name + "-bot": {"vendor": name, "endpoints": ["GET /v1/*"]} for name in vendors},
    ).start()
    keys = [vault.issue(name, name + "-bot", test=stripe) for name in vendors]
    mark = tmp_path / "started"
    flags = tuple(word for key in keys for word in ("--vault", key.text))
    refused = run(vault, None, "touch", str(mark), flags=flags)
    assert refused.returncode == 2 and not mark.exists(), refused.stderr
    for key, vendor in zip(keys, vendors):
        assert f"{key.id} (of {vendor})" in refused.stderr and key.text not in refused.stderr
    assert variable in refused.stderr and "another `octroi run`" in refused.stderr
    assert run(vault, keys[0], "touch", str(mark)).returncode == 0 and mark.exists()


def test_keys_of_two_vendors_stand_side_by_side(make_vault, capture):
    vault = make_vault(
        {"stripe": (capture, REAL_STRIPE_KEY, {}), "resend": (capture, "re_TheRealKey0123456789", {})},
        {"pay": {"vendor": "stripe", "endpoints": ["customers.*"]}, "mail": {"vendor": "resend", "endpoints": ["emails.*"]}},
    ).start()
    pay, mail = vault.issue("stripe", "pay"), vault.issue("resend", "mail", test=False)
    got = child_environment(vault, pay, "--vault", mail.text)
    assert got["STRIPE_API_BASE"] == vault.url + "/stripe" and got["RESEND_BASE_URL"] == vault.url + "/resend"


def test_signals_go_through(stripe_vault, tmp_path):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    ready = tmp_path / "ready"
    script = f"trap 'echo hup' HUP; trap 'echo term; exit 3' TERM; : > {ready}; while :; do sleep 0.05; done"
    # A shell cannot trap what is ignored as it starts, as SIGHUP is below nohup.
    child = subprocess.Popen(words(vault, "--vault", key.text, "--", "sh", "-c", script), stdout=subprocess.PIPE,
                             text=True, env=environment(), start_new_session=True,
                             preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))  # fmt: skip
    try:
        wait_for(ready.exists, 30, "the program")
        child.send_signal(signal.SIGHUP)
        assert child.stdout.readline() == "hup\n"
        child.send_signal(signal.SIGTERM)
        assert child.stdout.readline() == "term\n"
        assert child.wait(30) == 3
    finally:
        child.kill()
        child.wait()


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
@pytest.mark.parametrize("version", ["1.1", "2"], ids=["h1", "h2"])
def test_curl(stripe_vault, capture, version):
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")

    def charge(amount: int) -> tuple[str, str]:
        done = run(vault, key, "curl", "-sS", f"--http{version}", "-o", "/dev/null", "-w", "%{http_code} %{http_version}",
                   "-d", f"amount={amount}&currency=usd&customer=cus_1", f"https://{STRIPE}/v1/charges")
        assert done.returncode == 0, done.stderr
        return tuple(done.stdout.split())

    assert charge(2000) == ("200", version)
    assert charge(2001) == ("403", version)
    assert [c.all("Authorization") for c in capture.calls] == [[f"Bearer {REAL_STRIPE_KEY}"]]


CARD = {"object": "card", "number": "4242424242424242", "exp_month": 12, "exp_year": 2099, "cvc": "123"}

PYTHON = textwrap.dedent("""
    import json, os, sys, stripe
    c = stripe.StripeClient(os.environ["STRIPE_API_KEY"], max_network_retries=0)
    who = c.v1.customers.create({"email": "a@example.com", "source": json.loads(sys.argv[1])}).id
    told = [c.v1.charges.create({"amount": 2000, "currency": "usd", "customer": who}).amount]
    try:
        c.v1.charges.create({"amount": 2001, "currency": "usd", "customer": who})
    except stripe.PermissionError as e:
        told.append(e.json_body["error"]["code"])
    print(json.dumps(told))
""")


def test_pythons_stripe_sdk(stripe_vault, localstripe):
    """It brings a CA bundle of its own and knows no base URL in the environment."""
    vault = stripe_vault(localstripe)
    done = run(vault, vault.issue("stripe", "bot"), sys.executable, "-c", PYTHON, json.dumps(CARD))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [2000, "amount_over_max"]
    assert [c.target for c in localstripe.calls] == ["/v1/customers", "/v1/charges"]
    assert all(c.all("Authorization") == [f"Bearer {REAL_STRIPE_KEY}"] for c in localstripe.calls)


NODE = textwrap.dedent("""
    const stripe = new (require('stripe'))(process.env.STRIPE_SECRET_KEY, { maxNetworkRetries: 0 });
    (async () => {
      const told = [];
      const who = (await stripe.customers.create({ email: 'a@example.com', source: JSON.parse(process.argv[1]) })).id;
      told.push((await stripe.charges.create({ amount: 2000, currency: 'usd', customer: who })).amount);
      try {
        await stripe.charges.create({ amount: 2001, currency: 'usd', customer: who });
      } catch (e) { told.push(e.code); }
      const by_fetch = await fetch('https://api.stripe.com/v1/customers', {
        headers: { authorization: 'Bearer ' + process.env.STRIPE_SECRET_KEY } });
      told.push(by_fetch.status);
      console.log(JSON.stringify(told));
    })().catch((e) => { console.error(e); process.exit(1); });
""")


@node
def test_nodes_stripe_sdk_and_fetch(stripe_vault, localstripe):
    """The SDK has an agent of its own, which no version of Node gives a proxy."""
    vault = stripe_vault(localstripe)
    done = run(vault, vault.issue("stripe", "bot"), node_program(), "-e", NODE, json.dumps(CARD),
               NODE_PATH=str(NODE_HOME / "node_modules"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [2000, "amount_over_max", 200]
    assert [c.target for c in localstripe.calls] == ["/v1/customers", "/v1/charges", "/v1/customers"]


class Mcp:
    """A client of an MCP server on its standard input and output."""

    def __init__(self, command: list[str], **env: str) -> None:
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                      text=True, env=environment(**env))
        self._id = 0
        self.ask("initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "test", "version": "1"})
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _send(self, message: dict[str, Any]) -> None:
        self.child.stdin.write(json.dumps(message) + "\n")
        self.child.stdin.flush()

    def ask(self, method: str, **params: Any) -> Any:
        self._id += 1
        self._send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params})
        for line in self.child.stdout:
            answer = json.loads(line)
            if answer.get("id") == self._id:
                return answer["result"]
        raise AssertionError("the server ended: " + self.child.stderr.read())

    def call(self, tool: str, **arguments: Any) -> str:
        return self.ask("tools/call", name=tool, arguments=arguments)["content"][0]["text"]

    def end(self) -> int:
        self.child.stdin.close()
        self.child.terminate()
        return self.child.wait(30)


def paid_intent(port: int) -> str:
    """A payment of 50 dollars, made past octroi."""

    def post(path: str, **fields: str) -> str:
        answer = request(f"http://127.0.0.1:{port}/v1/{path}", "POST",
                         {**FORM, "Authorization": f"Bearer {REAL_STRIPE_KEY}"}, urlencode(fields))
        assert answer.status == 200, answer.text
        return str(answer.json()["id"])

    who = post("customers", email="b@example.com")
    card = {f"card[{name}]": str(value) for name, value in CARD.items() if name != "object"}
    method = post("payment_methods", type="card", **card)
    post(f"payment_methods/{method}/attach", customer=who)
    return post("payment_intents", amount="5000", currency="usd", customer=who, payment_method=method, confirm="true")


@node
def test_an_mcp_server_that_wraps_stripe_is_capped(stripe_vault, localstripe):
    """@stripe/mcp from npm, unmodified: it wants a key that begins with sk_ or rk_, and calls
    api.stripe.com wherever it runs. A refund does not say its currency: until Stripe has answered it
    counts as the most that one may be."""
    vault = stripe_vault(localstripe, endpoints=["customers.*", "refunds.create"], daily_cap="25 usd",
                         unknown_amount="assume_max")
    key, intent = vault.issue("stripe", "bot", "--server", "mcp"), paid_intent(localstripe.port)
    localstripe.calls.clear()
    cli = NODE_HOME / "node_modules" / "@stripe" / "mcp" / "dist" / "index.js"
    server = Mcp(words(vault, "--vault", key.text, "--run", "mcp-run", "--", node_program(), str(cli),
                       "--tools=customers.create,refunds.create"))
    try:
        tools = {t["name"] for t in server.ask("tools/list")["tools"]}
        assert tools == {"create_customer", "create_refund"}
        made = json.loads(server.call("create_customer", name="Ada", email="ada@example.com"))
        assert made["id"].startswith("cus_")
        refunds = [server.call("create_refund", payment_intent=intent, amount=500) for _ in range(3)]
        assert [json.loads(r).get("status") for r in refunds[:2]] == ["succeeded"] * 2
        assert "succeeded" not in refunds[2]
    finally:
        server.end()
    assert [c.target for c in localstripe.calls] == ["/v1/customers", "/v1/refunds", "/v1/refunds"]
    for call in localstripe.calls:
        assert call.all("Authorization") == [f"Bearer {REAL_STRIPE_KEY}"]
    rows = outcomes(vault, 4, "--run", "mcp-run")
    assert [(r["operation"], r["verdict"], r.get("reason"), r["server"]) for r in rows] == [
        ("customers.create", "allowed", None, "mcp"),
        ("refunds.create", "allowed", None, "mcp"),
        ("refunds.create", "allowed", None, "mcp"),
        ("refunds.create", "denied", "cap_exceeded", "mcp"),
    ]


CHAT = textwrap.dedent("""
    import openai
    client = openai.OpenAI(max_retries=0)
    client.chat.completions.create(model="gpt-4o-mini", max_tokens=5, messages=[{"role": "user", "content": "hi"}])
""")


def test_a_run_is_told_of_sdks_that_read_a_base_url(make_vault, capture):
    """A base URL leads past the proxy, which is what tells the run."""
    capture.reply = lambda c: Reply(body=json.dumps({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode())
    vault = make_vault(
        {"openai": (capture, "sk-proj-TheRealKey0123456789", {"pack": "openai"})},
        {"chat": {"vendor": "openai", "endpoints": ["chat.completions.create"], "caps": [{"per": "run", "usd": "5 usd"}]}},
    ).start()
    key = vault.issue("openai", "chat", test=False)
    done = run(vault, key, sys.executable, "-c", CHAT, flags=("--run", "t11"), OPENAI_BASE_URL="https://elsewhere.example/v1")
    assert done.returncode == 0, done.stderr
    assert {r["run"] for r in vault.audit_rows("--vendor", "openai")} == {"t11"}
    assert vault.audit_rows("--run", "t11")


@pytest.mark.parametrize("name", ["a b", "octroi", "x" * 129, "büro"])
def test_what_is_no_name_of_a_run(stripe_vault, tmp_path, name):
    vault = stripe_vault()
    mark = tmp_path / "started"
    refused = run(vault, vault.issue("stripe", "bot"), "touch", str(mark), flags=("--run", name))
    assert refused.returncode == 2 and "--run" in refused.stderr and not mark.exists()


def test_a_run_that_calls_could_not_carry(make_vault, capture, tmp_path):
    """Nothing is started that would be written down without its run."""
    vault = make_vault(
        {"twilio": (capture, "AC" + "0" * 32 + ":" + "1" * 32, {}),
         "shop": (capture, "the-real-key-of-the-shop", {"pack": "generic", "auth": "bearer"})},
        {"call": {"vendor": "twilio", "endpoints": ["*"]}, "buy": {"vendor": "shop", "endpoints": ["GET /v1/*"]}},
    ).start()
    pair = vault.issue("twilio", "call", "--shape", "twilio", test=False)
    shop = vault.issue("shop", "buy", test=False)
    mark = tmp_path / "started"
    for key, why in ((pair, "a pair"), (shop, "shop")):
        refused = run(vault, key, "touch", str(mark), flags=("--run", "r1"))
        assert refused.returncode == 2 and why in refused.stderr and "key issue --run" in refused.stderr
        assert not mark.exists()
        assert run(vault, key, "true").returncode == 0


@node
@pytest.mark.parametrize("name", ["plain", "a b", 'say "hi"', "back\\slash", 'all "of\\it" '])
def test_the_folder_of_a_run_may_have_any_name(stripe_vault, tmp_path, name):
    vault = stripe_vault()
    (tmp_path / name).mkdir()
    loaded = "console.log(Object.keys(require.cache).map((m) => require('path').basename(m)).join())"
    done = run(vault, vault.issue("stripe", "bot"), node_program(), "-e", loaded,
               TMPDIR=str(tmp_path / name), NODE_OPTIONS="--no-warnings")
    assert (done.returncode, done.stdout) == (0, "preload.cjs\n"), done.stderr


def test_a_key_file_that_is_not_there_is_a_wrong_word(stripe_vault, tmp_path):
    done = run(stripe_vault(), None, "true", flags=("--vault", f"@{tmp_path}/none"))
    assert done.returncode == 2 and "--vault" in done.stderr


def test_pythons_own_start_goes_on(stripe_vault, tmp_path):
    """What octroi puts before it neither says anything nor hides the sitecustomize of the machine."""
    vault = stripe_vault()
    key = vault.issue("stripe", "bot")
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.of_the_machine = True\n")
    done = run(vault, key, sys.executable, "-c", "print(of_the_machine)", PYTHONPATH=str(tmp_path))
    assert (done.stdout, done.stderr) == ("True\n", "")
