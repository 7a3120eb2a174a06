"""What is told of an engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """STARTING: its process runs and does not answer yet, or no longer."""

    READY = "ready"
    STARTING = "starting"
    STOPPED = "stopped"


@dataclass(frozen=True)
class State:
    """One engine as it is now."""

    condition: Condition
    setting: str
    url: str
    pid: int | None = None
    """None where it is stopped or runs in a container."""
