"""Freshness on the wire: plans, demands, and what every answer says about its staleness."""
