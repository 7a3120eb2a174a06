"""Containers are used only where an engine answers; a stand-in program plays it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from deploy.engines.containers import ContainerEngines, container_engine_answers
from deploy.engines.errors import EngineError
from deploy.engines.state import Condition

COMPOSE = Path(__file__).parents[3] / "compose.yaml"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes down what it is asked and answers with the files `status` and `answer`."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$* port=$KAFKA_PORT" >> {tmp_path}/asked\n'
        f"cat {tmp_path}/answer 2>/dev/null\nexit $(cat {tmp_path}/status)\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.delenv("POSTGRES_PASSWORD", raising=False)
    (tmp_path / "status").write_text("0")
    return tmp_path


def test_a_program_without_an_engine_behind_it_is_none(docker: Path) -> None:
    assert container_engine_answers()
    (docker / "status").write_text("1")
    assert not container_engine_answers()


def test_nothing_answers_without_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not container_engine_answers()


def test_up_waits_for_the_services_of_the_compose_file(docker: Path) -> None:
    ContainerEngines(docker / "data", {"kafka": 19192}).up(["postgresql", "mongodb"])

    asked = (docker / "asked").read_text().splitlines()[0]
    assert asked.endswith("compose.yaml up -d --wait postgres mongo port=19192")
    assert (docker / "data" / "engines.env").exists()


def test_a_failure_says_what_failed(docker: Path) -> None:
    (docker / "status").write_text("1")
    with pytest.raises(EngineError, match="docker compose up failed"):
        ContainerEngines(docker / "data", {}).up(["kafka"])


def test_the_url_of_postgresql_has_its_password(docker: Path) -> None:
    told = {"Service": "postgres", "State": "running", "Health": "healthy"}
    (docker / "answer").write_text(json.dumps(told) + "\n")
    states = ContainerEngines(docker / "data", {}).status(["postgresql", "kafka"])

    [_, password] = (docker / "data" / "compose.env").read_text().split()[0].split("=")
    assert len(password) == 32
    assert states["postgresql"].url == f"postgresql://postgres:{password}@127.0.0.1:5439/postgres"
    assert states["postgresql"].condition == Condition.READY
    assert states["kafka"].condition == Condition.STOPPED


def test_a_password_of_the_environment_comes_first(
    docker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_PASSWORD", "of-my-own")
    states = ContainerEngines(docker / "data", {}).status(["postgresql"])
    assert "postgres:of-my-own@" in states["postgresql"].url


def test_a_secret_that_came_later_is_made_and_the_others_are_kept(docker: Path) -> None:
    (docker / "data").mkdir()
    (docker / "data" / "compose.env").write_text("POSTGRES_PASSWORD=kept\n")
    states = ContainerEngines(docker / "data", {}).status(["postgresql"])
    assert "postgres:kept@" in states["postgresql"].url
    kept = (docker / "data" / "compose.env").read_text()
    assert set(re.findall(r"^(\w+)=\w", kept, re.M)) == compose_secrets()


def compose_secrets() -> set[str]:
    return set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
