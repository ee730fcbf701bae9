"""openai-python."""

import openai
from loop import serve


def make(how):
    return openai.OpenAI(api_key=how.get("key"), base_url=how.get("base"), max_retries=how["retries"])


def ask(client, a, **more):
    words = [{"role": "user", "content": "count"}]
    return client.chat.completions.create(model="gpt-4o", max_tokens=a["tokens"], messages=words, **more)


def stream(client, a):
    return "".join(part.choices[0].delta.content or "" for part in ask(client, a, stream=True))


serve(make, {"make": lambda c, a: ask(c, a).id, "stream": stream}, lambda e: getattr(e, "status_code", None))
