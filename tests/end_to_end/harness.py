"""Drives the real command in a process of its own, and talks to it as a client would."""

from __future__ import annotations

import base64
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from deploy.engines import family
from slackwater.manifest import Manifest
from slackwater.parts.roster import all_parts
from slackwater.sqlite.driver import StorageError, connect
from slackwater.sqlite.turn import WriteTurn

_PART_NAMES = frozenset(part.name for part in all_parts(Manifest()))  # a fork has another at first
_PORTS_A_BLOCK = 40
_BLOCKS_CLAIMED = 8
_READY_S = 120.0
_STOP_S = 20.0
_VERIFY_S = 300.0
_PAUSES_MAX = 10
_OTHERS_WRITE_S = 1.0
_claims: deque[socket.socket] = deque()


def free_port_block() -> int:
    """Return a port such that it and those after it, which the parts take, are free."""
    for _ in range(100):
        base = random.randrange(20_000, 32_000, _PORTS_A_BLOCK)
        with contextlib.suppress(OSError):
            _bind_all(base)
            _claim(base)
            return base
    raise RuntimeError("no free block of ports; stop other servers on this machine")


def _bind_all(base: int) -> None:
    """Raise OSError unless every port of the block can be had."""
    with contextlib.ExitStack() as stack:
        for port in range(base, base + _PORTS_A_BLOCK):
            listening = stack.enter_context(socket.socket())
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(("127.0.0.1", port))


def _claim(base: int) -> None:
    """Keep the last port, which no part takes, until the parts have long taken theirs.

    Somebody else's tests, running beside these, might choose the same block meanwhile.
    """
    while len(_claims) >= _BLOCKS_CLAIMED:
        _claims.popleft().close()
    _claims.append(socket.create_server(("127.0.0.1", base + _PORTS_A_BLOCK - 1)))


