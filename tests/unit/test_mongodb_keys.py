"""Keys that MongoDB does not take as they are come back as they were."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slackwater.read_models.mongodb_keys import needs_quoting, quoted, restored

_keys = st.text(max_size=4) | st.text("$.%2E40\x00", max_size=6)
_json = st.recursive(
    st.none() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=10,
)


@given(value=_json)
def test_what_was_quoted_is_restored_and_needs_no_more_quoting(value: Any) -> None:
    assert repr(restored(quoted(value))) == repr(value)
    for key in keys(quoted(value)):
        assert key
        assert not {"$", ".", "\x00"} & set(key)


def keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for inner in value.values() for key in keys(inner))]
    return [key for inner in value for key in keys(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"id": "$a.b%", "orders": [{"total": {"amount": 1}}], "é": None}, False),
        ({"": 1}, True),
        ({"a": [{"b": [[{"c.d": 1}]]}]}, True),
        ({"a": {"$ref": "b"}}, True),
        ({"%24": 1}, True),
        ("$a", False),
    ],
)
def test_only_odd_keys_are_quoted(value: Any, expected: bool) -> None:
    assert needs_quoting(value) is expected
