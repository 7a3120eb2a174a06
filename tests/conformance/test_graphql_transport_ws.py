"""The graphql-transport-ws protocol, message by message, with the codes that it closes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from gateway.http.limits import Limits
from tests.small_schema import SIGNER, TOKEN, Heads, small_app

PROTOCOL = "graphql-transport-ws"


@contextmanager
def opened(
    heads: Heads | None = None, limits: Limits | None = None, **options: Any
) -> Iterator[WebSocketTestSession]:
    client = TestClient(small_app(heads, limits))
    options = {"subprotocols": [PROTOCOL], **options}
    with client, client.websocket_connect("/graphql", **options) as socket:
        yield socket


@contextmanager
def initialised(
    heads: Heads | None = None, limits: Limits | None = None, **options: Any
) -> Iterator[WebSocketTestSession]:
    with opened(heads, limits, **options) as socket:
        socket.send_json({"type": "connection_init"})
        assert socket.receive_json() == {"type": "connection_ack"}
        yield socket


def subscribe(socket: WebSocketTestSession, query: str, id_: str = "1", **payload: Any) -> None:
    socket.send_json({"id": id_, "type": "subscribe", "payload": {"query": query, **payload}})


def closing_code(socket: WebSocketTestSession) -> int:
    with pytest.raises(WebSocketDisconnect) as closed:
        socket.receive_json()
    return closed.value.code


def test_the_protocol_is_chosen_among_those_offered() -> None:
    with opened(subprotocols=["graphql-ws", PROTOCOL]) as socket:
        assert socket.accepted_subprotocol == PROTOCOL


@pytest.mark.parametrize("offered", [["graphql-ws"], ["mqtt"], []])
def test_other_protocols_are_refused(offered: list[str]) -> None:
    with opened(subprotocols=offered) as socket:
        assert closing_code(socket) == 4406


def test_a_page_of_another_origin_is_refused() -> None:
    with pytest.raises(WebSocketDisconnect), opened(headers={"origin": "https://evil.example"}):
        pass


def test_an_initialised_connection_is_acknowledged() -> None:
    with opened() as socket:
        socket.send_json({"type": "connection_init", "payload": {}})
        assert socket.receive_json() == {"type": "connection_ack"}


def test_a_null_payload_is_no_payload() -> None:
    with opened() as socket:
        socket.send_json({"type": "connection_init", "payload": None})
        assert socket.receive_json() == {"type": "connection_ack"}


def test_a_second_initialisation_closes() -> None:
    with initialised() as socket:
        socket.send_json({"type": "connection_init"})
        assert closing_code(socket) == 4429


def test_an_operation_before_the_acknowledgement_closes() -> None:
    with opened() as socket:
        subscribe(socket, "{ __typename }")
        assert closing_code(socket) == 4401


def test_a_ping_is_answered_at_any_time() -> None:
    with opened() as socket:
        socket.send_json({"type": "ping"})
        assert socket.receive_json()["type"] == "pong"


def test_an_unasked_pong_changes_nothing() -> None:
    with initialised() as socket:
        socket.send_json({"type": "pong"})
        socket.send_json({"type": "ping"})
        assert socket.receive_json()["type"] == "pong"


def test_the_hash_of_a_query_alone_is_an_error_of_that_operation() -> None:
    message = {
        "id": "1",
        "type": "subscribe",
        "payload": {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "ab"}}},
    }
    with initialised() as socket:
        socket.send_json(message)
        answer = socket.receive_json()
        assert (answer["id"], answer["type"]) == ("1", "error")
        assert answer["payload"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
        socket.send_json({"type": "ping"})
        assert socket.receive_json()["type"] == "pong"


def test_a_subscription_sends_its_results_and_completes() -> None:
    with initialised() as socket:
        subscribe(socket, "subscription { count(to: 2) }")
        messages = [socket.receive_json() for _ in range(3)]
    assert [message["type"] for message in messages] == ["next", "next", "complete"]
    assert [message["payload"]["data"] for message in messages[:2]] == [{"count": 0}, {"count": 1}]


def test_results_carry_freshness() -> None:
    with initialised() as socket:
        subscribe(socket, "subscription { count(to: 1) }")
        payload = socket.receive_json()["payload"]
    assert payload["extensions"]["freshness"]["readModels"]["customer_orders"]["status"] == "LIVE"


@pytest.mark.parametrize("query", ['{ echo(text: "hi") }', "mutation { write }"])
def test_a_query_or_mutation_sends_one_result(query: str) -> None:
    with initialised() as socket:
        subscribe(socket, query)
        messages = [socket.receive_json() for _ in range(2)]
    assert [message["type"] for message in messages] == ["next", "complete"]


def test_variables_and_extensions_reach_the_operation() -> None:
    query = "query E($t: String!) { echo(text: $t) }"
    with initialised() as socket:
        subscribe(socket, query, variables={"t": "hi"}, extensions={"freshness": {"detail": "OFF"}})
        payload = socket.receive_json()["payload"]
    assert payload["data"] == {"echo": "hi"}
    assert payload["extensions"]["freshness"]["asked"] == {"freshness": {"detail": "OFF"}}


def test_operations_of_one_connection_do_not_share_their_extensions() -> None:
    with initialised() as socket:
        subscribe(socket, "{ __typename }", "1", extensions={"a": 1})
        subscribe(socket, "{ __typename }", "2")
        results = [m for m in (socket.receive_json() for _ in range(4)) if m["type"] == "next"]
    asked = {m["id"]: m["payload"]["extensions"]["freshness"]["asked"] for m in results}
    assert asked == {"1": {"a": 1}, "2": None}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ('query ($n: Int!) { echo(text: "x", times: $n) }', "BAD_USER_INPUT"),
        ("subscription ($n: Int!) { count(to: $n) }", "BAD_USER_INPUT"),
    ],
)
def test_a_request_error_ends_only_its_operation(query: str, code: str) -> None:
    with initialised() as socket:
        subscribe(socket, query)
        message = socket.receive_json()
        subscribe(socket, "{ __typename }", "2")
        assert socket.receive_json()["type"] in ("next", "complete")
    assert message["payload"][0]["extensions"]["code"] == code


def test_an_unknown_operation_name_is_an_error() -> None:
    with initialised() as socket:
        subscribe(socket, "query A { __typename }", operationName="B")
        message = socket.receive_json()
    assert message["payload"][0]["extensions"]["code"] == "OPERATION_RESOLUTION_FAILURE"


def test_an_unexpected_error_is_masked() -> None:
    with initialised() as socket:
        subscribe(socket, "subscription { failing }")
        assert socket.receive_json()["payload"]["data"] == {"failing": 1}
        message = socket.receive_json()
    assert "hunter2" not in str(message)
    assert message["payload"][0]["extensions"]["errorId"]


def test_a_completed_subscription_is_silent_and_its_id_free() -> None:
    with initialised() as socket:
        subscribe(socket, "subscription { silence }")
        socket.send_json({"id": "1", "type": "complete"})
        subscribe(socket, "{ __typename }")
        assert socket.receive_json()["payload"]["data"] == {"__typename": "Query"}


def test_a_duplicate_id_closes() -> None:
    with initialised() as socket:
        subscribe(socket, "subscription { silence }")
        subscribe(socket, "subscription { silence }")
        assert closing_code(socket) == 4409


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        "5",
        "{}",
        '{"type": 5}',
        '{"type": "unheard of"}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": {}, "payload": {"query": "{ __typename }"}}',
        '{"type": "subscribe", "id": "1", "payload": []}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 5}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{a}", "variables": []}}',
    ],
)
def test_a_message_outside_the_protocol_closes(text: str) -> None:
    with initialised() as socket:
        socket.send_text(text)
        assert closing_code(socket) == 4400


def test_an_operation_above_the_limit_is_refused() -> None:
    with initialised(limits=Limits(operations_per_socket_max=1)) as socket:
        subscribe(socket, "subscription { silence }", "1")
        subscribe(socket, "subscription { silence }", "2")
        assert socket.receive_json()["type"] == "error"


def test_a_query_has_its_deadline_here_too() -> None:
    with initialised(limits=Limits(operation_timeout_s=0.05)) as socket:
        subscribe(socket, "{ eternity }")
        message = socket.receive_json()
    assert message["payload"][0]["extensions"]["code"] == "OPERATION_TIMEOUT"


def test_the_payload_of_the_initialisation_stands_for_headers() -> None:
    heads = Heads()
    payload = {
        "Slackwater-Consistency-Token": SIGNER.encode(TOKEN),
        "slackwater-correlation-id": "from-the-page",
    }
    with opened(heads) as socket:
        socket.send_json({"type": "connection_init", "payload": payload})
        socket.receive_json()
        subscribe(socket, "{ correlationId }")
        data = socket.receive_json()["payload"]["data"]
    assert data == {"correlationId": "from-the-page"}
    assert heads.heads[0].read_after == TOKEN


def test_a_broken_token_fails_the_operation() -> None:
    with initialised(headers={"Slackwater-Consistency-Token": "broken"}) as socket:
        subscribe(socket, "{ __typename }")
        message = socket.receive_json()
    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "INVALID_CONSISTENCY_TOKEN"
