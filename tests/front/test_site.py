"""The site: every document has a place in it, its links are those of the documents, and links that lead nowhere are found."""

from __future__ import annotations

import base64
import json
import re
import sys
import zlib
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from archc.compiler.pages import pages
from archc.tests.support import ROOT
from archc.ui.lsp import settings
from archc.ui.lsp.reporting import page_of

SITE = ROOT / "docs/site"


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return a module of docs/site, which no package contains."""
    monkeypatch.syspath_prepend(str(SITE))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return import_module(name)


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return module("links", monkeypatch)


def test_every_document_has_a_place_in_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = module("contents", monkeypatch)
    named = [page for pages in (*contents.CONTENTS.values(), *contents.BELOW.values()) for page in pages]
    assert len(named) == len(set(named))
    chapters = {f"{course}/{path.stem}" for course in contents.COURSES for path in (ROOT / "docs" / course).glob("[0-9]*.md")}
    documents = {f"{path.relative_to(ROOT / 'docs').with_suffix('')}" for path in (ROOT / "docs").rglob("*.md")} - {"index"}
    assert {*named} - {*contents.GENERATED} | chapters == documents | {*contents.ELSEWHERE}
    assert all((ROOT / file).is_file() for file in contents.ELSEWHERE.values())


def test_codes_have_headings_of_their_own() -> None:
    """The site has `errors.html#e0301`: a heading that is the code alone is its anchor."""
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/errors.md").read_text(encoding="utf-8"), re.M)
    assert headings == [page.code for page in pages()]


def test_codes_lead_to_the_site_where_it_has_an_address() -> None:
    def site(address: object) -> str:
        return settings.read({"archc": {"site": address}}, settings.Settings()).site

    assert [site("https://a.b/docs/"), site("javascript:x"), site(3), site("")] == ["https://a.b/docs/", "", "", ""]
    found = page_of("E0301", "https://a.b/docs/")
    assert found is not None and found.href == "https://a.b/docs/errors.html#e0301"
    local = page_of("W0102")
    assert local is not None and local.href.startswith("file://") and local.href.endswith("/docs/errors.md#w0102")


def test_links_of_documents_become_links_of_the_site(links: ModuleType) -> None:
    text = "[1](language.md#a) [2](../README.md) [3](../archs/unet.arch) [4](../compiler/ops) [5](#b) [6](https://a.b/c) ![7](g/x.svg)\n"
    code = "`[8](../x)`\n\n```text\n[9](../y)\n```\n"
    pages = {"docs/language.md": "language", "README.md": "overview", "archs/unet.arch": "networks/unet"}
    sources: set[str] = set()
    assert links.rewritten(text + code, "docs/guides.md", "guides.md", pages, sources) == (
        "[1](language.md#a) [2](overview.md) [3](networks/unet.md) [4](repository:source/compiler/ops.html) [5](#b) [6](https://a.b/c) "
        "![7](g/x.svg)\n" + code
    )
    assert sources == {"compiler/ops"}
    moved = links.rewritten("[1](../../archs/unet.arch) [2](../papers.md)", "docs/learn/01-a.md", "learn/01-a.md", pages, sources)
    assert moved == "[1](../networks/unet.md) [2](../papers.md)"


def test_links_into_the_playground_hold_the_text(links: ModuleType) -> None:
    key, _, packed = links.fragment("input 3x8x8\nconv3-4\n" * 50, "net").partition("=")
    assert key == "t"
    assert re.fullmatch(r"[\w-]+", packed)
    held = json.loads(zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)), -15))
    assert held == {"text": "input 3x8x8\nconv3-4\n" * 50, "name": "net.arch"}


def test_broken_links_of_a_site_are_found(links: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "playground").mkdir()
    (tmp_path / "playground/index.html").write_text("<a href='gone.html'></a>", encoding="utf-8")
    (tmp_path / "sub/b.html").write_text("<p id='here'></p><a href='../a.html#there'></a><img src='gone.png'>", encoding="utf-8")
    addresses = ("sub/b.html#here", "sub/b.html#gone", "playground/#t=x", "https://a.b", "#")
    (tmp_path / "a.html").write_text("".join(f"<a href='{each}'></a>" for each in addresses), encoding="utf-8")
    assert sorted(links.broken(tmp_path)) == ["a.html: sub/b.html#gone", "sub/b.html: ../a.html#there", "sub/b.html: gone.png"]
