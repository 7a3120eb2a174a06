"""The reader reads what compose.yaml is written in, and refuses the rest."""

from __future__ import annotations

import pytest

from tests.yaml_reader import read_yaml

TEXT = """
# a comment
x-a: &a
  one: 1
  two: "2: b"
x-b: &b {two: 'x', three: [y, "z, {w}"]}
merged:
  <<: [*a, *b]
  own: true
flow: {<<: *b, two: plain text}
list:
  - --flag=1
  - >-
    folded
    text
empty:
last: a,b
"""


def test_anchors_merges_lists_and_folded_text() -> None:
    assert read_yaml(TEXT) == {
        "x-a": {"one": "1", "two": "2: b"},
        "x-b": {"two": "x", "three": ["y", "z, {w}"]},
        "merged": {"one": "1", "two": "2: b", "three": ["y", "z, {w}"], "own": True},
        "flow": {"two": "plain text", "three": ["y", "z, {w}"]},
        "list": ["--flag=1", "folded text"],
        "empty": None,
        "last": "a,b",
    }


@pytest.mark.parametrize("text", ["a: [b", "a: [b] c", "a: 1\na: 2", "a:\n  b: 1\n c: 2"])
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_yaml(text)
