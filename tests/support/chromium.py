"""A headless Chromium: where what a page shows lies, and pages of the playground that are opened, written into and read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from archc.tests.support.playground import built, served

BROWSER = os.environ.get("ARCHC_BROWSER") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MEASURE = "all => all.map(each => { const b = each.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom] })"
Area = Sequence[float]  # left, top, right, bottom
LOADED = 120_000  # milliseconds that loading Python may take on a busy machine
NEEDED = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="there is no npm here"),
]
BLOCKS = "block unit(w) {\n  conv3-{w}(pad=1); relu\n}\ninput 3x32x32\na: unit(8)\nb: unit(8)\nc: unit(16)\n"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, and end it."""
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def opened_page(width: int = 1920, height: int = 1080) -> Iterator[Page]:
    """Start Chromium with one page of a size, and end it."""
    with chromium() as started:
        yield started.new_page(viewport={"width": width, "height": height})


def areas(page: Page, selector: str) -> list[Area]:
    """Return where the elements of a selector lie."""
    return list(page.eval_on_selector_all(selector, MEASURE))


def overlapping(found: Sequence[Area], by: float = 0.0) -> list[tuple[Area, Area]]:
    """Return the pairs that overlap by more than so many pixels."""
    return [(a, b) for a, b in combinations(found, 2) if all(a[i] + by < b[i + 2] and b[i] + by < a[i + 2] for i in (0, 1))]


def within(whole: Area, found: Sequence[Area]) -> bool:
    """Return whether all areas are in another one."""
    return all(whole[0] <= box[0] and whole[1] <= box[1] and box[2] <= whole[2] and box[3] <= whole[3] for box in found)


# ---- the playground

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
    with chromium() as started:
        made = started.new_context(viewport={"width": 1400, "height": 1000})
        made.set_default_timeout(30_000)
        yield made


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
