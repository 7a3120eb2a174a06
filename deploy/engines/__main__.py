"""Lets `python -m deploy.engines` run."""

from __future__ import annotations

import sys

from deploy.engines.command_line import main

sys.exit(main(sys.argv[1:]))
