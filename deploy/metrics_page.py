"""Writes docs/reference/metrics.md: every metric that a process of Slackwater serves.

python -m deploy.metrics_page docs/reference/metrics.md [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from deploy.page import write_or_check
from slackwater.metrics import DESCRIPTIONS, Description

_OPENING = """# Metrics

`GET /metrics` on every process, in the text format of Prometheus. A process fills the metrics of
its parts; the gateway those of freshness. Names of services, consumers, read models and the words
below are all the labels that there are. Made by `make reference` of `slackwater/metrics.py`; do not
edit it.

| metric | kind | labels | what it tells |
| --- | --- | --- | --- |
"""


def render(descriptions: Sequence[Description]) -> str:
    """Return the page, which is the same as long as the declarations are."""
    return _OPENING + "".join(map(_row, sorted(descriptions, key=lambda each: each.name)))


def _row(about: Description) -> str:
    labels = ", ".join(f"`{label}`" for label in about.labels)
    return f"| `{about.name}` | {about.kind} | {labels} | {about.text} |\n"


if __name__ == "__main__":
    sys.exit(write_or_check("deploy.metrics_page", render(DESCRIPTIONS)))
