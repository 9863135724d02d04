"""Fold a graph into a program: from the simplest text, which states everything, to the shortest that elaborates to the same graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from archc.compiler.analysis import written
from archc.compiler.analysis.written import NOWHERE
from archc.compiler.graph import ArchGraph
from archc.compiler.read.emit import Emitter, Unwritable, World
from archc.compiler.read.families import Families, Family
from archc.compiler.read.items import ANY, Body, Group, Item, Op, Out, Ref, SharedCall, Slot, walk
from archc.compiler.read.kinds import named
from archc.compiler.read.lift import Lift
from archc.compiler.read.loops import with_loops
from archc.compiler.read.size import Sizes
from archc.compiler.read.solve import Solver, arguments
from archc.compiler.read.turns import tokens
from archc.compiler.read.usual import defaults_of, name_same_padding
from archc.dsl import ast

CONDITIONS = (4.0, 8.0, 40.0)


@dataclass
class Folded:
    """The statements of a program, after its `arch` line, and how many blocks it defines."""

    statements: list[ast.Statement]
    blocks: int = 0
    called: dict[str, str] = field(default_factory=dict)  # the block of each scope that is a call of one


def unfolded(graph: ArchGraph) -> Folded:
    """Return the program without blocks."""
    body, emitter = _prepared(Lift(graph))
    statements = emitter.body(World(body, ("",)), body)
    inputs = [statement for statement in statements[:1] if isinstance(statement, ast.Input)]
    return Folded([*inputs, *emitter.default_lines(), *with_loops(statements[len(inputs) :])])


def folded(graph: ArchGraph, kinds: Mapping[str, str]) -> Folded:
    """Return the shortest program with blocks for scopes that are alike. `kinds` are the classes of scopes, as far as they are known.

    How much two scopes must have in common is tried out: the cost of a condition in the body of a block for both.
    """
    tried: dict[Any, Folded] = {}
    lift = Lift(graph)
    for condition in CONDITIONS:
        body, emitter = _prepared(lift)
        families = Families(body, Sizes(emitter.defaults, condition), kinds)
        found = tuple(family.roots for family in families.blocks())
        if found not in tried:
            tried[found] = _folded(graph, emitter, families)
        if not families.all:
            break
    return min(tried.values(), key=lambda made: sum(map(tokens, made.statements)))


def _folded(graph: ArchGraph, emitter: Emitter, families: Families) -> Folded:
    while True:
        try:
            return _written(graph, emitter, families)
        except _FailedError as failed:
            families.inline(failed.family)


class _FailedError(Exception):
    """A family that cannot be a block."""

    def __init__(self, family: Family) -> None:
        super().__init__(family.name)
        self.family = family


def _prepared(lift: Lift) -> tuple[Body, Emitter]:
    body = lift.items()
    ops = [item for item in walk(body) if isinstance(item, Op)]
    name_same_padding(ops)
    return body, Emitter(lift.graph, defaults_of(ops))


def _written(graph: ArchGraph, emitter: Emitter, families: Families) -> Folded:
    blocks: list[ast.Statement] = []
    names: set[str] = set()
    emitter.arguments_of = lambda world, slot: arguments(world, slot, families.index)
    for family in families.blocks():
        family.name = named(family, names)
        names.add(family.name)
        try:
            world = World(family.body, family.roots, family.numbered, is_block=True)
            solver = Solver(graph, emitter, families.index, world, family.entries)
            solver.solve()
            family.parameters, family.results = solver.parameters, world.results
            statements = [*world.lets, *emitter.body(world, world.body)]
        except Unwritable:
            raise _FailedError(family) from None
        blocks.append(ast.Block(NOWHERE, family.name, tuple(world.params), tuple(statements), family.numbered, NOWHERE))
    called = {root: family.name for family in families.blocks() for root in family.roots}
    _name_calls(families.body, called, "", Counter())
    for family in families.blocks():
        if not family.numbered:
            _name_calls(family.body, called, family.roots[0], Counter())
    top = World(families.body, ("",))
    Solver(graph, emitter, families.index, top, ("",)).top()
    body = [
        _claimed(graph, families, item, statement) for item, statement in zip(families.body, emitter.body(top, families.body), strict=True)
    ]
    inputs = [statement for statement in body[:1] if isinstance(statement, ast.Input)]
    return Folded([*inputs, *emitter.default_lines(), *with_loops([*blocks, *body[len(inputs) :]])], len(blocks), called)


def _name_calls(body: Body, called: Mapping[str, str], scope: str, counts: Counter[str]) -> None:
    """Mark the calls that need no label, since they have the name of their block and their number among the calls of the scope."""
    for item in body:
        if isinstance(item, Slot):
            block = called[next(path for path in item.paths if path is not ANY)]
            counts[block] += 1
            if not item.auto and all(item.present) and set(item.names) == {f"{block}{counts[block]}"}:
                item.auto = True
        elif isinstance(item, Op):
            for branch in item.branches or ():
                _name_calls(branch, called, scope, counts)
        elif isinstance(item, Group):
            _name_calls(item.body, called, item.paths[0], Counter())
        elif isinstance(item, Out):
            _name_calls(item.body, called, scope, counts)


def _claimed(graph: ArchGraph, families: Families, item: Item, statement: ast.Statement) -> ast.Statement:
    """Return the statement of a scope with a claim, where it changes the shape."""
    if not isinstance(item, (Group, Slot)) or not isinstance(statement, ast.Item) or item.taken[0] not in graph:
        return statement
    shape = graph[_result(families, item, 0)].shape
    if shape == graph[item.taken[0]].shape or not all(isinstance(size, int) for size in shape):
        return statement
    return replace(statement, claim=written.shape_dims(shape))


def _result(families: Families, item: Item, at: int) -> str:
    """Return the node of the last tensor of an item, in one instance."""
    match item:
        case Op() | SharedCall():
            return str(item.nodes[at])
        case Ref():
            return str(item.targets[at])
        case Slot():
            return str(item.family.root.results[families.index[item.paths[at]]])
        case Group() if present := [inner for inner in item.body if inner.present[at]]:
            return _result(families, present[-1], at)
        case _:
            return str(item.taken[at])
