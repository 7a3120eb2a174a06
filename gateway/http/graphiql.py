"""GraphiQL for browsers, from our own origin alone.

The policy sent with the page lets it load nothing from elsewhere and send nothing elsewhere, so the
page works without a network and a foreign script could not be slipped in.
"""

from __future__ import annotations

import html
import re
from functools import cache
from pathlib import Path

from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from gateway.http.media_type import prefers_html

STATIC = Path(__file__).parent.parent / "static" / "graphiql"
_TABS = ("tour", "demand", "live")
_VERSIONED = re.compile(r"-\d+\.\d+\.\d+\.")
_YEAR_S = 31_536_000

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # The editor and the dialogs write style elements and attributes.
        "style-src 'self' 'unsafe-inline'",
        # The style sheet holds its fonts and cursors as data.
        "font-src data:",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}


def wants_page(http: HttpRequest) -> bool:
    """Tell whether a browser navigates to the address, rather than a client asking a query.

    A link that holds an operation, as people send each other, opens the page with it: the page
    takes `query` and `variables` from its own address, and leaves it to the reader to run them.
    """
    return http.method in ("GET", "HEAD") and prefers_html(http.headers.get("accept"))


def page() -> Response:
    """Return the page."""
    return HTMLResponse(_markup(), headers=_HEADERS)


def static_files() -> ASGIApp:
    """Return the application that serves the page's files."""
    return GZipMiddleware(_Files(directory=STATIC))


class _Files(StaticFiles):
    """Files whose names hold their versions never change; of the others, clients ask each time."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        immutable = bool(_VERSIONED.search(path))
        kept = f"public, max-age={_YEAR_S}, immutable" if immutable else "no-cache"
        response.headers["Cache-Control"] = kept
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


@cache
def _markup() -> str:
    markup = (STATIC / "page.html").read_text(encoding="utf-8")
    for tab in _TABS:
        operation = (STATIC / f"{tab}.graphql").read_text(encoding="utf-8")
        markup = markup.replace(f"{{{{{tab}}}}}", html.escape(operation))
    return markup
