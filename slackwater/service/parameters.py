"""Parameters of queries, read from text; what cannot be read is the caller's error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from slackwater.service.definition import InvalidQueryError

_LIST_MAX = 100


def required(parameters: Mapping[str, str], name: str) -> str:
    """Return a parameter that must be there.

    Raises:
        InvalidQueryError: it is missing or empty.
    """
    value = parameters.get(name)
    if not value:
        raise InvalidQueryError(f"parameter {name} is missing; add it")
    return value


def listed(parameters: Mapping[str, str], name: str) -> list[str]:
    """Return the values between commas, each once, at most a hundred.

    Raises:
        InvalidQueryError: the parameter is missing, or names too many.
    """
    values = list(dict.fromkeys(filter(None, required(parameters, name).split(","))))
    if len(values) > _LIST_MAX:
        raise InvalidQueryError(f"{name} has {len(values)} values; ask for at most {_LIST_MAX}")
    return values


def count_up_to(parameters: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    """Return a number from 0 to `most`.

    Raises:
        InvalidQueryError: it is no such number.
    """
    value = parameters.get(name, str(default))
    is_number = value.isascii() and value.isdecimal() and len(value) <= len(str(most))
    if not is_number or int(value) > most:
        raise InvalidQueryError(f"{name} must be a number from 0 to {most}, not {value!r}")
    return int(value)


def moment(value: str, name: str) -> datetime:
    """Read an instant in ISO 8601, with its offset from UTC.

    Raises:
        InvalidQueryError: it is no instant, or its offset is missing.
    """
    try:
        read = datetime.fromisoformat(value)
        in_utc = read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidQueryError(f"{name} is no time in ISO 8601: {value!r}; mend it") from error
    if read.tzinfo is None:
        raise InvalidQueryError(f"{name} lacks its offset from UTC: {value!r}; add Z")
    return in_utc
