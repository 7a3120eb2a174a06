"""Variables are put into a compose file as Compose does it, and a missing secret is an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.compose_file import ComposeFile, MissingVariableError

COMPOSE = Path(__file__).parents[3] / "compose.yaml"
SECRETS = dict.fromkeys(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()), "x" * 16)


def command_of(tmp_path: Path, command: str, **variables: str) -> str:
    (tmp_path / "compose.yaml").write_text(f'services:\n  one:\n    command: ["{command}"]\n')
    [word] = ComposeFile(tmp_path / "compose.yaml", variables).services["one"]["command"]
    return str(word)


@pytest.mark.parametrize(
    ("written", "variables", "meant"),
    [
        ("a${NAME:-default}b", {}, "adefaultb"),
        ("a${NAME:-default}b", {"NAME": ""}, "adefaultb"),
        ("a${NAME:-default}b", {"NAME": "given"}, "agivenb"),
        ("${ONE:?set it}_${TWO:?set it}", {"ONE": "1", "TWO": "2"}, "1_2"),
        ("a$$b", {}, "a$b"),
    ],
)
def test_variables_are_put_in(
    tmp_path: Path, written: str, variables: dict[str, str], meant: str
) -> None:
    assert command_of(tmp_path, written, **variables) == meant


@pytest.mark.parametrize("written", ["$NAME", "${NAME}", "${NAME-x}", "a$"])
def test_what_is_not_understood_is_refused(tmp_path: Path, written: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        command_of(tmp_path, written, NAME="given")


@pytest.mark.parametrize("missing", SECRETS)
def test_a_missing_secret_is_an_error(missing: str) -> None:
    others = {name: each for name, each in SECRETS.items() if name != missing}
    for given in (others, {**others, missing: ""}):
        with pytest.raises(MissingVariableError, match=f"^{missing} is missing a value: set it"):
            ComposeFile(COMPOSE, given)


def test_everything_comes_after_what_it_waits_for() -> None:
    file = ComposeFile(COMPOSE, SECRETS)
    order = file.with_all_before("seed")
    for name in order:
        assert all(order.index(other) < order.index(name) for other in file.conditions(name))
    assert set(file.services) - set(order) == {"administrator", "prometheus"}
