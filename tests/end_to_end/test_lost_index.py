"""A search index that is lost is never passed for an empty one; a rebuild brings it back."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from contracts.documents.order_search import ORDER_SEARCH_INDEX, SearchKind
from gateway.identity import key_of
from slackwater.installation import Installation
from slackwater.read_models.documents import RowWrite
from slackwater.read_models.search import SearchIndex
from slackwater.settings import load_settings
from tests.end_to_end.harness import Store, running, until
from tests.engines import as_settings, engine_settings

pytestmark = pytest.mark.slow

_SEARCH = '{ search(text: "mislaid") { totalCount } }'
_MODELS = "{ readModels { name status } }"
_VERSIONS = "{ readModels { name version } }"


def _found(store: Store) -> int | str:
    answer = store.ask(_SEARCH)
    if answer.codes:
        [code] = answer.codes
        return str(code)
    count: int = answer.data["search"]["totalCount"]
    return count


def _statuses(store: Store) -> dict[str, str]:
    return {each["name"]: each["status"] for each in store.ask(_MODELS).data["readModels"]}


@asynccontextmanager
async def _search(data_dir: Path, settings: Mapping[str, str]) -> AsyncIterator[SearchIndex]:
    """Open the search engine of an installation."""
    installation = Installation(load_settings({**as_settings(settings), "data_dir": data_dir}))
    try:
        yield installation.search
    finally:
        await installation.close()


async def _lose_index(data_dir: Path, settings: Mapping[str, str]) -> None:
    async with _search(data_dir, settings) as search:
        await search.drop("order_search_v1")


async def _leave_index(data_dir: Path, settings: Mapping[str, str], customer_id: str) -> None:
    """Leave an index of the second version, with a newer state of a customer that was lost."""
    row_id = f"{SearchKind.CUSTOMER}:{customer_id}"
    async with _search(data_dir, settings) as search:
        await search.prepare(replace(ORDER_SEARCH_INDEX, name="order_search_v2"))
        document = {"id": row_id, "kind": SearchKind.CUSTOMER, "title": "From a lost history"}
        row = RowWrite(
            collection="order_search_v2",
            id=row_id,
            version=99,
            expected_revision=0,
            document=document,
        )
        await search.write("order_search_v2", [row])
        await search.refresh("order_search_v2")


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


def test_a_rebuild_takes_nothing_over_from_a_history_that_was_lost(
    storage: str, tmp_path: Path
) -> None:
    """Progress was put back to before a rebuild, and the search engine keeps what that made."""
    data_dir, settings = tmp_path / "data", engine_settings() if storage == "engines" else {}
    with running(data_dir, settings=settings) as installation:
        store = installation.store
        customer = store.create_customer("Mislaid once")
        until(lambda: _found(store), lambda found: found == 1)
        asyncio.run(_leave_index(data_dir, settings, key_of(customer, "Customer")))
        rebuilt = installation.command("rebuild", "order_search")
        assert rebuilt.returncode == 0, rebuilt.stderr
        models = store.ask(_VERSIONS).data["readModels"]
        assert {"name": "order_search", "version": 3} in models
        until(lambda: _found(store), lambda found: found == 1)
        dropped = installation.command("rebuild", "order_search", "--drop-old", "--json")
        assert json.loads(dropped.stdout)["dropped_versions"] == [1, 2]


def test_an_index_that_was_put_back_is_unavailable_until_it_is_rebuilt(tmp_path: Path) -> None:
    """Its file was put back to a backup, and that of its progress was not."""
    data_dir, backup = tmp_path / "data", tmp_path / "backup"
    with running(data_dir) as installation:
        installation.store.create_customer("Mislaid before")
        until(lambda: _found(installation.store), lambda found: found == 1)
    _copy_index(data_dir, backup)
    with running(data_dir) as installation:
        installation.store.create_customer("Mislaid after")
        until(lambda: _found(installation.store), lambda found: found == 2)
    _copy_index(backup, data_dir)
    with running(data_dir) as installation:
        store = installation.store
        until(lambda: _statuses(store)["order_search"], lambda status: status == "STALLED")
        assert _found(store) == "READ_MODEL_UNAVAILABLE"
        assert "slackwater rebuild order_search" in installation.command("lag", "--once").stdout
        store.create_customer("Mislaid and found")
        rebuilt = installation.command("rebuild", "order_search")
        assert rebuilt.returncode == 0, rebuilt.stderr
        until(lambda: _found(store), lambda found: found == 3)
        until(lambda: _statuses(store)["order_search"], lambda status: status == "LIVE")


def _copy_index(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for file in target.glob("search.sqlite*"):
        file.unlink()
    for file in source.glob("search.sqlite*"):
        shutil.copy2(file, target)
