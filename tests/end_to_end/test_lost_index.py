"""A search index that is lost is never passed for an empty one; a rebuild brings it back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from slackwater.installation import Installation
from slackwater.settings import load_settings
from tests.end_to_end.harness import Store, running, until
from tests.engines import as_settings, engine_settings

pytestmark = pytest.mark.slow

_SEARCH = '{ search(text: "mislaid") { totalCount } }'
_MODELS = "{ readModels { name status } }"


def _found(store: Store) -> int | str:
    answer = store.ask(_SEARCH)
    if answer.codes:
        [code] = answer.codes
        return str(code)
    count: int = answer.data["search"]["totalCount"]
    return count


def _statuses(store: Store) -> dict[str, str]:
    return {each["name"]: each["status"] for each in store.ask(_MODELS).data["readModels"]}


async def _lose_index(data_dir: Path, settings: Mapping[str, str]) -> None:
    installation = Installation(load_settings({**as_settings(settings), "data_dir": data_dir}))
    try:
        await installation.search.drop("order_search_v1")
    finally:
        await installation.close()


def test_a_lost_index_is_unavailable_until_it_is_rebuilt(storage: str, tmp_path: Path) -> None:
    data_dir, settings = tmp_path / "data", engine_settings() if storage == "engines" else {}
    with running(data_dir, settings=settings) as installation:
        customer = installation.store.create_customer("Mislaid before")
        until(lambda: _found(installation.store), lambda found: found == 1)
    asyncio.run(_lose_index(data_dir, settings))
    with running(data_dir, settings=settings) as installation:
        store = installation.store
        assert _found(store) == "READ_MODEL_UNAVAILABLE"
        until(lambda: _statuses(store)["order_search"], lambda status: status == "STALLED")
        assert "slackwater rebuild order_search" in installation.command("lag", "--once").stdout
        query = "query ($id: ID!) { customer(id: $id) { name } }"
        assert store.ask(query, {"id": customer}).data["customer"]["name"] == "Mislaid before"
        store.create_customer("Mislaid after")
        assert _found(store) == "READ_MODEL_UNAVAILABLE"
        rebuilt = installation.command("rebuild", "order_search")
        assert rebuilt.returncode == 0, rebuilt.stderr
        until(lambda: _found(store), lambda found: found == 2)
        store.create_customer("Mislaid and found")  # folded by the projector that had halted
        until(lambda: _found(store), lambda found: found == 3)
        until(lambda: _statuses(store)["order_search"], lambda status: status == "LIVE")
