"""The page for browsers: who gets it, what it may load, and how long its files are kept."""

from __future__ import annotations

import re

import httpx2
import pytest
from graphql import parse

from gateway.http.graphiql import STATIC
from tests.small_schema import client_of, small_app

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def get(path: str, **headers: str) -> httpx2.Response:
    async with client_of(small_app()) as client:
        return await client.get(path, headers=headers)


async def test_a_browser_gets_the_page() -> None:
    response = await get("/graphql", **BROWSER)
    assert response.headers["content-type"].startswith("text/html")
    assert "query Tour" in response.text


async def test_the_root_leads_to_the_page() -> None:
    response = await get("/", **BROWSER)
    assert response.status_code == 307
    assert response.headers["location"] == "graphql"


async def test_a_browser_that_follows_a_link_to_an_operation_gets_the_page_too() -> None:
    response = await get("/graphql?query={__typename}", **BROWSER)
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["vary"] == "Accept"


@pytest.mark.parametrize(
    "accept",
    ["application/json", "*/*", "application/json, text/html;q=0.1", "*/*, text/html"],
)
async def test_a_client_that_asks_a_query_gets_its_answer(accept: str) -> None:
    response = await get("/graphql?query={__typename}", accept=accept)
    assert response.json()["data"] == {"__typename": "Query"}


async def test_a_client_without_a_query_gets_an_error_and_no_page() -> None:
    response = await get("/graphql", accept="application/json")
    assert response.status_code == 400


async def test_the_page_names_no_other_origin() -> None:
    response = await get("/graphql", **BROWSER)
    policy = response.headers["content-security-policy"]
    assert "//" not in re.sub(r"<template.*?</template>", "", response.text, flags=re.DOTALL)
    assert "default-src 'none'" in policy
    assert "http" not in policy


async def test_every_file_of_the_page_is_there() -> None:
    markup = (await get("/graphql", **BROWSER)).text
    paths = re.findall(r'(?:src|href)="([^"]+)"', markup)
    assert [(await get(f"/{path}")).status_code for path in paths] == [200] * 7


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("graphiql-4.1.2.min.js", "public, max-age=31536000, immutable"),
        ("page.js", "no-cache"),
    ],
)
async def test_only_files_named_by_version_are_kept_unasked(name: str, kept: str) -> None:
    response = await get(f"/static/graphiql/{name}")
    assert response.headers["cache-control"] == kept


@pytest.mark.parametrize("tab", ["tour", "demand", "live"])
async def test_the_operations_on_the_page_parse(tab: str) -> None:
    assert parse((STATIC / f"{tab}.graphql").read_text(encoding="utf-8"))


async def test_the_tour_is_answered() -> None:
    query = (STATIC / "tour.graphql").read_text(encoding="utf-8")
    async with client_of(small_app()) as client:
        answer = (await client.post("/graphql", json={"query": query})).json()
    assert "errors" not in answer


def test_nothing_vendored_points_to_a_source_map() -> None:
    texts = [path.read_text(encoding="utf-8") for path in STATIC.glob("*.min.*")]
    assert len(texts) == 4
    assert not any("sourceMappingURL" in text for text in texts)
