"""The limits on what one client may ask of the gateway at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A bound on everything that a request can make large, deep or long.

    Depth, fields and aliases are counted with every fragment expanded. Items are those of pages,
    where pages in pages multiply.
    """

    body_bytes_max: int = 1_048_576
    body_timeout_s: float = 10.0
    tokens_max: int = 4_000
    depth_max: int = 15
    fields_max: int = 1_000
    aliases_max: int = 50
    items_max: int = 20_000
    operation_timeout_s: float = 30.0
    documents_cached_max: int = 512
    document_cached_chars_max: int = 16_384
    operations_per_socket_max: int = 100
