"""`slackwater verify`: compares every read model with what the services' own tables say."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
import typer

from slackwater.command_line.options import DataDir, Json
from slackwater.errors import ConfigurationError
from slackwater.installation import Installation
from slackwater.settings import Settings, load_settings
from slackwater.verification import (
    Difference,
    broken_invariants,
    compare,
    gather_facts,
)

_SHOWN_MAX = 20


class NoInstallationError(ConfigurationError):
    """The folder holds no installation; name another with --data-dir."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints; `equal` is True when nothing differs and no invariant is broken."""

    equal: bool
    read_models: dict[str, int]
    """How many keys of each read model differ."""
    differences: list[Difference]
    broken_invariants: list[str]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


def verify(
    data_dir: DataDir = None,
    settle_s: Annotated[
        float, typer.Option(help="How long a difference must last to count, in seconds.")
    ] = 2.0,
    json: Json = False,
) -> None:
    """Compare read models with the services' own tables; exit 0 when they are equal.

    While the system runs, a key that is only just behind is no difference: what counts is what
    differs in the same way again after --settle-s.
    """
    settings = load_settings({"data_dir": data_dir})
    _require_installation(settings)
    report = asyncio.run(_verify(Installation(settings), settle_s))
    if json:
        typer.echo(msgspec.json.encode(report))
    else:
        _show(report)
    if not report.equal:
        raise typer.Exit(1)


def _require_installation(settings: Settings) -> None:
    if settings.postgresql_url is None and not (settings.data_dir / "services").is_dir():
        raise NoInstallationError(
            f"{settings.data_dir} holds no installation; name its folder with --data-dir"
        )


async def _verify(installation: Installation, settle_s: float) -> Report:
    try:
        differences = await _compare_all(installation)
        if differences:
            await asyncio.sleep(settle_s)
            again = await _compare_all(installation)
            differences = [difference for difference in again if difference in differences]
        services = [installation.manifest.service(name) for name in installation.manifest.services]
        broken = await broken_invariants(services, installation.database)
    finally:
        await installation.close()
    expectations = installation.manifest.expectations()
    return Report(
        equal=not differences and not broken,
        read_models={
            expectation.read_model: sum(
                difference.read_model == expectation.read_model for difference in differences
            )
            for expectation in expectations
        },
        differences=differences,
        broken_invariants=broken,
    )


async def _compare_all(installation: Installation) -> list[Difference]:
    manifest = installation.manifest
    services = [manifest.service(name) for name in manifest.services]
    facts = await gather_facts(services, installation.database)
    return [
        difference
        for expectation in manifest.expectations()
        for difference in await compare(
            expectation, facts, documents=installation.documents, search=installation.search
        )
    ]


def _show(report: Report) -> None:
    for name, differing in report.read_models.items():
        typer.echo(f"{name}: {'equal' if not differing else f'{differing} keys differ'}")
    for difference in report.differences[:_SHOWN_MAX]:
        typer.echo(f"  {difference.read_model} {difference.id}: {difference.problem}")
        for path, (expected, found) in difference.paths.items():
            typer.echo(f"    {path}: expected {expected!r}, found {found!r}")
    if len(report.differences) > _SHOWN_MAX:
        typer.echo(f"  … and {len(report.differences) - _SHOWN_MAX} more (--json shows all)")
    for violation in report.broken_invariants:
        typer.echo(f"broken invariant: {violation}")
