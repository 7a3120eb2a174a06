"""`slackwater topics create`: creates every topic of the event log that is missing."""

from __future__ import annotations

import typer

from slackwater.command_line.options import DataDir
from slackwater.command_line.process import run_process
from slackwater.installation import Installation
from slackwater.settings import load_settings


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    topics = typer.Typer(help="The topics of the event log.", no_args_is_help=True)
    topics.command()(create)
    topics.callback()(lambda: None)
    app.add_typer(topics, name="topics")


def create(data_dir: DataDir = None) -> None:
    """Create every topic that is missing; refuse one with another number of partitions."""
    run_process(load_settings({"data_dir": data_dir}), _create_all)


async def _create_all(installation: Installation) -> None:
    topics = installation.manifest.topics()
    await installation.event_log.create_topics(topics)
    for topic in topics:
        kept = "everything" if topic.retention_records is None else f"{topic.retention_records:,}"
        newest = " and the newest of each key" if topic.keeps_newest else ""
        typer.echo(f"{topic.name}: {topic.partitions} partitions, keeps {kept}{newest}")
