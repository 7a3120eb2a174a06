"""Compares a read model with its expectation, look after look while the system runs.

A read model is always a little behind, so one look proves nothing. A key is cleared when it was
seen to hold what the facts said at any look, *at the same version*: being wrong by one is never
taken for being one event behind, and a key that stays wrong is never cleared, however busy it is.
The price is that a key which changes faster than one can look may never be seen equal, either; its
difference says that it kept changing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

from slackwater.read_models.documents import DocumentStore, Find
from slackwater.read_models.search import SearchIndex
from slackwater.read_models.versions import active_version
from slackwater.verification import Difference, Expectation, Facts, Holding

ABSENT = "(absent)"
"""Stands for a key that a document does not have, which is not the same as null."""

WHOLE_INDEX = "*"
"""Stands for the documents of a search index that nobody expects: they are counted, not listed."""

_PAGE = 500
_HOLDINGS_MAX = 50

Holdings = Mapping[str, Holding]
Paths = dict[str, tuple[Any, Any]]


class Comparison:
    """One expectation, held against the version of its read model that readers use."""

    def __init__(
        self, expectation: Expectation, *, documents: DocumentStore, search: SearchIndex
    ) -> None:
        self.expectation = expectation
        self._documents = documents
        self._search = search
        self._suspects: dict[str, _Suspect] | None = None

    @property
    def is_fine(self) -> bool:
        return not self._suspects

    @property
    def differences(self) -> list[Difference]:
        """Every key that has been different at every look, as it was at the last one."""
        suspects = self._suspects or {}
        read_model = self.expectation.read_model
        return [suspects[row_id].difference(read_model, row_id) for row_id in sorted(suspects)]

    async def look(self, facts: Facts) -> None:
        """Look at every key the first time, and then at those that never were equal."""
        expected = self._expected(facts)
        shelf = await self._shelf()
        if self._suspects is None:
            found = await shelf.everything(expected)
            different = {
                row_id
                for row_id in expected.keys() | found.keys()
                if expected.get(row_id) != found.get(row_id)
            }
            self._suspects = {row_id: _Suspect() for row_id in different}
        else:
            found = await shelf.some(self._suspects, expected)
        for row_id, suspect in self._suspects.items():
            suspect.saw(expected.get(row_id), found.get(row_id))
        self._suspects = {
            row_id: suspect for row_id, suspect in self._suspects.items() if not suspect.is_cleared
        }

    def _expected(self, facts: Facts) -> Holdings:
        expected = dict(self.expectation.holdings(facts))
        if self.expectation.searched:
            expected[WHOLE_INDEX] = _surplus(0)
        return expected

    async def glance(self) -> None:
        """See what few suspects hold while facts are read, so that a busy key is not missed."""
        suspects = self._suspects or {}
        ids = suspects.keys() - {WHOLE_INDEX}
        if 0 < len(ids) <= _PAGE:
            found = await (await self._shelf()).some(ids, {})
            for row_id in ids:
                suspects[row_id].held(found.get(row_id))

    async def _shelf(self) -> _Shelf:
        model = await active_version(self._documents.progress, self.expectation.read_model)
        stored = model.stored_name(self.expectation.collection)
        if self.expectation.searched:
            return _IndexShelf(self._search, stored)
        return _CollectionShelf(self._documents, stored)


class _Suspect:
    """What a key should have held and what it held, the newest of it."""

    def __init__(self) -> None:
        self._expected: deque[Holding | None] = deque(maxlen=_HOLDINGS_MAX)
        self._found: deque[Holding | None] = deque(maxlen=_HOLDINGS_MAX)
        self.is_cleared = False

    def saw(self, expected: Holding | None, found: Holding | None) -> None:
        _remember(self._expected, expected)
        self.held(found)
        self.is_cleared = self.is_cleared or expected in self._found

    def held(self, found: Holding | None) -> None:
        _remember(self._found, found)
        self.is_cleared = self.is_cleared or found in self._expected

    def difference(self, read_model: str, row_id: str) -> Difference:
        problem, paths = _compare(self._expected[-1], self._found[-1])
        if len(self._expected) > 1 or len(self._found) > 1:
            problem = f"{problem} at every look while it kept changing"
        return Difference(read_model=read_model, id=row_id, problem=problem, paths=paths)


def _compare(expected: Holding | None, found: Holding | None) -> tuple[str, Paths]:
    if found is None:
        return "missing", {}
    if expected is None:
        return "should not be there", {}
    paths = dict(_unequal("", expected.document, found.document))
    if expected.version != found.version:
        paths["(version)"] = expected.version, found.version
    return "different", paths


def _remember(holdings: deque[Holding | None], newest: Holding | None) -> None:
    if not holdings or holdings[-1] != newest:
        holdings.append(newest)


class _Shelf(Protocol):
    """Where the holdings of a read model are."""

    async def everything(self, expected: Holdings) -> Holdings: ...

    async def some(self, ids: Collection[str], expected: Holdings) -> Holdings: ...


class _CollectionShelf:
    def __init__(self, documents: DocumentStore, collection: str) -> None:
        self._documents = documents
        self._collection = collection

    async def everything(self, expected: Holdings) -> Holdings:
        found: dict[str, Holding] = {}
        after: tuple[Any, ...] | None = None
        while page := await self._documents.find(
            Find(collection=self._collection, after=after, limit=_PAGE)
        ):
            found.update({row.id: Holding(row.version, row.document) for row in page})
            after = (page[-1].id,)
        return found

    async def some(self, ids: Collection[str], expected: Holdings) -> Holdings:
        found: dict[str, Holding] = {}
        for page in _pages(ids):
            rows = await self._documents.get(self._collection, page)
            visible = [row for row in rows.values() if row.version > 0]
            found.update({row.id: Holding(row.version, row.document) for row in visible})
        return found


class _IndexShelf:
    def __init__(self, search: SearchIndex, index: str) -> None:
        self._search = search
        self._index = index

    async def everything(self, expected: Holdings) -> Holdings:
        found = await self._get(expected.keys() - {WHOLE_INDEX})
        # Counted after looking, so that what was added meanwhile never hides what is too much.
        surplus = await self._search.count(self._index) - len(found)
        return {**found, WHOLE_INDEX: _surplus(surplus)}

    async def some(self, ids: Collection[str], expected: Holdings) -> Holdings:
        if WHOLE_INDEX in ids:
            return await self.everything(expected)
        return await self._get(ids)

    async def _get(self, ids: Collection[str]) -> dict[str, Holding]:
        found: dict[str, Holding] = {}
        for page in _pages(ids):
            rows = await self._search.get(self._index, page)
            found.update({row.id: Holding(row.version, row.document) for row in rows.values()})
        return found


def _surplus(documents: int) -> Holding:
    return Holding(0, {"surplus": documents})


def _pages(ids: Collection[str]) -> Iterator[list[str]]:
    listed = list(ids)
    return (listed[at : at + _PAGE] for at in range(0, len(listed), _PAGE))


def _unequal(path: str, expected: Any, found: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield the deepest paths at which two JSON values differ."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            sides = expected.get(key, ABSENT), found.get(key, ABSENT)
            yield from _unequal(f"{path}.{key}".lstrip("."), *sides)
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for at, (left, right) in enumerate(zip(expected, found, strict=True)):
            yield from _unequal(f"{path}.{at}".lstrip("."), left, right)
    elif expected != found:
        yield path, (expected, found)
