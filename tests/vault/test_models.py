"""The Python SDKs of OpenAI and Anthropic, unmodified, behind the vault: what a model may cost is held,
what it did cost is counted, streams are counted by what came of them."""

from __future__ import annotations

import json
from typing import Any, Callable, Iterator

import anthropic
import openai
import pytest

from harness.llm import Models
from harness.process import wait_for
from harness.vault import Vault

OPENAI_KEY = "sk-proj-TheRealKeyThatNoAgentMayEverSee0123456789"
ANTHROPIC_KEY = "sk-ant-api03-TheRealKeyThatNoAgentMayEverSee0123456789"
SAY = [{"role": "user", "content": "count"}]


@pytest.fixture
def models() -> Iterator[Models]:
    mock = Models()
    yield mock
    mock.stop()


@pytest.fixture
def vault(make_vault: Callable[..., Vault], models: Models) -> Callable[..., Vault]:
    def make(**changes: Any) -> Vault:
        policy = {"endpoints": ["*"], "daily_cap": "1 usd", "max_amount": "0.5 usd", **changes}
        return make_vault(
            {"openai": (models, OPENAI_KEY, {}), "anthropic": (models, ANTHROPIC_KEY, {})},
            {name: {"vendor": name, **policy} for name in ("openai", "anthropic")},
        ).start()

    return make


def gpt(v: Vault, path: str = "/openai/v1", **more: Any) -> tuple[openai.OpenAI, Any]:
    key = v.issue("openai", "openai", "--shape", "vendor", test=False)
    assert key.text.startswith("sk-vault")
    return openai.OpenAI(api_key=key.text, base_url=v.url + path, **{"max_retries": 0, **more}), key


def claude(v: Vault, path: str = "/anthropic", **more: Any) -> tuple[anthropic.Anthropic, Any]:
    key = v.issue("anthropic", "anthropic", "--shape", "vendor", test=False)
    assert key.text.startswith("sk-ant-vault")
    return anthropic.Anthropic(api_key=key.text, base_url=v.url + path, **{"max_retries": 0, **more}), key


def outcomes(v: Vault) -> list[dict[str, Any]]:
    return [row for row in v.audit() if row["kind"] == "call.outcome"]


def settled(v: Vault, calls: int = 1) -> list[Any]:
    """What the calls cost, in millionths of a dollar, once all of them have an outcome; the order of calls
    that followed at once is not certain."""

    def all_there() -> Any:
        rows = outcomes(v)
        return [row.get("settled_micro_usd") for row in rows] if len(rows) >= calls else None

    return wait_for(all_there, 10, "the outcomes")


def test_chat_completions_cost_what_their_usage_says(vault, models):
    v = vault()
    client, _ = gpt(v)
    made = client.chat.completions.create(model="gpt-4o", messages=SAY, max_tokens=50)
    assert made.choices[0].message.content == "one two three four "
    assert settled(v) == [100 * 2.5 + 10 * 10]
    call = models.calls[0]
    assert call.target == "/v1/chat/completions" and call.all("Authorization") == [f"Bearer {OPENAI_KEY}"]
    assert json.loads(call.body) == {"model": "gpt-4o", "messages": SAY, "max_tokens": 50}


def test_responses_embeddings_and_models(vault, models):
    v = vault()
    client, _ = gpt(v)
    assert client.responses.create(model="gpt-4o", input="count", max_output_tokens=50).output_text == "one two three four "
    client.embeddings.create(model="text-embedding-3-small", input="x", encoding_format="float")
    assert client.models.list().data == []
    assert {350, 2} < set(settled(v, 3))


def test_messages_cost_what_their_usage_says(vault, models):
    v = vault()
    client, _ = claude(v)
    made = client.messages.create(model="claude-sonnet-4-6", messages=SAY, max_tokens=50)
    assert made.content[0].text == "one two three four "
    assert settled(v) == [100 * 3 + 10 * 15]
    assert models.calls[0].all("X-Api-Key") == [ANTHROPIC_KEY] and not models.calls[0].all("Authorization")


