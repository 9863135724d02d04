"""The site is built by its command: without warnings or broken links, with a page for every network and an anchor for every code."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from archc.compiler.pages import pages
from archc.compiler.zoo import networks
from archc.tests.support import ROOT

MISSING = [name for name in ("sphinx", "furo", "myst_parser") if find_spec(name) is None]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (pip install 'archc[docs]')"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site, built as `make site` builds it."""
    target = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, str(ROOT / "docs/site/build.py"), str(target)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3600)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"built {target}: " in ran.stdout
    return target


def test_codes_have_anchors(site: Path) -> None:
    page = (site / "errors.html").read_text(encoding="utf-8")
    assert [each.code for each in pages() if f'id="{each.code.lower()}"' not in page] == []


def test_networks_have_pages(site: Path) -> None:
    for path in networks():
        page = (site / f"networks/{path.stem}.html").read_text(encoding="utf-8")
        assert f'src="../_images/network-{path.stem}.svg"' in page, path.stem
        drawn = (site / f"_images/network-{path.stem}.svg").read_text(encoding="utf-8")
        assert f"<title>{path.stem}</title>" in drawn, path.stem
    assert "138,357,544" in (site / "networks/vgg16.html").read_text(encoding="utf-8")


def test_search_works_without_a_server(site: Path) -> None:
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert "Search.setIndex(" in index
    assert "depthwis" in index  # English words are stemmed
    assert '"\\ub9e4\\uac1c\\ubcc0\\uc218"' in index  # 매개변수: parameters


def test_the_course_says_its_language(site: Path) -> None:
    assert '<html class="no-js" lang="ko"' in (site / "learn/ko/02-alexnet.html").read_text(encoding="utf-8")
    assert 'lang="en"' in (site / "learn/02-alexnet.html").read_text(encoding="utf-8")[:200]


def test_programs_lead_into_the_playground_where_it_was_built(site: Path) -> None:
    page = (site / "learn/01-lenet.html").read_text(encoding="utf-8")
    assert ("playground/#t=" in page) == (site / "playground/index.html").is_file()


def test_the_interface_is_that_of_the_docstrings(site: Path) -> None:
    page = (site / "python.html").read_text(encoding="utf-8")
    assert 'id="archc.Network.summary"' in page
    assert 'id="archc.load"' in page
    assert "multiply-accumulates of one sample at inference; a formula where sizes are open" in page  # the comment of a field


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for path in site.rglob("*.html"):
        if "playground" not in path.parts:
            page = path.read_text(encoding="utf-8")
            assert 'src="http' not in page, path
            assert 'rel="stylesheet" href="http' not in page, path
