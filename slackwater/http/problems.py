"""Problem details (RFC 9457) with a code that programs can rely on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

CLIENT_CLOSED_REQUEST = 499
"""The status of an answer that goes to nobody; nginx coined it, and logs know it."""


def problem(
    status: int, code: str, detail: str, *, headers: dict[str, str] | None = None, **members: Any
) -> Response:
    """Return an `application/problem+json` response; `members` are added to it."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **members,
    }
    return Response(
        msgspec.json.encode(content),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def json_response(content: Any, status: int = 200) -> Response:
    """Return anything that msgspec can encode."""
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")
