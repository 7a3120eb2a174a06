"""Text for search engines: the words that people type, and what engines mark made into HTML."""

from __future__ import annotations

import html
import unicodedata
from typing import Final

MARK_BEGIN: Final = "\ue000"
MARK_END: Final = "\ue001"

_WORDS_MAX = 32
_UNMARKED = str.maketrans("", "", MARK_BEGIN + MARK_END)


def words_of(text: str) -> list[str]:
    """Return the runs of letters, digits and accents of a text; only the first 32 count."""
    normal = unicodedata.normalize("NFC", text)
    spaced = "".join(character if _is_in_word(character) else " " for character in normal)
    return spaced.split()[:_WORDS_MAX]


def indexed_text(text: str) -> str:
    """Return the text as it is to be indexed: composed, without our own marks."""
    return unicodedata.normalize("NFC", text.translate(_UNMARKED))


def marked_html(snippet: str) -> str:
    """Escape a snippet and turn its marks into `<em>…</em>`."""
    escaped = html.escape(snippet)
    return escaped.replace(MARK_BEGIN, "<em>").replace(MARK_END, "</em>")


def _is_in_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"
