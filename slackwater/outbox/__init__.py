"""State changes and events as one: the unit of work, its tables, and the relay that publishes."""
