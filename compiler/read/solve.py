"""Find what differs between the instances of a block: an expression of what is known, or else a parameter.

Columns are taken in the order of the text. One of numbers may equal a parameter, the channels or a size of the current tensor or of the
one that enters the block, or a multiple, a quotient, a product or a sum of such; what is none of these becomes a parameter, with its
most common value as the default. Columns of truth values, among them which instances have an item, are compared with conditions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from archc.compiler.analysis.written import NOWHERE
from archc.compiler.graph import ArchGraph
from archc.compiler.ops import operator_of
from archc.compiler.read.emit import Emitter, Unwritable, World, constant, is_constant
from archc.compiler.read.families import Family, outside
from archc.compiler.read.items import ANY, Body, Column, Group, Item, Op, Ref, Shared, SharedCall, Slot, bodies, walk
from archc.compiler.read.literals import literal
from archc.dsl import ast

NAMES = {"out": "w", "kernel": "k", "stride": "s", "dilation": "d", "start": "first"}
START = "start"  # the variable that holds the tensor that enters a block
MOST_VALUES = 6  # of a parameter that conditions compare with
MOST_ATOMS = 60


@dataclass(frozen=True)
class Tensor:
    """The value of a parameter that is a tensor: the name of a node."""

    node: str


@dataclass
class Parameter:
    """A parameter of a block: its name, its value in each instance, and its default."""

    name: str
    column: Column
    default: Any = ANY


@dataclass(frozen=True)
class Known:
    """An expression and what it is in each instance."""

    expr: ast.Expr
    column: Column
    cost: int


def name(text: str) -> ast.Name:
    """Return a name as an expression."""
    return ast.Name(NOWHERE, text)


def number(value: int) -> ast.Expr:
    """Return a number as an expression."""
    return literal(value)


def fold(first: ast.Expr, op: str, second: ast.Expr) -> ast.Expr:
    """Return two expressions with an operator between them."""
    return ast.Fold(NOWHERE, first, ((op, second),))


class Solver:
    """Solves the columns of one body; `world` gets the expressions."""

    def __init__(self, graph: ArchGraph, emitter: Emitter, index: dict[str, int], world: World, entries: Column) -> None:
        self.graph = graph
        self.emitter = emitter
        self.index = index
        self.world = world
        self.entries = entries
        self.parameters: list[Parameter] = []
        self.used: list[Known] = []  # expressions in the body, which conditions may compare with
        self.flags: list[tuple[int, str, Column, Column]] = []  # columns of truth values: item, option, column, tensors there
        self.places: dict[int, Column] = {}  # the tensor in front of each item, for all instances
        self.starts = False

    def solve(self) -> None:
        """Find the expression of every column. Raises Unwritable where a body has no text."""
        self.world.results = self._flow(self.world.body, self.entries)
        self._columns(self.world.body)
        for item, option, column, at in self.flags:
            self.world.exprs[item, option] = self._condition(column, at, option)
        self._presences(self.world.body, (True,) * len(self.entries))
        if self.starts:
            self.world.lets.append(ast.Let(NOWHERE, START, name("in")))
        self.parameters.sort(key=lambda parameter: parameter.default is not ANY)
        self.world.params = [
            ast.Param(NOWHERE, each.name, None if each.default is ANY else literal(each.default)) for each in self.parameters
        ]

    def top(self) -> None:
        """Find the arguments of the calls in the file itself, which has one instance: tensors alone need an expression."""
        self.places = dict.fromkeys((id(item) for item in walk(self.world.body)), ("",))
        for item in walk(self.world.body):
            if isinstance(item, Slot):
                self._columns([item])

    # ---- tensors

    def _flow(self, body: Body, current: Column) -> Column:
        """Note the tensor in front of each item in all instances, and return the last."""
        for item in body:
            self.places[id(item)] = current
            match item:
                case Op():
                    for branch in item.branches or ():
                        self._flow(branch, current)
                    result = item.nodes
                case Group():
                    result = self._flow(item.body, current)
                case Slot():
                    results = item.family.root.results
                    result = tuple(ANY if path is ANY else results[self.index[path]] for path in item.paths)
                case Ref():
                    result = item.targets
                case SharedCall():
                    for tensor in item.tensors:
                        self.places[id(tensor)] = current
                    result = item.nodes
                case Shared():
                    self._flow(item.body, ("",) * len(current))
                    result = current
                case _:
                    result = current
            current = tuple(
                there if there is not ANY and has else before for has, there, before in zip(item.present, result, current, strict=True)
            )
        return current

    def _sizes(self, tensors: Column, base: ast.Expr, cost: int) -> Iterator[Known]:
        """Yield the channels and sizes of tensors."""
        shapes = [self.graph[tensor].shape if tensor in self.graph else () for tensor in tensors]
        ranks = {len(shape) for shape in shapes}
        if len(ranks) != 1:
            return
        for axis, field in enumerate({1: "c", 2: "cw", 3: "chw", 4: "cdhw"}.get(ranks.pop(), "")):
            column = tuple(shape[axis] for shape in shapes)
            if all(isinstance(size, int) for size in column):
                yield Known(ast.Field(NOWHERE, base, field), column, cost + (axis > 0))

    # ---- columns

    def _columns(self, body: Body) -> None:
        for item in body:
            match item:
                case Op():
                    for inner in item.branches or ():
                        self._columns(inner)
                    record = operator_of(item.op)
                    order = [option for option in (record.short[1], record.short[0], record.short[2]) if option]
                    for option in dict.fromkeys([*order, *item.values]):
                        self._column(item, option, item.values[option], NAMES.get(option, option))
                case Slot():
                    for parameter in item.family.root.parameters:
                        column = tuple(ANY if path is ANY else parameter.column[self.index[path]] for path in item.paths)
                        self._column(item, parameter.name, column, parameter.name)
                case Ref():
                    if outside(item, self.world.roots):
                        column = tuple(ANY if target is ANY else Tensor(target) for target in item.targets)
                        self._column(item, "target", column, "skip")
                case _:
                    for inner in bodies(item):
                        self._columns(inner)

    def _column(self, item: Item, option: str, column: Column, hint: str) -> None:
        at = self.places[id(item)]
        held = [value for value in column if value is not ANY]
        if held and all(isinstance(value, Tensor) for value in held):
            self.world.exprs[id(item), option] = self._tensor(item, column, hint)
            return
        if not held or is_constant(column):
            return
        likes = [attr.default for attr in operator_of(item.op).attrs if attr.name == option] if isinstance(item, Op) else []
        like = getattr(likes[0], "option", None) if likes else None
        if like is not None and isinstance(item, Op) and column == item.values[like]:
            return
        if all(isinstance(value, bool) for value in held):
            self.flags.append((id(item), option, column, at))
            return
        if all(_is_number(value) for value in held):
            expr = self._number(column, at)
        elif all(isinstance(value, tuple) and value for value in held):
            expr = self._same(column) or self._tuple(column, at, hint)
        else:
            expr = self._same(column)
        if expr is None:
            expr = name(self._new(column, hint).name)
        elif isinstance(expr, ast.Fold):
            self.used.append(Known(expr, column, 3))
        self.world.exprs[id(item), option] = expr

    def _same(self, column: Column) -> ast.Expr | None:
        for parameter in self.parameters:
            if _agree(column, parameter.column):
                return name(parameter.name)
        return None

    def _tuple(self, column: Column, at: Column, hint: str) -> ast.Expr | None:
        """Return a list of expressions, of which one may be a new parameter; None where that takes several."""
        held = [value for value in column if value is not ANY]
        if len({len(value) for value in held}) > 1:
            return None
        parts: list[ast.Expr | None] = []
        columns = [tuple(ANY if value is ANY else value[place] for value in column) for place in range(len(held[0]))]
        if not all(_is_number(value) for each in columns for value in each if value is not ANY):
            return None
        for each in columns:
            parts.append(literal(constant(each)) if is_constant(each) else self._number(each, at))
        missing = [place for place, part in enumerate(parts) if part is None]
        if len({columns[place] for place in missing}) > 1:
            return None
        if missing:
            new = name(self._new(columns[missing[0]], hint).name)
            parts = [new if part is None else part for part in parts]
        return ast.List(NOWHERE, tuple(part for part in parts if part is not None))

    def _number(self, column: Column, at: Column) -> ast.Expr | None:
        """Return the shortest expression that a column of numbers equals."""
        bases = [Known(name(each.name), each.column, 1) for each in self.parameters]
        bases += self._sizes(at, name("in"), 3)
        entering = list(self._sizes(self.entries, name(START), 8)) if at != self.entries else []
        found: list[Known] = []
        for base in [*bases, *entering]:
            expr = _related(column, base)
            if expr is not None:
                found.append(Known(expr, column, base.cost + (0 if expr is base.expr else 2)))
        numeric = [base for base in bases if all(_is_number(value) for value in base.column)]
        for first, second in combinations(numeric[:12], 2):
            if is_constant(first.column) or is_constant(second.column):
                continue
            product = tuple(a * b for a, b in zip(first.column, second.column, strict=True))
            if _agree(column, product):
                found.append(Known(fold(first.expr, "*", second.expr), column, first.cost + second.cost + 2))
        if not found:
            return None
        best = min(found, key=lambda known: known.cost)
        if best.cost >= 8:
            self.starts = True
        return best.expr

    def _new(self, column: Column, hint: str) -> Parameter:
        """Add a parameter, with its most common value as the default where that saves arguments."""
        taken = {each.name for each in self.parameters}
        base = re.sub(r"\W", "_", hint)
        chosen, at = base, 2
        while chosen in taken or chosen in (START, "in"):
            chosen, at = f"{base}{at}", at + 1
        counts = Counter(value for value in column if value is not ANY)
        usual, count = max(counts.items(), key=lambda pair: pair[1])
        is_usual = 2 * count > sum(counts.values()) and not isinstance(usual, Tensor)
        filled = tuple(usual if value is ANY else value for value in column)
        parameter = Parameter(chosen, filled, usual if is_usual else ANY)
        self.parameters.append(parameter)
        return parameter

    def _tensor(self, item: Item, column: Column, hint: str) -> ast.Expr:
        """Return a reference to a tensor: inside the instance, the one that enters it, or a parameter."""
        roots = self.world.roots
        sites = item.sites if isinstance(item, Ref) else tuple(ANY if p is ANY else p.rpartition(".")[0] for p in item.paths)  # type: ignore[attr-defined]
        paths: set[str] = set()
        for value, site, root in zip(column, sites, roots, strict=True):
            if value is not ANY:
                try:
                    paths.add(self.emitter.path(value.node, site, root, self.world.is_block))
                except Unwritable:
                    paths.add("")
        if len(paths) == 1 and "" not in paths:
            return ast.Ref(NOWHERE, paths.pop())
        if all(value is ANY or value.node == entry for value, entry in zip(column, self.entries, strict=True)):
            self.starts = True
            return ast.Ref(NOWHERE, START)
        if paths != {""}:
            raise Unwritable("a reference leads into some instances and out of others")
        for parameter in self.parameters:
            if _agree(column, parameter.column):
                return ast.Ref(NOWHERE, parameter.name)
        return ast.Ref(NOWHERE, self._new(column, hint).name)

    # ---- conditions

    def _presences(self, body: Body, around: tuple[bool, ...]) -> None:
        before: tuple[bool, ...] | None = None
        for item in body:
            if item.present != around and item.present != before:
                column = tuple(has if outer else ANY for has, outer in zip(item.present, around, strict=True))
                self.world.conditions[id(item)] = self._condition(column, self.places[id(item)], "extra")
            before = item.present
            for inner in bodies(item):
                self._presences(inner, item.present)

    def _condition(self, column: Column, at: Column, hint: str) -> ast.Expr:
        """Return a condition that a column of truth values equals: one comparison, two with `or` or `and`, or a parameter."""
        if is_constant(column):
            return literal(constant(column))
        atoms = list(self._atoms(at))[:MOST_ATOMS]
        for atom in atoms:
            if _agree(column, atom.column):
                return atom.expr
        for first, second in combinations(atoms, 2):
            pairs = list(zip(first.column, second.column, strict=True))
            if _agree(column, tuple(a or b for a, b in pairs)):
                return fold(first.expr, "or", second.expr)
            if _agree(column, tuple(a and b for a, b in pairs)):
                return fold(first.expr, "and", second.expr)
        return name(self._new(column, hint).name)

    def _atoms(self, at: Column) -> Iterator[Known]:
        """Yield the comparisons that a condition may be made of."""
        for parameter in self.parameters:
            values = list(dict.fromkeys(parameter.column))
            if all(isinstance(value, bool) for value in values):
                yield Known(name(parameter.name), parameter.column, 1)
                yield Known(ast.Unary(NOWHERE, "not", name(parameter.name)), tuple(not value for value in parameter.column), 2)
            elif all(_is_number(value) for value in values) and 1 < len(values) <= MOST_VALUES:
                for value in sorted(values):
                    for sign, column in _compared(parameter.column, (value,) * len(parameter.column)):
                        yield Known(_comparison(name(parameter.name), sign, literal(value)), column, 3)
        for size in [*self._sizes(at, name("in"), 3)]:
            for other in [*(Known(name(each.name), each.column, 1) for each in self.parameters), *self.used]:
                if all(_is_number(value) for value in other.column):
                    for sign, column in _compared(size.column, other.column):
                        yield Known(_comparison(size.expr, sign, other.expr), column, 5)
            values = sorted(set(size.column))
            if 1 < len(values) <= 3:
                for value in values:
                    for sign, column in _compared(size.column, (value,) * len(size.column)):
                        yield Known(_comparison(size.expr, sign, literal(value)), column, 6)


def _comparison(first: ast.Expr, sign: str, second: ast.Expr) -> ast.Expr:
    return fold(first, sign, second)


def _compared(first: Column, second: Column) -> Iterable[tuple[str, Column]]:
    equal = tuple(a == b for a, b in zip(first, second, strict=True))
    if len(set(equal)) > 1:
        yield "!=", tuple(not each for each in equal)
        yield "==", equal


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _agree(column: Column, other: Column) -> bool:
    """Return whether a column equals another wherever its value matters."""
    return all(a is ANY or (a == b and type(a) is type(b)) for a, b in zip(column, other, strict=True))


def _related(column: Column, base: Known) -> ast.Expr | None:
    """Return the expression of a column from another: itself, a multiple, a quotient, or a sum."""
    pairs = [(a, b) for a, b in zip(column, base.column, strict=True) if a is not ANY]
    if not all(_is_number(b) for _, b in pairs):
        return None
    if all(a == b and type(a) is type(b) for a, b in pairs):
        return base.expr
    if not all(isinstance(a, int) and isinstance(b, int) and a > 0 and b > 0 for a, b in pairs) or len({b for _, b in pairs}) < 2:
        return None
    a, b = max(pairs)
    if a > b and all(each % other == 0 and each // other == a // b for each, other in pairs):
        return fold(number(a // b), "*", base.expr)
    for divisor in dict.fromkeys((b // a, -(-b // a), b // a + 1)):
        if divisor > 1 and all(other // divisor == each for each, other in pairs):
            return fold(base.expr, "//", number(divisor))
    if isinstance(base.expr, ast.Name) and 0 < abs(a - b) <= 4 and all(each - other == a - b for each, other in pairs):
        return fold(base.expr, "+" if a > b else "-", number(abs(a - b)))
    return None


def arguments(world: World, slot: Slot, index: dict[str, int]) -> list[ast.Arg]:
    """Return the arguments of a call: those without a default by position, others by name where they differ from it."""
    args: list[ast.Arg] = []
    family: Family = slot.family.root
    for parameter in family.parameters:
        column = tuple(ANY if path is ANY else parameter.column[index[path]] for path in slot.paths)
        expr = world.exprs.get((id(slot), parameter.name))
        if expr is None:
            value = constant(column)
            if parameter.default is not ANY and value == parameter.default:
                continue
            expr = literal(value)
        args.append(ast.Arg(NOWHERE, None if parameter.default is ANY else parameter.name, expr))
    return args