def test_streams_cost_what_they_tell_or_what_was_delivered(vault, models):
    v = vault()
    client, _ = gpt(v)
    ask = {"model": "gpt-4o", "messages": SAY, "max_tokens": 50, "stream": True}
    said = "".join(c.choices[0].delta.content or "" for c in client.chat.completions.create(**ask))
    assert said == "one two three four "
    # Nobody asked for the usage, and nothing was put into the request: four deltas of one or two tokens.
    assert "stream_options" not in json.loads(models.calls[0].body)
    sent = len(models.calls[0].body)
    told = list(client.chat.completions.create(**ask, stream_options={"include_usage": True}))
    assert told[-1].usage.completion_tokens == 10
    other, _ = claude(v)
    with other.messages.stream(model="claude-sonnet-4-6", messages=SAY, max_tokens=50) as stream:
        assert "".join(stream.text_stream) == "one two three four "
    deltas = sum(-(-len(word) // 4) for word in models.words)
    assert sorted(settled(v, 3)) == sorted([-(-(sent * 25 + deltas * 100) // 10), 350, 450])


def test_a_stream_that_the_agent_leaves_is_left_and_costs_what_came(vault, models):
    v = vault()
    models.hold_after = 2
    client, _ = claude(v)
    with client.messages.stream(model="claude-sonnet-4-6", messages=SAY, max_tokens=5000) as stream:
        texts = stream.text_stream
        assert [next(texts), next(texts)] == ["one ", "two "]
    assert models.left.wait(10), "the vendor went on"
    assert settled(v) == [100 * 3 + 2 * 15]


def test_a_revoked_key_ends_its_stream(vault, models):
    v = vault()
    models.hold_after = 2
    client, key = gpt(v)
    stream = client.chat.completions.create(model="gpt-4o", messages=SAY, max_tokens=50, stream=True)
    assert next(stream).choices[0].delta.content == "one "
    v.revoke(key)
    with pytest.raises(Exception) as cut:  # a torn stream, in the words of its HTTP client
        list(stream)
    assert not isinstance(cut.value, AssertionError)
    assert models.left.wait(10)
    with pytest.raises(openai.AuthenticationError) as refused:
        client.models.list()
    assert refused.value.code == "key_revoked"
    settled(v, 2)
    assert sorted(row["verdict"] for row in outcomes(v)) == ["denied", "revoked_inflight"]


def test_what_it_may_cost_is_held_at_the_limit_and_not_one_over(vault, models):
    v = vault(max_amount="0.01 usd")
    client, _ = claude(v)
    ask = {"model": "claude-haiku-4-5", "messages": SAY}
    # A dollar a million bytes, five a million tokens.
    size = len(json.dumps({"max_tokens": 1000, **ask}, separators=(",", ":")))
    most = (10_000 - size) // 5
    client.messages.create(**ask, max_tokens=most)
    with pytest.raises(anthropic.PermissionDeniedError) as refused:
        client.messages.create(**ask, max_tokens=most + 1)
    assert refused.value.body["error"]["code"] == "amount_over_max"
    assert len(models.calls) == 1


def test_the_cap_counts_what_was_used(vault, models):
    v = vault(daily_cap="0.001 usd")
    client, _ = gpt(v)
    ask = {"model": "gpt-4o", "messages": SAY, "max_tokens": 20}  # held: under 0.0005; used: 0.00035
    client.chat.completions.create(**ask)
    client.chat.completions.create(**ask)
    with pytest.raises(openai.PermissionDeniedError) as refused:
        client.chat.completions.create(**ask)
    assert refused.value.code == "cap_exceeded"
    assert len(models.calls) == 2


def test_what_has_no_price_is_refused(vault, models):
    v = vault()
    client, _ = gpt(v)
    for ask in (
        {"model": "gpt-unheard-of", "messages": SAY},
        {"model": "gpt-4o", "messages": SAY, "service_tier": "priority"},
        {"model": "gpt-4o", "messages": SAY, "extra_body": {"something_new": 1}},
    ):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            client.chat.completions.create(**ask)
        assert refused.value.code == "amount_unknown"
    with pytest.raises(openai.PermissionDeniedError):
        client.with_options(organization="org-other").models.list()
    with pytest.raises(openai.PermissionDeniedError):
        client.batches.create(input_file_id="f", endpoint="/v1/responses", completion_window="24h")
    assert not models.calls


def test_a_refusal_is_tried_once_and_a_failure_again(vault, models):
    v = vault(endpoints=["chat.completions.create", "messages.create"])
    client, _ = gpt(v, max_retries=2)
    with pytest.raises(openai.PermissionDeniedError):
        client.models.list()
    assert len(settled(v)) == 1
    models.fail = [503]
    client.chat.completions.create(model="gpt-4o", messages=SAY, max_tokens=50)
    other, _ = claude(v, max_retries=2)
    models.fail = [529]
    other.messages.create(model="claude-sonnet-4-6", messages=SAY, max_tokens=50)
    assert len(models.calls) == 4
    # What the vendor did not begin costs nothing.
    settled(v, 5)
    assert sorted(r["verdict"] for r in outcomes(v)) == ["allowed"] * 2 + ["denied"] + ["failed"] * 2


@pytest.mark.parametrize("path", ["/v1", "/openai/v1"], ids=["key", "path"])
def test_ways_of_reaching_it(vault, models, path):
    v = vault()
    client, _ = gpt(v, path)
    client.chat.completions.create(model="gpt-4o", messages=SAY, max_tokens=50)
    other, _ = claude(v, path.removesuffix("/v1").replace("openai", "anthropic"))
    other.messages.create(model="claude-sonnet-4-6", messages=SAY, max_tokens=50)
    hosted, _ = gpt(v, "/v1", default_headers={"Host": "api.openai.com"})
    hosted.chat.completions.create(model="gpt-4o", messages=SAY, max_tokens=50)
    assert [c.target for c in models.calls] == ["/v1/chat/completions", "/v1/messages", "/v1/chat/completions"]


def test_prices_of_the_configuration(make_vault, models):
    v = make_vault(
        {"openai": (models, OPENAI_KEY, {"prices": {"house-1.0": {"input": "1 usd", "output": "2 usd", "max_output": 100}}})},
        {"openai": {"vendor": "openai", "endpoints": ["*"]}},
    ).start()
    client, _ = gpt(v)
    client.chat.completions.create(model="house-1.0", messages=SAY)
    assert settled(v) == [120]
