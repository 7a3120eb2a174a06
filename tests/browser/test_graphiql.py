"""The page in a real browser: it works, shows freshness, and asks nothing of any other origin."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
import uvicorn
from playwright.async_api import ConsoleMessage, Page, Route, async_playwright, expect

from tests.small_schema import small_app

CHROMIUM = shutil.which("chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
RESPONSE = ".graphiql-response"
RUN = "button.graphiql-execute-button"
LINK = "/graphql?" + urlencode(
    {
        "query": "query Linked($text: String!) { echo(text: $text) }",
        "variables": '{"text": "at slack water"}',
    }
)
# Asked again and again from outside: the page's own policy forbids what waiting inside it needs.
OPERATION_NAME = "() => localStorage['graphiql:operationName']"
STORED_TABS = "() => localStorage['graphiql:tabState'] ?? ''"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no `chromium` on the PATH; install it")


@dataclass
class Visit:
    """A page that was opened, and all that it did which it should not."""

    page: Page
    foreign: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def let_only_loopback(self, route: Route) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            await route.continue_()
        else:
            self.foreign.append(route.request.url)
            await route.abort()

    async def until(self, expression: str, holds: Callable[[Any], bool]) -> None:
        """Ask the page until it holds; nothing tells when GraphiQL has stored what it shows."""
        async with asyncio.timeout(10):
            while not holds(await self.page.evaluate(expression)):
                await asyncio.sleep(0.02)

    def note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@asynccontextmanager
async def gateway() -> AsyncIterator[str]:
    config = uvicorn.Config(small_app(), host="127.0.0.1", port=0, log_level="error")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def visited(path: str = "/") -> AsyncIterator[Visit]:
    async with gateway() as origin, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        visit = Visit(page)
        page.on("console", visit.note)
        page.on("pageerror", lambda error: visit.complaints.append(str(error)))
        await page.route("**/*", visit.let_only_loopback)
        await page.goto(origin + path)
        yield visit
        await browser.close()
        assert visit.foreign == []
        assert visit.complaints == []


async def test_the_tour_is_answered_with_its_freshness(tmp_path: Path) -> None:
    async with visited() as visit:
        page = visit.page
        await page.click(RUN)
        await expect(page.locator(RESPONSE)).to_contain_text("Ada's Boatyard")
        await expect(page.locator(RESPONSE)).to_contain_text('"freshness"')
        await expect(page.locator("#freshness")).to_have_text(
            "freshness:customer_orders 84 ms LIVE"
        )
        await page.screenshot(path=tmp_path / "graphiql.png")


async def test_the_schema_is_known_to_the_page(tmp_path: Path) -> None:
    async with visited("/graphql") as visit:
        page = visit.page
        await page.get_by_label("Show Documentation Explorer").click()
        await page.get_by_role("link", name="Query").click()
        await expect(page.locator(".graphiql-doc-explorer")).to_contain_text("customers")
        await page.screenshot(path=tmp_path / "documentation.png")


async def test_a_subscription_runs_over_the_same_address(tmp_path: Path) -> None:
    async with visited("/graphql") as visit:
        page = visit.page
        await page.get_by_role("tab", name="Live").click()
        # GraphiQL takes up a tab's operation a moment after its text.
        await visit.until(OPERATION_NAME, lambda name: name == "Live")
        await page.click(RUN)
        await expect(page.locator(RESPONSE)).to_contain_text("readModelProgress")
        await expect(page.locator("#freshness")).to_contain_text("LIVE")
        await page.screenshot(path=tmp_path / "subscription.png")
        await page.click(RUN)


async def test_headers_can_be_sent() -> None:
    async with visited("/graphql") as visit:
        page = visit.page
        await page.get_by_role("button", name="Headers").click()
        await page.locator(".graphiql-editor-tool .CodeMirror:visible").click()
        await page.keyboard.insert_text('{"Slackwater-Consistency-Token": "broken"}')
        async with page.expect_response("**/graphql") as answered:
            await page.click(RUN)
        assert (await (await answered.value).json())["errors"]
        visit.complaints.clear()  # the browser's own line about a status of 400


async def test_a_link_opens_its_operation_and_does_not_run_it(tmp_path: Path) -> None:
    async with visited(LINK) as visit:
        page = visit.page
        await expect(page.get_by_role("tab")).to_contain_text(["Linked", "Tour", "Demand", "Live"])
        await expect(page.locator(RESPONSE)).not_to_contain_text("data")
        await page.click(RUN)
        await expect(page.locator(RESPONSE)).to_contain_text('"echo": "at slack water"')
        await page.screenshot(path=tmp_path / "link.png")


async def test_a_link_leaves_the_tabs_of_the_last_visit_and_opens_its_own_beside_them() -> None:
    async with visited("/graphql") as visit:
        page = visit.page
        await expect(page.get_by_role("tab")).to_contain_text(["Tour", "Demand", "Live"])
        # GraphiQL keeps its tabs a moment after it shows them.
        await visit.until(STORED_TABS, lambda tabs: "Live" in tabs)
        await page.goto(urljoin(page.url, LINK))
        await expect(page.get_by_role("tab")).to_contain_text(["Tour", "Demand", "Live", "Linked"])
        await page.click(RUN)
        await expect(page.locator(RESPONSE)).to_contain_text('"echo": "at slack water"')
        await page.reload()
        await expect(page.get_by_role("tab")).to_contain_text(["Tour", "Demand", "Live", "Linked"])
