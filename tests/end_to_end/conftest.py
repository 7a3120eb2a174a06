"""One installation for all tests that can share one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.harness import Running, Store, running


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("shared") / "data") as installation:
        yield installation


@pytest.fixture
def store(installation: Running) -> Store:
    return installation.store
