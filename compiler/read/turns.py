"""The head of a loop: what a number is in every turn, from the index or from a row of values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from archc.compiler.analysis.written import NOWHERE
from archc.compiler.read.literals import literal
from archc.compiler.read.shapes import INDEX, Leaf
from archc.dsl import ast

RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.05)
MOST_TOTAL = 130  # units over which a rate rises
HEAD = 8  # tokens of the head of a loop
INDICES = ("i", "j", "k", "l", *(f"i{number}" for number in range(2, 200)))


class Plan:
    """The head of a loop: its index where that is used, and the variables of its rows."""

    def __init__(self, turns: int, taken: set[str]) -> None:
        self.turns = turns
        self.index = next(name for name in INDICES if name not in taken)
        self.taken = {*taken, self.index}
        self.uses_index = False
        self.start = 0
        self.rows: dict[str, list[int | float]] = {}

    def expressions(self, columns: Sequence[Sequence[Leaf]]) -> list[ast.Expr]:
        """Return what the numbers of a body are in every turn. A variable that is in a label too is called by its other use."""
        hints: dict[tuple[int | float, ...], str] = {}
        for column in columns:
            if column[0].hint != INDEX:
                hints.setdefault(tuple(leaf.value for leaf in column), column[0].hint)
        made = []
        for column in columns:
            values = tuple(leaf.value for leaf in column)
            made.append(self.expression(values, column[0].hint, hints.get(values, "m")))
        return made

    def expression(self, values: Sequence[int | float], hint: str, called: str) -> ast.Expr:
        """Return what a number is in every turn."""
        if all(value == values[0] and type(value) is type(values[0]) for value in values):
            return literal(values[0])
        related = next((expr for name, row in self.rows.items() if (expr := _multiple(name, row, values)) is not None), None)
        if related is not None:
            return related
        if all(isinstance(value, int) for value in values):
            step = values[1] - values[0]
            if all(value == values[0] + turn * step for turn, value in enumerate(values)) and (hint == INDEX or self.turns > 2):
                self.uses_index = True
                return _linear(self.index, int(step), int(values[0]))
            if hint != INDEX and self.turns > 2 and values[0] and all(value == values[0] * 2**turn for turn, value in enumerate(values)):
                self.uses_index = True
                power = ast.Fold(NOWHERE, literal(2), (("**", ast.Name(NOWHERE, self.index)),))
                return ast.Fold(NOWHERE, literal(values[0]), (("*", power),))
        elif (rate := _rate(values)) is not None:
            self.uses_index = True
            return _rising(self.index, *rate)
        name, at = hint if hint != INDEX else called, 2
        base = name
        while name in self.taken:
            name, at = f"{base}{at}", at + 1
        self.taken.add(name)
        self.rows[name] = list(values)
        return ast.Name(NOWHERE, name)

    def loop(self, body: tuple[ast.Statement, ...]) -> ast.For:
        """Return the loop with a body."""
        names = [ast.Pattern(NOWHERE, name, ()) for name in self.rows]
        row = names[0] if len(names) == 1 else ast.Pattern(NOWHERE, None, tuple(names))
        index = ast.Pattern(NOWHERE, self.index, ())
        if not self.rows:
            return ast.For(NOWHERE, index, _call("range", literal(self.turns)), body)
        listed = list(zip(*self.rows.values(), strict=True))
        rows = ast.List(NOWHERE, tuple(literal(each[0] if len(names) == 1 else each) for each in listed))
        if not self.uses_index:
            return ast.For(NOWHERE, row, rows, body)
        return ast.For(NOWHERE, ast.Pattern(NOWHERE, None, (index, row)), _call("enumerate", rows), body)


def _multiple(name: str, row: Sequence[int | float], values: Sequence[int | float]) -> ast.Expr | None:
    """Return values as a variable of the rows, a multiple of it, or a quotient."""
    variable = ast.Name(NOWHERE, name)
    if list(row) == list(values):
        return variable
    if not all(isinstance(value, int) and value > 0 for value in (*row, *values)) or len(set(row)) < 2:
        return None
    for top, bottom, op in ((values, row, "*"), (row, values, "//")):
        factor = int(top[0] // bottom[0])
        if factor > 1 and all(a == factor * b for a, b in zip(top, bottom, strict=True)):
            pair = (literal(factor), variable) if op == "*" else (variable, literal(factor))
            return ast.Fold(NOWHERE, pair[0], ((op, pair[1]),))
    return None


def _rate(values: Sequence[int | float]) -> tuple[float, int, int, int] | None:
    """Return rate, first, step and total where the values are `rate*(first + step*i)/total`, bit by bit, as drop rates rise with depth."""
    if len(values) < 3 or not all(isinstance(value, float) for value in values):
        return None
    for total in range(2, MOST_TOTAL):
        for rate in RATES:
            first, second = (round(value * total / rate) for value in values[:2])
            step = second - first
            if step and all(rate * (first + step * turn) / total == value for turn, value in enumerate(values)):
                return rate, first, step, total
    return None


def _rising(index: str, rate: float, first: int, step: int, total: int) -> ast.Expr:
    return ast.Fold(NOWHERE, literal(rate), (("*", _linear(index, step, first)), ("/", literal(total))))


def _call(name: str, value: ast.Expr) -> ast.CallExpr:
    return ast.CallExpr(NOWHERE, name, (ast.Arg(NOWHERE, None, value),))


def _linear(name: str, step: int, first: int) -> ast.Expr:
    index: ast.Expr = ast.Name(NOWHERE, name)
    if step < 0:
        scaled = index if step == -1 else ast.Fold(NOWHERE, literal(-step), (("*", index),))
        return ast.Fold(NOWHERE, literal(first), (("-", scaled),))
    scaled = index if step == 1 else ast.Fold(NOWHERE, literal(step), (("*", index),))
    if first == 0:
        return scaled
    return ast.Fold(NOWHERE, scaled, (("+" if first > 0 else "-", literal(abs(first))),))


def tokens(node: Any) -> int:
    """Count the tokens of a tree, roughly: names, numbers and words, and a bracket for every body."""
    total = 0
    waiting: list[Any] = [node]
    while waiting:
        each = waiting.pop()
        if isinstance(each, tuple):
            waiting.extend(each)
        elif isinstance(each, ast.Node):
            total += (
                2
                if isinstance(each, (ast.Group, ast.Merge, ast.List, ast.If))
                else HEAD - 2
                if isinstance(each, (ast.For, ast.Turns))
                else 1
            )
            total += isinstance(each, ast.Op) and not each.word.isalpha()
            total += each.path.count(".") if isinstance(each, ast.Ref) else 2 * isinstance(each, ast.Output)
            waiting.extend(ast.inside(each))
    return total
