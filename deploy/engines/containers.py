"""Engines as containers of compose.yaml, where a container engine answers.

The secrets that compose.yaml asks for come from the environment, or are made once and kept for
their owner.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.engines import environment
from deploy.engines.errors import EngineError
from deploy.engines.roster import ENGINES
from deploy.engines.state import Condition, State
from deploy.engines.tell import tell

_COMPOSE = Path(__file__).parents[2] / "compose.yaml"
_SECRETS = "compose.env"
_SECRET_BYTES = {
    "POSTGRES_PASSWORD": 16,
    "POSTGRES_CUSTOMERS_PASSWORD": 16,
    "POSTGRES_INVENTORY_PASSWORD": 16,
    "POSTGRES_ORDERS_PASSWORD": 16,
    "SLACKWATER_TOKEN_SECRET": 32,
}
_ASK_S = 10.0
_UP_S = 1200.0


def container_engine_answers() -> bool:
    """Return whether there is not only a program but an engine behind it."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run(  # noqa: S603 - our own commands only
            [docker, "info"], capture_output=True, timeout=_ASK_S, check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


class ContainerEngines:
    """The engines of compose.yaml; their data is in its volumes."""

    def __init__(self, folder: Path, ports: Mapping[str, int]) -> None:
        self._folder = folder
        self._ports = {name: ports.get(name, ENGINES[name].default_port) for name in ENGINES}

    def up(self, names: Sequence[str]) -> None:
        """Start containers and wait until each is healthy.

        Raises:
            EngineError: compose failed.
        """
        tell("a container engine answers: starting the engines of compose.yaml")
        self._compose("up", "-d", "--wait", *_services(names))
        environment.write(self._folder, self.settings())

    def down(self, names: Sequence[str]) -> None:
        """Stop the containers; volumes stay."""
        self._compose("stop", *_services(names))

    def kill(self, names: Sequence[str]) -> None:
        """End the containers without asking; volumes stay."""
        self._compose("kill", *_services(names))

    def status(self, names: Sequence[str]) -> dict[str, State]:
        """Return the state of each."""
        told = self._compose("ps", "--format", "json", *_services(names)).splitlines()
        found = {each["Service"]: each for each in map(json.loads, told)}
        return {name: self._state(name, found.get(ENGINES[name].service)) for name in names}

    def settings(self) -> dict[str, str]:
        """Return the settings of all that run."""
        states = self.status(list(ENGINES)).values()
        return {each.setting: each.url for each in states if each.condition != Condition.STOPPED}

    def _state(self, name: str, told: Mapping[str, str] | None) -> State:
        url = ENGINES[name](self._folder / name, self._ports[name]).url
        if name == "postgresql":
            url = url.replace("postgres@", f"postgres:{self._secrets()['POSTGRES_PASSWORD']}@")
        condition = Condition.STOPPED
        if told is not None and told["State"] == "running":
            healthy = told.get("Health") == "healthy"
            condition = Condition.READY if healthy else Condition.STARTING
        return State(condition, ENGINES[name].setting, url)

    def _compose(self, *arguments: str) -> str:
        ports = {f"{ENGINES[name].name.upper()}_PORT": str(self._ports[name]) for name in ENGINES}
        done = subprocess.run(  # noqa: S603 - our own commands only
            [shutil.which("docker") or "docker", "compose", "-f", _COMPOSE, *arguments],
            env={**os.environ, **self._secrets(), **ports},
            stdout=subprocess.PIPE,
            text=True,
            timeout=_UP_S,
            check=False,
        )
        if done.returncode != 0:
            raise EngineError(f"docker compose {arguments[0]} failed; mend what it says, try again")
        return done.stdout

    def _secrets(self) -> dict[str, str]:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _SECRETS
        path.touch(mode=0o600)
        kept = dict(line.split("=", 1) for line in path.read_text().splitlines())
        made = {name: secrets.token_hex(size) for name, size in _SECRET_BYTES.items()}
        if not made.keys() <= kept.keys():
            kept = {**made, **kept}
            path.write_text("".join(f"{name}={value}\n" for name, value in kept.items()))
        return {name: os.environ.get(name, value) for name, value in kept.items()}


def _services(names: Sequence[str]) -> list[str]:
    return [ENGINES[name].service for name in names]
