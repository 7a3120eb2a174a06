"""Lets `python -m deploy.model` run."""

from __future__ import annotations

import sys

from deploy.model.command_line import main

sys.exit(main(sys.argv[1:]))
