"""All articles, category by category."""

from __future__ import annotations

from functools import cache

from gateway.demo.assortment.electrical import ELECTRICAL
from gateway.demo.assortment.family import Article
from gateway.demo.assortment.fasteners import FASTENERS
from gateway.demo.assortment.hand_tools import HAND_TOOLS
from gateway.demo.assortment.janitorial import JANITORIAL
from gateway.demo.assortment.office import OFFICE
from gateway.demo.assortment.packaging import PACKAGING
from gateway.demo.assortment.plumbing import PLUMBING
from gateway.demo.assortment.power_tools import POWER_TOOLS
from gateway.demo.assortment.safety import SAFETY
from gateway.demo.assortment.workshop import WORKSHOP

CATEGORIES = (
    FASTENERS,
    HAND_TOOLS,
    POWER_TOOLS,
    ELECTRICAL,
    PLUMBING,
    SAFETY,
    PACKAGING,
    JANITORIAL,
    WORKSHOP,
    OFFICE,
)


@cache
def articles() -> tuple[Article, ...]:
    """Return every article; the last one is the printed catalogue, which nobody orders."""
    return tuple(article for category in CATEGORIES for article in category.articles())
