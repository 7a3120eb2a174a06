"""Orders, event-sourced: an order is its events."""
