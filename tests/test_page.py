"""The page of HTML, driven in a headless Chromium: blocks open and close, search finds, nothing is fetched, nothing complains."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from compiler import load
from tests.support import ROOT

BROWSER = os.environ.get("ARCHC_BROWSER") or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield started.new_page(viewport={"width": 1400, "height": 1000})
        started.close()


def open_page(browser: Page, path: Path, name: str) -> tuple[list[str], list[str]]:
    """Open a network's page; what the console says and what is requested goes into the lists."""
    path.write_bytes(load(ROOT / f"archs/{name}.arch").draw("html", depth=0))
    said: list[str] = []
    asked: list[str] = []
    browser.on("console", lambda message: said.append(message.text))
    browser.on("pageerror", lambda error: said.append(str(error)))
    browser.on("request", lambda request: asked.append(request.url))
    browser.goto(path.as_uri())
    return said, asked


def names(browser: Page) -> set[str]:
    return set(browser.eval_on_selector_all("#view [data-name]", "all => all.map(each => each.dataset.name)"))


def test_blocks_open_and_close(browser: Page, tmp_path: Path) -> None:
    said, asked = open_page(browser, tmp_path / "net.html", "resnet50")
    closed = names(browser)
    assert {"conv1", "layer1", "layer4", "fc"} <= closed
    assert "layer3.0" not in closed
    browser.click('[id="layer3"]')
    assert {"layer3", "layer3.0", "layer3.1"} <= names(browser)
    browser.focus('[id="layer3.1"]')
    browser.keyboard.press("Enter")
    assert "layer3.1.conv2" in names(browser)
    browser.click('[aria-label="close layer3"]', position={"x": 20, "y": 6})
    assert names(browser) == closed
    browser.click("#expand")
    assert "layer4.0.downsample.0" in names(browser)
    browser.click("#collapse")
    assert names(browser) == closed
    assert said == []
    assert asked == [(tmp_path / "net.html").as_uri()]


def test_search_opens_and_marks(browser: Page, tmp_path: Path) -> None:
    said, _ = open_page(browser, tmp_path / "net.html", "googlenet")
    browser.fill("#search", "inception4c.conv3")
    assert browser.inner_text("#count") == "1 found"
    assert browser.eval_on_selector_all(".found", "all => all.map(each => each.id)") == ["inception4c.conv3"]
    browser.fill("#search", "no such thing")
    assert browser.inner_text("#count") == "0 found"
    assert said == []


def test_facts_under_the_pointer_and_zoom(browser: Page, tmp_path: Path) -> None:
    said, _ = open_page(browser, tmp_path / "net.html", "alexnet")
    browser.hover('[id="conv1"]')
    facts = browser.inner_text("#facts")
    assert "96x55x55" in facts
    assert "34,944 parameters" in facts
    before = browser.get_attribute("#view", "transform")
    browser.mouse.wheel(0, -300)
    browser.wait_for_function("old => document.getElementById('view').getAttribute('transform') !== old", arg=before)
    browser.click("#fit")
    assert said == []


@pytest.mark.parametrize("name", ["googlenet", "resnet50", "unet", "mobilenet_v2"])
def test_nothing_overlaps_when_all_is_open(browser: Page, tmp_path: Path, name: str) -> None:
    said, _ = open_page(browser, tmp_path / "net.html", name)
    browser.click("#expand")
    overlapping = browser.evaluate(
        """() => {
          const leaves = [...document.querySelectorAll("#view [id]")].map(leaf => [leaf.id, leaf.getBoundingClientRect()]);
          return leaves.flatMap(([a, p], i) => leaves.slice(i + 1).filter(([b, q]) =>
            Math.min(p.right, q.right) - Math.max(p.left, q.left) > 1 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 1
          ).map(([b]) => a + " and " + b));
        }"""
    )
    assert overlapping == []
    assert said == []
