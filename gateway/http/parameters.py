"""The parameters of a GraphQL request: query, operation name, variables and extensions.

A GET request carries them in its URL, a POST request as one JSON object. Only `application/json`
is taken: a browser asks leave before it sends that across origins, so no foreign page can make a
visitor's browser execute a mutation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request as HttpRequest
from strawberry.http import GraphQLRequestData, GraphQLRequestProtocol
from strawberry.http.parse_content_type import parse_content_type

from gateway.http.body import body_of
from gateway.http.limits import Limits
from gateway.http.refusal import PersistedQueryNotFound, Refusal

_TYPES: dict[str, tuple[type, str]] = {
    "query": (str, "a string"),
    "operationName": (str, "a string"),
    "variables": (dict, "an object"),
    "extensions": (dict, "an object"),
}


async def parameters_of(
    http: HttpRequest, limits: Limits, protocol: GraphQLRequestProtocol
) -> GraphQLRequestData:
    """Read a request's parameters.

    Raises:
        Refusal: they are missing, malformed, too large or of an unknown content type.
    """
    if http.method == "GET":
        return checked(_from_url(http.query_params), protocol)
    _check_content_type(http.headers.get("content-type", ""))
    return checked(_decoded(await body_of(http, limits), "the body"), protocol)


def checked(parameters: Any, protocol: GraphQLRequestProtocol = "http") -> GraphQLRequestData:
    """Return the parameters with the types that the specification gives them.

    Raises:
        Refusal: there is no query, or one of them has another type.
        PersistedQueryNotFound: there is only the hash of a query.
    """
    if not isinstance(parameters, dict):
        raise Refusal("the body is no JSON object; send one operation as an object")
    for name, (type_, description) in _TYPES.items():
        if not isinstance(parameters.get(name), type_ | None):
            raise Refusal(f"`{name}` has the wrong type; send {description}")
    if not parameters.get("query") and _names_query(parameters.get("extensions")):
        raise PersistedQueryNotFound
    if not parameters.get("query"):
        raise Refusal("there is no query; send it as `query`")
    return GraphQLRequestData(
        query=parameters["query"],
        variables=parameters.get("variables"),
        operation_name=parameters.get("operationName") or None,
        extensions=parameters.get("extensions"),
        protocol=protocol,
    )


def _names_query(extensions: Mapping[str, Any] | None) -> bool:
    return isinstance((extensions or {}).get("persistedQuery"), dict)


def _from_url(query: Mapping[str, str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {name: query[name] for name in _TYPES if name in query}
    for name in ("variables", "extensions"):
        if name in parameters:
            parameters[name] = _decoded(parameters[name] or "null", f"`{name}`")
    return parameters


def _decoded(text: bytes | str, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Refusal(f"{what} is no JSON ({error}); send valid JSON in UTF-8") from error


def _check_content_type(content_type: str) -> None:
    media_type, options = parse_content_type(content_type.lower())
    charset = options.get("charset", "utf-8").strip('"')
    if media_type != "application/json" or charset not in ("utf-8", "utf8"):
        raise Refusal("the content type is not supported; send application/json", status=415)
