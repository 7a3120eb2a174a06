"""What engines write and ask, without one that runs."""

from __future__ import annotations

import os
import re
from pathlib import Path
from zipfile import ZipFile

import pytest

from deploy.engines.elasticsearch import unpack
from deploy.engines.engine import User, give_to
from deploy.engines.errors import FolderError, MissingProgramError
from deploy.engines.kafka import _new_cluster_id, brokers_in
from deploy.engines.maven import pom_text
from deploy.engines.mongodb import hello
from deploy.engines.programs import found_or_installed


def test_hello_has_the_length_that_it_says() -> None:
    message = hello()
    assert int.from_bytes(message[:4], "little") == len(message)
    assert int.from_bytes(message[21:25], "little") == len(message) - 21


def test_an_answer_that_is_cut_off_names_no_broker() -> None:
    assert brokers_in(bytes.fromhex("00000020 00000001 00000001 00000001")) == 1
    assert brokers_in(bytes.fromhex("00000020 00000001")) == 0


def test_cluster_ids_are_what_kafka_takes() -> None:
    for _ in range(200):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", _new_cluster_id())


def test_a_pom_names_each_artifact() -> None:
    text = pom_text("kafka", ["org.a:b:1", "org.c:d:2"])
    assert text.count("<dependency>") == 2
    assert "<groupId>org.c</groupId><artifactId>d</artifactId><version>2</version>" in text


def test_only_the_distribution_is_unpacked(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("top/elasticsearch/lib/a.jar", "jar")
        archive.writestr("top/elasticsearch/bin/tool", "tool")
        archive.writestr("top/bin/elasticsearch", "start")
        archive.writestr("top/bin/other", "other")
        archive.writestr("top/lib/b.jar", "jar")
    home = tmp_path / "home"
    unpack(tmp_path / "archive.zip", home)

    files = sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())
    assert files == ["bin/elasticsearch", "bin/tool", "lib/a.jar"]
    assert os.access(home / "bin" / "elasticsearch", os.X_OK)


def test_a_private_folder_above_is_refused_with_the_remedy(tmp_path: Path) -> None:
    private = tmp_path / "private"
    data = private / "data"
    data.mkdir(parents=True)
    private.chmod(0o700)
    with pytest.raises(FolderError, match="SLACKWATER_ENGINES_DIR"):
        give_to(User(65_534, 65_534), data)


def test_who_is_not_root_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MissingProgramError, match="apt-get install maven"):
        found_or_installed(lambda: None, "mvn", "maven")
