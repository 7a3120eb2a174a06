"""Lets `python -m slackwater.command_line` do the same as `slackwater`."""

from __future__ import annotations

from slackwater.command_line.main import main

main()
