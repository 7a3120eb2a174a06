"""A newcomer's first minute: a real browser, the real command, and no outside network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Route, async_playwright, expect

from tests.end_to_end.harness import Running, running, until

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no `chromium` on the PATH; install it")


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / "data") as installation:
        customer = installation.store.create_customer("Harbour Supplies")
        until(lambda: installation.store.customer(customer), lambda shown: shown is not None)
        yield installation


async def test_the_first_query_shows_a_customer_and_its_freshness(
    installation: Running, tmp_path: Path
) -> None:
    foreign: list[str] = []

    async def only_loopback(route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            await route.continue_()
        else:
            foreign.append(route.request.url)
            await route.abort()

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        await page.route("**/*", only_loopback)
        await page.goto(f"{installation.store.url}/graphql")
        await page.click("button.graphiql-execute-button")
        answer = page.locator(".graphiql-response")
        await expect(answer).to_contain_text("Harbour Supplies")
        await expect(answer).to_contain_text('"maxStalenessMs"')
        await expect(page.locator("#freshness")).to_contain_text("customer_orders")
        await page.screenshot(path=tmp_path / "first-query.png")
        await browser.close()
    assert foreign == []
