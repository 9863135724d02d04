"""The pages of the error codes, extracted from the vocabulary: `archc explain` prints them, and docs/errors.md contains them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import NamedTuple

import archc.dsl.vocabulary as vocabulary
from archc.dsl.diagnostics import CODES

assert vocabulary  # importing it fills the register


class Page(NamedTuple):
    """The page of one code: its title, explanation, and examples."""

    code: str
    title: str
    text: str
    wrong: str  # "" if no file can show it
    right: str


def page(code: str) -> Page | None:
    """Return the page of a code; None if there is no such code."""
    function = CODES.get(code.upper())
    if function is None:
        return None
    doc = cleandoc(function.__doc__ or "")
    examples = {name.lower(): cleandoc(body) + "\n" for name, body in re.findall(r"^(Wrong|Right):\n\n((?:    .*\n?|\n)+)", doc, re.M)}
    return Page(code.upper(), doc.splitlines()[0].rstrip("."), doc, examples.get("wrong", ""), examples.get("right", ""))


def pages() -> Iterator[Page]:
    """Yield the pages of all codes, in order."""
    for code in sorted(CODES):
        found = page(code)
        assert found is not None
        yield found


def markdown(entry: Page) -> str:
    """Return a page as Markdown, with its examples as code."""
    prose = entry.text.partition("\nWrong:\n")[0].strip()
    examples = f"\n\nWrong:\n\n```arch-error\n{entry.wrong}```\n\nRight:\n\n```arch\n{entry.right}```" if entry.wrong else ""
    return f"## {entry.code}\n\n{prose}{examples}\n"


def manual() -> str:
    """Return all pages as one Markdown document."""
    head = "# Errors and warnings\n\nGenerated from the vocabulary by `archc explain --markdown`; `archc explain CODE` prints one.\n"
    return "\n".join([head, *(markdown(entry) for entry in pages())])
