"""A stand-in for the write services: the same HTTP, and a count of every effect by its key."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from slackwater.http.problems import json_response, problem
from slackwater.http.server import serve

_MONEY = {"minor": 100, "currency": "EUR"}


class WriteSideDouble:
    """All three services in one; `loses_every` nth answer after its effect, `is_down` refuses."""

    def __init__(self) -> None:
        self.effects: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.requests = 0
        self.loses_every = 0
        self.is_down = False
        self.url = ""
        self._answers: dict[str, Any] = {}
        self._orders: dict[str, dict[str, Any]] = {}
        self._products: dict[str, dict[str, Any]] = {}
        self.asgi = Starlette(
            routes=[
                Route("/commands/{name}", self._command, methods=["POST"]),
                Route("/queries/{name}", self._query),
            ]
        )

    @property
    def urls(self) -> dict[str, str]:
        return dict.fromkeys(("customers", "inventory", "orders"), self.url)

    @property
    def statuses(self) -> Counter[str]:
        return Counter(order["status"] for order in self._orders.values())

    def effects_of(self, prefix: str) -> int:
        return sum(count for key, count in self.effects.items() if key.startswith(prefix))

    async def _command(self, request: Request) -> Response:
        self.requests += 1
        if self.is_down:
            return problem(503, "SOURCE_UNAVAILABLE", "down for a moment")
        key, name = request.headers["idempotency-key"], request.path_params["name"]
        if key not in self._answers:
            self._answers[key] = self._execute(name, await request.json())
            self.effects[key] += 1
        if self.loses_every and self.requests % self.loses_every == 0:
            return problem(500, "INTERNAL_SERVER_ERROR", "the answer is lost, the effect is not")
        result = self._answers[key]
        if "refused" in result:
            self.refusals[result["refused"]] += 1
            return problem(409, result["refused"], "no")
        tick = {"source": "inventory", "epoch": 1, "n": self.requests, "timeline": ""}
        return json_response({"result": result, "tick": tick})

    def _execute(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat()
        match name:
            case "create-customer":
                return {"customer": {"id": f"c{len(self._answers)}", "created_at": now, **body}}
            case "add-product":
                self._products[body["sku"]] = body
                return {"product": body}
            case "place-order":
                return self._place(body, now)
            case "ship-order" | "cancel-order":
                return self._decide(name, body["order_id"])
        return {}

    def _place(self, body: dict[str, Any], now: str) -> dict[str, Any]:
        if any(line["sku"] not in self._products for line in body["lines"]):
            return {"refused": "PRODUCT_NOT_FOUND"}
        order_id = f"o{len(self._orders)}"
        self._orders[order_id] = {
            "id": order_id,
            "customer_id": body["customer_id"],
            "status": "PENDING",
            "rejection_reason": None,
            "lines": [
                {**line, "product_name": "", "unit_price": _MONEY, "total": _MONEY}
                for line in body["lines"]
            ],
            "total": _MONEY,
            "note": body["note"],
            "placed_at": now,
            "updated_at": now,
            "processing": {"since": now, "deadline": now, "credit": "WAITING", "stock": "WAITING"},
        }
        return {"order": dict(self._orders[order_id])}

    def _decide(self, name: str, order_id: str) -> dict[str, Any]:
        order = self._orders[order_id]
        if order["status"] != "APPROVED":
            return {"refused": "ORDER_NOT_SHIPPABLE"}
        order["status"] = "SHIPPED" if name == "ship-order" else "CANCELLED"
        return {"order": dict(order)}

    async def _query(self, request: Request) -> Response:
        parameters = request.query_params
        match request.path_params["name"]:
            case "product":
                found = self._products.get(parameters["sku"])
                return json_response(found) if found else problem(404, "NOT_FOUND", "none")
            case "products":
                skus = parameters["skus"].split(",")
                return json_response([self._products[sku] for sku in skus if sku in self._products])
            case "orders":
                ids = parameters["ids"].split(",")
                return json_response([self._look_at(order_id) for order_id in ids])
        return json_response({"credit_limit": _MONEY})

    def _look_at(self, order_id: str) -> dict[str, Any]:
        """Return the order; who asks a second time finds it decided."""
        seen = msgspec.convert(self._orders[order_id], dict[str, Any])
        shown = dict(seen)
        if seen["status"] == "PENDING":
            self._orders[order_id]["status"] = "APPROVED"
        return shown


@contextlib.asynccontextmanager
async def write_side_double() -> AsyncIterator[WriteSideDouble]:
    """Serve a stand-in on a free port of this machine."""
    double = WriteSideDouble()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    double.url = f"http://127.0.0.1:{port}"
    serving = asyncio.create_task(serve(double.asgi, "127.0.0.1", port))
    try:
        yield double
    finally:
        serving.cancel()
        await asyncio.wait([serving])
