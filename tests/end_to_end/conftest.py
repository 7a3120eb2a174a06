"""One installation for all tests that can share one: embedded, and on the real engines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.harness import Running, Store, running
from tests.engines import engine_settings, on_all_engines


@pytest.fixture(
    scope="session", params=["embedded", pytest.param("engines", marks=on_all_engines())]
)
def storage(request: pytest.FixtureRequest) -> str:
    """What an installation is kept on."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="session")
def installation(storage: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data_dir = tmp_path_factory.mktemp(storage) / "data"
    arguments = ["--processes"] if storage == "engines" else []
    with running(data_dir, *arguments, settings=settings_of(storage)) as installation:
        yield installation


def settings_of(storage: str) -> dict[str, str]:
    """Return the environment that makes a new installation keep its data there."""
    return engine_settings() if storage == "engines" else {}


@pytest.fixture
def store(installation: Running) -> Store:
    return installation.store
