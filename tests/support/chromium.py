"""The playground in a headless Chromium: pages that are opened, written into and read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, sync_playwright

from archc.tests.support.playground import built, served

BROWSER = os.environ.get("ARCHC_BROWSER") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LOADED = 120_000  # milliseconds that loading Python may take on a busy machine
NEEDED = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here"),
]
BLOCKS = "block unit(w) {\n  conv3-{w}(pad=1); relu\n}\ninput 3x32x32\na: unit(8)\nb: unit(8)\nc: unit(16)\n"


_BUILT: list[Path] = []


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    given = os.environ.get("ARCHC_PLAYGROUND")  # one that is built already
    if not _BUILT:  # every module that has this fixture has one of its own
        _BUILT.append(Path(given) if given else built(tmp_path_factory.mktemp("playground") / "dist"))
    return _BUILT[0]


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as place:
        yield place


@pytest.fixture(scope="module")
def context() -> Iterator[BrowserContext]:
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        made = started.new_context(viewport={"width": 1400, "height": 1000})
        made.set_default_timeout(30_000)
        yield made
        started.close()


def opened(context: BrowserContext, url: str) -> tuple[Page, list[str], list[str]]:
    """Open a page that has checked its first text; what it complains of and what it requests are listed."""
    page = context.new_page()
    said: list[str] = []
    requested: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: requested.append(request.url))
    page.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.goto(url)
    page.wait_for_selector("body[data-checked]", timeout=LOADED)
    return page, said, requested


@pytest.fixture(scope="module")
def one(context: BrowserContext, address: str) -> Iterator[Page]:
    """A page that several tests use in turn, each with a text of its own."""
    page, said, _ = opened(context, address)
    yield page
    page.close()
    assert said == [], said


def write(page: Page, text: str) -> None:
    """Replace the text, as by typing it, and wait until it has been checked, with repairs. The same text is no change."""
    checked = int(page.get_attribute("body", "data-checked") or 0)
    mended = int(page.get_attribute("body", "data-mended") or 0)
    page.mouse.move(700, 5)  # away from what a tooltip would be about
    page.click("#tab-picture")
    page.click(".cm-content")
    if text_of(page) == text:
        return
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    page.wait_for_selector(f'body[data-checked="{checked + 1}"], body[data-checked="{checked + 2}"]')
    page.wait_for_selector(f'body[data-mended="{mended + 1}"], body[data-mended="{mended + 2}"]')


def text_of(page: Page) -> str:
    """The text in the editor, without what is shown beside it."""
    lines = page.eval_on_selector_all(
        ".cm-line",
        "all => all.map(line => [...line.childNodes].filter(n => !n.classList?.contains('shape')).map(n => n.textContent).join(''))",
    )
    return "\n".join(lines)
