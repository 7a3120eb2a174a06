"""The command line: `slackwater …`."""

from __future__ import annotations

from slackwater.command_line.main import main

__all__ = ["main"]
