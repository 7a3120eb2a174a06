"""Search requests as Elasticsearch's query language, and its hits as ours.

User text goes in only as single words of a match, never as a query language. The words match over
all fields as if they were one, weighted by the boosts. A prefix weighs the same for every word that
begins with it: less than a whole word, and enough to order fields.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from slackwater.read_models.elasticsearch_mapping import TEXTS
from slackwater.read_models.search import Hit, Index, SearchRequest
from slackwater.read_models.search_text import MARK_BEGIN, MARK_END, marked_html, words_of

Query = dict[str, Any]


class Place(NamedTuple):
    """Where a hit stands: by falling score, then by id."""

    score: float
    id: str


_SNIPPET_LENGTH = 200
_HIGHLIGHTED_LENGTH_MAX = 1_000_000
_PREFIX_WEIGHT = 0.1
_FUZZY_WEIGHT = 0.001
_FUZZY_EXPANSIONS_MAX = 20
_ACCENTS = dict.fromkeys(range(768, 880))


def folded_words(text: str) -> list[str]:
    """Return the words of a text without accents; those that were nothing else are left out."""
    unaccented = (indexed_text(word).translate(_ACCENTS) for word in words_of(text))
    return [word for word in unaccented if word]


def indexed_text(text: str) -> str:
    """Return the text as it is to be indexed: decomposed, so that accents can be left out."""
    return unicodedata.normalize("NFD", text.replace(MARK_BEGIN, "").replace(MARK_END, ""))


def search_body(index: Index, request: SearchRequest, words: Sequence[str]) -> dict[str, Any]:
    """Return everything of a search but its place and snapshot."""
    return {
        "query": _query(index, request, words),
        "sort": [{"_score": "desc"}, {"id": "asc"}],
        "size": request.limit,
        "source": False,
        "docvalue_fields": ["kind"],
        "track_total_hits": True,
        "highlight": _highlight(index),
    }


def hits_of(reply: Mapping[str, Any], cursor_of: Callable[[Place], str]) -> list[Hit]:
    """Return the hits of a reply with their cursors."""
    return [_hit(hit, cursor_of) for hit in reply["hits"]["hits"]]


def _query(index: Index, request: SearchRequest, words: Sequence[str]) -> Query:
    *whole, last = words
    matches = [_either(_word(index, word), *_misspelt(index, request, word)) for word in whole]
    matches.append(
        _either(_word(index, last), _prefix(index, last), *_misspelt(index, request, last))
    )
    kinds = [{"terms": {"kind": list(request.kinds)}}] if request.kinds else []
    return {"bool": {"must": matches, "filter": kinds}}


def _either(*queries: Query) -> Query:
    return queries[0] if len(queries) == 1 else {"bool": {"should": list(queries)}}


def _word(index: Index, word: str) -> Query:
    fields = [f"{path}^{weight}" for path, weight in _weights(index).items()]
    return {"combined_fields": {"query": word, "fields": fields, "operator": "and"}}


def _prefix(index: Index, word: str) -> Query:
    return _best_field(
        index, _PREFIX_WEIGHT, lambda path: {"match_bool_prefix": {path: {"query": word}}}
    )


def _misspelt(index: Index, request: SearchRequest, word: str) -> list[Query]:
    if not request.fuzzy:
        return []
    match = {
        "query": word,
        "fuzziness": "AUTO",
        "prefix_length": 1,
        "max_expansions": _FUZZY_EXPANSIONS_MAX,
    }
    return [_best_field(index, _FUZZY_WEIGHT, lambda path: {"match": {path: match}})]


def _best_field(index: Index, weight: float, query: Callable[[str], Query]) -> Query:
    """Match in any field, with a score that tells the fields apart and nothing else."""
    return {
        "dis_max": {
            "queries": [
                {"constant_score": {"filter": query(path), "boost": weight * field_weight}}
                for path, field_weight in _weights(index).items()
            ]
        }
    }


def _weights(index: Index) -> dict[str, float]:
    """Return the boosts by path, scaled so that none is below one (combined fields want that)."""
    least = min((field.boost for field in index.fields if field.boost > 0), default=1.0)
    return {f"{TEXTS}.{field.name}": max(1.0, field.boost / least) for field in index.fields}


def _highlight(index: Index) -> dict[str, Any]:
    return {
        "pre_tags": [MARK_BEGIN],
        "post_tags": [MARK_END],
        "number_of_fragments": 1,
        "fragment_size": _SNIPPET_LENGTH,
        "max_analyzed_offset": _HIGHLIGHTED_LENGTH_MAX,
        "fields": {path: {} for path in _weights(index)},
    }


def _hit(hit: Mapping[str, Any], cursor_of: Callable[[Place], str]) -> Hit:
    place = Place(*hit["sort"][:2])
    [kind] = hit["fields"]["kind"]
    return Hit(
        id=place.id,
        kind=kind,
        score=place.score,
        highlights={
            path.removeprefix(f"{TEXTS}."): [_snippet(snippet) for snippet in snippets]
            for path, snippets in hit.get("highlight", {}).items()
        },
        cursor=cursor_of(place),
    )


def _snippet(marked: str) -> str:
    return marked_html(unicodedata.normalize("NFC", marked))
