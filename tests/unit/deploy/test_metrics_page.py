"""docs/reference/metrics.md, made of what the code declares."""

from __future__ import annotations

from pathlib import Path

from deploy.metrics_page import render
from slackwater.metrics import DESCRIPTIONS

PAGE = Path(__file__).parents[3] / "docs/reference/metrics.md"


def test_the_page_is_what_the_code_declares() -> None:
    assert PAGE.read_text() == render(DESCRIPTIONS)


def test_every_metric_has_a_name_of_its_own_with_its_unit() -> None:
    names = [about.name for about in DESCRIPTIONS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("slackwater_") for name in names)
    assert all(about.name.endswith("_total") for about in DESCRIPTIONS if about.kind == "counter")
    assert all(
        about.name.endswith("_seconds") for about in DESCRIPTIONS if about.kind == "histogram"
    )
