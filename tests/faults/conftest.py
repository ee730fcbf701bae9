"""Servers that more than one file here stops, kills and cuts off."""

from __future__ import annotations

from typing import Any, Iterator

import pytest

from harness.model_upstream import ModelUpstream
from harness.postgres import Postgres
from harness.replica_proxy import Proxy
from harness.replica_set import shared_or_skip


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.close()


@pytest.fixture(params=["alone", "redis"])
def shared(request, octroi_binary, tmp_path) -> Iterator[Any]:
    yield from shared_or_skip(request.param, octroi_binary, tmp_path)


@pytest.fixture
def proxy(postgres) -> Iterator[Proxy]:
    made = Proxy(postgres.directory / ".s.PGSQL.5432")
    yield made
    made.close()


@pytest.fixture
def model() -> Iterator[ModelUpstream]:
    server = ModelUpstream()
    yield server
    server.stop()
