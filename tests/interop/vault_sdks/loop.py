"""What the drivers in Python share. A driver makes a vendor's own client and lets it do what the lines
on standard input say, one JSON object each, and answers each with a line: {"value"} or {"error"}."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any, Callable

# Names that lead to this machine, as those of a private zone would; nothing of an SDK is replaced.
_here = set(filter(None, os.environ.get("VAULT_SDK_NAMES", "").split(",")))
_lookup = socket.getaddrinfo


def _answer(host: Any, *rest: Any, **more: Any) -> Any:
    return _lookup("127.0.0.1" if host in _here else host, *rest, **more)


socket.getaddrinfo = _answer


def serve(make: Callable[[dict[str, Any]], Any], operations: dict[str, Callable[..., Any]],
          status: Callable[[Exception], Any]) -> None:
    """`make` opens a client by {"do": "open", …}; `status` finds the HTTP status in its exceptions."""
    client = None
    for line in sys.stdin:
        asked = json.loads(line)
        act = asked.pop("do")
        try:
            if act == "open":
                client, said = make(asked), None
            else:
                said = operations[act](client, asked)
            told: dict[str, Any] = {"value": said}
        except Exception as e:  # noqa: BLE001: whatever an SDK raises is the answer
            told = {"error": {"class": type(e).__name__, "status": status(e), "message": str(e)}}
        print(json.dumps(told), flush=True)
