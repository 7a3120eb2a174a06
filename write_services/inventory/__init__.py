"""Products and their stock: state tables with an outbox beside them."""
