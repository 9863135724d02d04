"""Which values are legal at a place: each is tried, by checking the item alone behind an input of the shape that enters it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from archc.compiler.driver import glance
from archc.compiler.elaborate.elaboration import Limits
from archc.compiler.elaborate.loader import Loader
from archc.compiler.shapes.dim import Shape
from archc.dsl import ast

USUAL = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 14, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
MOST = 40  # values that are tried
LIMITS = Limits(max_nodes=200)


def numbers(incoming: Shape) -> list[int]:
    """Return the numbers that are worth a trial: the usual ones, the channels that enter, and their divisors."""
    channels = incoming[0] if incoming and isinstance(incoming[0], int) else 0
    divisors = [n for n in range(1, min(channels, 4_096) + 1) if channels % n == 0]
    return sorted({*USUAL, *divisors[-12:], *divisors[:12]})[:MOST]


def defaults_before(tree: ast.File | None, offset: int) -> str:
    """Return the `default` lines at the top of a file before an offset, as text."""
    rows = [s.span.text for s in (tree.statements if tree is not None else ()) if isinstance(s, ast.Default) and s.span.end <= offset]
    return "\n".join(rows)


def legal(before: str, value_texts: Iterable[str], after: str, incoming: Shape, defaults: str = "") -> Iterator[tuple[str, Shape]]:
    """Yield each value with which the item `before + value + after` is sound, and the shape that it then returns."""
    entering = "x".join(str(size) if isinstance(size, int) else f"S{axis}" for axis, size in enumerate(incoming))  # open sizes stay open
    for text in value_texts:
        program = f"input {entering}\n{defaults}\nitem: {{ {before}{text}{after} }}\n"
        loader = Loader(LIMITS.max_nesting, LIMITS.max_nodes)
        report = glance(loader.text("item.arch", program.encode(), Path()), "item", loader, LIMITS)
        if report.ok and report.passed:
            yield text, report.passed[-1].shape
