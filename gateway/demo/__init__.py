"""The demo store: a wholesaler, its catalogue and customers, their orders, and endless traffic."""
