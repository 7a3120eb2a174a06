"""Where on this machine the hosts and ports of a compose file are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from tests.compose_file import ComposeFile
from tests.engines import engine_url

ENGINES = frozenset({"postgres", "kafka", "mongo", "elasticsearch"})
_FIRST_PORT = 8000


class Places:
    """Puts the addresses of this machine in the place of those that the file's network knows.

    An address of ours counts only with the port at which that very container listens; any other
    stays as it is, and leads nowhere.
    """

    def __init__(self, file: ComposeFile, *, port: int, postgresql_url: str) -> None:
        """Know every address.

        Args:
            file: whose hosts they are.
            port: that stands for 8000; those after it follow.
            postgresql_url: of the database that stands for `slackwater`.
        """
        self.port = port
        addresses = {**_of_engines(postgresql_url), **self._of_ours(file)}
        words = "|".join(map(re.escape, addresses))
        self._addresses = addresses
        self._known = re.compile(rf"(?<![\w.-])(?:{words})(?!\w)")

    def here(self, text: str) -> str:
        """Return the text with every known address replaced."""
        return self._known.sub(lambda found: self._addresses[found[0]], text)

    def target(self, target: str) -> str:
        """Return what `is-healthy` asks: `8001/readyz` with the port of this machine."""
        port, _, path = target.partition("/")
        return f"{self._shifted(port)}/{path}"

    def _of_ours(self, file: ComposeFile) -> Mapping[str, str]:
        checks = {name: service["healthcheck"] for name, service in file.services.items()}
        ports = {
            name: check["test"][-1].partition("/")[0]
            for name, check in checks.items()
            if "is-healthy" in check.get("test", [])
        }
        return {f"{name}:{at}": f"127.0.0.1:{self._shifted(at)}" for name, at in ports.items()}

    def _shifted(self, port: str) -> int:
        return self.port + int(port) - _FIRST_PORT


def _of_engines(postgresql_url: str) -> Mapping[str, str]:
    postgresql = urlsplit(postgresql_url)
    return {
        "postgres:5432/slackwater": f"{postgresql.hostname}:{postgresql.port}{postgresql.path}",
        "kafka:9092": engine_url("kafka"),
        # Whole, because the other server is one that is not asked for its replica set.
        "mongodb://mongo:27017/slackwater?replicaSet=rs0": engine_url("mongodb"),
        "http://elasticsearch:9200": engine_url("elasticsearch"),
    }
