"""What people type, made into an FTS5 query that cannot fail; and what FTS5 marks, made into HTML.

FTS5 reads its queries as a language of its own (quotes, NEAR, AND, *, parentheses), so user text
goes in only as single quoted words.
"""

from __future__ import annotations

import html
import unicodedata
from typing import Final

MARK_BEGIN: Final = "\ue000"
MARK_END: Final = "\ue001"

_WORDS_MAX = 32
_UNMARKED = str.maketrans("", "", MARK_BEGIN + MARK_END)


def match_expression(text: str) -> str | None:
    """Return a query that wants all words, the last one as a prefix; None if there is no word.

    Words are runs of letters, digits and accents; only the first 32 count.
    """
    words = _words(text)[:_WORDS_MAX]
    if not words:
        return None
    # Words beside one another, not joined by AND: FTS5 then passes over those that it reads as
    # nothing (a lone accent), where AND would find nothing at all.
    return " ".join(f'"{word}"' for word in words) + "*"


def indexed_text(text: str) -> str:
    """Return the text as it is to be indexed: composed, without our own marks."""
    return unicodedata.normalize("NFC", text.translate(_UNMARKED))


def marked_html(snippet: str) -> str:
    """Escape a snippet and turn its marks into `<em>…</em>`."""
    escaped = html.escape(snippet)
    return escaped.replace(MARK_BEGIN, "<em>").replace(MARK_END, "</em>")


def _words(text: str) -> list[str]:
    normal = unicodedata.normalize("NFC", text)
    return "".join(character if _is_in_word(character) else " " for character in normal).split()


def _is_in_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"
