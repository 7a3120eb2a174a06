"""What can go wrong with an engine; every message ends with the remedy."""

from __future__ import annotations


class EngineError(Exception):
    """An engine cannot be had, started or stopped."""


class MissingProgramError(EngineError):
    """A program that an engine needs is not installed."""


class DigestError(EngineError):
    """What was fetched is not what was expected."""


class FetchError(EngineError):
    """A registry's client failed."""


class PortTakenError(EngineError):
    """Another program listens on the port."""


class NotReadyError(EngineError):
    """An engine died or did not answer before its deadline."""


class BusyError(EngineError):
    """Another start holds the lock for longer than anything here should take."""


class FolderError(EngineError):
    """An engine's own user cannot reach the folder of its data."""
