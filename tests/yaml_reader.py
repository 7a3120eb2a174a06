"""Reads the YAML that compose.yaml is written in: mappings, lists, anchors, merges, folded text.

A YAML library is no dependency of this project, and its tests need no more than this. What is not
understood raises ValueError instead of being read wrongly.
"""

from __future__ import annotations

import re
from typing import Any

_ANCHORED = re.compile(r"&([\w-]+)\s*(.*)")
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\'[^\']*\'|[\[\]{},]|[^\[\]{},]+)')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'')


def read_yaml(text: str) -> Any:
    """Return the document; scalars stay text, except true and false."""
    lines = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    reader = _Reader(lines)
    value = reader.block(0)
    if reader.rest:
        raise ValueError(f"not understood: {reader.rest[0]}")
    return value


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self.rest = lines
        self._anchors: dict[str, Any] = {}

    def block(self, indent: int) -> Any:
        """Read all lines of exactly this indent with what belongs to them."""
        is_list = self.rest[0].lstrip().startswith("- ")
        return self._list(indent) if is_list else self._mapping(indent)

    def _list(self, indent: int) -> list[Any]:
        items = []
        while self._indent() == indent:
            items.append(self._value(self._take().strip().removeprefix("- "), indent))
        return items

    def _mapping(self, indent: int) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while self._indent() == indent:
            key, _, text = self._take().strip().partition(":")
            value = self._value(text.strip(), indent)
            if key == "<<":
                merged = _merge(value)
            elif key in entries:
                raise ValueError(f"{key} stands there twice")
            else:
                entries[key] = value
        return {**merged, **entries}

    def _value(self, text: str, indent: int) -> Any:
        anchored = _ANCHORED.fullmatch(text)
        if anchored:
            value = self._anchors[anchored[1]] = self._value(anchored[2], indent)
            return value
        if text == ">-":
            return self._folded(indent)
        if not text:
            return self.block(self._indent()) if self._indent() > indent else None
        return self._flow(_TOKEN.findall(text)) if text[0] in "[{" else self._scalar(text)

    def _folded(self, indent: int) -> str:
        folded = []
        while self._indent() > indent:
            folded.append(self._take().strip())
        return " ".join(folded)

    def _flow(self, tokens: list[str]) -> Any:
        value = self._flow_value(tokens)
        if tokens:
            raise ValueError(f"not understood: {tokens}")
        return value

    def _flow_value(self, tokens: list[str]) -> Any:
        token = tokens.pop(0).strip()
        if token == "[":
            return [self._flow_value(part) for part in _parts(tokens, "]")]
        if token == "{":
            pairs = [self._pair(part) for part in _parts(tokens, "}")]
            merged = next((_merge(value) for key, value in pairs if key == "<<"), {})
            return {**merged, **{key: value for key, value in pairs if key != "<<"}}
        return self._scalar(token)

    def _pair(self, tokens: list[str]) -> tuple[str, Any]:
        key, _, text = tokens.pop(0).partition(":")
        if text.strip():
            tokens.insert(0, text)
        return key.strip(), self._flow_value(tokens)

    def _scalar(self, token: str) -> Any:
        if token.startswith("*"):
            return self._anchors[token[1:]]
        quoted = _QUOTED.fullmatch(token)
        if quoted:
            return quoted[1] if quoted[2] is None else quoted[2]
        return {"true": True, "false": False}.get(token, token)

    def _indent(self) -> int:
        return len(self.rest[0]) - len(self.rest[0].lstrip()) if self.rest else -1

    def _take(self) -> str:
        return self.rest.pop(0)


def _parts(tokens: list[str], end: str) -> list[list[str]]:
    """Take tokens up to the closing bracket, divided at the commas of this level."""
    parts: list[list[str]] = [[]]
    depth = 0
    while tokens:
        token = tokens.pop(0).strip()
        if token == end and depth == 0:
            return [part for part in parts if part]
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token, 0)
        if token == "," and depth == 0:
            parts.append([])
        elif token:
            parts[-1].append(token)
    raise ValueError(f"{end} is missing")


def _merge(value: Any) -> dict[str, Any]:
    """The earlier of several mappings wins, as YAML has it."""
    mappings = value if isinstance(value, list) else [value]
    return {key: each for mapping in reversed(mappings) for key, each in mapping.items()}
