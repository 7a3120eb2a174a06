"""The tree of errors; every message ends with the remedy."""

from __future__ import annotations


class SlackwaterError(Exception):
    """Something that Slackwater cannot do, with the remedy in its message."""

    code = "INTERNAL_SERVER_ERROR"


class TransientError(SlackwaterError):
    """Trouble that passes by itself; the same step is worth another try."""


class PoisonousEventError(SlackwaterError):
    """One event that its consumer can never handle; retrying does not help."""


class StructuralError(SlackwaterError):
    """The set-up is wrong: no event can be handled until somebody mends it."""


class ConfigurationError(StructuralError):
    """A setting is unknown, missing or invalid."""


class FencedError(SlackwaterError):
    """Another process has taken over this role; this one must stop and may not write."""


class ConflictError(TransientError):
    """The rows changed between reading and writing; load them anew and fold again."""


class UnknownOutcomeError(TransientError):
    """The connection was lost at a commit, which may have happened or not.

    Repeat only what a repeat cannot double (an idempotency key, an inbox); look before you repeat
    anything else.
    """


class WrongVersionError(SlackwaterError):
    """A stream is not at the expected version; load it and decide again."""

    def __init__(self, stream_id: str, expected: int, actual: int) -> None:
        self.stream_id = stream_id
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"stream {stream_id} is at version {actual}, not {expected}; load it and decide again"
        )


class InvalidTokenError(SlackwaterError):
    """A consistency token is broken, forged or from another installation."""

    code = "INVALID_CONSISTENCY_TOKEN"
