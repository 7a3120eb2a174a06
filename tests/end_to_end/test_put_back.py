"""Read models that are put back to a backup under a running system catch up by themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.end_to_end.harness import Store, running, until
from tests.sqlite_copy import copy

pytestmark = pytest.mark.slow

_CUSTOMER = "query ($id: ID!) { customer(id: $id) { name } }"
_SEARCH = '{ search(text: "found") { totalCount } }'
_LOOK_S = 30.0


def _names(store: Store, customers: list[str]) -> list[str | None]:
    shown = [store.ask(_CUSTOMER, {"id": each}).data["customer"] for each in customers]
    return [each and each["name"] for each in shown]


def test_what_was_put_back_is_projected_again_though_nothing_comes(tmp_path: Path) -> None:
    data_dir, backup = tmp_path / "data", tmp_path / "backup.sqlite"
    with running(data_dir) as installation:
        store = installation.store
        customers = [store.create_customer("Found before")]
        until(lambda: _names(store, customers), all)
        copy(data_dir / "documents.sqlite", backup)
        customers += [store.create_customer(f"Found {number}") for number in range(3)]
        until(lambda: _names(store, customers), all)
        until(lambda: store.ask(_SEARCH).data["search"]["totalCount"], lambda count: count == 4)

        copy(backup, data_dir / "documents.sqlite")
        assert _names(store, customers)[1:] == [None] * 3
        until(lambda: _names(store, customers), all, _LOOK_S)
        customers.append(store.create_customer("Found after"))
        until(lambda: _names(store, customers), all)
        until(lambda: store.ask(_SEARCH).data["search"]["totalCount"], lambda count: count == 5)
        until(installation.verify, lambda verified: verified.returncode == 0)
