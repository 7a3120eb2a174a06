"""One installation for all tests that can share one: embedded, and on the real engines."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.end_to_end.harness import Running, Store, running
from tests.engines import engine_settings, on_all_engines
from tests.postgresql_server import administrator, drop_slots

# On embedded storage outboxes are polled. By hand, another choice can be tried on the engines, too:
# SLACKWATER_PUBLISHING='{"inventory": "ROW_CHANGES"}' (whose events do not say what caused them,
# which leaves tests of the audit out).
_MINED = '{"customers": "LOG_MESSAGES", "inventory": "LOG_OUTBOX", "orders": "LOG_OUTBOX"}'
PUBLISHING = {"SLACKWATER_PUBLISHING": os.environ.pop("SLACKWATER_PUBLISHING", _MINED)}


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
    settings = settings_of(storage)
    with running(data_dir, *arguments, settings=settings) as installation:
        yield installation
    if storage == "engines":
        with administrator() as connection:
            drop_slots(connection, settings["SLACKWATER_NAMESPACE"])


def settings_of(storage: str) -> dict[str, str]:
    """Return the environment that makes a new installation keep its data there."""
    return {**engine_settings(), **PUBLISHING} if storage == "engines" else {}


@pytest.fixture
def store(installation: Running) -> Store:
    return installation.store
