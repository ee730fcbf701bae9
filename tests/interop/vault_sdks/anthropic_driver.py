"""anthropic-python."""

import anthropic
from loop import serve


def make(how):
    return anthropic.Anthropic(api_key=how.get("key"), base_url=how.get("base"), max_retries=how["retries"])


def words(a):
    return {"model": "claude-sonnet-4-6", "max_tokens": a["tokens"], "messages": [{"role": "user", "content": "count"}]}


def stream(client, a):
    with client.messages.stream(**words(a)) as parts:
        return "".join(parts.text_stream)


serve(make, {"make": lambda c, a: c.messages.create(**words(a)).id, "stream": stream}, lambda e: getattr(e, "status_code", None))
