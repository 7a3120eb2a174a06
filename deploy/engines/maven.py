"""Fetches Java artifacts with Maven, into a repository of its own for each thing.

Maven verifies each file's checksum and goes on with a file that was interrupted; two of it may not
share a repository.
"""

from __future__ import annotations

from pathlib import Path

from deploy.engines.downloads import Fetching, size_of
from deploy.engines.programs import program

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1"
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>engines</groupId><artifactId>{name}</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>{dependencies}
  </dependencies>
</project>
"""
_DEPENDENCY = """
    <dependency>
      <groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>
    </dependency>"""


class Maven:
    """The `mvn` of this machine."""

    def __init__(self, fetching: Fetching) -> None:
        self._fetching = fetching
        self._repository = fetching.parts

    def fetch_jars(self, name: str, coordinates: list[str], *, total_bytes: int) -> Path:
        """Fetch artifacts with all that they need; return the folder of the jars."""
        pom, jars = self._fetching.folder / "pom.xml", self._fetching.folder / "jars"
        pom.write_text(pom_text(name, coordinates))
        self._fetching.run(
            [*self._command("copy-dependencies"), "-f", pom, "-DincludeScope=runtime",
             f"-DoutputDirectory={jars}"],
            f"{name} (jars)",
            size=lambda: size_of(self._repository),
            total_bytes=total_bytes,
        )  # fmt: skip
        return jars

    def fetch_file(self, coordinates: str, *, total_bytes: int) -> Path:
        """Fetch one file, `group:artifact:version:type`; return its path in the repository."""
        group, artifact, version, kind = coordinates.split(":")
        folder = self._repository.joinpath(*group.split("."), artifact, version)
        self._fetching.run(
            [*self._command("get"), f"-Dartifact={coordinates}", "-Dtransitive=false"],
            f"{artifact} {version}",
            size=lambda: size_of(folder),
            total_bytes=total_bytes,
        )
        return folder / f"{artifact}-{version}.{kind}"

    def _command(self, goal: str) -> list[str | Path]:
        return [
            program("mvn", package="maven"),
            "--batch-mode",
            "--quiet",
            "--strict-checksums",
            f"-Dmaven.repo.local={self._repository}",
            f"{_PLUGIN}:{goal}",
        ]


def pom_text(name: str, coordinates: list[str]) -> str:
    """Return a project that needs the artifacts, each `group:artifact:version`."""
    dependencies = "".join(_DEPENDENCY.format(*each.split(":")) for each in coordinates)
    return _POM.format(name=name, dependencies=dependencies)
