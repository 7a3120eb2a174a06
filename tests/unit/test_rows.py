"""Events as rows: what is written is read back, by name and by column."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest
from sqlalchemy import MetaData

from contracts.events.orders import CreditAgreed
from slackwater.events.event import Cause
from slackwater.outbox.row import from_columns, to_event, to_row
from slackwater.outbox.tables import event_table
from tests.unit.given_events import NOW, published


@pytest.mark.parametrize("numbered", [False, True])
def test_an_event_is_the_same_by_name_and_by_column(numbered: bool) -> None:
    cause = Cause(correlation_id="k", causation_id="c", actor="ada", traceparent="t")
    event = msgspec.structs.replace(published(CreditAgreed(), "o", at=NOW).event, cause=cause)
    table = event_table("events", MetaData(), numbered=numbered)
    row = {"position": 1, "published": False, "number": None, **to_row(event)}
    assert to_event(SimpleNamespace(**row), event.source) == event
    assert from_columns([row[column.name] for column in table.c], event.source) == event
