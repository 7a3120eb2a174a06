"""What a service makes of clients that behave badly."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from tests.integration.service_bench import OpenDatabase, running
from write_services.customers.service import service

_COMMAND = {
    "type": "http",
    "method": "POST",
    "path": "/commands/create-customer",
    "query_string": b"",
    "headers": [(b"content-length", b"100")],
}


async def test_a_client_that_leaves_before_its_command_has_come_is_no_error(
    open_database: OpenDatabase,
) -> None:
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async with running(service, open_database) as customers:
        await customers.app(customers.database).asgi(dict(_COMMAND), receive, send)
        assert sent[0]["status"] == 499
        assert await customers.facts("customer") == []
