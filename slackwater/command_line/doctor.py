"""`slackwater doctor`: examines what the settings choose, and says what to do about it."""

from __future__ import annotations

import asyncio
import logging
import textwrap
from collections import Counter
from itertools import zip_longest
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from slackwater.command_line.options import DataDir, Json, Port
from slackwater.doctor.examination import examine_installation
from slackwater.doctor.finding import Examined, Finding, Report, Verdict
from slackwater.installation import Installation
from slackwater.settings import load_settings

_COLOURS = {Verdict.OK: "green", Verdict.CAUTION: "yellow", Verdict.BROKEN: "bold red"}
_VERDICT_WIDTH = max(map(len, Verdict)) + 2
_INDENT = 2
_WIDTH_MIN = 40


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    port: Port = None,
    data_dir: DataDir = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Read embedded files whole; this takes its time.")
    ] = False,
    json: Json = False,
) -> None:
    """Examine what the settings choose; exit 0 unless something is broken.

    ok is fit for production, caution works but not for production, broken does not work.

    An arrow shows the remedy. What is written for a look is removed again.
    """
    installation = Installation(load_settings({"port": port, "data_dir": data_dir}))
    logging.disable()  # what drivers have to say comes as findings
    with Console(stderr=True).status("Examining …"):
        report = asyncio.run(examine_installation(installation, thorough=thorough))
    if json:
        typer.echo(msgspec.json.encode(report))
    else:
        _show(report)
    if report.verdict is Verdict.BROKEN:
        raise typer.Exit(1)


def _show(report: Report) -> None:
    console = Console(highlight=False, soft_wrap=True)
    checks = [finding.check for each in report.subjects for finding in each.findings]
    check_width = max(map(len, checks)) + 2
    for examined in report.subjects:
        console.print(_heading(examined))
        for finding, next_one in zip_longest(examined.findings, examined.findings[1:]):
            console.print(_line(finding, check_width, console))
            if finding.remedy and (next_one is None or next_one.remedy != finding.remedy):
                console.print(_remedy(finding.remedy, check_width, console))
        console.print()
    console.print(_summary(report))


def _heading(examined: Examined) -> Text:
    serves = f": {', '.join(examined.serves)}" if examined.serves else ""
    address = f"  {examined.address}" if examined.address else ""
    return Text.assemble((examined.name, "bold"), serves, (address, "dim"))


def _line(finding: Finding, check_width: int, console: Console) -> Text:
    text = Text(" " * _INDENT)
    text.append(f"{finding.verdict:<{_VERDICT_WIDTH}}", _COLOURS[finding.verdict])
    text.append(f"{finding.check:<{check_width}}")
    text.append(_wrapped(finding.found, _column(check_width), console))
    return text


def _remedy(remedy: str, check_width: int, console: Console) -> Text:
    """One remedy for all the findings above that have the same."""
    column = _column(check_width)
    return Text(" " * column + _wrapped(f"→ {remedy}", column, console), "cyan")


def _column(check_width: int) -> int:
    return _INDENT + _VERDICT_WIDTH + check_width


def _wrapped(words: str, column: int, console: Console) -> str:
    """Break lines for a terminal; elsewhere a finding stays on one line, for grep."""
    if not console.is_terminal:
        return words
    width = max(console.width - column, _WIDTH_MIN)
    return textwrap.fill(words, width).replace("\n", f"\n{' ' * column}")


def _summary(report: Report) -> Text:
    counts = Counter(finding.verdict for each in report.subjects for finding in each.findings)
    words = {
        Verdict.OK: f"{counts[Verdict.OK]} ok",
        Verdict.CAUTION: f"{counts[Verdict.CAUTION]} caution",
        Verdict.BROKEN: f"{counts[Verdict.BROKEN] or 'nothing'} broken",
    }
    return Text(", ").join(Text(words[verdict], _COLOURS[verdict]) for verdict in Verdict)
