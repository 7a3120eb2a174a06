"""`slackwater dead-letter list|show|replay|discard`: what read models and consumers have parked."""

from __future__ import annotations

import getpass
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from slackwater.command_line.options import DataDir, Json
from slackwater.command_line.process import run_process
from slackwater.event_log.port import Record, TopicPartition
from slackwater.installation import Installation
from slackwater.parts.consumer_dead_letters import (
    discarded_of_consumers,
    is_consumer,
    letters_of_consumers,
    parked_of_consumers,
)
from slackwater.parts.consumer_replay import replay_consumers
from slackwater.parts.dead_letters import Chosen, Parked, discarded, letters, parked
from slackwater.parts.keyless import discard_keyless
from slackwater.parts.replay import Decision, Replayed, Report, replay
from slackwater.read_models.dead_letters import DeadLetter
from slackwater.read_models.discards import Discard, Treatment
from slackwater.settings import load_settings

_NAME = "A read model, or a service's consumer as SERVICE/CONSUMER"

Name = Annotated[str | None, typer.Argument(help=f"{_NAME}; all, if left out.")]
Key = Annotated[str | None, typer.Option("--key", help="Only this partition key.")]
Error = Annotated[str | None, typer.Option("--error", help="Only this kind of error.")]
Skip = Annotated[int, typer.Option("--skip", min=0, help="Leave out so many.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Show so many.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; else only see what would come of it.")]

_REPORT_INTERVAL_S = 1.0
_INTERRUPTED = 130
_OWNER = ("read_model", "version", "consumer")
_TREATMENTS = {
    Treatment.LEFT_OUT: "left out",
    Treatment.GAP_ACCEPTED: "applied without those missing before it",
    Treatment.AGGREGATE_LEFT_OUT: "left out with all of its aggregate",
    Treatment.UNREADABLE: "left out; nobody can say of which row",
}

_commands = typer.Typer(no_args_is_help=True, help="What read models and consumers have parked.")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_commands, name="dead-letter")


