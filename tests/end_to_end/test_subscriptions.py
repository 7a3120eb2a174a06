"""Subscriptions over the real wire: the current value, then each projected change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.end_to_end.harness import Store, until

_TIMEOUT_S = 20.0


@contextmanager
def _subscribed(store: Store, query: str, variables: dict[str, Any]) -> Iterator[ClientConnection]:
    url = f"{store.url.replace('http', 'ws')}/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(_TIMEOUT_S))["type"] == "connection_ack"
        payload = {"query": query, "variables": variables}
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        yield socket


def _next(socket: ClientConnection) -> dict[str, Any]:
    message = json.loads(socket.recv(_TIMEOUT_S))
    assert message["type"] == "next", message
    payload: dict[str, Any] = message["payload"]
    return payload


@pytest.fixture
def order_id(store: Store) -> str:
    store.add_product("LIVE-1")
    customer = store.create_customer()
    order_id: str = store.place_order(customer, "LIVE-1")["order"]["id"]
    store.decided(order_id)
    return order_id


def test_an_order_is_sent_now_and_whenever_it_changes(store: Store, order_id: str) -> None:
    query = "subscription ($id: ID!) { orderChanged(id: $id) { id status } }"
    with _subscribed(store, query, {"id": order_id}) as socket:
        first = _next(socket)
        assert first["data"]["orderChanged"] == {"id": order_id, "status": "APPROVED"}
        assert first["extensions"]["freshness"]["readModels"]["orders"]["maxStalenessMs"] >= 0
        store.mutate("shipOrder", {"orderId": order_id})
        assert _next(socket)["data"]["orderChanged"]["status"] == "SHIPPED"


def test_a_customer_is_sent_whenever_an_order_of_it_changes(store: Store) -> None:
    store.add_product("LIVE-2")
    customer = store.create_customer("Watched")
    until(lambda: store.customer(customer), lambda shown: shown is not None)
    query = "subscription ($id: ID!) { customerChanged(id: $id) { name orderCount } }"
    with _subscribed(store, query, {"id": customer}) as socket:
        assert _next(socket)["data"]["customerChanged"] == {"name": "Watched", "orderCount": 0}
        store.place_order(customer, "LIVE-2")
        assert _next(socket)["data"]["customerChanged"]["orderCount"] == 1


def test_the_progress_of_a_read_model_is_sent_again_and_again(store: Store) -> None:
    query = 'subscription { readModelProgress(name: "orders") { name status maxStalenessMs } }'
    with _subscribed(store, query, {}) as socket:
        for _ in range(2):
            assert _next(socket)["data"]["readModelProgress"]["name"] == "orders"
