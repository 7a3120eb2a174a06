"""One process each for production: gateway, service, relay and projector."""

from __future__ import annotations

import asyncio

import typer

from slackwater.command_line.options import DataDir, Port
from slackwater.command_line.process import run_process
from slackwater.http.health import health_app
from slackwater.http.server import serve
from slackwater.installation import Installation
from slackwater.parts.roster import (
    Part,
    gateway_part,
    projector_part,
    relay_part,
    service_part,
)
from slackwater.settings import load_settings


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(gateway)
    app.command()(service)
    app.command()(relay)
    app.command()(projector)


def gateway(port: Port = None, data_dir: DataDir = None) -> None:
    """Run the GraphQL gateway."""
    settings = load_settings({"port": port, "data_dir": data_dir})
    run_process(settings, gateway_part().run)


def service(name: str, port: Port = None, data_dir: DataDir = None) -> None:
    """Run a write service with its saga steps."""
    settings = load_settings({"port": port, "data_dir": data_dir})
    run_process(settings, service_part(name).run)


def relay(name: str, port: Port = None, data_dir: DataDir = None) -> None:
    """Run the relay of a write service."""
    settings = load_settings({"port": port, "data_dir": data_dir})
    run_process(settings, lambda installation: _with_health(installation, relay_part(name)))


def projector(name: str, port: Port = None, data_dir: DataDir = None) -> None:
    """Run the projector of a read model."""
    settings = load_settings({"port": port, "data_dir": data_dir})
    run_process(settings, lambda installation: _with_health(installation, projector_part(name)))


async def _with_health(installation: Installation, part: Part) -> None:
    """Run a part that serves nothing of its own beside an application for its health."""
    kind, name = part.arguments
    port = (installation.relay_port if kind == "relay" else installation.projector_port)(name)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_run(part, installation))
        tasks.create_task(serve(health_app(list), installation.settings.host, port))


async def _run(part: Part, installation: Installation) -> None:
    await part.run(installation)
