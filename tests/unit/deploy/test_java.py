"""Which Java is taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.engines import java
from deploy.engines.java import find_java


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(java, "_PLACES", (str(tmp_path),))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def add(folder: Path, version: str, *programs: str) -> Path:
    home = folder / f"java-{version}"
    (home / "bin").mkdir(parents=True)
    (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    for program in programs:
        (home / "bin" / program).touch()
    return home


def test_the_newest_that_is_new_enough_is_taken(homes: Path) -> None:
    add(homes, "17.0.1", "java")
    newest = add(homes, "25.0.3", "java")
    add(homes, "21", "java")

    assert find_java(17) == newest
    assert find_java(26) is None


def test_a_runtime_is_no_full_jdk(homes: Path) -> None:
    add(homes, "25.0.3", "java")
    jdk = add(homes, "21.0.1", "java", "javac")

    assert find_java(21, full_jdk=True) == jdk


def test_the_one_named_by_the_variable_is_preferred_if_it_fits(
    homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(homes, "25", "java")
    named = add(homes, "21", "java")
    monkeypatch.setenv("ES_JAVA_HOME", str(named))

    assert find_java(21, variable="ES_JAVA_HOME") == named
    assert find_java(22, variable="ES_JAVA_HOME") == homes / "java-25"