@_commands.command("list")
def list_(
    name: Name = None,
    key: Key = None,
    error: Error = None,
    discards: Annotated[
        bool, typer.Option("--discarded", help="List the events that were discarded instead.")
    ] = False,
    skip: Skip = 0,
    limit: Limit = 50,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List the keys that are parked, each with the error of its first event."""
    chosen = _chosen(name, key, error)
    lines = _discard_lines if discards else _parked_lines

    async def work(installation: Installation) -> None:
        number = 0
        async for line in lines(installation, chosen, json=json):
            number += 1
            if number > skip + limit:
                typer.echo(f"There are more; see them with --skip {skip + limit}", err=json)
                return
            if number > skip:
                typer.echo(line)
        if not number:
            _say("Nothing is discarded" if discards else "Nothing is parked", json=json)

    _run(data_dir, work)


@_commands.command()
def show(
    name: Annotated[str, typer.Argument(help=f"{_NAME}.")],
    key: Annotated[str, typer.Argument(help="The partition key.")],
    after: Annotated[int, typer.Option("--after", help="Begin behind this offset.")] = -1,
    limit: Limit = 20,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show the events of a key that are parked, in the order in which they would be replayed."""

    async def work(installation: Installation) -> None:
        chosen = _chosen(name, key)
        found = letters_of_consumers if chosen.consumer else letters
        async for letter in found(installation, chosen, after=after, limit=limit):
            typer.echo(msgspec.json.encode(_letter_told(letter)) if json else _letter_line(letter))

    _run(data_dir, work)


@_commands.command("replay")
def replay_(
    name: Name = None,
    key: Key = None,
    error: Error = None,
    yes: Yes = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Apply what is parked, key by key and in order, after its cause was mended.

    Without --yes nothing is changed. Ctrl-C ends it between two steps: what was done stays done,
    and the next run goes on. Exit status 1: something cannot be applied yet; 130: interrupted.
    """
    _replay(data_dir, _chosen(name, key, error), None, yes=yes, json=json)


@_commands.command()
def discard(
    name: Annotated[str, typer.Argument(help=f"{_NAME}.")],
    why: Annotated[str, typer.Option("--why", help="The reason, for whoever asks later.")],
    by: Annotated[
        str | None, typer.Option("--by", help="Who decides it; else the user of this process.")
    ] = None,
    key: Key = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Only in this topic.")] = None,
    error: Annotated[
        str | None, typer.Option("--error", help="Only events that fail with this kind.")
    ] = None,
    offset: Annotated[
        int | None, typer.Option("--offset", min=0, help="Only the event at this offset.")
    ] = None,
    partition: Annotated[
        int | None,
        typer.Option(
            "--partition",
            min=0,
            help="Leave out the record without a key at --topic and --offset, which has halted "
            "the read model.",
        ),
    ] = None,
    accept_gap: Annotated[
        bool,
        typer.Option("--accept-gap", help="Apply events without those that are missing before."),
    ] = False,
    yes: Yes = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Go without the events that cannot be applied, and apply all that waits behind them.

    Of each key only what fails is left out, for ever: a rebuild leaves it out, too. A consumer can
    do without some kinds of events only. The decision is kept with who and why (`list
    --discarded`). Without --yes nothing is changed. Exit status 1: something else stands in the
    way.
    """
    who = _user() if by is None else by
    for text, option in ((why, "--why"), (who, "--by")):
        if not text.strip():
            raise typer.BadParameter("say it, for whoever asks later", param_hint=option)
    decision = Decision(by=who, why=why, offset=offset, error=error, accept_gap=accept_gap)
    if partition is not None:
        if topic is None or offset is None:
            raise typer.BadParameter("say --topic and --offset, too", param_hint="--partition")
        _discard_keyless(
            data_dir, name, TopicPartition(topic, partition), decision, yes=yes, json=json
        )
        return
    chosen = _chosen(name, key, topic=topic)
    _replay(data_dir, chosen, decision, yes=yes, json=json)


def _discard_keyless(
    data_dir: Path | None,
    name: str,
    at: TopicPartition,
    decision: Decision,
    *,
    yes: bool,
    json: bool,
) -> None:
    async def work(installation: Installation) -> None:
        found = await discard_keyless(installation, name, at, decision, apply=yes)
        if json:
            typer.echo(msgspec.json.encode(_discard_told(found, name)))
        else:
            after = "; restart its projector" if yes else ", if you add --yes"
            typer.echo(f"{_discard_line(found, name)}{after}")

    _run(data_dir, work)


def _user() -> str:
    """Return who runs this process; nothing where nobody has given it a name."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):
        return ""


def _replay(
    data_dir: Path | None, chosen: Chosen, decision: Decision | None, *, yes: bool, json: bool
) -> None:
    is_stuck, has_ended = False, False

    async def work(installation: Installation) -> None:
        nonlocal is_stuck, has_ended
        nothing = True
        for replaying in (replay, replay_consumers):
            async for each in replaying(
                installation, chosen, apply=yes, decision=decision, report=_reporter()
            ):
                nothing, is_stuck = False, is_stuck or each.reason is not None
                if json:
                    typer.echo(msgspec.json.encode(_replayed_told(each)))
                else:
                    typer.echo("\n".join(_replayed_lines(each, applied=yes)))
        if nothing:
            _say("Nothing is parked", json=json)
        has_ended = True

    _run(data_dir, work)
    if not has_ended:
        typer.echo("Interrupted: what is done stays done; run it again to go on", err=True)
        raise typer.Exit(_INTERRUPTED)
    if is_stuck:
        raise typer.Exit(1)


def _reporter() -> Report:
    """Return what says how far a long key is, once a second, on standard error."""
    told_s = -math.inf

    def report(done: int, total: int) -> None:
        nonlocal told_s
        if done < total and time.monotonic() - told_s >= _REPORT_INTERVAL_S:
            told_s = time.monotonic()
            typer.echo(f"{done:,} of {total:,} events of the key are done", err=True)

    return report


def _chosen(
    name: str | None, key: str | None, error: str | None = None, topic: str | None = None
) -> Chosen:
    if is_consumer(name):
        return Chosen(consumer=name, key=key, topic=topic, error=error)
    return Chosen(read_model=name, key=key, topic=topic, error=error)


def _run(data_dir: Path | None, work: Callable[[Installation], Awaitable[None]]) -> None:
    run_process(load_settings({"data_dir": data_dir, "log_level": "ERROR"}), work)


def _say(text: str, *, json: bool) -> None:
    """Print what is for people only."""
    if not json:
        typer.echo(text)


async def _parked_lines(
    installation: Installation, chosen: Chosen, *, json: bool
) -> AsyncIterator[bytes | str]:
    for found in (parked, parked_of_consumers):
        async for each in found(installation, chosen):
            yield msgspec.json.encode(each) if json else _parked_line(each)


async def _discard_lines(
    installation: Installation, chosen: Chosen, *, json: bool
) -> AsyncIterator[bytes | str]:
    for found in (discarded, discarded_of_consumers):
        async for name, discard in found(installation, chosen):
            told = _discard_told(discard, name)
            yield msgspec.json.encode(told) if json else _discard_line(discard, name)


def _parked_line(each: Parked) -> str:
    return (
        f"{_place(each)} {each.key}: {each.events:,} events from {each.first_offset}, {each.reason}"
    )


def _place(each: Parked | Replayed) -> str:
    owner = each.consumer or f"{each.read_model} v{each.version}"
    return f"{owner} {each.topic}[{each.partition}]"


def _letter_line(letter: DeadLetter) -> str:
    record = letter.record
    what = record.headers.get("ce_type", "no event")
    why = letter.reason or "waits behind the one before"
    return f"{record.topic}[{record.partition}] {record.offset} {what}: {why}"


def _record_told(record: Record) -> dict[str, object]:
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "headers": record.headers,
        "value": record.value.decode(errors="replace"),
    }


def _letter_told(letter: DeadLetter) -> dict[str, object]:
    return {
        **_record_told(letter.record),
        "error": letter.error,
        "reason": letter.reason,
        "parked_at": letter.parked_at,
    }


def _replayed_told(each: Replayed) -> dict[str, object]:
    told: dict[str, object] = msgspec.structs.asdict(each)
    for unnamed in [name for name in _OWNER if told[name] is None]:
        del told[unnamed]
    return {**told, "discards": [_discard_told(discard) for discard in each.discards]}


def _replayed_lines(each: Replayed, *, applied: bool) -> list[str]:
    title = f"{_place(each)} {each.key}"
    counts = f"{_events(each.events)} applied, {each.discarded:,} discarded"
    lines = [f"  {_discard_line(discard)}" for discard in each.discards]
    if len(lines) < each.discarded:
        lines.append(f"  and {each.discarded - len(lines):,} more")
    if each.closed:
        return [f"{title}: done, {counts}", *lines]
    if each.reason is None:
        return [f"{title}: {counts} if you add --yes", *lines]
    before = f" ({counts} before it)" if each.events or each.discarded else ""
    return [f"{title}: stays parked: {each.reason}{before}", *(lines if applied else ())]


def _events(count: int) -> str:
    return f"{count:,} event" if count == 1 else f"{count:,} events"


def _discard_line(discard: Discard, name: str = "") -> str:
    record = discard.record
    what = record.headers.get("ce_type", "no event")
    place = f"{record.topic}[{record.partition}] {record.offset}"
    title = f"{name} {place} {record.key}" if name else place
    line = f"{title} {what}: {_TREATMENTS[discard.treatment]}, {discard.reason}"
    if not name:
        return line
    return f"{line} ({discard.by}, {discard.discarded_at:%Y-%m-%d %H:%M} UTC: {discard.why})"


def _discard_told(discard: Discard, name: str | None = None) -> dict[str, object]:
    owner = "consumer" if is_consumer(name) else "read_model"
    return {
        **({} if name is None else {owner: name}),
        **_record_told(discard.record),
        "treatment": discard.treatment,
        "error": discard.error,
        "reason": discard.reason,
        "by": discard.by,
        "why": discard.why,
        "discarded_at": discard.discarded_at,
    }
