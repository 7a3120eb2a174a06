"""Commands say clearly what is wrong, and setting up twice is harmless."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.end_to_end.harness import free_port_block


def _try(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "slackwater.command_line", *arguments]
    return subprocess.run(
        [*command, "--data-dir", str(data_dir)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _run(data_dir: Path, *arguments: str) -> str:
    ran = _try(data_dir, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("db", "migrate"), "orders: migrated"),
        (("db", "migrate", "orders"), "orders: migrated"),
        (("topics", "create"), "orders.events: 4 partitions, keeps everything"),
    ],
)
def test_setting_up_twice_says_the_same(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    first = _run(tmp_path, *arguments)
    assert said in first
    assert _run(tmp_path, *arguments) == first


@pytest.mark.parametrize("offset", [0, 2])
def test_a_taken_port_is_refused_before_anything_is_started(tmp_path: Path, offset: int) -> None:
    port = free_port_block()
    with socket.create_server(("127.0.0.1", port + offset)):
        refused = _try(tmp_path / "data", "run", "--port", str(port))
    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port + offset}" in refused.stderr
    assert "Slackwater is ready" not in refused.stderr
    assert not (tmp_path / "data" / "services").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("relay", "nope"), "registered: customers, inventory, orders"),
        (("projector", "nope"), "registered: customer_orders, order_search, orders, products"),
        (("service", "nope"), "registered: customers, inventory, orders"),
        (("verify",), "holds no installation"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    refused = _try(tmp_path, *arguments)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_data_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = _try(tmp_path / "file", "run")
    assert refused.returncode == 1
    assert "choose another folder with --data-dir" in refused.stderr
