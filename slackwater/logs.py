"""Structured logs: one JSON object a line (or readable lines on a terminal), with correlation ids.

Whatever is bound with `bound` stands on every line logged inside it, across awaits.
"""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from typing import cast

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.typing import FilteringBoundLogger, Processor

from slackwater.events.event import Cause


def configure_logs(*, level: str = "INFO", json: bool = False) -> None:
    """Set up logging for this process; logs go to standard error."""
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if json else _keep,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def logger(part: str) -> FilteringBoundLogger:
    """Return the logger of a part."""
    return cast("FilteringBoundLogger", structlog.get_logger(part=part))


def bound(cause: Cause) -> AbstractContextManager[None]:
    """Put the cause's ids on every line logged inside."""
    return cast(
        "AbstractContextManager[None]",
        bound_contextvars(correlation_id=cause.correlation_id, causation_id=cause.causation_id),
    )


def _keep(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event
