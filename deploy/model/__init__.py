"""Checks the protocol's TLA+ models in docs/model with TLC: `python -m deploy.model`.

Every run has a deadline. A run fails when an invariant breaks that must hold, and when one holds
that must break: a model that cannot break proves nothing.
"""
