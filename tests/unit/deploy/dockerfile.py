"""Reads a Dockerfile and replays the steps of its first stage below a folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

_BUILD_S = 240


class Dockerfile:
    """Its stages, each a list of instructions with their text."""

    def __init__(self, path: Path) -> None:
        text = re.sub(r"\\\n\s*", "", path.read_text())
        self.stages: list[list[tuple[str, str]]] = []
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            name, _, words = line.partition(" ")
            if name == "FROM":
                self.stages.append([])
            self.stages[-1].append((name, words))


def replay(dockerfile: Dockerfile, context: Path, root: Path, interpreter: str) -> None:
    """Do what COPY, WORKDIR, ENV and RUN say; absolute paths are taken below `root`."""
    folder, path = root, os.environ["PATH"]
    for name, words in dockerfile.stages[0]:
        if name == "WORKDIR":
            folder = root / words.lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
        elif name == "ENV":
            path = f"{root}/opt/slackwater/bin:{path}"
        elif name == "COPY":
            _copy(words, context, folder, root)
        elif name == "RUN":
            _run(words, folder, root, path, interpreter)


def _copy(words: str, context: Path, folder: Path, root: Path) -> None:
    options = re.findall(r"--chmod=(\d+)", words)
    *sources, target = [word for word in words.split() if not word.startswith("--")]
    for source in sources:
        to = root / target.lstrip("/") if target.startswith("/") else folder / target
        to = to / source if target.endswith("/") else to
        if (context / source).is_dir():
            shutil.copytree(context / source, to, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(context / source, to)
        for mode in options:
            to.chmod(int(mode, 8))


def _run(words: str, folder: Path, root: Path, path: str, interpreter: str) -> None:
    command = words.replace("/opt/", f"{shlex.quote(str(root))}/opt/")
    if command.startswith("python "):
        command = f"{shlex.quote(interpreter)} {command.removeprefix('python ')}"
    done = subprocess.run(
        ["sh", "-ec", command],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=_BUILD_S,
        check=False,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
