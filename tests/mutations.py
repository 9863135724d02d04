"""Files of archs/ with something changed at random, and what must hold of every one of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from time import perf_counter

import torch

from archc.compiler.backends.torch_fx import lower
from archc.compiler.driver import check_text
from archc.compiler.elaborate.elaboration import Limits
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
LOWERED = 3_000  # nodes, up to which an accepted network is lowered

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


def must_hold(name: str, text: str) -> float:
    """No exception; every message has a place; what is accepted lowers. Returns the seconds that the check took."""
    begin = perf_counter()
    report = check_text(text, name=name, folder=(ROOT / "archs" / name).parent, limits=Limits(max_nodes=50_000))
    messages = [*report.diagnostics, *report.warnings]
    assert all(found.span is not None for found in messages)
    if messages:
        render_all(messages)
    seconds = perf_counter() - begin
    if report.ok and report.has_network and not report.graph.unknowns and len(report.graph) <= LOWERED:
        with torch.device("meta"):
            module = lower(report.graph)
            module(*(torch.empty(2, *node.shape) for node in report.graph.inputs))
    return seconds
