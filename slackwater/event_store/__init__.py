"""The event store: streams of events as the truth about an aggregate."""
