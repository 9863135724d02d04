"""Emit the tree of a program from its items: labels where names need them, options where they differ from the defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from archc.compiler.analysis import written
from archc.compiler.analysis.written import NOWHERE
from archc.compiler.graph import ArchGraph
from archc.compiler.ops import operator_of
from archc.compiler.ops.record import Like, Required
from archc.compiler.read.items import ANY, Body, Column, Given, Group, Item, Line, Op, Out, Ref, Repeat, Shared, SharedCall, Slot
from archc.compiler.read.literals import literal
from archc.compiler.read.usual import Defaults, recorded
from archc.compiler.shapes.dim import show_sizes
from archc.dsl import ast


class Unwritable(ValueError):
    """A program that has no text: a path that a body cannot name, or a value that differs between its instances."""


@dataclass
class World:
    """A body with its instances at the scopes `roots`, and what its columns are as expressions.

    `exprs` has the expression of each column that is not constant, by the item and the option; `conditions` that of the presence of
    consecutive items, by the first of them. `results` are the nodes of the last tensor.
    """

    body: Body
    roots: Column
    numbered: bool = False
    is_block: bool = False
    params: list[ast.Param] = field(default_factory=list)
    lets: list[ast.Let] = field(default_factory=list)
    exprs: dict[tuple[int, str], ast.Expr] = field(default_factory=dict)
    conditions: dict[int, ast.Expr] = field(default_factory=dict)
    results: Column = ()

    def value(self, item: Item, option: str, column: Column) -> Any:
        """Return what a column is: the one value, or an expression. Raises Unwritable."""
        expr = self.exprs.get((id(item), option))
        return constant(column) if expr is None else expr


def constant(column: Column) -> Any:
    """Return the one value of a column. Raises Unwritable where there are several."""
    found = [value for value in column if value is not ANY]
    if not found or any(value != found[0] or type(value) is not type(found[0]) for value in found[1:]):
        raise Unwritable(f"values differ: {found[:4]}")
    return found[0]


def is_constant(column: Column) -> bool:
    """Return whether a column has one value."""
    try:
        constant(column)
    except Unwritable:
        return False
    return True


class Emitter:
    """Writes bodies as statements."""

    def __init__(self, graph: ArchGraph, defaults: Defaults) -> None:
        self.graph = graph
        self.defaults = defaults
        self.arguments_of: Callable[[World, Slot], list[ast.Arg]] = lambda world, slot: []
        self.names = {node.name for node in graph}
        self.last: dict[str, str] = {}  # the last node of each scope
        for node in graph:
            name = node.name
            while name := name.rpartition(".")[0]:
                self.names.add(name)
                self.last[name] = node.name

    def body(self, world: World, body: Body, around: tuple[bool, ...] = ()) -> list[ast.Statement]:
        """Return the statements of a body, with `if` around items that some of the instances that have the body lack."""
        around = around or (True,) * len(world.roots)
        done: list[ast.Statement] = []
        runs = [(present, list(items)) for present, items in groupby(body, lambda item: item.present)]
        at = 0
        while at < len(runs):
            present, items = runs[at]
            inner = [self.item(world, item) for item in items]
            condition = world.conditions.get(id(items[0]))
            at += 1
            if condition is None:
                done.extend(inner)
                continue
            otherwise: list[ast.Statement] = []
            if at < len(runs) and all(a != b for a, b, c in zip(present, runs[at][0], around, strict=True) if c):
                otherwise = [self.item(world, item) for item in runs[at][1]]
                at += 1
            done.append(ast.If(NOWHERE, condition, tuple(inner), tuple(otherwise)))
        return done

    def item(self, world: World, item: Item) -> ast.Statement:
        match item:
            case Line():
                return item.statement
            case Out():
                return written.output_line(item.name, item.training_only, self.body(world, item.body))
            case Shared():
                return written.share(item.name, item.params, self.body(world, item.body))
            case Ref() | Given():
                return ast.Item(NOWHERE, None, self.core(world, item), None, None)
            case Repeat():
                return self.repeat(world, item)
        return ast.Item(NOWHERE, self.label(world, item), self.core(world, item), None, None)

    def label(self, world: World, item: Item) -> ast.Label | None:
        plain = isinstance(item, Group) and not item.numbered
        return None if item.auto and not plain else ast.Label(NOWHERE, constant(item.names), None)

    def core(self, world: World, item: Item) -> ast.Core:
        match item:
            case Op(branches=list() as branches):
                made = [tuple(self.body(world, branch, item.present)) or (written.HERE,) for branch in branches]
                return self.merge(world, item, made)
            case Op():
                return self.operator(world, item)
            case Group():
                return ast.Group(NOWHERE, tuple(self.body(world, item.body, item.present)), item.numbered)
            case Slot():
                return ast.Op(NOWHERE, item.family.root.name, (), None, (), tuple(self.arguments_of(world, item)), NOWHERE)
            case Ref():
                found = world.exprs.get((id(item), "target"))
                if found is not None:
                    assert isinstance(found, ast.Ref)
                    return found
                paths = {
                    self.path(target, site, root, world.is_block)
                    for target, site, root in zip(item.targets, item.sites, world.roots, strict=True)
                    if target is not ANY
                }
                if len(paths) != 1:
                    raise Unwritable(f"references differ: {sorted(paths)[:2]}")
                return ast.Ref(NOWHERE, paths.pop())
            case Given():
                return item.core
            case SharedCall():
                return written.call(item.word, [core for each in item.tensors if isinstance(core := self.core(world, each), ast.Ref)])
        raise TypeError(type(item).__name__)

    def path(self, target: str, site: str, root: str, is_block: bool) -> str:
        """Return the path of a node from a scope: within it or within a scope around it, else absolute. Raises Unwritable.

        Where the node is the last of a scope, the path is that of the scope.
        """
        whole = target
        while (scope := target.rpartition(".")[0]) and self.last[scope] == whole and not f"{site}.".startswith(f"{scope}."):
            if scope == root or (root and not scope.startswith(f"{root}.")):
                break
            if target != whole and target[-1].isdigit() and not scope[-1].isdigit():
                break  # the last of several, which are named alike
            target = scope
        around = site
        while around and len(around) >= len(root):
            if target.startswith(f"{around}."):
                path = target[len(around) + 1 :]
                first, inner = path.partition(".")[0], site
                while inner != around and f"{inner}.{first}" not in self.names:
                    inner = inner.rpartition(".")[0]
                if inner == around:
                    return path
            around = around.rpartition(".")[0]
        if is_block:
            raise Unwritable(f"{target} is outside {root}")
        return f".{target}" if site else target

    # ---- operators

    def visible(self, world: World, item: Op) -> Iterator[tuple[str, Any]]:
        """Yield the options to write, each with a value or an expression: those that differ from the defaults."""
        record = operator_of(item.op)
        attrs = {attr.name: attr for attr in record.attrs}
        stated = self.defaults.get(item.op, {})
        for option, column in item.values.items():
            value = world.value(item, option, column)
            if option in stated:
                hidden = not isinstance(value, ast.Node) and value == stated[option]
            elif option in attrs and isinstance(attrs[option].default, Like):
                like = attrs[option].default.option  # type: ignore[union-attr]
                hidden = column == item.values[like]
            else:
                usual = recorded(item.op, option, value)
                hidden = usual is not Required and not isinstance(value, ast.Node) and value == usual and type(value) is type(usual)
            if not hidden:
                yield option, value

    def arguments(self, item: Op, options: Iterable[tuple[str, Any]]) -> tuple[ast.Arg, ...]:
        """Return options as arguments, the required ones at the beginning without their names."""
        record = operator_of(item.op)
        free = [attr for attr in record.attrs if attr.name not in record.short or item.branches is not None]
        kinds = {attr.name: attr.kind for attr in record.attrs}
        args: list[ast.Arg] = []
        given = dict(options)
        bare = not record.named
        for attr in free:
            if attr.name not in given:
                bare = False
                continue
            value = given.pop(attr.name)
            expr: Any = value if isinstance(value, ast.Node) else literal(value, attr.kind)
            bare = bare and isinstance(attr.default, Required)
            args.append(ast.Arg(NOWHERE, None if bare or isinstance(expr, ast.Text) else attr.name, expr))
        for name, value in given.items():
            held: Any = value if isinstance(value, ast.Node) else literal(value, kinds.get(name))
            args.append(ast.Arg(NOWHERE, name, held))
        return tuple(args)

    def operator(self, world: World, item: Op) -> ast.Op:
        kernel, out, stride = operator_of(item.op).short
        options = dict(self.visible(world, item))
        size, width, step = (options.pop(name, None) if name else None for name in (kernel, out, stride))
        word = item.op
        sizes: tuple[Any, ...] = ()
        if isinstance(size, ast.Node):
            sizes = (size,)
        elif size is not None:
            word += show_sizes(size) if isinstance(size, tuple) else str(size)
        elif kernel in item.values and width is None and step is not None and world.value(item, kernel, item.values[kernel]) is not None:
            # `maxpool/2` reads as a division nowhere, but people write the kernel next to a stride.
            held = world.value(item, kernel, item.values[kernel])
            word += show_sizes(held) if isinstance(held, tuple) else str(held)
        return ast.Op(NOWHERE, word, sizes, _expr(width), _dims(step), self.arguments(item, options.items()), NOWHERE)

    def merge(self, world: World, item: Op, branches: Sequence[tuple[ast.Statement, ...]]) -> ast.Merge:
        options = list(self.visible(world, item))
        word = item.op
        if word == "add" and len(branches) == 2 and not options and not _is_reference(branches[0]):
            word = "residual"
            if branches[1] == (written.HERE,):
                branches = branches[:1]
        return ast.Merge(NOWHERE, word, self.arguments(item, options), tuple(branches), NOWHERE, NOWHERE, ())

    def repeat(self, world: World, item: Repeat) -> ast.Statement:
        raise NotImplementedError

    def default_lines(self) -> list[ast.Statement]:
        """Return the `default` lines."""
        lines: list[ast.Statement] = []
        for op, options in self.defaults.items():
            kinds = {attr.name: attr.kind for attr in operator_of(op).attrs}
            args = tuple(ast.Arg(NOWHERE, name, literal(value, kinds.get(name))) for name, value in options.items())
            lines.append(ast.Default(NOWHERE, op, args, NOWHERE))
        return lines


def _is_reference(branch: tuple[ast.Statement, ...]) -> bool:
    return len(branch) == 1 and isinstance(branch[0], ast.Item) and isinstance(branch[0].core, (ast.Ref, ast.Here))


def _expr(value: Any) -> ast.Expr | None:
    return value if value is None or isinstance(value, ast.Node) else literal(value)  # type: ignore[return-value]


def _dims(value: Any) -> ast.Dims:
    if value is None:
        return ()
    if isinstance(value, tuple):
        return tuple(literal(part) for part in value)
    expr = _expr(value)
    return () if expr is None else (expr,)


def simple(graph: ArchGraph, body: Body, defaults: Mapping[str, Mapping[str, Any]]) -> list[ast.Statement]:
    """Return the statements of a body that has no blocks."""
    emitter = Emitter(graph, defaults)
    return [*emitter.default_lines(), *emitter.body(World(body, ("",)), body)]
