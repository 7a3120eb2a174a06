"""compose.yaml runs the store: every process of it, as it is written there, on the real engines.

No container engine is needed for this; `Natively` says what is different without one.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import permutations
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from slackwater.manifest import Manifest
from tests.compose_file import ComposeFile
from tests.end_to_end.harness import Answer, Store, free_port_block, until
from tests.end_to_end.natively import Natively
from tests.end_to_end.places import Places
from tests.engine_names import own_namespace
from tests.engines import engine_url, on_all_engines
from tests.postgresql_server import administrator, dropping_roles, is_password, own_database

COMPOSE = Path(__file__).parents[2] / "compose.yaml"
SERVICES = Manifest().services
FRESH_S = 60.0
VERIFIED_S = 90.0
SEEDED_S = 180.0  # a tenth of it where the machine is not busy
SEEDED_ORDERS = 10

pytestmark = [*on_all_engines(), pytest.mark.slow, pytest.mark.timeout(500)]


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Natively]:
    """Everything up to the gateway; in the end it stops in time, and every exit is clean."""
    folder = tmp_path_factory.mktemp("compose")
    with ExitStack() as stack:
        namespace = stack.enter_context(own_namespace())
        stack.enter_context(dropping_roles(f"{namespace}_{service}" for service in SERVICES))
        database = stack.enter_context(own_database(folder))
        file = ComposeFile(COMPOSE, {**made_secrets(), "SLACKWATER_NAMESPACE": namespace})
        places = Places(file, port=free_port_block(), postgresql_url=database)
        containers = Natively(file, places, folder)
        stack.callback(containers.kill)
        containers.start("gateway")
        containers.wait_healthy("gateway")
        yield containers
        containers.stop()
        assert set(containers.exit_statuses.values()) == {0}, containers.exit_statuses


def made_secrets() -> dict[str, str]:
    names = ["SLACKWATER_TOKEN_SECRET", *(f"POSTGRES_{each.upper()}_PASSWORD" for each in SERVICES)]
    administrators = urlsplit(engine_url("postgresql")).password or secrets.token_hex(32)
    made = {name: secrets.token_hex(32) for name in names}
    return {**made, "POSTGRES_PASSWORD": unquote(administrators)}


@pytest.fixture(scope="module")
def store(containers: Natively) -> Iterator[Store]:
    store = Store(int(containers.environment("gateway")["SLACKWATER_PORT"]))
    yield store
    store.close()


def test_an_order_goes_the_whole_way(containers: Natively, store: Store) -> None:
    store.add_product("HARBOUR-7", stock=100)
    customer = store.create_customer("Lighthouse Supplies")
    placed = store.place_order(customer, "HARBOUR-7", quantity=3)
    order_id = placed["order"]["id"]

    shown = read_after(store, customer, placed["consistencyToken"])
    assert order_id in {edge["node"]["id"] for edge in shown["customer"]["orders"]["edges"]}
    order = store.decided(order_id, timeout_s=FRESH_S)
    assert (order["status"], order["customer"]["name"]) == ("APPROVED", "Lighthouse Supplies")
    until(lambda: store.stock("HARBOUR-7"), lambda stock: stock == 97, FRESH_S)
    until(lambda: found(store, "harbour"), lambda ids: order_id in ids, FRESH_S)
    until(lambda: freshness_of(store, customer), is_live, FRESH_S)
    is_verified(containers)


def test_the_demo_is_seeded(containers: Natively, store: Store) -> None:
    containers.start("seed")
    query = '{ search(text: "bolt") { totalCount } orders(first: 50) { edges { node { id } } } }'
    until(
        lambda: store.ask(query).data,
        lambda data: len(data["orders"]["edges"]) > SEEDED_ORDERS and data["search"]["totalCount"],
        SEEDED_S,
    )
    containers.stop("seed")
    assert containers.exit_statuses["seed"] == 0, containers.log("seed")
    is_verified(containers)


@pytest.mark.parametrize(("service", "other"), [*permutations(SERVICES, 2)])
def test_no_service_can_read_what_another_keeps(
    containers: Natively, service: str, other: str
) -> None:
    role = containers.environment(f"relay-{service}")
    with psycopg.connect(role["SLACKWATER_POSTGRESQL_URL"]) as connection:
        namespace = role["SLACKWATER_NAMESPACE"]
        connection.execute(f"SELECT FROM {namespace}_{service}.alembic_version")
        with pytest.raises(InsufficientPrivilege, match=f"schema {namespace}_{other}"):
            connection.execute(f"SELECT FROM {namespace}_{other}.alembic_version")


@pytest.mark.parametrize("service", SERVICES)
def test_the_password_of_a_role_is_the_services_own(containers: Natively, service: str) -> None:
    """Asked of what the server keeps, because a server for tests lets everybody in."""
    urls = {
        name: urlsplit(containers.environment(name)["SLACKWATER_POSTGRESQL_URL"])
        for name in (*SERVICES, *(f"relay-{each}" for each in SERVICES))
    }
    with administrator() as connection:
        for name, url in urls.items():
            own = name in (service, f"relay-{service}")
            role = urls[service].username
            assert is_password(connection, str(role), str(url.password)) == own, name


def read_after(store: Store, customer: str, token: str) -> dict[str, Any]:
    """Read until the write is shown; a slow machine may refuse in time, but never leave it out."""
    query = "query ($id: ID!) { customer(id: $id) { orders(first: 9) { edges { node { id } } } } }"

    def ask() -> Answer:
        return store.ask(query, {"id": customer}, after=[store.creation_tokens[customer], token])

    answer: Answer = until(ask, lambda answer: answer.codes != ["STALE_READ"], FRESH_S)
    return answer.data


def found(store: Store, text: str) -> list[str]:
    query = "query ($t: String!) { search(text: $t) { edges { node { ... on Order { id } } } } }"
    edges = store.ask(query, {"t": text}).data["search"]["edges"]
    return [edge["node"]["id"] for edge in edges if edge["node"]]


def freshness_of(store: Store, customer: str) -> dict[str, dict[str, object]]:
    query = (
        "query ($id: ID!) { customer(id: $id) { name } orders(first: 1) { edges { node { id } } } "
        'products(first: 1) { edges { node { sku } } } search(text: "harbour") { totalCount } }'
    )
    read_models: dict[str, dict[str, object]]
    read_models = store.ask(query, {"id": customer}).freshness["readModels"]
    return read_models


def is_live(read_models: dict[str, dict[str, object]]) -> bool:
    assert set(read_models) == set(Manifest().projections)
    return all(
        each["status"] == "LIVE" and isinstance(each["maxStalenessMs"], int)
        for each in read_models.values()
    )


def is_verified(containers: Natively) -> None:
    verified = until(
        lambda: containers.run("administrator", "verify"),
        lambda verified: verified.returncode == 0,
        VERIFIED_S,
    )
    assert verified.stdout.count(": equal") == len(Manifest().projections)
