"""Files of archs/ with something changed at random, and what must hold of every one of them."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import strategies as st

from archc.compiler.driver import check_text
from archc.compiler.elaborate.elaboration import Limits
from archc.compiler.report import Report
from archc.dsl.rendering import render_all
from archc.tests.support import NETWORKS, ROOT

FILES = [*NETWORKS, *sorted((ROOT / "archs/std").glob("*.arch"))]
TEXTS = {path.relative_to(ROOT / "archs").as_posix(): path.read_text(encoding="utf-8") for path in FILES}
TOKENS = re.compile(r"\w+|[^\w\s]|\s+")
CHARACTERS = "(){}[]<>|;:=.,@#/*+-x0123456789 \n\t\"'abcXYZ_é漢\0"
WORDS = [
    *("conv3-64", "maxpool", "relu", "residual", "concat", "add", "fc-10", "block", "for", "if", "else", "in"),
    *(".", "x3", "x0", "=>", "3x8x8", "@conv1", "let", "input", "output", "0", "-1", "1e9"),
    *("99999999", "in.c", "none", "{", "}", "<", ">", "|", "@", "=", "#"),
]

Choose = Callable[[int], int]  # a number from 0 up to, not including, the argument


def mutate(text: str, choose: Choose) -> str:
    """One change of a character, a token or a line."""
    kind = choose(3)
    parts = [list(text), TOKENS.findall(text), text.splitlines(keepends=True)][kind]
    if not parts:
        return text
    at, other = choose(len(parts)), choose(len(parts))
    match choose(5):
        case 0:
            del parts[at]
        case 1:
            parts.insert(at, parts[other])
        case 2:
            parts[at], parts[other] = parts[other], parts[at]
        case 3:
            parts[at] = parts[other]
        case _:
            parts.insert(at, CHARACTERS[choose(len(CHARACTERS))] if kind == 0 else f" {WORDS[choose(len(WORDS))]} ")
    return "".join(parts)


def mutated(name: str, data: st.DataObject) -> str:
    """One to three changes of a file of `archs/`, drawn by hypothesis."""
    text = TEXTS[name]
    for _ in range(data.draw(st.integers(1, 3))):
        text = mutate(text, lambda bound: data.draw(st.integers(0, bound - 1)))
    return text


def must_hold(name: str, text: str) -> Report:
    """Check a mutated file: no exception, and every message has a place and can be shown."""
    report = check_text(text, name=name, folder=(ROOT / "archs" / name).parent, limits=Limits(max_nodes=50_000))
    messages = [*report.diagnostics, *report.warnings]
    assert all(found.span is not None for found in messages)
    if messages:
        render_all(messages)
    return report
