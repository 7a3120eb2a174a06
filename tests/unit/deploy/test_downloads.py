"""The cache: once, whole or not at all, and checked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deploy.engines.digest import check_digest, file_digest, folder_digest
from deploy.engines.downloads import Cache, Fetching, cache_folder, progress_line
from deploy.engines.errors import DigestError, FetchError


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path: Path, told: list[str]) -> Cache:
    return Cache(tmp_path / "cache", told.append)


def write_one(fetching: Fetching) -> None:
    (fetching.folder / "one").write_text("1")


def test_a_thing_is_made_once(cache: Cache) -> None:
    made = []

    def make(fetching: Fetching) -> None:
        made.append(fetching.folder)
        write_one(fetching)

    assert cache.once("thing", make) == cache.once("thing", make)
    assert len(made) == 1
    assert (cache.folder / "thing" / "one").read_text() == "1"


def test_what_was_interrupted_is_made_anew(cache: Cache) -> None:
    unfinished = cache.folder / "thing.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "half").write_text("")

    made = cache.once("thing", write_one)

    assert [path.name for path in made.iterdir()] == ["one"]
    assert not unfinished.exists()


def test_parts_outlive_a_failure_and_are_gone_after_a_success(cache: Cache) -> None:
    parts = cache.folder / "thing.parts"

    def fail(fetching: Fetching) -> None:
        fetching.parts.mkdir()
        raise FetchError

    with pytest.raises(FetchError):
        cache.once("thing", fail)
    assert parts.is_dir()

    cache.once("thing", write_one)
    assert not parts.exists()


def test_what_has_a_wrong_digest_is_thrown_away(cache: Cache) -> None:
    def make(fetching: Fetching) -> None:
        fetching.parts.mkdir()
        write_one(fetching)
        check_digest(fetching.folder / "one", "0" * 64)

    with pytest.raises(DigestError, match="try again"):
        cache.once("thing", make)
    assert not (cache.folder / "thing").exists()
    assert not (cache.folder / "thing.parts").exists()


def test_a_client_that_fails_is_quoted(cache: Cache) -> None:
    client = [sys.executable, "-c", "import sys; sys.exit('no route to the registry')"]

    with pytest.raises(FetchError, match="no route to the registry"):
        cache.once("thing", lambda fetching: fetching.run(client, "thing"))


def test_progress_has_units(cache: Cache, told: list[str]) -> None:
    cache.once("thing", lambda fetching: fetching.run([sys.executable, "-c", ""], "thing"))

    assert told == ["fetching thing, 0 s"]
    assert progress_line("x", 5_000_000, 20_000_000, 3.2) == "fetching x, 5 of 20 MB, 25 %, 3 s"


def test_a_folder_digest_sees_contents_and_names(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = folder_digest(tmp_path)
    check_digest(tmp_path, before)
    (tmp_path / "a").rename(tmp_path / "b")
    renamed = folder_digest(tmp_path)
    (tmp_path / "b").write_text("2")

    assert len({before, renamed, folder_digest(tmp_path)}) == 3
    assert file_digest(tmp_path / "b").startswith("d4735e3a")


def test_the_cache_is_below_the_users_cache_folder(tmp_path: Path) -> None:
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "slackwater" / "engines"
    assert cache_folder({}) == Path.home().resolve() / ".cache" / "slackwater" / "engines"
