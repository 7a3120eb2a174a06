"""A command is found by the module that is said to be its own."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from slackwater.command_line.main import MODULES, app_for


def commands(*arguments: str) -> set[str]:
    group: Any = typer.main.get_command(app_for([*arguments]))
    return set(group.commands)


def test_every_command_has_a_module() -> None:
    assert commands() == commands("--help") == commands("nonsense") == MODULES.keys()


@pytest.mark.parametrize("name", MODULES)
def test_a_command_is_in_its_module(name: str) -> None:
    assert name in commands(name, "--help")
