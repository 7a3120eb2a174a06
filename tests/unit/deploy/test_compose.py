"""compose.yaml against the project: every part is there, pinned, healthy, and on loopback only."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from deploy.engines.roster import ENGINES
from slackwater.command_line.main import app_for
from slackwater.installation import Installation
from slackwater.manifest import Manifest
from slackwater.parts.roster import all_parts
from slackwater.settings import Settings
from tests.yaml_reader import read_yaml

ROOT = Path(__file__).parents[3]
SERVICES: dict[str, dict[str, Any]] = read_yaml((ROOT / "compose.yaml").read_text())["services"]
OURS = {name: each for name, each in SERVICES.items() if "build" in each}
ONE_SHOTS = {name for name, each in SERVICES.items() if each["restart"] == "no"}
PARTS = {name: each for name, each in OURS.items() if name not in ONE_SHOTS}


def port_of(command: list[str]) -> int:
    installation = Installation(Settings())
    ports = {
        "service": installation.service_port,
        "relay": installation.relay_port,
        "projector": installation.projector_port,
    }
    return ports[command[0]](command[1]) if command != ["gateway"] else installation.settings.port


def checked(service: dict[str, Any]) -> tuple[int, str]:
    """Return port and path that the health check asks."""
    program, target = service["healthcheck"]["test"][1:]
    assert program == "is-healthy"
    port, path = target.split("/")
    return int(port), path


def service_of(name: str) -> str | None:
    """Return the write service whose data the container works on, None where it does on none's."""
    *words, last = SERVICES[name]["command"]
    return last if words in (["service"], ["relay"], ["db", "migrate"]) else None


def postgresql_url(role: str, secret: str) -> str:
    return f"postgresql://{role}:${{{secret}:?set it}}@postgres:5432/slackwater"


def is_known(words: list[str]) -> bool:
    command: Any = typer.main.get_command(app_for([]))
    for word in words:
        if not hasattr(command, "commands"):
            return True  # what follows are its arguments
        if word not in command.commands:
            return False
        command = command.commands[word]
    return not hasattr(command, "commands")


def test_every_part_of_an_installation_is_a_container() -> None:
    expected = {part.arguments for part in all_parts(Manifest())}
    assert {tuple(each["command"]) for each in PARTS.values()} == expected


@pytest.mark.parametrize("name", OURS)
def test_the_command_line_knows_every_command(name: str) -> None:
    assert is_known(OURS[name]["command"])


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+(\.\d+)?", SERVICES[name]["image"])


def test_ours_come_from_the_one_image_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert {each["image"] for each in OURS.values()} == {f"slackwater:{version}"}
    for each in OURS.values():
        assert each["build"] == {"context": ".", "dockerfile": "deploy/Dockerfile"}


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")


def test_engines_are_published_where_the_launcher_puts_them() -> None:
    for engine in ENGINES.values():
        [port] = SERVICES[engine.service]["ports"]
        assert f"${{{engine.name.upper()}_PORT:-{engine.default_port}}}" in port


@pytest.mark.parametrize("name", PARTS)
def test_the_health_check_asks_where_the_part_listens(name: str) -> None:
    port, path = checked(PARTS[name])
    assert port == port_of(PARTS[name]["command"])
    assert path in {"livez", "readyz"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_waited_for_can_come_true(name: str) -> None:
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        if other in ONE_SHOTS:
            assert wanted == {"condition": "service_completed_successfully"}
        else:
            assert wanted == {"condition": "service_healthy"}
            assert "test" in SERVICES[other]["healthcheck"]


def test_nothing_waits_for_itself() -> None:
    def all_before(name: str, seen: tuple[str, ...] = ()) -> None:
        assert name not in seen
        for other in SERVICES[name].get("depends_on", {}):
            all_before(other, (*seen, name))

    for name in SERVICES:
        all_before(name)


def test_parts_wait_for_the_set_up_and_for_their_engines() -> None:
    hosts = {
        "SLACKWATER_POSTGRESQL_URL": "postgres",
        "SLACKWATER_KAFKA_URL": "kafka",
        "SLACKWATER_MONGODB_URL": "mongo",
        "SLACKWATER_ELASTICSEARCH_URL": "elasticsearch",
    }
    for name, part in PARTS.items():
        before = set(part["depends_on"])
        assert "topics" in before
        assert {host for each, host in hosts.items() if each in part["environment"]} <= before
        migrated = {each for each in before if each.startswith("migrate-")}
        assert migrated == {f"migrate-{service}" for service in {service_of(name)} - {None}}


@pytest.mark.parametrize("name", OURS)
def test_what_works_on_a_services_data_has_its_role_and_no_other(name: str) -> None:
    expected = None
    if service := service_of(name):
        role = f"${{SLACKWATER_NAMESPACE:-slackwater}}_{service}"
        expected = postgresql_url(role, f"POSTGRES_{service.upper()}_PASSWORD")
    elif name == "administrator":
        expected = postgresql_url("postgres", "POSTGRES_PASSWORD")
    assert OURS[name]["environment"].get("SLACKWATER_POSTGRESQL_URL") == expected


def test_every_service_is_given_its_role_before_it_migrates() -> None:
    roles = SERVICES["roles"]["environment"]
    for service in Manifest().services:
        assert f"POSTGRES_{service.upper()}_PASSWORD" in roles
        assert "roles" in SERVICES[f"migrate-{service}"]["depends_on"]
        assert SERVICES[f"migrate-{service}"]["command"] == ["db", "migrate", service]
        assert f"'_{service}', :'{service}')" in (ROOT / "deploy/roles.sql").read_text()


def test_a_killed_transaction_ends_soon() -> None:
    assert "transactionLifetimeLimitSeconds=10" in SERVICES["mongo"]["command"]


def test_services_are_found_where_they_listen() -> None:
    urls = {name: f"http://{name}:{port_of(['service', name])}" for name in Manifest().services}
    for each in OURS.values():
        assert json.loads(each["environment"]["SLACKWATER_SERVICE_URLS"]) == urls


def test_every_variable_is_a_setting() -> None:
    known = {f"SLACKWATER_{name.upper()}" for name in Settings.model_fields}
    for each in OURS.values():
        assert set(each["environment"]) <= known


def test_secrets_have_no_default() -> None:
    text = (ROOT / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w*(?:PASSWORD|SECRET)\w*)([^}]*)", text)) == {
        ("POSTGRES_PASSWORD", ":?set it"),
        ("POSTGRES_CUSTOMERS_PASSWORD", ":?set it"),
        ("POSTGRES_INVENTORY_PASSWORD", ":?set it"),
        ("POSTGRES_ORDERS_PASSWORD", ":?set it"),
        ("SLACKWATER_TOKEN_SECRET", ":?set it"),
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_has_limits_and_a_restart_policy(name: str) -> None:
    assert set(SERVICES[name]["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert SERVICES[name]["restart"] == ("no" if name in ONE_SHOTS else "unless-stopped")


@pytest.mark.parametrize("name", [*OURS, "roles"])
def test_ours_may_do_no_more_than_they_need(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert SERVICES[name]["read_only"] is True


def test_prometheus_scrapes_every_part() -> None:
    targets = re.findall(r"- ([\w-]+:\d+)$", (ROOT / "deploy/prometheus.yml").read_text(), re.M)
    assert targets == sorted(targets, key=lambda target: int(target.partition(":")[2]))
    assert set(targets) == {f"{name}:{checked(part)[0]}" for name, part in PARTS.items()}
