"""Digests of files and folders, and the check that they are the expected ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

from deploy.engines.errors import DigestError


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 of a folder's listing: digest and name of every file, by name."""
    listing = "".join(f"{file_digest(path)}  {path.name}\n" for path in sorted(folder.iterdir()))
    return hashlib.sha256(listing.encode()).hexdigest()


def check_digest(path: Path, expected: str) -> None:
    """Check a file or a folder.

    Raises:
        DigestError: it is not the expected one.
    """
    actual = folder_digest(path) if path.is_dir() else file_digest(path)
    if actual != expected:
        raise DigestError(
            f"{path.name} has the digest {actual}, not {expected}; "
            "try again, and when it repeats, do not use what the registry gives"
        )
