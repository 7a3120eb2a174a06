"""A compose file as Docker Compose takes it: variables put in, services with all they depend on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.yaml_reader import read_yaml

_VARIABLE = re.compile(r"\$(?:\{(\w+):([-?])([^{}]*)\}|(.?))")


class MissingVariableError(Exception):
    """A variable without a default is not set, or is empty."""


class ComposeFile:
    """The services of a file, with the variables of an environment."""

    def __init__(self, path: Path, variables: Mapping[str, str]) -> None:
        """Read the file whole.

        Raises:
            MissingVariableError: it wants a variable, for whichever service.
        """
        whole = _filled_in(read_yaml(path.read_text()), variables)
        self.folder = path.parent
        self.services: dict[str, dict[str, Any]] = whole["services"]

    def with_all_before(self, name: str) -> list[str]:
        """Return the service and everything that it waits for, each after what it waits for."""
        before = map(self.with_all_before, self.conditions(name))
        return list(dict.fromkeys([*(each for names in before for each in names), name]))

    def conditions(self, name: str) -> dict[str, str]:
        """Return what must be true of others before the service starts."""
        depends_on = self.services[name].get("depends_on", {})
        return {other: wanted["condition"] for other, wanted in depends_on.items()}


def _filled_in(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled_in(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled_in(each, variables) for each in value]
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _value_of(found, variables), value)
    return value


def _value_of(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, kind, argument, other = found.groups()
    if other is not None:
        if other != "$":
            raise ValueError(f"not understood: {found.string}")
        return other
    if given := variables.get(name):
        return given
    if kind == "?":
        raise MissingVariableError(f"{name} is missing a value: {argument}")
    return str(argument)
