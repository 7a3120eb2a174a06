"""A read model compared look after look: what is late is cleared, what is wrong never is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from slackwater.comparison import Comparison
from slackwater.read_models.documents import Collection, RowWrite
from slackwater.read_models.progress import ModelVersion, ProgressUpdate
from slackwater.read_models.search import Index, SearchField
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.sqlite_search import SqliteSearchIndex
from slackwater.service.definition import Fact
from slackwater.testing.doorbell import LocalDoorbell
from slackwater.verification import Difference, Expectation, Facts, Holding

MODEL = ModelVersion("things")
STORED = MODEL.stored_name("things")


def holdings(facts: Facts) -> Iterator[tuple[str, Holding]]:
    return ((fact.id, Holding(fact.version, fact.data)) for fact in facts["service"])


class Things:
    """A read model that is written by hand, beside the facts that it should follow."""

    def __init__(self, documents: SqliteDocumentStore, search: SqliteSearchIndex) -> None:
        self._documents = documents
        self._search = search
        self._revisions: dict[str, int] = {}

    def comparison(self, *, searched: bool = False) -> Comparison:
        expectation = Expectation(
            read_model="things", collection="things", searched=searched, holdings=holdings
        )
        return Comparison(expectation, documents=self._documents, search=self._search)

    async def hold(self, thing_id: str, version: int, **document: Any) -> None:
        progress = self._documents.progress
        revision = self._revisions.get(thing_id, 0)
        write = self._write(thing_id, version, document, revision)
        claim = await progress.claim(MODEL, [])
        await self._documents.commit([write], ProgressUpdate(claim=claim, positions={}))
        self._revisions[thing_id] = revision + 1

    async def index(self, thing_id: str, version: int, **document: Any) -> None:
        await self._search.write(STORED, [self._write(thing_id, version, document, 0)])

    def _write(
        self, thing_id: str, version: int, document: dict[str, Any], revision: int
    ) -> RowWrite:
        return RowWrite(
            collection=STORED,
            id=thing_id,
            version=version,
            expected_revision=revision,
            document={"id": thing_id, **document},
        )


@pytest.fixture
async def things(tmp_path: Path) -> AsyncIterator[Things]:
    documents = SqliteDocumentStore(tmp_path / "documents.db", LocalDoorbell())
    search = SqliteSearchIndex(tmp_path / "search.db")
    await documents.progress.register(MODEL)
    await documents.prepare([Collection(name=STORED)])
    await search.prepare(Index(name=STORED, fields=(SearchField(name="title"),)))
    yield Things(documents, search)
    await documents.close()
    await search.close()


def fact(thing_id: str, version: int, **data: Any) -> Fact:
    return Fact(kind="thing", id=thing_id, version=version, data={"id": thing_id, **data})


def said(*facts: Fact) -> Facts:
    return {"service": facts}


def different(thing_id: str, **paths: tuple[Any, Any]) -> list[Difference]:
    return [Difference(read_model="things", id=thing_id, problem="different", paths=paths)]


async def test_a_missing_key_is_not_null(things: Things) -> None:
    comparison = things.comparison()
    await things.hold("a", 1, nested={"x": 1})
    await comparison.look(said(fact("a", 1, nested={"x": 1}, note=None)))
    assert comparison.differences == different("a", note=(None, "(absent)"))
    comparison = things.comparison()
    await comparison.look(said(fact("a", 1, nested={})))
    assert comparison.differences == different("a", **{"nested.x": ("(absent)", 1)})


async def test_a_version_that_was_left_behind_is_told(things: Things) -> None:
    comparison = things.comparison()
    await things.hold("a", 1, stock=5)
    await comparison.look(said(fact("a", 2, stock=5)))
    assert comparison.differences == different("a", **{"(version)": (2, 1)})


async def test_missing_and_surplus_keys_are_told(things: Things) -> None:
    comparison = things.comparison()
    await things.hold("surplus", 1)
    for _ in range(2):
        await comparison.look(said(fact("missing", 1)))
    assert [(each.id, each.problem) for each in comparison.differences] == [
        ("missing", "missing"),
        ("surplus", "should not be there"),
    ]


async def test_a_key_that_is_late_is_cleared(things: Things) -> None:
    comparison = things.comparison()
    await things.hold("a", 1, stock=5)
    await comparison.look(said(fact("a", 2, stock=4)))
    assert not comparison.is_fine
    await things.hold("a", 2, stock=4)
    await comparison.look(said(fact("a", 2, stock=4)))
    assert comparison.is_fine


async def test_a_busy_key_that_is_always_late_is_cleared(things: Things) -> None:
    comparison = things.comparison()
    await things.hold("a", 1, stock=5)
    await comparison.look(said(fact("a", 2, stock=4)))
    await things.hold("a", 2, stock=4)
    await comparison.look(said(fact("a", 3, stock=3)))
    assert comparison.is_fine


async def test_a_busy_key_that_is_always_ahead_of_its_facts_is_cleared(things: Things) -> None:
    comparison = things.comparison()
    await things.hold("a", 2, stock=4)
    await comparison.look(said(fact("a", 1, stock=5)))
    await things.hold("a", 3, stock=3)
    await comparison.look(said(fact("a", 2, stock=4)))
    assert comparison.is_fine


async def test_a_busy_key_that_stays_wrong_by_one_is_told(things: Things) -> None:
    comparison = things.comparison()
    for version in range(1, 8):
        await things.hold("a", version, stock=10 - version + 1)
        await comparison.look(said(fact("a", version, stock=10 - version)))
    (difference,) = comparison.differences
    assert difference.problem == "different at every look while it kept changing"
    assert difference.paths == {"stock": (3, 4)}


async def test_a_busy_key_is_cleared_by_a_glance_between_two_looks(things: Things) -> None:
    comparison = things.comparison()
    await things.hold("a", 1, stock=5)
    await comparison.look(said(fact("a", 2, stock=4)))
    await things.hold("a", 2, stock=4)
    await comparison.glance()
    await things.hold("a", 9, stock=2)
    await comparison.look(said(fact("a", 4, stock=3)))
    assert comparison.is_fine


async def test_what_goes_wrong_after_the_first_look_is_left_to_the_next_run(things: Things) -> None:
    comparison = things.comparison()
    await things.hold("a", 1, stock=5)
    await comparison.look(said(fact("a", 1, stock=5)))
    await things.hold("a", 2, stock=9)
    await comparison.look(said(fact("a", 2, stock=4)))
    assert comparison.is_fine


async def test_a_surplus_in_a_busy_index_is_counted(things: Things) -> None:
    comparison = things.comparison(searched=True)
    await things.index("surplus", 1, kind="THING", title="never told of")
    facts = []
    for n in range(3):
        facts.append(fact(f"thing-{n}", 1, kind="THING", title="told of"))
        await things.index(f"thing-{n}", 1, kind="THING", title="told of")
        await comparison.look(said(*facts))
    assert comparison.differences == different("*", surplus=(0, 1))
