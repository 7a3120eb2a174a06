"""Installations of the read model of things, in documents and in search."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from slackwater.installation import Installation
from slackwater.manifest import Manifest as RealManifest
from slackwater.read_models.sqlite_documents import SqliteDocumentStore
from slackwater.settings import load_settings
from slackwater.testing.doorbell import LocalDoorbell
from tests.unit.read_models import things
from tests.unit.read_models.replaying import Manifest, Projecting
from tests.unit.read_models.things import BROKEN, COLLECTIONS, MODEL, event

KINDS = {
    "documents": Manifest(
        things.PROJECTION, things.mended("things", collections=things.COLLECTIONS)
    ),
    "search": Manifest(things.SEARCHED, things.mended("things", index=things.INDEX)),
}


@pytest.fixture(params=KINDS)
async def installation(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Installation]:
    manifest = KINDS[request.param]
    manifest.is_mended = False
    installation = Installation(
        load_settings({"data_dir": tmp_path}), cast("RealManifest", manifest)
    )
    await installation.documents.progress.register(MODEL)
    yield installation
    await installation.close()


@pytest.fixture
async def documents(tmp_path: Path) -> AsyncIterator[SqliteDocumentStore]:
    documents = SqliteDocumentStore(tmp_path / "documents.db", LocalDoorbell())
    await documents.prepare(COLLECTIONS)
    await documents.progress.register(MODEL)
    yield documents
    await documents.close()


@pytest.fixture
async def empty(installation: Installation) -> Projecting:
    """A projector that was handed nothing yet."""
    return await Projecting(installation).begin()


@pytest.fixture
async def projecting(empty: Projecting) -> Projecting:
    """A projector that has parked three events of key a: 10 is applied, -1 is what is wrong."""
    await empty.handle(
        event("a1", 1, 10),
        event("a1", 2, BROKEN),
        event("b1", 1, 20),
        event("a2", 1, 30),
        event("a1", 3, 12),
    )
    return empty
