"""Runs the real command where no driver of an engine is installed, as after `make run`."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec

DRIVERS = frozenset(
    {"aiokafka", "bson", "elastic_transport", "elasticsearch", "psycopg", "pymongo"}
)


class _NotInstalled(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        if fullname.partition(".")[0] in DRIVERS:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return None


if __name__ == "__main__":
    sys.meta_path.insert(0, _NotInstalled())
    from slackwater.command_line.main import main

    main()
