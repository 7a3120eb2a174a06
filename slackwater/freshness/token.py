"""Consistency tokens: what a client has written, so that its next reads can be asked to show it.

A token holds a tick of each source, read after the write's commit had returned, and the versions of
a few aggregates. A read model that has reached a later tick of that source reflects the write. A
token promises the write, never what follows from it later. A tick counts in its own timeline alone:
after its source was restored, a token is never taken for reached. Tokens are signed, so that nobody
can make up ticks that never come.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

import msgspec

from slackwater.errors import InvalidTokenError
from slackwater.watermarks.tick import Tick

_FORMAT = 2
_TWO_TIMELINES = "two"
_SIGNATURE_BYTES = 16
_LENGTH_MAX = 2_048
_SOURCES_MAX = 16
_AGGREGATES_MAX = 8


class ConsistencyToken(msgspec.Struct, frozen=True, kw_only=True):
    """Ticks by source, and versions by aggregate id (the fast path of look-ups by key)."""

    ticks: dict[str, Tick] = {}
    versions: dict[str, int] = {}

    def merge(self, other: ConsistencyToken) -> ConsistencyToken:
        """Return the token that demands what both demand."""
        return ConsistencyToken(
            ticks={
                source: _later(self.ticks.get(source), other.ticks.get(source))
                for source in {**self.ticks, **other.ticks}
            },
            versions=_newest(self.versions, other.versions),
        )

    @classmethod
    def merged(cls, tokens: Iterable[ConsistencyToken]) -> ConsistencyToken:
        """Merge any number of tokens; of none, the token that demands nothing."""
        merged = cls()
        for token in tokens:
            merged = merged.merge(token)
        return merged


class _Payload(msgspec.Struct, array_like=True, frozen=True):
    format: int
    ticks: dict[str, Tick]
    versions: dict[str, int]


class TokenSigner:
    """Makes and reads tokens with a secret that all gateways of an installation share."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def encode(self, token: ConsistencyToken) -> str:
        """Return the token's text: URL-safe, opaque to clients."""
        payload = msgspec.msgpack.encode(_Payload(_FORMAT, token.ticks, token.versions))
        return base64.urlsafe_b64encode(self._sign(payload) + payload).rstrip(b"=").decode()

    def decode(self, text: str) -> ConsistencyToken:
        """Read a token back.

        Raises:
            InvalidTokenError: it is too long, broken, or was not signed with our secret.
        """
        payload = self._verified(text)
        try:
            decoded = msgspec.msgpack.decode(payload, type=_Payload)
        except msgspec.MsgspecError as error:
            raise _invalid("it cannot be read") from error
        if decoded.format != _FORMAT or len(decoded.ticks) > _SOURCES_MAX:
            raise _invalid("its format is unknown")
        if len(decoded.versions) > _AGGREGATES_MAX:
            raise _invalid(f"it names over {_AGGREGATES_MAX} aggregates")
        return ConsistencyToken(ticks=decoded.ticks, versions=decoded.versions)

    def _verified(self, text: str) -> bytes:
        if len(text) > _LENGTH_MAX:
            raise _invalid(f"it is longer than {_LENGTH_MAX} characters")
        try:
            raw = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except (UnicodeEncodeError, binascii.Error, ValueError) as error:
            raise _invalid("it is no token") from error
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(payload)):
            raise _invalid("its signature is wrong")
        return payload

    def _sign(self, payload: bytes) -> bytes:
        return hmac.digest(self._secret, payload, hashlib.sha256)[:_SIGNATURE_BYTES]


def _later(left: Tick | None, right: Tick | None) -> Tick:
    """Return the tick that demands what both demand; of two timelines nobody ever reaches both."""
    ticks = [tick for tick in (left, right) if tick is not None]
    later = max(ticks)
    if all(tick.timeline == later.timeline for tick in ticks):
        return later
    return later._replace(timeline=_TWO_TIMELINES)


def _newest(left: dict[str, int], right: dict[str, int]) -> dict[str, int]:
    """Merge versions and keep the last few: without one, a read only waits for the tick."""
    merged = {**left}
    for aggregate, version in right.items():
        merged[aggregate] = max(version, merged.pop(aggregate, 0))
    return dict(list(merged.items())[-_AGGREGATES_MAX:])


def _invalid(reason: str) -> InvalidTokenError:
    return InvalidTokenError(
        f"the consistency token is invalid: {reason}; use it exactly as a mutation returned it"
    )
