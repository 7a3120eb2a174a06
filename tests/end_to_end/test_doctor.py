"""`slackwater doctor` on embedded storage: what it finds and says, and that it leaves all alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.doctor_run import diagnose, run_doctor
from tests.end_to_end.harness import Running, free_port_block, running

# Root may write anywhere, except without this capability.
_AS_ANYBODY = ("setpriv", "--bounding-set", "-dac_override") if os.geteuid() == 0 else ()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("doctor") / "data") as installation:
        yield installation


@pytest.fixture
def port() -> str:
    """A port at which nothing answers, nor at those after it."""
    return str(free_port_block())


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    tmp_path.chmod(0o555)
    yield tmp_path
    tmp_path.chmod(0o755)


def test_a_fresh_folder_is_well_and_stays_untouched(tmp_path: Path, port: str) -> None:
    diagnosis = diagnose(tmp_path / "data", "--port", port)
    assert diagnosis.status == 0
    verdicts = {each["check"]: each["verdict"] for each in diagnosis.subject("data folder")}
    assert verdicts == {
        "folder writable": "ok",
        "free disk space": "ok",
        "SQLite version": "ok",
    }
    assert list(tmp_path.iterdir()) == []


def test_parts_that_do_not_run_are_a_caution(tmp_path: Path, port: str) -> None:
    diagnosis = diagnose(tmp_path, "--port", port)
    assert diagnosis.report["verdict"] == "caution"
    found = diagnosis.subject("gateway and services")
    assert [each["check"] for each in found] == ["gateway", "customers", "inventory", "orders"]
    assert {each["verdict"] for each in found} == {"caution"}
    assert {each["remedy"] for each in found} == {
        "slackwater run starts everything on this machine"
    }


@pytest.mark.parametrize("below", [".", "not/yet/there"])
def test_a_read_only_folder_is_broken_and_told_with_its_remedy(
    read_only: Path, below: str, port: str
) -> None:
    diagnosis = diagnose(read_only / below, "--port", port, wrapped_in=_AS_ANYBODY)
    assert diagnosis.status == 1
    assert diagnosis.report["verdict"] == "broken"
    finding = diagnosis.finding("data folder", "folder writable")
    assert finding["verdict"] == "broken"
    assert finding["found"] == f"nothing can be written to {read_only} (Permission denied)"
    assert finding["remedy"].endswith("choose another folder with --data-dir")
    assert len(diagnosis.broken()) == 1


def test_a_file_in_the_folders_place_is_broken(tmp_path: Path, port: str) -> None:
    (tmp_path / "file").touch()
    diagnosis = diagnose(tmp_path / "file", "--port", port)
    assert [each[:2] for each in diagnosis.broken()] == [("data folder", "folder writable")]


def test_everything_of_a_running_installation_is_well(installation: Running) -> None:
    diagnosis = diagnose(installation.data_dir, "--thorough", "--port", str(installation.port))
    assert diagnosis.report["verdict"] == "ok", diagnosis.report
    checks = {each["check"]: each["found"] for each in diagnosis.subject("data folder")}
    assert checks["migrations of orders"] == "at 0006, the newest"
    assert "whole: services/orders.sqlite" in checks
    assert "whole: log/topic-watermarks.sqlite" in checks


def test_a_damaged_file_is_found_when_it_is_read_whole(tmp_path: Path, port: str) -> None:
    damaged = tmp_path / "documents.sqlite"
    damaged.write_bytes(b"no database at all " * 1_000)
    assert diagnose(tmp_path, "--port", port).broken() == []
    diagnosis = diagnose(tmp_path, "--port", port, "--thorough")
    assert [each[:2] for each in diagnosis.broken()] == [("data folder", "whole: documents.sqlite")]


def test_a_damaged_database_is_broken_without_being_asked(tmp_path: Path, port: str) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "orders.sqlite").write_bytes(b"no database at all " * 1_000)
    finding = diagnose(tmp_path, "--port", port).finding("data folder", "migrations of orders")
    assert finding["verdict"] == "broken"
    assert finding["remedy"].endswith("restore it from a copy")


def test_another_program_on_a_parts_port_is_broken(tmp_path: Path, port: str) -> None:
    with _web_server(int(port)):
        diagnosis = diagnose(tmp_path, "--port", port)
    assert diagnosis.broken() == [
        ("gateway and services", "gateway", f"another program answers at http://127.0.0.1:{port}")
    ]


@contextmanager
def _web_server(port: int) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler)  # refuses to GET
    serving = Thread(target=server.serve_forever)
    serving.start()
    try:
        yield
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def test_the_json_has_the_documented_shape(tmp_path: Path, port: str) -> None:
    report = diagnose(tmp_path, "--port", port).report
    assert list(report) == ["version", "verdict", "subjects"]
    assert report["version"] == 1
    folder = report["subjects"][0]
    assert list(folder) == ["name", "serves", "address", "findings"]
    assert folder["serves"] == ["services' databases", "event log", "documents", "search"]
    assert folder["address"] == str(tmp_path)
    for finding in (finding for each in report["subjects"] for finding in each["findings"]):
        assert list(finding) == ["check", "found", "verdict", "remedy"]
        assert (finding["remedy"] is None) == (finding["verdict"] == "ok")


def test_off_a_terminal_it_is_plain_text_with_each_finding_on_one_line(
    tmp_path: Path, port: str
) -> None:
    ran = run_doctor(tmp_path, "--port", port, settings={"COLUMNS": "40"})
    assert ran.returncode == 0
    assert "\x1b" not in ran.stdout + ran.stderr
    assert f"caution  gateway          nothing answers at http://127.0.0.1:{port}" in ran.stdout
    assert ran.stdout.count("→ slackwater run starts everything on this machine") == 1
    assert ran.stdout.splitlines()[-1] == "3 ok, 4 caution, nothing broken"
