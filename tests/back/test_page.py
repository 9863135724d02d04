"""The page of HTML, driven in a headless Chromium: blocks open and close, search finds, nothing is fetched, nothing complains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from archc import load
from archc.compiler.draw.page import page
from archc.compiler.draw.style import Look
from archc.tests.support import ROOT
from archc.tests.support.chromium import BROWSER, opened_page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with opened_page(1400, 1000) as shown:
        yield shown


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


@pytest.mark.parametrize("name", ["googlenet", "resnet50", "mobilenet_v3_small", "efficientnet_b0"])
def test_headings_stay_within_their_frames(browser: Page, tmp_path: Path, name: str) -> None:
    open_page(browser, tmp_path / "net.html", name)
    browser.click("#expand")
    told = browser.evaluate(
        """() => [...document.querySelectorAll("#view .heading")].map(heading => {
          const inner = heading.getBoundingClientRect(), frame = heading.parentNode.querySelector(".room").getBoundingClientRect();
          return [heading.textContent, inner.left >= frame.left && inner.right <= frame.right && inner.bottom <= frame.bottom];
        })"""
    )
    assert len(told) > 5
    assert [text for text, fits in told if not fits] == []


FRAMED: list[tuple[str, str, dict[str, Any]]] = [
    ("mobilenet_v2", "graph", {}),
    ("mobilenet_v3_small", "graph", {"depth": 0, "expand": ("features.1", "features.4*")}),
    ("efficientnet_b0", "graph", {"depth": 0, "expand": ("features.1*", "features.2.0*")}),
    ("googlenet", "graph", {"depth": 0, "expand": ("inception3a",)}),
    ("resnet50", "graph", {"depth": 0, "expand": ("layer2*",)}),
    ("resnet34", "graph", {"depth": 3}),
    ("resnet18", "paper", {"depth": 3}),
    ("googlenet", "paper", {"depth": 0, "expand": ("inception3a",)}),
]


@pytest.mark.parametrize(("name", "style", "folding"), FRAMED, ids=[f"{name}-{style}" for name, style, _ in FRAMED])
def test_no_edge_runs_through_the_title_of_a_frame(browser: Page, tmp_path: Path, name: str, style: str, folding: dict[str, Any]) -> None:
    (tmp_path / "net.svg").write_bytes(load(ROOT / f"archs/{name}.arch").draw("svg", style=style, **folding))
    browser.goto((tmp_path / "net.svg").as_uri())
    frames = browser.evaluate(
        """() => [...document.querySelectorAll("g.cluster")].map(cluster => {
          const text = cluster.querySelector("text"), title = text.getBBox(), frame = cluster.querySelector("path, polygon").getBBox();
          const through = [...document.querySelectorAll("g.edge")].filter(edge => {
            const path = edge.querySelector("path"), length = path.getTotalLength();
            for (let at = 0; at <= length; at += 0.5) {
              const { x, y } = path.getPointAtLength(at);
              if (x > title.x && x < title.x + title.width && y > title.y + 1 && y < title.y + title.height - 1) return true;
            }
            return false;
          }).map(edge => edge.querySelector("title").textContent);
          const fits = title.x >= frame.x && title.x + title.width <= frame.x + frame.width && title.y >= frame.y;
          return [text.textContent, fits, through];
        })"""
    )
    assert frames
    assert [text for text, fits, _ in frames if not fits] == []
    assert [(text, through) for text, _, through in frames if through] == []


@pytest.mark.parametrize("direction", ["TB", "LR"])
@pytest.mark.parametrize("name", ["resnet18", "resnet50", "densenet121", "mobilenet_v2"])
def test_arcs_and_texts_of_a_picture_do_not_meet_and_stay_on_the_page(browser: Page, tmp_path: Path, name: str, direction: str) -> None:
    drawn = load(ROOT / f"archs/{name}.arch").draw("svg", direction=direction, title=name, show="params,macs")
    (tmp_path / "net.svg").write_bytes(drawn)
    browser.goto((tmp_path / "net.svg").as_uri())
    told = browser.evaluate(
        """() => {
          const texts = [...document.querySelectorAll("text")], page = document.documentElement.getBoundingClientRect();
          const boxes = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
          const outside = boxes.filter(([, b]) => b.left < page.left || b.right > page.right || b.top < page.top || b.bottom > page.bottom);
          const meet = boxes.flatMap(([a, p], i) => boxes.slice(i + 1).filter(([, q]) =>
            Math.min(p.right, q.right) - Math.max(p.left, q.left) > 2 && Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top) > 4
          ).map(([b]) => a + " and " + b));
          const arcs = [...document.querySelectorAll("g.edge.skip path")];
          const inner = [...document.querySelectorAll("g.node:not(.skip) text")].map(text => [text.textContent, text.getBBox()]);
          const struck = arcs.flatMap(path => {
            const hit = new Set();
            for (let at = 0; at <= path.getTotalLength(); at += 0.5) {
              const { x, y } = path.getPointAtLength(at);
              for (const [said, b] of inner)
                if (x > b.x && x < b.x + b.width && y > b.y + 2 && y < b.y + b.height - 2) hit.add(said);
            }
            return [...hit];
          });
          return { texts: texts.length, arcs: arcs.length, outside: outside.map(([said]) => said), meet, struck };
        }"""
    )
    assert told["texts"] > 20
    assert told["arcs"] >= 4
    assert told["outside"] == []
    assert told["meet"] == []
    assert told["struck"] == []


# ---- light and dark

READ_COLOURS = """() => {
  const parse = text => { const c = text.match(/[\\d.]+/g).map(Number); return { rgb: c.slice(0, 3), alpha: c.length > 3 ? c[3] : 1 }; };
  const light = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  // What is painted under the middle of an element, itself left out: fills of drawings, backgrounds of the page.
  const ground = element => {
    const box = element.getBoundingClientRect(), x = box.left + box.width / 2, y = box.top + box.height / 2;
    for (const under of document.elementsFromPoint(x, y)) {
      if (under === element || ["text", "tspan"].includes(under.tagName)) continue;
      const style = getComputedStyle(under), drawn = under instanceof SVGGeometryElement;
      const colour = drawn ? style.fill : style.backgroundColor;
      if (colour === "none" || parse(colour).alpha < 1) continue;
      return parse(colour).rgb;
    }
    return parse(getComputedStyle(document.body).backgroundColor).rgb;
  };
  const seen = element => { const box = element.getBoundingClientRect(); return box.width && box.top >= 0 && box.bottom <= innerHeight; };
  const texts = [...document.querySelectorAll("svg text, header h1, header p, header label, header input, header button, #facts")]
    .filter(element => seen(element) && (element.textContent || element.placeholder));
  const contrasts = texts.map(element => {
    const style = getComputedStyle(element), drawn = element instanceof SVGElement;
    const colour = parse(drawn ? style.fill : style.color).rgb;
    const own = parse(style.backgroundColor), under = !drawn && own.alpha === 1 ? own.rgb : ground(element);
    const [a, b] = [light(colour), light(under)].sort((p, q) => p - q);
    return [element.textContent || element.placeholder, (b + 0.05) / (a + 0.05)];
  });
  const areas = Object.fromEntries(["html", "body", "header", "header button", "header input", "#facts", ".room"].flatMap(name =>
    [...document.querySelectorAll(name)].map(element => {
      const style = getComputedStyle(element), colour = parse(name === ".room" ? style.fill : style.backgroundColor);
      return [name, light(colour.rgb)];
    })));
  const boxes = [...document.querySelectorAll("#view [id] > :first-child")].map(drawn => light(parse(getComputedStyle(drawn).fill).rgb));
  return { contrasts, areas, boxes };
}"""


@pytest.mark.parametrize("heat", ["", "macs"])
@pytest.mark.parametrize("name", ["resnet50", "googlenet", "unet"])
@pytest.mark.parametrize("scheme_and_theme", ["dark auto", "light auto", "light dark", "dark light", "dark print"])
def test_the_page_is_wholly_dark_or_wholly_light(browser: Page, tmp_path: Path, name: str, scheme_and_theme: str, heat: str) -> None:
    scheme, theme = scheme_and_theme.split()
    network = load(ROOT / f"archs/{name}.arch").graph
    (tmp_path / "net.html").write_text(page(network, Look(theme, heat)), encoding="utf-8")
    browser.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    browser.goto((tmp_path / "net.html").as_uri())
    browser.click("#expand")
    browser.hover("#view [data-name]:not(.room)")
    found = browser.evaluate(READ_COLOURS)
    browser.emulate_media(color_scheme="light")
    dark = theme == "dark" or (theme == "auto" and scheme == "dark")
    assert set(found["areas"]) == {"html", "body", "header", "header button", "header input", "#facts", ".room"}
    for area, light in found["areas"].items():
        assert light < 0.05 if dark else light > 0.85, area
    if not heat:
        assert all(light < 0.2 if dark else light > 0.3 for light in found["boxes"])
    assert len(found["contrasts"]) > 20
    assert [(text, ratio) for text, ratio in found["contrasts"] if ratio < 4.5] == []


def test_a_dark_page_is_printed_light(browser: Page, tmp_path: Path) -> None:
    open_page(browser, tmp_path / "net.html", "lenet5")
    browser.emulate_media(color_scheme="dark", media="print")
    colour = browser.evaluate("() => getComputedStyle(document.body).backgroundColor")
    shown = browser.evaluate("() => getComputedStyle(document.querySelector('header button')).display")
    fill = browser.evaluate("() => getComputedStyle(document.querySelector('#view [id] > :first-child')).fill")
    browser.emulate_media(color_scheme="light", media="screen")
    assert colour == "rgb(255, 255, 255)"
    assert shown == "none"
    assert fill == "rgb(236, 239, 241)"


FIGURES = ("lenet5", "alexnet", "vgg16", "resnet18", "efficientnet_b0", "mobilenet_v2", "unet", "googlenet", "vit_b_16", "densenet121")


@pytest.mark.parametrize("name", FIGURES)
def test_texts_of_figures_are_apart_and_on_the_page(browser: Page, tmp_path: Path, name: str) -> None:
    path = tmp_path / "net.html"
    path.write_text(f"<body style='margin:0'>{load(ROOT / f'archs/{name}.arch').draw(style='paper').decode().split('?>', 1)[1]}</body>")
    browser.goto(path.as_uri())
    boxes = browser.eval_on_selector_all("svg text", "all => all.map(each => { const b = each.getBoundingClientRect(); return "
                                         "[each.textContent, b.left, b.top, b.right, b.bottom]; })")  # fmt: skip
    page = browser.eval_on_selector("svg", "each => { const b = each.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom]; }")
    assert len(boxes) > 10
    for text, left, top, right, bottom in boxes:
        assert page[0] <= left and right <= page[2] and page[1] <= top and bottom <= page[3], text
    for number, (first, *a) in enumerate(boxes):
        for second, *b in boxes[number + 1 :]:
            wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            assert wide <= 1 or high <= 6, (first, second)  # lines of one text are closer than their boxes are high


def test_a_figure_shows_what_is_in_a_block(browser: Page, tmp_path: Path) -> None:
    path = tmp_path / "net.html"
    path.write_bytes(load(ROOT / "archs/resnet18.arch").draw("html", style="paper"))
    said: list[str] = []
    browser.on("pageerror", lambda error: said.append(str(error)))
    browser.goto(path.as_uri())
    browser.click('[data-name="layer1.0"] text')
    assert "layer1.0.conv2" in browser.eval_on_selector_all("[data-name]", "all => all.map(each => each.dataset.name)")
    browser.click("#way button")
    assert "layer1.0" in browser.eval_on_selector_all("[data-name]", "all => all.map(each => each.dataset.name)")
    assert said == []
