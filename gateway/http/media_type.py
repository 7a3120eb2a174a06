"""The media type of an answer, chosen by the request's Accept header.

`application/json` is the answer to clients that do not care, as the GraphQL-over-HTTP specification
asks of servers: old clients take any status but 200 for a broken network.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.http.refusal import Refusal


class MediaType(StrEnum):
    """What the gateway can answer with."""

    JSON = "application/json"
    GRAPHQL = "application/graphql-response+json"
    EVENTS = "text/event-stream"


_HTML = "text/html"
_CHOICES = {
    "*/*": MediaType.JSON,
    "application/*": MediaType.JSON,
    **{media_type.value: media_type for media_type in MediaType},
}


def negotiated(accept: str | None) -> MediaType:
    """Return what the client likes best; of equals, what it names first.

    Raises:
        Refusal: 406, it accepts nothing that we have.
    """
    if not accept:
        return MediaType.JSON
    for name in _liked(accept):
        if name in _CHOICES:
            return _CHOICES[name]
    raise Refusal(f"no such answer can be given; accept {MediaType.GRAPHQL}", status=406)


def prefers_html(accept: str | None) -> bool:
    """Tell whether a browser asks: it likes a page better than any answer, or names it first."""
    known = (name for name in _liked(accept or "") if name == _HTML or name in _CHOICES)
    return next(known, None) == _HTML


def _liked(accept: str) -> list[str]:
    """Return what the client accepts, the best first; of equals, what it names first."""
    ranges = sorted((_parsed(item) for item in accept.split(",")), key=lambda r: r[1], reverse=True)
    return [name for name, quality in ranges if quality > 0]


def _parsed(item: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in item.split(";"))
    quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 0.0
