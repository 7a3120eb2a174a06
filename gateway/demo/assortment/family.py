"""A family of articles: one kind of thing in several sizes, written down as a table.

The first row of a table names its columns. `sku` and `price` (EUR) are always there; name and
description are templates over the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from contracts.money import Money

CURRENCY = "EUR"


class Article(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is sold."""

    sku: str
    name: str
    description: str
    price: Money


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of thing; `code` is the middle of its skus."""

    code: str
    name: str
    description: str
    table: str


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """A department of the wholesaler; `code` begins its skus."""

    code: str
    families: tuple[Family, ...]

    def articles(self) -> Iterator[Article]:
        """Yield every article, in the order written down."""
        for family in self.families:
            for row in _rows(family.table):
                yield _article(f"{self.code}-{family.code}-{row['sku']}", family, row)


def _rows(table: str) -> Iterator[dict[str, str]]:
    header, *lines = (line.split("|") for line in table.strip().splitlines())
    columns = [column.strip() for column in header]
    for cells in lines:
        yield dict(zip(columns, (cell.strip() for cell in cells), strict=True))


def _article(sku: str, family: Family, row: dict[str, str]) -> Article:
    return Article(
        sku=sku,
        name=family.name.format(**row),
        description=family.description.format(**row),
        price=Money.parse(Decimal(row["price"]), CURRENCY),
    )