@dataclass
class Answer:
    """A GraphQL answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def data(self) -> dict[str, Any]:
        assert "errors" not in self.body, self.body["errors"]
        data: dict[str, Any] = self.body["data"]
        return data

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.body.get("errors", [])]

    @property
    def freshness(self) -> dict[str, Any]:
        freshness: dict[str, Any] = self.body["extensions"]["freshness"]
        return freshness


class Store:
    """A client of one running installation."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.creation_tokens: dict[str, str] = {}
        self._http = httpx2.Client(timeout=30)

    def ask(
        self,
        query: str,
        variables: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        after: Sequence[str] = (),
    ) -> Answer:
        """Ask once; `after` holds the tokens of the writes that the answer must not leave out."""
        tokens = [("Slackwater-Consistency-Token", token) for token in after]
        accepted = {"Accept": "application/graphql-response+json", **(headers or {})}
        response = self._http.post(
            f"{self.url}/graphql",
            json={"query": query, "variables": dict(variables or {})},
            headers=[*accepted.items(), *tokens],
        )
        return Answer(response.status_code, response.headers, response.json())

    def get(self, path: str) -> httpx2.Response:
        return self._http.get(f"{self.url}{path}")

    def mutate(
        self, name: str, fields: Mapping[str, Any], *, key: str | None = None
    ) -> dict[str, Any]:
        """Run one mutation and return its payload with `__typename`."""
        input_type = f"{name[0].upper()}{name[1:]}Input!"
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.ask(
            f"mutation ($input: {input_type}) {{ {name}(input: $input) {{ __typename "
            f"... on UserError {{ code message }} {_SELECTIONS[name]} }} }}",
            {"input": dict(fields)},
            headers,
        )
        payload: dict[str, Any] = answer.data[name]
        return payload

    def create_customer(self, name: str = "Acme", limit: str = "1000.00", **extra: Any) -> str:
        payload = self.mutate(
            "createCustomer",
            {
                "name": name,
                "email": "orders@acme.example",
                "creditLimit": {"amount": limit, "currency": "EUR"},
                **extra,
            },
        )
        customer_id: str = payload["customer"]["id"]
        self.creation_tokens[customer_id] = payload["consistencyToken"]
        return customer_id

    def add_product(
        self, sku: str, price: str = "10.00", stock: int = 100, *, wait: bool = True
    ) -> str:
        """Add a product, wait until orders can be placed for it, and return its token."""
        payload = self.mutate(
            "addProduct",
            {
                "sku": sku,
                "name": f"Product {sku}",
                "description": "A thing to test with",
                "price": {"amount": price, "currency": "EUR"},
                "stock": stock,
            },
        )
        token: str = payload["consistencyToken"]
        self.creation_tokens[sku] = token
        if not wait:
            return token
        until(lambda: self._knows_price(sku, token), bool)
        return token

    def _knows_price(self, sku: str, token: str) -> bool:
        """Tell whether orders know the product; just after a start they may have to join first."""
        order = {
            "customerId": base64.b64encode(b"Customer:nobody").decode(),
            "lines": [{"sku": sku, "quantity": 1}],
            "expectedTotal": {"amount": "0.01", "currency": "EUR"},
        }
        query = "mutation ($input: PlaceOrderInput!) { placeOrder(input: $input) { __typename } }"
        answer = self.ask(query, {"input": order}, after=[token])
        if answer.codes == ["STALE_READ"]:
            return False
        assert answer.data["placeOrder"]["__typename"] == "PriceChanged", answer.body
        return True

    def place_order(
        self,
        customer_id: str,
        sku: str,
        quantity: int = 1,
        *,
        key: str | None = None,
        **fields: Any,
    ) -> dict[str, Any]:
        line = {"sku": sku, "quantity": quantity}
        order = {"customerId": customer_id, "lines": [line], **fields}
        return self.mutate("placeOrder", order, key=key)

    def order(self, order_id: str) -> dict[str, Any]:
        answer = self.ask(
            "query ($id: ID!) { order(id: $id) { id status rejectionReason "
            "processing { credit stock } customer { name } } }",
            {"id": order_id},
        )
        order: dict[str, Any] = answer.data["order"]
        return order

    def customer(self, customer_id: str, token: str = "") -> dict[str, Any]:
        """Read a customer after its creation; with a token, after what that was given for too."""
        answer = self.ask(
            "query ($id: ID!) { customer(id: $id) { id name creditReserved { amount } "
            "creditAvailable { amount } orderCount orderTotal { amount } "
            "orders(first: 30) { edges { node { id status } } } } }",
            {"id": customer_id},
            after=[each for each in (self.creation_tokens.get(customer_id), token) if each],
        )
        customer: dict[str, Any] = answer.data["customer"]
        return customer

    def stock(self, sku: str) -> int:
        """Read a product's stock after its creation."""
        answer = self.ask(
            "query ($sku: String!) { product(sku: $sku) { stockAvailable } }",
            {"sku": sku},
            after=[self.creation_tokens[sku]] if sku in self.creation_tokens else [],
        )
        stock: int = answer.data["product"]["stockAvailable"]
        return stock

    def decided(self, order_id: str, *, timeout_s: float = 20.0) -> dict[str, Any]:
        """Wait until the saga has decided the order and the read model shows it."""
        return until(
            lambda: self.order(order_id),
            lambda order: order is not None and order["status"] != "PENDING",
            timeout_s,
        )

    def close(self) -> None:
        self._http.close()


_SELECTIONS = {
    "createCustomer": "... on CreateCustomerSuccess { customer { id } consistencyToken }",
    "changeCreditLimit": "... on ChangeCreditLimitSuccess { customer { id } consistencyToken }",
    "addProduct": "... on AddProductSuccess { product { id sku } consistencyToken }",
    "restockProduct": "... on RestockProductSuccess { product { id sku } consistencyToken }",
    "placeOrder": "... on PlaceOrderSuccess { order { id status } consistencyToken }",
    "cancelOrder": "... on CancelOrderSuccess { order { id status } consistencyToken }",
    "shipOrder": "... on ShipOrderSuccess { order { id status } consistencyToken }",
}


def until(ask: Any, holds: Any, timeout_s: float = 20.0) -> Any:
    """Ask again until the answer holds; fail with the last answer when time is up."""
    deadline_s = time.monotonic() + timeout_s
    while not holds(answer := ask()):
        assert time.monotonic() < deadline_s, f"still {answer!r} after {timeout_s} s"
        time.sleep(0.02)
    return answer


