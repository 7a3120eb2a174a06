"""What people type, made into an FTS5 query that cannot fail.

FTS5 reads its queries as a language of its own (quotes, NEAR, AND, *, parentheses), so user text
goes in only as single quoted words.
"""

from __future__ import annotations

from slackwater.read_models.search_text import words_of


def match_expression(text: str) -> str | None:
    """Return a query that wants all words, the last one as a prefix; None if there is no word."""
    words = words_of(text)
    if not words:
        return None
    # Words beside one another, not joined by AND: FTS5 then passes over those that it reads as
    # nothing (a lone accent), where AND would find nothing at all.
    return " ".join(f'"{word}"' for word in words) + "*"
