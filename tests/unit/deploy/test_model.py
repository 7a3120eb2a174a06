"""The runner of the TLA+ models: what is run, and what is made of what TLC says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deploy.model.command_line import main
from deploy.model.runs import Run, read_runs
from deploy.model.tlc import Tlc
from deploy.model.verdict import read_verdict

MODELS = Path(__file__).parents[3] / "docs/model"
RUNS = read_runs(MODELS)

HOLDS = """Progress(7) at 2026-11-29 01:57:28: 1,140 states generated (1,140 s/min), 383 distinct \
states found (383 ds/min), 287 states left on queue.
Model checking completed. No error has been found.
164356 states generated, 48820 distinct states found, 0 states left on queue.
The depth of the complete state graph search is 30.
"""
BREAKS = """Error: Invariant Sound is violated.
Error: The behavior up to this point is:
State 1: <Initial predicate>
State 2: <Commit line 91, col 5>
State 3: <Read line 99, col 5>
2423 states generated, 701 distinct states found, 464 states left on queue.
"""
CUT_OFF = HOLDS.splitlines()[0] + "\n"


def safeguards(model: str) -> set[str]:
    text = (MODELS / f"{model}.tla").read_text()
    declared = re.search(r"^Safeguards == \{(.*?)\}", text, re.DOTALL | re.MULTILINE)
    assert declared is not None
    return set(re.findall(r'"(.*?)"', declared[1]))


def program(tmp_path: Path, script: str) -> Path:
    path = tmp_path / "java"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("model", sorted(path.stem for path in MODELS.glob("*.tla")))
def test_every_safeguard_of_a_model_is_left_out_once(model: str) -> None:
    left_out = {each for run in RUNS if run.model == model for each in run.without}
    assert left_out == safeguards(model)


@pytest.mark.parametrize("model", sorted(path.stem for path in MODELS.glob("*.tla")))
def test_every_model_is_run_whole_and_small(model: str) -> None:
    assert any(
        run.model == model and not run.without and run.breaks is None and not run.larger
        for run in RUNS
    )


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.title)
def test_a_run_changes_what_its_model_has(run: Run) -> None:
    configured = run.configured((MODELS / f"{run.model}.cfg").read_text())
    assert all(f'"{each}"' in configured for each in run.without)


def test_a_constant_that_the_model_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="0 lines"):
        Run("Rebuild", constants={"Nobody": "1"}).configured("CONSTANTS\n  Without = {}\n")


def test_a_definition_is_substituted_and_a_value_assigned() -> None:
    run = Run("Search", constants={"Log": "LargerLog", "Deposed": "TRUE", "Events": "{1, 2}"})
    own = "  Log <- SmallLog\n  Deposed = FALSE\n  Events = {1}\n  Without = {}\n"
    assert run.configured(own).splitlines() == [
        "  Log <- LargerLog",
        "  Deposed = TRUE",
        "  Events = {1, 2}",
        "  Without = {}",
    ]


def test_a_complete_run_tells_its_states() -> None:
    verdict = read_verdict(HOLDS, was_cut_off=False)
    assert verdict.text == (
        "holds, 48,820 distinct states of 164,356, depth 30, explored completely"
    )


def test_a_violation_tells_its_steps() -> None:
    verdict = read_verdict(BREAKS, was_cut_off=False)
    assert verdict.text == "Sound is violated after 2 steps"


def test_a_model_that_must_hold_fails_when_it_breaks() -> None:
    assert Run("Search").is_met_by(read_verdict(HOLDS, was_cut_off=False))
    assert not Run("Search").is_met_by(read_verdict(BREAKS, was_cut_off=False))


def test_a_weakened_model_fails_when_it_holds_or_breaks_elsewhere() -> None:
    weakened = Run("Search", without=("refresh before progress",), breaks="Sound")
    assert weakened.is_met_by(read_verdict(BREAKS, was_cut_off=False))
    assert not weakened.is_met_by(read_verdict(HOLDS, was_cut_off=False))
    elsewhere = BREAKS.replace("Invariant Sound", "Invariant ProgressIsShown")
    assert not weakened.is_met_by(read_verdict(elsewhere, was_cut_off=False))


def test_only_a_larger_run_may_be_cut_off() -> None:
    verdict = read_verdict(CUT_OFF, was_cut_off=True)
    assert verdict.text == "nothing found in 383 distinct states of 1,140, not explored completely"
    assert Run("Search", larger=True).is_met_by(verdict)
    assert not Run("Search").is_met_by(verdict)
    weakened = Run("Search", without=("refresh before progress",), breaks="Sound")
    assert not weakened.is_met_by(verdict)


def test_what_tlc_refuses_fails_every_run() -> None:
    verdict = read_verdict("Error: TLC threw an unexpected exception.\n", was_cut_off=False)
    assert not Run("Search").is_met_by(verdict)
    assert not Run("Search", larger=True).is_met_by(verdict)


def test_a_run_reads_its_models_configuration_and_leaves_nothing(tmp_path: Path) -> None:
    java = program(tmp_path, f"cat <<'END'\n{HOLDS}END\necho $* >{tmp_path}/called")
    verdict = Tlc(java, tmp_path / "tlc.jar", deadline_s=60).check(Run("Search"), MODELS)
    assert verdict.is_complete
    called = (tmp_path / "called").read_text().split()
    assert called[-1] == "Search.tla"
    assert not Path(called[called.index("-config") + 1]).exists()


def test_a_run_ends_at_its_deadline(tmp_path: Path) -> None:
    java = program(tmp_path, f"printf '%s' '{CUT_OFF}'\nexec tail -f /dev/null")
    verdict = Tlc(java, tmp_path / "tlc.jar", deadline_s=1).check(Run("Search"), MODELS)
    assert not verdict.is_complete
    assert verdict.distinct == 383


def test_to_check_nothing_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["Nobody"]) == 1
    assert "there is no such run" in capsys.readouterr().err
