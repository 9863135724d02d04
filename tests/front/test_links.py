"""The documents hold together: every relative link leads to a file or a heading, and every decision has a date."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest

import archc

ROOT = Path(archc.__file__).parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^( *)```.*?^\1```", re.M | re.S)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.M)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def prose(path: Path) -> str:
    """Return the text of a document without its fenced blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchor(heading: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def broken_links(path: Path) -> list[str]:
    """Return the links of a document that lead to no file or heading of the repository; addresses of the web are not looked up."""
    broken = []
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, heading = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (heading and heading not in map(anchor, HEADING.findall(prose(target)))):
            broken.append(link)
    return broken


def undated(text: str) -> list[str]:
    """Return the headings of sections with no date in the heading or in the first line of the section."""
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    found = {section.splitlines()[0]: DATE.search("".join(section.strip().split("\n\n")[:2])) for section in sections}
    for match in filter(None, found.values()):
        date.fromisoformat(match[0])  # raises ValueError for 2026-13-01
    return [heading for heading, match in found.items() if match is None]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    assert not broken_links(path)


def test_paths_in_contributing_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:archs|bench|compiler|docs|dsl|tests|ui)/[\w./]*)`", text)
    assert len(paths) > 10
    assert not [path for path in paths if "NAME" not in path and not (ROOT / path).exists()]


def test_broken_links_are_found(tmp_path: Path) -> None:
    (tmp_path / "code.py").touch()
    page = tmp_path / "page.md"
    links = "[1](code.py) [2](#a-b-c) [3](https://a.b/c)\n[4](gone.py) [5](#d)"
    page.write_text(f"# A `b`, c\n\n{links}\n\n```text\n# d\n[6](gone.py)\n```\n", encoding="utf-8")
    assert broken_links(page) == ["gone.py", "#d"]


def test_every_decision_has_a_date() -> None:
    text = (ROOT / "docs/decisions.md").read_text(encoding="utf-8")
    assert text.count("\n## ") > 40
    assert not undated(text)


def test_a_decision_without_a_date_is_found() -> None:
    dated = "## A (2026-11-23)\n\nText.\n\n## B\n\n*2026-11-23*\n\nText."
    assert undated(f"# Decisions\n\n{dated}\n\n## C\n\nText.\n\nOn 2026-11-23.\n") == ["C"]
