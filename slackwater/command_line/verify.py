"""`slackwater verify`: holds read models and services against what the services' own tables say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from slackwater.command_line.installed import require_installation
from slackwater.command_line.options import DataDir, Json
from slackwater.comparison import Comparison
from slackwater.installation import Installation
from slackwater.settings import load_settings
from slackwater.shared_check import SharedCheck
from slackwater.verification import (
    Difference,
    Facts,
    Violation,
    broken_invariants,
    gather_facts,
)

_PAUSE_S = 0.02
_SHOWN_MAX = 20


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints; `equal` is True when nothing differs and no invariant is broken."""

    equal: bool
    read_models: dict[str, int]
    """How many keys of each read model differ."""
    differences: list[Difference]
    shared_invariants: dict[str, int]
    """How many things violate each invariant that spans services."""
    violations: list[Violation]
    broken_invariants: list[str]
    """What cannot be in one service's own tables, and is."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(verify)


def verify(
    data_dir: DataDir = None,
    settle_s: Annotated[
        float, typer.Option(help="How long what is wrong must last to count, in seconds.")
    ] = 2.0,
    json: Json = False,
) -> None:
    """Compare read models, and services with one another; exit 0 when all is as it should be.

    While the system runs, what is only just behind is not wrong: what counts is what was wrong at
    every look until --settle-s had passed. Choose it longer than projecting and deciding an order
    take, and longer still where a key changes many times a second.
    """
    settings = load_settings({"data_dir": data_dir})
    require_installation(settings)
    report = asyncio.run(_verify(Installation(settings), settle_s))
    if json:
        typer.echo(msgspec.json.encode(report))
    else:
        _show(report)
    if not report.equal:
        raise typer.Exit(1)


async def _verify(installation: Installation, settle_s: float) -> Report:
    manifest = installation.manifest
    comparisons = [
        Comparison(each, documents=installation.documents, search=installation.search)
        for each in manifest.expectations()
    ]
    checks = [SharedCheck(each) for each in manifest.shared_invariants()]
    services = [manifest.service(name) for name in manifest.services]
    try:
        await _look_until_settled(installation, [*comparisons, *checks], settle_s)
        broken = await broken_invariants(services, installation.database)
    finally:
        await installation.close()
    return _report(comparisons, checks, broken)


async def _look_until_settled(
    installation: Installation, looking: Sequence[Comparison | SharedCheck], settle_s: float
) -> None:
    """Look at everything once, and at what was wrong until it is not or time is up."""
    services = [installation.service(name) for name in installation.manifest.services]
    settled_at_s = time.monotonic() + settle_s
    is_last = False
    while True:
        gathering = asyncio.create_task(gather_facts(services, installation.database))
        facts = await _glancing(looking, gathering)
        for each in looking:
            await each.look(facts)
        looking = [each for each in looking if not each.is_fine]
        if is_last or not looking:
            return
        await asyncio.sleep(_PAUSE_S)
        is_last = time.monotonic() >= settled_at_s


async def _glancing(
    looking: Sequence[Comparison | SharedCheck], gathering: asyncio.Task[Facts]
) -> Facts:
    try:
        while not gathering.done():
            for each in looking:
                await each.glance()
            await asyncio.wait({gathering}, timeout=_PAUSE_S)
        return gathering.result()
    finally:
        gathering.cancel()


def _report(
    comparisons: Sequence[Comparison], checks: Sequence[SharedCheck], broken: list[str]
) -> Report:
    differences = [found for each in comparisons for found in each.differences]
    violations = [found for each in checks for found in each.violations]
    return Report(
        equal=not differences and not violations and not broken,
        read_models={each.expectation.read_model: len(each.differences) for each in comparisons},
        differences=differences,
        shared_invariants={each.invariant.name: len(each.violations) for each in checks},
        violations=violations,
        broken_invariants=broken,
    )


def _show(report: Report) -> None:
    for name, differing in report.read_models.items():
        typer.echo(f"{name}: {'equal' if not differing else f'{differing} keys differ'}")
    for difference in report.differences[:_SHOWN_MAX]:
        typer.echo(f"  {difference.read_model} {difference.id}: {difference.problem}")
        for path, (expected, found) in difference.paths.items():
            typer.echo(f"    {path}: expected {expected!r}, found {found!r}")
    _show_rest(len(report.differences))
    for name, violating in report.shared_invariants.items():
        typer.echo(f"{name}: {'kept' if not violating else f'{violating} violations'}")
    for violation in report.violations[:_SHOWN_MAX]:
        typer.echo(f"  {violation.invariant} {violation.id}: {violation.problem}")
    _show_rest(len(report.violations))
    for broken in report.broken_invariants:
        typer.echo(f"broken invariant: {broken}")


def _show_rest(count: int) -> None:
    if count > _SHOWN_MAX:
        typer.echo(f"  … and {count - _SHOWN_MAX} more (--json shows all)")
