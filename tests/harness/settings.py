"""Configuration files for tests, written the way people write them."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(config: dict[str, Any]) -> str:
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=10_000)


def service(name: str, path: str, upstream: str, price: str = "10 sat", **more: Any) -> dict[str, Any]:
    """One entry of `paywall.services`; both schemes unless told otherwise."""
    return {
        "name": name,
        "match": {"path": path},
        "upstream": upstream,
        "price": price,
        "schemes": more.pop("schemes", ["l402", "payment"]),
        **more,
    }
