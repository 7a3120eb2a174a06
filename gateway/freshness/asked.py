"""What a request wants to be told of freshness: in its `extensions` or in a header.

extensions: {"freshness": {"detail": "OFF" | "SUMMARY" | "FULL", "explain": true}}
Slackwater-Freshness: FULL; explain
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from gateway.errors import BadUserInput

HEADER = "Slackwater-Freshness"


class Detail(StrEnum):
    """How much is told: nothing, the read models, or every field, too."""

    OFF = "OFF"
    SUMMARY = "SUMMARY"
    FULL = "FULL"


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is told; the body's `extensions` go before the header."""

    detail: Detail = Detail.FULL
    explain: bool = False


_FULL = Asked()


def asked_of(extensions: Mapping[str, Any] | None, header: str | None) -> Asked:
    """Read what a request wants to be told.

    Raises:
        BadUserInput: a word is unknown.
    """
    if extensions and extensions.get("freshness") is not None:
        return _from_extensions(extensions["freshness"])
    return _from_header(header) if header and header.strip() else _FULL


def _from_extensions(value: Any) -> Asked:
    try:
        return msgspec.convert(value, Asked)
    except msgspec.ValidationError as error:
        message = (
            f"extensions.freshness is invalid ({error}); send "
            '{"detail": "OFF" | "SUMMARY" | "FULL", "explain": true | false}'
        )
        raise BadUserInput(message) from error


def _from_header(header: str) -> Asked:
    words = [word.strip() for word in header.split(";")]
    explain = any(word.lower() == "explain" for word in words)
    details = [word.upper() for word in words if word.lower() != "explain"]
    if len(details) > 1 or any(word not in Detail.__members__ for word in details):
        message = f"the header {HEADER} is invalid; send OFF, SUMMARY or FULL, then `; explain`"
        raise BadUserInput(message)
    return Asked(Detail(details[0]) if details else Detail.FULL, explain)
