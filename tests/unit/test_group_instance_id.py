"""How an installation is named in its groups on Kafka."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from slackwater.errors import ConfigurationError
from slackwater.settings import load_settings, with_group_instance_id


def name_of(folder: Path, **given: Any) -> str | None:
    settings = load_settings({"data_dir": folder, "kafka_url": "kafka:9092", **given})
    return with_group_instance_id(settings).kafka_group_instance_id


def test_a_folder_has_one_name_for_good(tmp_path: Path) -> None:
    name = name_of(tmp_path / "one")
    assert name
    assert name_of(tmp_path / "one") == name
    assert name_of(tmp_path / "another") not in (name, None)


def test_a_given_name_is_kept(tmp_path: Path) -> None:
    assert name_of(tmp_path, kafka_group_instance_id="pod-0") == "pod-0"


def test_embedded_storage_needs_none(tmp_path: Path) -> None:
    assert with_group_instance_id(load_settings({"data_dir": tmp_path})) == load_settings(
        {"data_dir": tmp_path}
    )


def test_a_name_that_kafka_would_refuse_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="GROUP_INSTANCE_ID"):
        name_of(tmp_path, kafka_group_instance_id="no spaces")


def test_a_name_that_was_not_written_to_its_end_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: int) -> None:
        raise OSError("no room")

    with monkeypatch.context() as dying:
        dying.setattr(os, "fsync", die)
        with pytest.raises(OSError, match="no room"):
            name_of(tmp_path)
    assert name_of(tmp_path)
