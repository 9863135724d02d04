"""Repairs of input sizes: the nearest legal sizes, found with the sizes left open."""

from __future__ import annotations

from collections.abc import Sequence

from archc.compiler.repair.places import Candidates, repair
from archc.compiler.repair.trial import Trials
from archc.compiler.shapes.dim import Shape
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Edit
from archc.dsl.source import Span

NAMES = {1: ("W",), 2: ("H", "W"), 3: ("D", "H", "W")}
SMALLEST = 8  # smaller sizes are not maps


def legal_input(d: Diagnostic, span: Span, trials: Trials) -> Candidates:
    """For maps that do not match because an odd size was halved: the next larger and next smaller input size."""
    shapes: Sequence[Shape] = d.facts.get("shapes") or []
    if len({len(shape) for shape in shapes}) != 1 or all(shape[1:] == shapes[0][1:] for shape in shapes):
        return
    lines = [s for s in ast.walk(trials.tree) if isinstance(s, ast.Input)]
    if len(lines) != 1 or not 2 <= len(lines[0].dims) <= 4 or not all(isinstance(dim, ast.Number) for dim in lines[0].dims):
        return
    sizes = [int(dim.value) for dim in lines[0].dims if isinstance(dim, ast.Number)]
    names = NAMES[len(sizes) - 1]
    opened = trials.opened("x".join([str(sizes[0]), *names])) if min(sizes[1:]) >= SMALLEST else None
    if opened is None or opened.found:
        return
    legal = {found.name: found for found in opened.legal}
    if any(name not in legal or not legal[name].classes for name in names) or all(
        legal[name].admits(size) for name, size in zip(names, sizes[1:], strict=True)
    ):
        return
    near = [[size] if legal[name].admits(size) else legal[name].near(size)[::-1] for name, size in zip(names, sizes[1:], strict=True)]
    if not all(near):  # a size that nothing but its own number makes legal
        return
    wrong = {legal[name]: size for name, size in zip(names, sizes[1:], strict=True) if not legal[name].admits(size)}
    multiples = [f"{size} is not a multiple of {found.multiple}" for found, size in wrong.items() if found.multiple]
    why = " and ".join(dict.fromkeys(multiples)) or "legal sizes are " + "; ".join(dict.fromkeys(found.values_text for found in wrong))
    for index in range(max(map(len, near))):
        text = "x".join(str(n) for n in (sizes[0], *(options[min(index, len(options) - 1)] for options in near)))
        yield repair(f"an input of {text}: {why}", Edit(lines[0].dims[0].span.to(lines[0].dims[-1].span), text))
