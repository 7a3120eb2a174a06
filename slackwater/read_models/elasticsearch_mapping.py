"""The mapping of a search index in Elasticsearch: what is searched, what is kept, how words fold.

A stored document has its searched texts apart from the row's own document, so that the row comes
back as it was written and a field may be called like one of our own. Nothing is mapped by itself:
one odd document must not decide how all later ones are read.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

import msgspec
import orjson

from slackwater.errors import StructuralError
from slackwater.read_models.search import Index

ANALYZER: Final = "words"
TEXTS: Final = "texts"

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_FIRST_VERSION = "v1"
_TOKEN_LENGTH_MAX = 200

_SETTINGS: Final[dict[str, Any]] = {
    # One shard: the reply to a refresh is a sum over shards, which cannot tell a shard without any
    # copy from copies that are missing here and there.
    "number_of_shards": 1,
    "auto_expand_replicas": "0-1",
    "refresh_interval": "-1",  # only our own refreshes: they are what progress is saved after
    "translog": {"durability": "REQUEST"},
    "analysis": {
        "char_filter": {
            "accents": {
                "type": "pattern_replace",
                "pattern": "[\\u0300-\\u036f]",
                "replacement": "",
            },
            "final_sigma": {"type": "mapping", "mappings": ["\\u03c2 => \\u03c3"]},
        },
        "tokenizer": {"runs": {"type": "pattern", "pattern": "[^\\p{L}\\p{M}\\p{N}]+"}},
        "filter": {"short": {"type": "truncate", "length": _TOKEN_LENGTH_MAX}},
        "analyzer": {
            ANALYZER: {
                "type": "custom",
                "char_filter": ["accents", "final_sigma"],
                "tokenizer": "runs",
                "filter": ["lowercase", "asciifolding", "short"],
            }
        },
    },
}


def checked(name: str) -> str:
    """Return the name if it can name an index or a field."""
    if not _NAME.fullmatch(name):
        raise StructuralError(f"{name!r} cannot name an index or a field; use a-z, 0-9 and _")
    return name


def first_index(alias: str) -> str:
    """Return the index that is created behind an alias; a rebuild makes the next ones.

    A number, and not a digest of the mapping: of two processes that create at once with other
    fields, one must fail.
    """
    return f"{alias}-{_FIRST_VERSION}"


def creation(index: Index, alias: str) -> dict[str, Any]:
    """Return what creates the index and its alias in one step."""
    return {
        "settings": _SETTINGS,
        "mappings": {**_mappings(index), "_meta": meta(index)},
        "aliases": {alias: {}},
    }


def meta(index: Index) -> dict[str, Any]:
    """Return what an index says of itself: its definition, and a digest of what cannot change."""
    unchangeable = orjson.dumps([_SETTINGS["analysis"], _mappings(index)])
    return {
        "definition": msgspec.to_builtins(index),
        "digest": hashlib.sha256(unchangeable).hexdigest(),
    }


def _mappings(index: Index) -> dict[str, Any]:
    text = {"type": "text", "analyzer": ANALYZER}
    return {
        "dynamic": "strict",
        "properties": {
            "id": {"type": "keyword"},
            "kind": {"type": "keyword"},
            "document": {"type": "object", "enabled": False},
            TEXTS: {"properties": {checked(field.name): text for field in index.fields}},
        },
    }
