"""Identifiers: UUIDv7 as text. They are unique; nothing may take them for an order."""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    """Return a fresh UUIDv7 in its canonical text form."""
    return str(uuid_utils.uuid7())
