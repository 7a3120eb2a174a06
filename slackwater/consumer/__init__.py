"""Consuming the event log: the one runner that projectors and saga steps share."""