class Running:
    """A running `slackwater run`, in a process group of its own."""

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        program: tuple[str, ...] = (),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.environment = {**os.environ, **(settings or {})}
        self.port = free_port_block()
        self._command = [
            sys.executable,
            *(program or ("-m", "slackwater.command_line", "run")),
            *("--port", str(self.port), "--data-dir", str(data_dir), "--no-demo"),
            *arguments,
        ]
        self._log = data_dir.parent / f"{data_dir.name}.log"
        self._process = self._start()
        self.store = Store(self.port)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**self.environment, "SLACKWATER_LOG_JSON": "true"},
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self, timeout_s: float = _READY_S) -> Running:
        deadline_s = time.monotonic() + timeout_s
        while True:
            assert self._process.poll() is None, f"it ended:\n{self.log()}"
            with contextlib.suppress(httpx2.HTTPError):
                if self.store.get("/readyz").status_code == 200:
                    return self
            assert time.monotonic() < deadline_s, f"not ready after {timeout_s} s:\n{self.log()}"
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the whole process group at once, as a power cut would."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def restart(self) -> Running:
        self._process = self._start()
        return self.wait_ready()

    def stop(self) -> int:
        """Ask it to end as Ctrl-C does, and return its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"it did not stop:\n{self.log()}") from None
        self.store.close()
        return self._process.returncode

    def part_pids(self) -> dict[str, int]:
        """Return the process ids of the parts that run under the supervisor, by their names."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        pids = {}
        for pid in map(int, children):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                pids[b" ".join(words[3:]).decode().strip()] = pid
        return {name: pid for name, pid in pids.items() if name in _PART_NAMES}

    def resident_bytes(self) -> dict[str, int]:
        """Return the resident memory of each part, by its name."""
        pages = {
            name: int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            for name, pid in self.part_pids().items()
        }
        return {name: count * os.sysconf("SC_PAGE_SIZE") for name, count in pages.items()}

    def part_pid(self, name: str) -> int:
        """Wait until the part runs; it may be about to be started again."""
        pids: dict[str, int] = until(self.part_pids, lambda pids: name in pids)
        return pids[name]

    @contextlib.contextmanager
    def paused(self, part: str) -> Iterator[None]:
        """Let a part stand still, but not within a transaction: that locks all others out."""
        pid = self.part_pid(part)
        try:
            for _ in range(_PAUSES_MAX):
                family.pause(pid)
                if all(map(_can_be_written, self.data_dir.rglob("*.sqlite"))):
                    break
                family.resume(pid)
            else:
                raise AssertionError(f"{part} was within a transaction {_PAUSES_MAX} times")
            yield
        finally:
            family.resume(pid)

    def verify(self, timeout_s: float = _VERIFY_S) -> subprocess.CompletedProcess[str]:
        return self.command("verify", timeout_s=timeout_s)

    def command(
        self, *arguments: str, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run another command on the same data, with the same settings."""
        return subprocess.run(
            [
                sys.executable,
                *("-m", "slackwater.command_line", *arguments),
                *("--data-dir", str(self.data_dir)),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env=self.environment,
        )

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-8_000:]


def _can_be_written(path: Path) -> bool:
    """Tell whether anybody gets to write the file; who writes it at work is soon done."""
    connection = connect(path)
    turn = WriteTurn(path, patience_s=_OTHERS_WRITE_S)
    try:
        turn.begin(connection)
    except StorageError:
        return False
    finally:
        turn.close()
        connection.close()
    return True


@contextlib.contextmanager
def running(
    data_dir: Path,
    *arguments: str,
    program: tuple[str, ...] = (),
    settings: Mapping[str, str] | None = None,
    ready_s: float = _READY_S,
) -> Iterator[Running]:
    """Start an installation, wait until it is ready, and stop it at the end."""
    installation = Running(data_dir, *arguments, program=program, settings=settings)
    try:
        yield installation.wait_ready(ready_s)
    finally:
        installation.stop()
