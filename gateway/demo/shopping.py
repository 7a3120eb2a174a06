"""How the demo's customers shop: who orders how often, what, and how much of it.

Few customers order much and many order little, and so it is with articles. A line costs about what
a wholesaler's line costs, whether it is screws by the box or one welding set.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import msgspec

from gateway.demo.assortment.family import Article

LINES_MAX = 6

_LINES_WEIGHTS = (22, 26, 22, 15, 9, 6)
_PACKS = (1, 1, 2, 2, 3, 4, 5, 6, 8, 10, 12, 20, 25, 40)
_LINE_MINOR_MAX = 60_000
_NOTE_SHARE = 0.18
_SKEW = 0.85
_SKEW_OFFSET = 4
_SHUFFLE_SEED = 7
_NOTES = (
    "Please deliver to gate {n}.",
    "Our order number is {n}00-{m}; quote it on the invoice.",
    "Deliver before 10:00, the yard is closed at noon.",
    "Call the stores desk half an hour ahead.",
    "No pallets please, we have no forklift on site.",
    "Partial delivery is fine.",
    "Deliver everything together, please.",
    "For cost centre {m}.",
    "Leave with the porter in building {n}.",
    "Replaces the order that was cancelled last week.",
    "Tail-lift lorry needed.",
    "Urgent: production line {n} is standing.",
    "Please include the safety data sheets.",
    "Site address: plot {n}, follow the signs to the compound.",
)


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """What one customer orders at once; `lines` has quantities by sku."""

    customer_number: int
    lines: dict[str, int]
    note: str | None

    def as_command(self, customer_id: str) -> dict[str, Any]:
        """Return the body of `place-order`."""
        return {
            "customer_id": customer_id,
            "lines": [{"sku": sku, "quantity": n} for sku, n in self.lines.items()],
            "note": self.note,
            "expected_total": None,
        }


class Shoppers:
    """Draws baskets; the same seed draws the same ones."""

    def __init__(self, articles: Sequence[Article], customers: int, rng: random.Random) -> None:
        self._articles = articles
        self._article_weights = _skewed(len(articles))
        self._customers = range(customers)
        self._customer_weights = _skewed(customers)
        self._rng = rng

    def draw(self) -> Basket:
        (customer_number,) = self._rng.choices(self._customers, cum_weights=self._customer_weights)
        (count,) = self._rng.choices(range(1, LINES_MAX + 1), weights=_LINES_WEIGHTS)
        chosen = self._rng.choices(self._articles, cum_weights=self._article_weights, k=count)
        return Basket(
            customer_number=customer_number,
            lines={article.sku: self._quantity(article) for article in chosen},
            note=self._note(),
        )

    def _quantity(self, article: Article) -> int:
        most = max(1, _LINE_MINOR_MAX // max(1, article.price.minor))
        return min(most, self._rng.choice(_PACKS))

    def _note(self) -> str | None:
        if self._rng.random() > _NOTE_SHARE:
            return None
        note = self._rng.choice(_NOTES)
        return note.format(n=self._rng.randint(1, 9), m=self._rng.randint(1_000, 9_999))


def _skewed(count: int) -> list[float]:
    """Return cumulative weights that fall with the rank; who has which rank is shuffled."""
    weights = [1 / (rank + _SKEW_OFFSET) ** _SKEW for rank in range(count)]
    random.Random(_SHUFFLE_SEED).shuffle(weights)  # noqa: S311 - a plan, no secret
    return list(accumulate(weights))
