"""A projector of things that is handed records by hand, and what it has parked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slackwater.consumer.timelines import Timelines
from slackwater.errors import ConflictError, StructuralError
from slackwater.event_log.port import Record
from slackwater.installation import Installation
from slackwater.parts.dead_letters import Chosen
from slackwater.parts.projector import target_of
from slackwater.read_models.dead_letters import Hole
from slackwater.read_models.progress import ModelVersion, active_entry
from slackwater.read_models.projection import Projection
from slackwater.read_models.projector import Projector
from slackwater.testing.clock import ManualClock
from tests.unit.read_models.things import AT, MODEL, newest_by_topic, records

ALL = Chosen()


class Manifest:
    """Knows the read model of things; `is_mended` decides by which rules it is projected."""

    def __init__(self, broken: Projection, mended: Projection) -> None:
        self._broken, self._mended = broken, mended
        self.is_mended = False

    def projection(self, name: str) -> Projection:
        if name != MODEL.read_model:
            raise StructuralError(f"{name} is no read model; name one")
        return self._mended if self.is_mended else self._broken


class Projecting:
    """A projector of one version."""

    records = staticmethod(records)

    def __init__(self, installation: Installation, model: ModelVersion = MODEL) -> None:
        self.installation = installation
        self.target = target_of(installation, model)
        self.projector = Projector(
            installation.manifest.projection(MODEL.read_model),
            target=self.target,
            progress=installation.documents.progress,
            timelines=Timelines(newest_by_topic),
            clock=ManualClock(),
        )

    async def begin(self) -> Projecting:
        await self.target.prepare()
        await self.projector.assigned([AT])
        return self

    async def next_version(self) -> Projecting:
        """Begin a version beside this one."""
        model = ModelVersion(MODEL.read_model, self.target.model.version + 1)
        await self.installation.documents.progress.register(model)
        return await Projecting(self.installation, model).begin()

    async def handle(self, *events: Any, first: int = 0) -> None:
        await self.handle_records(records(*events, first=first))

    async def handle_records(self, handed: Sequence[Record]) -> None:
        """Handle records, once more where something has changed meanwhile, as a consumer does."""
        try:
            await self.projector.handle(handed)
        except ConflictError:
            await self.projector.handle(handed)
        await self.target.settled()

    async def seen(self, thing: str) -> list[int] | None:
        row = (await self.target.load("things", [thing])).get(thing)
        return row.document["seen"] if row is not None else None


async def holes(installation: Installation) -> Sequence[Hole]:
    """Return the holes of the version in use."""
    active = active_entry(await installation.documents.progress.load(), MODEL.read_model)
    assert active is not None
    return active.holes
