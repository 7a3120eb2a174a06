"""Transactions that are begun and ended here, and by nobody else."""

from __future__ import annotations

from sqlalchemy import Engine


def keep_transactions_open(engine: Engine) -> None:
    """Keep SQLAlchemy (and alembic) from ending a transaction that our threads have begun."""
    engine.dialect.do_commit = _leave_open  # type: ignore[assignment]
    engine.dialect.do_rollback = _leave_open  # type: ignore[assignment]


def _leave_open(_: object) -> None:
    pass
