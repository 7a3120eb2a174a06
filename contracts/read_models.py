"""Every read model, and which topics of which sources feed it."""

from __future__ import annotations

from contracts.topics import CUSTOMERS, ORDERS, PRODUCTS
from slackwater.read_models.read_model import ReadModel

CUSTOMER_ORDERS = ReadModel(
    name="customer_orders",
    topics={"customers": (CUSTOMERS.name,), "orders": (ORDERS.name,)},
    keyed={CUSTOMERS.name: CUSTOMERS.partitions, ORDERS.name: ORDERS.partitions},
)
ORDERS_MODEL = ReadModel(name="orders", topics={"orders": (ORDERS.name,)})
PRODUCTS_MODEL = ReadModel(
    name="products",
    topics={"inventory": (PRODUCTS.name,)},
    keyed={PRODUCTS.name: PRODUCTS.partitions},
)
ORDER_SEARCH = ReadModel(
    name="order_search",
    topics={
        "customers": (CUSTOMERS.name,),
        "orders": (ORDERS.name,),
        "inventory": (PRODUCTS.name,),
    },
)

READ_MODELS = (CUSTOMER_ORDERS, ORDERS_MODEL, PRODUCTS_MODEL, ORDER_SEARCH)
