"""Elasticsearch as a search index: the contract, and what only a real engine could get wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pytest
from elasticsearch import AsyncElasticsearch

from slackwater.errors import StructuralError, TransientError
from slackwater.event_log.port import TopicPartition
from slackwater.read_models.elasticsearch_search import ElasticsearchSearchIndex
from slackwater.read_models.elasticsearch_stamps import MARK_ID
from slackwater.read_models.progress import Claim, ModelVersion, ProgressUpdate, ReadModelState
from slackwater.read_models.search import (
    ChangedIndexError,
    Index,
    LostWritesError,
    PartialResultError,
    SearchField,
    SearchRequest,
    UnindexableRowError,
)
from slackwater.read_models.search_cursor import InvalidCursorError
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.read_models.target import LostRowsError, SearchTarget
from slackwater.testing.doorbell import LocalDoorbell
from slackwater.testing.search_index_contract import (
    INDEX,
    SearchIndexContract,
    entry,
    found_ids,
    saved,
    search,
    write,
)
from tests.engines import engine_url

pytestmark = pytest.mark.engine("elasticsearch")

_FIRST = TopicPartition("things", 0)
_THINGS = ModelVersion("things")
_OTHER = Index(name=INDEX.name, fields=(SearchField(name="title"),))


class OpenIndex(Protocol):
    async def __call__(self, **options: Any) -> ElasticsearchSearchIndex: ...


@pytest.fixture
def url() -> str:
    return engine_url("elasticsearch")


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid4().hex}-"


@pytest.fixture
def alias(prefix: str) -> str:
    return f"{prefix}{INDEX.name}"


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncElasticsearch]:
    async with AsyncElasticsearch(url, request_timeout=10) as client:
        yield client


@pytest.fixture
async def open_index(
    url: str, prefix: str, alias: str, client: AsyncElasticsearch
) -> AsyncIterator[OpenIndex]:
    async with AsyncExitStack() as stack:

        async def open_one(**options: Any) -> ElasticsearchSearchIndex:
            defaults = {"secret": b"secret", "prefix": prefix, "refresh_interval_ms": 1}
            index = ElasticsearchSearchIndex(url, **{**defaults, **options})
            stack.push_async_callback(index.close)
            return index

        yield open_one
        for name in await client.indices.get(index=f"{prefix}*"):
            await client.indices.delete(index=name)


@pytest.fixture
async def index(open_index: OpenIndex) -> ElasticsearchSearchIndex:
    index = await open_index()
    await index.prepare(INDEX)
    return index


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocumentStore]:
    documents = SqliteDocumentStore(tmp_path / "documents.db", LocalDoorbell())
    await documents.progress.register(_THINGS)
    yield documents
    await documents.close()


async def _claimed(
    index: ElasticsearchSearchIndex, documents: SqliteDocumentStore
) -> tuple[SearchTarget, Claim]:
    """Return a target of the index, with a claim on the partition that is folded into it."""
    target = SearchTarget(_THINGS, INDEX, index, documents.progress)
    await target.prepare()
    return target, await documents.progress.claim(_THINGS, [_FIRST])


class TestElasticsearchSearchIndex(SearchIndexContract):
    adapter = ElasticsearchSearchIndex


async def test_a_write_is_not_found_before_a_refresh_and_can_be_got_at_once(
    index: ElasticsearchSearchIndex,
) -> None:
    await index.write(INDEX.name, [entry("a", "Coffee", version=7)])
    assert (await index.get(INDEX.name, ["a"]))["a"].version == 7
    assert await found_ids(index, "coffee") == []
    await index.refresh(INDEX.name)
    assert await found_ids(index, "coffee") == ["a"]


async def test_progress_covers_nothing_that_a_dead_projector_wrote_and_did_not_refresh(
    index: ElasticsearchSearchIndex, open_index: OpenIndex, documents: SqliteDocumentStore
) -> None:
    target, claim = await _claimed(index, documents)
    stored = _THINGS.stored_name(INDEX.name)
    dead = await open_index()
    await dead.write(stored, [entry("a", "Coffee")])
    assert (await target.load(INDEX.name, ["a"]))["a"].version == 1  # so nothing is to be written
    await target.commit([], ProgressUpdate(claim=claim, positions={_FIRST: 1}))
    await target.settled()
    found = await index.search(SearchRequest(index=stored, text="coffee"))
    assert [hit.id for hit in found.hits] == ["a"]


async def _sequence_number(client: AsyncElasticsearch, alias: str, row_id: str) -> int:
    """Return the number of the write that made a row what it is: each has one on all copies."""
    found = await client.get(index=alias, id=row_id)
    return int(found["_seq_no"])


async def test_progress_covers_nothing_that_was_only_read_and_may_be_on_one_copy_alone(
    index: ElasticsearchSearchIndex,
    prefix: str,
    client: AsyncElasticsearch,
    documents: SqliteDocumentStore,
) -> None:
    """A write that broke off may be seen and not acknowledged: then it goes with its copy."""
    target, claim = await _claimed(index, documents)
    stored = _THINGS.stored_name(INDEX.name)
    await index.write(stored, [entry("a", "Coffee"), entry("b", "Coffee")])
    before = [await _sequence_number(client, f"{prefix}{stored}", row_id) for row_id in "ab"]
    read = await target.load(INDEX.name, ["a", "b", "c"])
    await target.commit(
        [entry("b", "Tea", version=2)], ProgressUpdate(claim=claim, positions={_FIRST: 2})
    )
    await target.settled()
    after = [await _sequence_number(client, f"{prefix}{stored}", row_id) for row_id in "ab"]
    assert all(new > old for new, old in zip(after, before, strict=True))
    assert (await index.get(stored, ["a"]))["a"] == read["a"]


async def test_what_refuses_a_write_is_written_back(
    index: ElasticsearchSearchIndex, alias: str, client: AsyncElasticsearch
) -> None:
    await write(index, entry("newer", "Coffee", version=3), entry("equal", "Coffee", version=2))
    kept = await index.get(INDEX.name, ["newer", "equal"])
    before = [await _sequence_number(client, alias, row_id) for row_id in kept]
    await write(index, *(entry(name, "Tea", version=2) for name in ("newer", "equal", "new")))
    after = [await _sequence_number(client, alias, row_id) for row_id in kept]
    assert all(new > old for new, old in zip(after, before, strict=True))
    assert await index.get(INDEX.name, ["newer", "equal"]) == kept
    assert await found_ids(index, "tea") == ["new"]


async def test_what_waits_for_the_next_refresh_is_noted_meanwhile(
    open_index: OpenIndex, documents: SqliteDocumentStore
) -> None:
    index = await open_index(refresh_interval_ms=1_500)
    target, claim = await _claimed(index, documents)
    stored = _THINGS.stored_name(INDEX.name)
    first, second = (ProgressUpdate(claim=claim, positions={_FIRST: at}) for at in (1, 2))
    await target.commit([entry("a", "Coffee")], first)
    await target.settled()
    rows = [entry("a", "Coffee", version=2)]  # whose refresh comes an interval after the first
    await target.commit(rows, second)
    async with asyncio.timeout(10):
        while not (found := (await documents.progress.load())[0]).written:
            await asyncio.sleep(0.01)
    assert (found.positions, found.written) == ({_FIRST: 1}, {_FIRST: 2})
    await target.settled()
    [found] = await documents.progress.load()
    assert (found.positions, found.written) == ({_FIRST: 2}, {})
    assert (await index.get(stored, ["a"]))["a"].version == 2


async def test_the_index_waits_for_the_disk_and_for_no_refresh_but_ours(
    index: ElasticsearchSearchIndex, alias: str, client: AsyncElasticsearch
) -> None:
    [found] = (await client.indices.get_settings(index=alias, include_defaults=True)).values()
    settings = found["settings"]["index"]
    assert settings["refresh_interval"] == "-1"
    assert settings["translog"]["durability"] == "REQUEST"


async def test_an_index_stands_behind_an_alias_that_can_be_moved_and_tells_of_it(
    index: ElasticsearchSearchIndex, alias: str, client: AsyncElasticsearch
) -> None:
    await write(index, entry("a", "Coffee"))
    [(first, created)] = (await client.indices.get(index=alias)).body.items()
    assert first == f"{alias}-v1"
    await client.indices.create(
        index=f"{alias}-v2",
        mappings=created["mappings"],
        settings={"refresh_interval": "-1", "analysis": created["settings"]["index"]["analysis"]},
    )
    await client.indices.update_aliases(
        actions=[
            {"remove": {"index": first, "alias": alias}},
            {"add": {"index": f"{alias}-v2", "alias": alias}},
        ]
    )
    await index.prepare(INDEX)
    assert await found_ids(index, "coffee") == []
    await index.write(INDEX.name, [entry("b", "Coffee")])
    with pytest.raises(LostWritesError):  # whoever has refreshed the other one
        await index.refresh(INDEX.name)
    await client.indices.refresh(index=alias)
    assert await found_ids(index, "coffee") == ["b"]
    await index.drop(INDEX.name)
    assert not await client.indices.exists(index=f"{alias}-v2")


async def test_processes_that_prepare_at_once_make_one_index(
    open_index: OpenIndex, alias: str, client: AsyncElasticsearch
) -> None:
    handles = [await open_index() for _ in range(5)]
    await asyncio.gather(*(handle.prepare(INDEX) for handle in handles))
    assert len((await client.indices.get(index=alias)).body) == 1
    assert [await handle.count(INDEX.name) for handle in handles] == [0] * 5


async def test_of_processes_that_prepare_other_fields_at_once_all_but_one_kind_are_refused(
    open_index: OpenIndex, alias: str, client: AsyncElasticsearch
) -> None:
    handles = [await open_index() for _ in range(4)]
    results = await asyncio.gather(
        *(handle.prepare(each) for handle, each in zip(handles, [INDEX, _OTHER] * 2, strict=True)),
        return_exceptions=True,
    )
    assert sorted(map(type, filter(None, results)), key=str) == [ChangedIndexError] * 2
    assert len((await client.indices.get(index=alias)).body) == 1


async def test_an_index_without_its_alias_is_not_touched(
    open_index: OpenIndex, alias: str, client: AsyncElasticsearch
) -> None:
    await client.indices.create(index=f"{alias}-v1")
    with pytest.raises(StructuralError, match="without its alias; delete it"):
        await (await open_index()).prepare(INDEX)


async def test_an_index_that_is_not_ours_is_refused(
    open_index: OpenIndex, alias: str, client: AsyncElasticsearch
) -> None:
    await client.indices.create(index="somebody-s-" + alias, aliases={alias: {}})
    try:
        with pytest.raises(ChangedIndexError):
            await (await open_index()).prepare(INDEX)
        with pytest.raises(ChangedIndexError):
            await search(await open_index(), "coffee")
    finally:
        await client.indices.delete(index="somebody-s-" + alias)


async def test_a_row_that_can_never_be_indexed_is_named_and_the_others_are_kept(
    index: ElasticsearchSearchIndex,
) -> None:
    odd = entry("odd", "Tea", kind="longer than any word" * 2_000)
    with pytest.raises(UnindexableRowError, match="row odd at version 1 cannot") as caught:
        await index.write(INDEX.name, [entry("a", "Tea"), odd, entry("b", "Tea")])
    assert caught.value.row_id == "odd"
    await index.refresh(INDEX.name)
    assert await found_ids(index, "tea") == ["a", "b"]


@pytest.mark.parametrize("row_id", ["", "i" * 513, "ü" * 257])
async def test_a_row_whose_id_is_impossible_does_not_stop_the_whole_index(
    index: ElasticsearchSearchIndex, row_id: str
) -> None:
    with pytest.raises(UnindexableRowError):
        await index.write(INDEX.name, [entry("a", "Tea"), entry(row_id, "Tea")])
    await index.write(INDEX.name, [entry("i" * 512, "Tea")])


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_endless_words_and_texts_can_be_written_and_found(
    index: ElasticsearchSearchIndex,
) -> None:
    await write(
        index,
        entry("word", "x" * 100_000, body="needle"),
        entry("text", "Long", body="lorem ipsum " * 100_000 + "needle"),
    )
    assert set(await found_ids(index, "needle")) == {"word", "text"}
    assert await found_ids(index, "x" * 100_000) == ["word"]
    assert await found_ids(index, "lorem") == ["text"]


@pytest.mark.parametrize("text", ["καφές", "ΚΑΦΕΣ", "καφες", "Καφέ"])
async def test_greek_is_found_without_its_accents_too(
    index: ElasticsearchSearchIndex, text: str
) -> None:
    await write(index, entry("a", "Καφές"))
    [hit] = (await search(index, text)).hits
    assert hit.highlights == {"title": ["<em>Καφές</em>"]}


async def test_a_mark_beside_a_combining_character_stays_a_mark(
    index: ElasticsearchSearchIndex,
) -> None:
    await write(index, entry("a", "tea \u0338coffee\u0338\u0338 <b>"))
    [hit] = (await search(index, "coffee")).hits
    [snippet] = hit.highlights["title"]
    assert snippet.count("<em>") == snippet.count("</em>") == 1


async def test_paging_goes_on_where_it_was_when_the_snapshot_is_gone(
    index: ElasticsearchSearchIndex, open_index: OpenIndex
) -> None:
    await write(index, *(entry(f"{n:02}", "Coffee") for n in range(7)))
    forgetful = await open_index(snapshots_max=0)
    first = (await search(forgetful, "coffee", limit=3)).hits
    second = (await search(forgetful, "coffee", limit=3, after=first[-1].cursor)).hits
    third = (await search(index, "coffee", limit=3, after=second[-1].cursor)).hits
    assert [hit.id for hit in (*first, *second, *third)] == [f"{n:02}" for n in range(7)]


async def test_paging_without_a_snapshot_goes_on_behind_its_hit_whatever_scores_have_become(
    index: ElasticsearchSearchIndex, open_index: OpenIndex
) -> None:
    await write(index, *(entry(f"{n:02}", "Coffee") for n in range(7)))
    forgetful = await open_index(snapshots_max=0)
    [*_, last] = (await search(forgetful, "coffee", limit=3)).hits
    for kind in ("Tea", "Coffee pot and more of the like"):  # raises scores, then lowers them
        await write(index, *(entry(f"{kind}{n}", kind) for n in range(50)))
        assert (await found_ids(forgetful, "coffee", limit=4, after=last.cursor)) == [
            f"{n:02}" for n in range(3, 7)
        ]


async def test_no_more_snapshots_stay_open_than_allowed(
    index: ElasticsearchSearchIndex, open_index: OpenIndex, alias: str, client: AsyncElasticsearch
) -> None:
    await write(index, *(entry(f"{n:02}", "Coffee") for n in range(7)))
    bounded = await open_index(snapshots_max=2)
    for _ in range(5):
        await search(bounded, "coffee", limit=3)
        await search(bounded, "coffee", limit=30)
    stats = await client.indices.stats(index=alias, metric="search")
    assert stats["_all"]["total"]["search"]["open_contexts"] == 2


async def test_only_our_own_cursors_are_followed(
    index: ElasticsearchSearchIndex, open_index: OpenIndex
) -> None:
    await write(index, *(entry(f"{n:02}", "Coffee") for n in range(7)))
    [*_, last] = (await search(index, "coffee", limit=3)).hits
    stranger = await open_index(secret=b"another")
    with pytest.raises(InvalidCursorError):
        await search(stranger, "coffee", after=last.cursor)
    other_first = "B" if last.cursor.startswith("A") else "A"
    for changed in (
        last.cursor[:-8],
        other_first + last.cursor[1:],
        last.cursor * 100,
        last.cursor + "=",
    ):
        with pytest.raises(InvalidCursorError):
            await search(index, "coffee", after=changed)


async def test_a_cursor_of_another_index_is_refused(
    index: ElasticsearchSearchIndex, open_index: OpenIndex
) -> None:
    another = Index(name="another", fields=INDEX.fields)
    await index.prepare(another)
    await write(index, *(entry(f"{n:02}", "Coffee") for n in range(3)))
    [hit, *_] = (await search(index, "coffee", limit=1)).hits
    with pytest.raises(InvalidCursorError):
        await search(index, "coffee", after=hit.cursor[::-1])
    request = {"index": another.name, "text": "coffee", "after": hit.cursor}
    with pytest.raises(InvalidCursorError):
        await index.search(SearchRequest(**request))


async def test_stamps_grow_whoever_refreshes(open_index: OpenIndex) -> None:
    handles = [await open_index() for _ in range(3)]
    await handles[0].prepare(INDEX)
    stamps = [await handle.refresh(INDEX.name) for handle in handles * 2]
    assert stamps == sorted(set(stamps))
    at_once = await asyncio.gather(*(handle.refresh(INDEX.name) for handle in handles))
    assert len({*at_once}) == 3
    assert min(at_once) > stamps[-1]


async def test_the_mark_is_no_document(index: ElasticsearchSearchIndex) -> None:
    stamp = await index.refresh(INDEX.name)
    assert await index.count(INDEX.name, stamp) == await index.count(INDEX.name) == 0
    assert await found_ids(index, "stamp", fuzzy=True) == []


async def test_a_copy_that_is_behind_a_stamp_answers_nothing(
    index: ElasticsearchSearchIndex, alias: str, client: AsyncElasticsearch
) -> None:
    """What is not refreshed stands for what a copy was not given."""
    await write(index, entry("a", "Coffee"))
    stamp = await index.refresh(INDEX.name)
    mark = await client.get(index=alias, id=MARK_ID)
    ahead = await client.index(index=alias, id=MARK_ID, document=mark["_source"])
    later = f"{ahead['_primary_term']:010d}.{ahead['_seq_no']:019d}"
    assert (await search(index, "coffee", stamp=stamp)).total == 1
    for asking in (search(index, "coffee", stamp=later), index.count(INDEX.name, later)):
        with pytest.raises(PartialResultError, match="lacks what was acknowledged"):
            await asking
    await client.indices.refresh(index=alias)
    assert (await search(index, "coffee", stamp=later)).total == 1


async def _put_back(client: AsyncElasticsearch, alias: str, backup: str) -> None:
    [current] = (await client.indices.get_alias(name=alias)).body
    moved = [
        {"remove": {"index": current, "alias": alias}},
        {"add": {"index": backup, "alias": alias}},
    ]
    await client.indices.update_aliases(actions=moved)


async def _backup(client: AsyncElasticsearch, alias: str) -> str:
    """Copy the index as it is; what is written to the copy counts on from there."""
    [current] = (await client.indices.get_alias(name=alias)).body
    backup = f"{current}-backup"
    await client.indices.add_block(index=current, block="write")
    await client.indices.clone(index=current, target=backup, wait_for_active_shards=1)
    for name in (current, backup):
        await client.indices.put_settings(index=name, settings={"index.blocks.write": False})
    return backup


async def test_an_index_that_was_put_back_from_a_backup_is_not_gone_on_with(
    index: ElasticsearchSearchIndex,
    open_index: OpenIndex,
    alias: str,
    client: AsyncElasticsearch,
) -> None:
    await write(index, entry("a", "Coffee"))
    backup = await _backup(client, alias)
    await write(index, entry("b", "Coffee"))
    stamp = await index.refresh(INDEX.name)
    await _put_back(client, alias, backup)
    with pytest.raises(PartialResultError):
        await search(index, "coffee", stamp=stamp)
    for number, handle in enumerate((index, await open_index(), index, await open_index())):
        with pytest.raises(LostWritesError, match="slackwater rebuild"):
            await handle.refresh(INDEX.name, saved(stamp))
        await handle.write(INDEX.name, [entry(f"c{number}", "Coffee")])
    with pytest.raises(LostWritesError):  # also whoever knows no stamp
        await (await open_index()).refresh(INDEX.name)
    await client.indices.refresh(index=alias)
    with pytest.raises(PartialResultError):
        await search(index, "coffee", stamp=stamp)


async def test_an_index_that_is_put_back_with_its_progress_is_whole(
    index: ElasticsearchSearchIndex, alias: str, client: AsyncElasticsearch
) -> None:
    await write(index, entry("a", "Coffee"))
    stamp = await index.refresh(INDEX.name)
    backup = await _backup(client, alias)
    await write(index, entry("b", "Coffee"))
    await _put_back(client, alias, backup)
    index.resume(INDEX.name, stamp)
    later = await index.refresh(INDEX.name, saved(stamp))
    assert (await search(index, "coffee", stamp=later)).total == 1


async def test_of_two_that_refresh_the_later_one_is_not_told_of_a_loss(
    index: ElasticsearchSearchIndex, open_index: OpenIndex
) -> None:
    """Each has seen the mark before the other one rewrote it, and hears of what that one saved."""
    other = await open_index()
    stamp = await index.refresh(INDEX.name)
    for handle in [other, index] * 3:
        later = await handle.refresh(INDEX.name, saved(stamp))
        assert later > stamp
        stamp = later


async def test_who_knows_less_than_was_saved_does_not_hide_that_an_index_was_put_back(
    index: ElasticsearchSearchIndex,
    open_index: OpenIndex,
    alias: str,
    client: AsyncElasticsearch,
) -> None:
    other = await open_index()
    await write(index, entry("a", "Coffee"))
    await other.refresh(INDEX.name)
    backup = await _backup(client, alias)
    await write(other, entry("b", "Coffee"))
    stamp = await other.refresh(INDEX.name)
    await _put_back(client, alias, backup)
    for handle in (index, other, await open_index()):  # the first was given none but an old one
        with pytest.raises(LostWritesError):
            await handle.refresh(INDEX.name, saved(stamp))
    await client.indices.refresh(index=alias)
    with pytest.raises(PartialResultError):
        await search(index, "coffee", stamp=stamp)


async def test_a_block_of_writes_is_trouble_that_passes(
    index: ElasticsearchSearchIndex, alias: str, client: AsyncElasticsearch
) -> None:
    await client.indices.add_block(index=alias, block="write")
    for writing in (
        index.refresh(INDEX.name),
        index.write(INDEX.name, [entry("a", "Coffee")]),
    ):
        with pytest.raises(TransientError):
            await writing
    await client.indices.put_settings(index=alias, settings={"index.blocks.write": False})
    await write(index, entry("a", "Coffee"))


async def test_a_projector_halts_on_an_index_that_was_put_back(
    index: ElasticsearchSearchIndex,
    prefix: str,
    client: AsyncElasticsearch,
    documents: SqliteDocumentStore,
) -> None:
    target, claim = await _claimed(index, documents)
    stored = f"{prefix}{_THINGS.stored_name(INDEX.name)}"
    await target.commit([entry("a", "Tea")], ProgressUpdate(claim=claim, positions={_FIRST: 1}))
    await target.settled()
    backup = await _backup(client, stored)
    await target.commit([entry("b", "Tea")], ProgressUpdate(claim=claim, positions={_FIRST: 2}))
    await target.settled()
    await _put_back(client, stored, backup)
    claim = await documents.progress.claim(_THINGS, [_FIRST])
    with pytest.raises(LostRowsError):
        await target.go_on()
    await target.commit([entry("c", "Tea")], ProgressUpdate(claim=claim, positions={_FIRST: 3}))
    with pytest.raises(LostRowsError):
        await target.settled()
    [found] = await documents.progress.load()
    assert (found.positions, found.state) == ({_FIRST: 2}, ReadModelState.HALTED)
