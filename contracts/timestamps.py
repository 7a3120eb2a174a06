"""The one text form of a moment in documents: UTC, always with microseconds.

Texts of one length sort like the moments that they stand for; read models sort and filter by them.
"""

from __future__ import annotations

from datetime import UTC, datetime


def to_text(moment: datetime) -> str:
    """Return the moment as it stands in documents, e.g. `2026-11-24T10:00:00.120000+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """Read a moment from any ISO 8601 text with an offset."""
    return datetime.fromisoformat(text)
