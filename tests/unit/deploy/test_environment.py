"""The settings that engines are found by."""

from __future__ import annotations

import subprocess
from pathlib import Path

from deploy.engines import environment
from deploy.engines.roster import ENGINES

SETTINGS = {
    engine.setting: engine(Path("/data"), engine.default_port).url for engine in ENGINES.values()
}


def test_settings_are_one_a_line() -> None:
    assert environment.lines(SETTINGS).splitlines() == [
        "SLACKWATER_POSTGRESQL_URL=postgresql://postgres@127.0.0.1:5439/postgres",
        "SLACKWATER_KAFKA_URL=127.0.0.1:19092",
        "SLACKWATER_MONGODB_URL=mongodb://127.0.0.1:27101/?directConnection=true",
        "SLACKWATER_ELASTICSEARCH_URL=http://127.0.0.1:9200",
    ]


def test_a_shell_can_source_the_file(tmp_path: Path) -> None:
    path = environment.write(tmp_path, {**SETTINGS, "SLACKWATER_X": "a b'c$d&e"})
    sourced = subprocess.run(
        ["sh", "-c", '. "$0"; env', path], capture_output=True, text=True, check=True
    ).stdout.splitlines()

    assert {f"{name}={value}" for name, value in SETTINGS.items()} <= set(sourced)
    assert "SLACKWATER_X=a b'c$d&e" in sourced


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert environment.write(tmp_path, SETTINGS).stat().st_mode & 0o777 == 0o600
