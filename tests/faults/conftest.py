"""An installation on engines that nothing else uses, for the tests that kill and pause them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.end_to_end.harness import Running
from tests.faults.own_engines import OwnEngines, running_engines

START_S = 180.0


@pytest.fixture(scope="package")
def own_engines() -> Iterator[OwnEngines]:
    with running_engines() as engines:
        yield engines


@pytest.fixture(scope="package")
def breakable(
    own_engines: OwnEngines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """An installation on them, a process each part, with a product BOLT."""
    data_dir = tmp_path_factory.mktemp("breakable") / "data"
    installation = Running(data_dir, "--processes", settings=own_engines.settings())
    try:
        installation.wait_ready(START_S).store.add_product("BOLT", stock=1_000_000)
        yield installation
    finally:
        installation.stop()


@pytest.fixture(scope="package")
def customers(breakable: Running) -> list[str]:
    """Customers of it who can afford anything."""
    return [breakable.store.create_customer(f"C {n}", limit="1000000.00") for n in range(5)]
