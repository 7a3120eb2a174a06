"""Relay's `Node`, and the pages of its connections."""

from __future__ import annotations

import strawberry
from strawberry.relay import PageInfo

from gateway.freshness.served import ServedFrom
from gateway.readers import Page
from gateway.schema.info import Info


@strawberry.interface(description="Anything that can be found again by its id.")
class Node:
    """Implemented by customers, orders and products."""

    id: strawberry.ID


def page_info(cursors: list[str], *, has_next: bool, after: str | None) -> PageInfo:
    """Return the page info of a forward page with these cursors."""
    return PageInfo(
        has_next_page=has_next,
        has_previous_page=after is not None,
        start_cursor=cursors[0] if cursors else None,
        end_cursor=cursors[-1] if cursors else None,
    )


def told_if_empty(info: Info, page: Page) -> Page:
    """Return the page; record it as an absence if there is nothing."""
    if page.is_empty:
        info.context.freshness.absent(info)
    return page


def served_by_repeat(info: Info, sources: tuple[str, ...]) -> None:
    """Record that this field is a kept answer of a write service, of which no age is proven.

    When it was kept, only the service's own clock knows.
    """
    info.context.freshness.served(
        info, read_model=None, sources=sources, served_from=ServedFrom.CACHE
    )


def served_by_source(info: Info, sources: tuple[str, ...], asked_s: float) -> None:
    """Record that the write services answered this field; they were asked at `asked_s`."""
    info.context.freshness.served(
        info, read_model=None, sources=sources, served_from=ServedFrom.SOURCE, asked_s=asked_s
    )
