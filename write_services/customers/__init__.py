"""Customers and their credit: state tables with an outbox beside them."""
