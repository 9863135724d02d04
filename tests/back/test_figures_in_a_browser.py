"""Pictures as a browser draws them, with its own fonts: no text lies on another one, and nothing leaves the page."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest
from playwright.sync_api import Page

from archc import load
from archc.tests.support import ROOT
from archc.tests.support.chromium import BROWSER, opened_page

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")]
ASK = """() => {
  const page = document.documentElement.getBoundingClientRect();
  const area = each => { const b = each.getBoundingClientRect(); return [b.left, b.top, b.right, b.bottom, each.textContent.trim()]; };
  const seen = each => each.textContent.trim() !== '' && getComputedStyle(each).visibility !== 'hidden';
  return {
    page: [page.left, page.top, page.right, page.bottom],
    texts: [...document.querySelectorAll('text')].filter(seen).map(area),
    shapes: [...document.querySelectorAll('path, polygon, polyline, ellipse')].map(area),
  };
}"""
PAPER = ("lenet5", "alexnet", "zfnet", "vgg16", "resnet18", "resnet50", "densenet121", "mobilenet_v2", "efficientnet_b0", "googlenet",
         "unet", "vit_b_16", "bert_base", "gpt2", "swin_t", "hrnet_w18", "maxvit_t", "shufflenet_v2_x1_0")  # fmt: skip
OPENED = (
    ("resnet18", {"depth": 9}),
    ("unet", {"depth": 1}),
    ("googlenet", {"expand": "inception3a"}),
    ("resnet50", {"expand": "layer2.0"}),
)


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with opened_page() as shown:
        yield shown


def holds(page: Page, svg: bytes, folder: Path) -> None:
    (folder / "net.svg").write_bytes(svg)
    page.goto((folder / "net.svg").as_uri())
    found = page.evaluate(ASK)
    left, top, right, bottom = found["page"]
    assert found["texts"]
    assert len(found["shapes"]) > 3
    for a in (*found["texts"], *found["shapes"]):
        assert left - 1 <= a[0] and a[2] <= right + 1 and top - 1 <= a[1] and a[3] <= bottom + 1, a
    for a, b in combinations(found["texts"], 2):
        wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
        slack = 0.3 * min(a[3] - a[1], b[3] - b[1])  # lines of a text are closer than the boxes of its font
        assert wide <= 1 or high <= slack, (a, b)


@pytest.mark.parametrize("place", ['x="12" y="22"', 'x="80" y="20"'])  # on another text, over the edge
def test_what_overlaps_or_leaves_the_page_is_seen(place: str, page: Page, tmp_path: Path) -> None:
    svg = f"""<svg xmlns="http://www.w3.org/2000/svg" width="100" height="60">
      <text x="10" y="20">conv3-64</text><text {place}>conv3-64</text>{'<path d="M5 5L9 9"/>' * 4}</svg>"""
    with pytest.raises(AssertionError):
        holds(page, svg.encode(), tmp_path)
    holds(page, svg.replace(place, 'x="10" y="50"').encode(), tmp_path)


@pytest.mark.parametrize("name", PAPER)
@pytest.mark.parametrize("width", ["", "85mm"])
def test_figures(name: str, width: str, page: Page, tmp_path: Path) -> None:
    holds(page, load(ROOT / f"archs/{name}.arch").draw(style="paper", width=width), tmp_path)


@pytest.mark.parametrize(("name", "options"), OPENED)
def test_figures_of_opened_blocks(name: str, options: dict[str, object], page: Page, tmp_path: Path) -> None:
    holds(page, load(ROOT / f"archs/{name}.arch").draw(style="paper", **options), tmp_path)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["lenet5", "resnet18", "densenet121", "mobilenet_v2", "googlenet", "bert_base", "unet"])
@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_graphs(name: str, direction: str, page: Page, tmp_path: Path) -> None:
    svg = load(ROOT / f"archs/{name}.arch").draw(direction=direction, title=name, show="params,macs,memory,field")
    holds(page, svg, tmp_path)


@pytest.mark.parametrize(
    ("first", "second"), [("plain34", "resnet34"), ("resnet50_v1", "resnet50"), ("vgg16", "vgg19"), ("alexnet", "zfnet")]
)
@pytest.mark.parametrize("apart", [False, True])
def test_differences(first: str, second: str, apart: bool, page: Page, tmp_path: Path) -> None:
    a, b = (load(ROOT / f"archs/{name}.arch") for name in (first, second))
    holds(page, a.diff(b).draw(side_by_side=apart), tmp_path)
