"""The Dockerfile's steps, replayed without a container engine: what they build starts."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.deploy.dockerfile import Dockerfile, replay

ROOT = Path(__file__).parents[3]
BUILD_S = 300
START_S = 30


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """The file system that the build makes, in a folder that anybody can reach."""
    root = Path(tempfile.mkdtemp(prefix="slackwater-image-", dir="/var/tmp"))
    root.chmod(0o755)
    try:
        replay(Dockerfile(ROOT / "deploy" / "Dockerfile"), ROOT, root, interpreter())
        yield root
    finally:
        shutil.rmtree(root)


def interpreter() -> str:
    """This Python, or another of its version where others than root cannot reach this one."""
    found = [sys.executable, f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"]
    for each in map(os.path.realpath, found):
        if os.geteuid() != 0 or all(p.stat().st_mode & 0o001 for p in Path(each).parents):
            return each
    pytest.skip(f"no Python among {found} that a user other than root can start")


def run_in(image: Path, *command: str, port: int = 8000) -> subprocess.Popen[str]:
    """Start a program of the image, as nobody when this is root."""
    nobody = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    data = image / "var/lib/slackwater"
    data.mkdir(parents=True, exist_ok=True)
    if nobody is not None:
        os.chown(data, nobody, -1)
    return subprocess.Popen(
        [image / "opt/slackwater/bin" / command[0], *command[1:]],
        cwd="/",
        env={
            "PATH": f"{image}/opt/slackwater/bin:/usr/bin:/bin",
            "SLACKWATER_DATA_DIR": str(data),
            "SLACKWATER_PORT": str(port),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        user=nobody,
        extra_groups=None if nobody is None else [],
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def answer_of(image: Path, target: str) -> str:
    """Ask with the image's own health check until it is content."""
    give_up_s = time.monotonic() + START_S
    while True:
        check = run_in(image, "is-healthy", target)
        answer = check.communicate(timeout=START_S)[0]
        if check.returncode == 0:
            return answer
        assert time.monotonic() < give_up_s, answer


@pytest.mark.slow
@pytest.mark.timeout(BUILD_S)
def test_the_command_line_starts(image: Path) -> None:
    shown = run_in(image, "slackwater", "--help")
    assert "gateway" in shown.communicate(timeout=START_S)[0]
    assert shown.returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(BUILD_S)
def test_the_gateway_is_alive_and_the_health_check_sees_it(image: Path) -> None:
    port = free_port()
    gateway = run_in(image, "slackwater", "gateway", port=port)
    try:
        assert json.loads(answer_of(image, f"{port}/livez")) == {"status": "alive"}
    finally:
        gateway.terminate()
        gateway.communicate(timeout=START_S)
    check = run_in(image, "is-healthy", f"{port}/livez")
    assert "no answer" in check.communicate(timeout=START_S)[0]
    assert check.returncode == 1


def test_it_runs_as_a_user_without_rights() -> None:
    [*_, last] = Dockerfile(ROOT / "deploy" / "Dockerfile").stages
    assert [words for name, words in last if name == "USER"] == ["10001"]
    assert not [words for name, words in last if name == "RUN" and "pip" in words]


def test_nothing_is_copied_that_the_context_leaves_out() -> None:
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    [build, _] = Dockerfile(ROOT / "deploy" / "Dockerfile").stages
    copied = [words.split() for name, words in build if name == "COPY"]
    sources = {word for words in copied for word in words[:-1] if not word.startswith("--")}
    assert sources == allowed
