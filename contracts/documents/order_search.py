"""The text index over orders, products and customers: read model `order_search`.

One search document an aggregate; hits are joined with their documents at reading.
"""

from __future__ import annotations

from enum import StrEnum

from slackwater.read_models.search import Index, SearchField


class SearchKind(StrEnum):
    """What a hit is; a search document's id is `KIND:aggregate id`."""

    ORDER = "ORDER"
    PRODUCT = "PRODUCT"
    CUSTOMER = "CUSTOMER"


ORDER_SEARCH_INDEX = Index(
    name="order_search",
    fields=(
        SearchField(name="title", boost=4.0),  # product or customer name; an order's id
        SearchField(name="codes", boost=3.0),  # sku, email; skus of an order's lines
        SearchField(name="text", boost=1.0),  # description; product names and note of an order
        SearchField(name="status", boost=0.5),  # an order's status as a word
    ),
)
