"""Fold statements that repeat: `xN` where they are equal, `for` where they differ in numbers alone.

Works on the tree of a program, the innermost bodies first. Consecutive windows of statements with one shape up to numbers are the turns of
a loop. A number that differs between the turns is an expression of the turn's index, or a variable of a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archc.compiler.analysis.written import NOWHERE
from archc.compiler.read.literals import literal
from archc.compiler.read.shapes import Fill, Leaf, Params, Shapes
from archc.compiler.read.turns import Plan, tokens
from archc.dsl import ast

LONGEST = 12  # statements in a turn
LEAST_GAIN = 5
LEAST_SHARE = 0.2  # of the tokens, that a loop must save


def with_loops(statements: Sequence[ast.Statement]) -> list[ast.Statement]:
    """Return the statements of a file with repeats and loops."""
    params = {each.name: each.params for each in statements if isinstance(each, ast.Block)}
    return _Folder(params).body(statements)


@dataclass(frozen=True)
class _Run:
    """Turns of a loop: `turns` windows of `period` statements from `first`, and the tokens that it saves."""

    first: int
    period: int
    turns: int
    gain: float
    statements: tuple[ast.Statement, ...]


_Split = tuple[Any, list[Leaf], int]  # the shape of a statement, its numbers, its tokens


def _apart(runs: list[_Run]) -> list[_Run]:
    """Return the loops that save most, none of which is in another's place."""
    chosen: list[_Run] = []
    taken: set[int] = set()
    for run in sorted(runs, key=lambda run: (-run.gain, run.first, run.period)):
        places = range(run.first, run.first + run.period * run.turns)
        if taken.isdisjoint(places):
            taken.update(places)
            chosen.append(run)
    return chosen


class _Folder:
    def __init__(self, params: Params) -> None:
        self.shapes = Shapes(params)
        self.known: dict[int, tuple[ast.Statement, _Split]] = {}

    def body(self, statements: Sequence[ast.Statement]) -> list[ast.Statement]:
        """Fold the statements of a body, after those of the bodies in it."""
        done = [self._inner(statement) for statement in statements]
        done = _repeated(done)
        while chosen := _apart(self._candidates(done)):
            for run in sorted(chosen, key=lambda run: -run.first):
                done[run.first : run.first + run.period * run.turns] = run.statements
        return done

    def _inner(self, statement: ast.Statement) -> ast.Statement:
        match statement:
            case ast.Item(core=ast.Group() as group):
                return replace(statement, core=replace(group, body=tuple(self.body(group.body))))
            case ast.Item(core=ast.Merge() as merge):
                branches = [tuple(self.body(branch)) for branch in merge.branches]
                return replace(statement, core=replace(merge, branches=tuple(self._branches(branches))))
            case ast.Block() | ast.Share():
                return replace(statement, body=tuple(self.body(statement.body)))
            case ast.If():
                return replace(statement, then=tuple(self.body(statement.then)), otherwise=tuple(self.body(statement.otherwise)))
            case _:
                return statement

    def _branches(self, branches: list[tuple[ast.Statement, ...]]) -> list[tuple[ast.Statement, ...]]:
        """Write branches that differ in numbers as one for each element of a list."""
        split = [self.shapes.split(branch) for branch in branches]
        at = 0
        done: list[tuple[ast.Statement, ...]] = []
        while at < len(branches):
            end = at + 1
            while end < len(branches) and split[end][0] == split[at][0]:
                end += 1
            plan = Plan(end - at, _variables(branches[at]))
            columns = list(zip(*(leaves for _, leaves in split[at:end]), strict=True))
            exprs = plan.expressions(columns)
            made = Fill(self.shapes, exprs).node(branches[at])
            loop = plan.loop(made)
            before = sum(tokens(branch) + 1 for branch in branches[at:end])
            if not _fixed(made, {plan.index, *plan.rows}) and before - tokens(loop) >= max(LEAST_GAIN, LEAST_SHARE * before):
                done.append((ast.Turns(NOWHERE, loop.pattern, loop.values, loop.body),))
            else:
                done.extend(branches[at:end])
            at = end
        return done

    def _candidates(self, body: Sequence[ast.Statement]) -> list[_Run]:
        """Return the loops that save enough."""
        if len(body) < 2:
            return []
        split = [self._split(each) for each in body]
        numbers: dict[Any, int] = {}
        keys = [-1 - at if shape is None else numbers.setdefault(shape, len(numbers)) for at, (shape, _, _) in enumerate(split)]
        found: list[_Run] = []
        for period in range(1, min(LONGEST, len(body) // 2) + 1):
            for first, length in _runs(keys, period):
                for start in sorted({first, first + length % period}):
                    run = self._loop(body, split, start, period, (first + length - start) // period)
                    if run is not None:
                        found.append(run)
        return found

    def _split(self, statement: ast.Statement) -> _Split:
        """Return the shape of a statement, its numbers and its tokens, which are computed once."""
        known = self.known.get(id(statement))
        if known is None:
            foldable = isinstance(statement, (ast.Item, ast.If, ast.Output))
            shape, leaves = self.shapes.split(statement) if foldable else (None, [])
            known = self.known[id(statement)] = statement, (shape, leaves, tokens(statement))
        return known[1]

    def _loop(self, body: Sequence[ast.Statement], split: Sequence[_Split], first: int, period: int, turns: int) -> _Run | None:
        """Return the loop over windows, if it saves enough."""
        windows = [range(first + turn * period, first + (turn + 1) * period) for turn in range(turns)]
        columns = list(zip(*([leaf for at in window for leaf in split[at][1]] for window in windows), strict=True))
        plan = Plan(turns, _variables(body[first : first + period]))
        exprs = plan.expressions(columns)
        fill = Fill(self.shapes, exprs)
        made = tuple(fill.node(body[at]) for at in windows[0])
        if _fixed(made, {plan.index, *plan.rows}):
            return None
        loop = plan.loop(made) if plan.rows or plan.uses_index else _copies(made, turns)
        before = sum(split[at][2] + 1 for window in windows for at in window)
        gain = before - tokens(loop) - period - 1
        return _Run(first, period, turns, gain, (loop,)) if gain >= max(LEAST_GAIN, LEAST_SHARE * before) else None


def _fixed(body: Sequence[ast.Statement], variables: set[str]) -> bool:
    """Return whether a body gives a name to its scope that is the same in every turn."""
    for statement in body:
        inner: tuple[Sequence[ast.Statement], ...] = ()
        match statement:
            case ast.Item(label=ast.Label() as label):
                if not _mentions((label.index, label.second), variables):
                    return True
                inner = statement.core.branches if isinstance(statement.core, ast.Merge) else ()
            case ast.Item(core=ast.Merge() as merge):
                inner = merge.branches
            case ast.Item(core=ast.Group(numbered=False) as group):
                inner = (group.body,)
            case ast.Output():
                if not _mentions((statement.index,), variables):
                    return True
                inner = (statement.chain,)
            case ast.If():
                inner = (statement.then, statement.otherwise)
            case ast.For() | ast.Turns():
                inner = (statement.body,)
            case ast.Share() | ast.Block():
                return True
        if any(_fixed(each, variables) for each in inner):
            return True
    return False


def _mentions(exprs: Sequence[ast.Expr | None], variables: set[str]) -> bool:
    return any(isinstance(node, ast.Name) and node.name in variables for expr in exprs if expr is not None for node in ast.walk(expr))


def _runs(keys: Sequence[int], period: int) -> Iterator[tuple[int, int]]:
    """Yield the stretches of keys that repeat with a period: first, and length, which is at least twice the period."""
    at = 0
    while at + period < len(keys):
        end = at
        while end + period < len(keys) and keys[end] == keys[end + period]:
            end += 1
        if end - at >= period:
            yield at, end - at + period
        at = end + 1


def _repeated(body: list[ast.Statement]) -> list[ast.Statement]:
    """Write equal neighbors without labels once, with a count; whole windows of them in braces."""
    for period in range(1, min(LONGEST, len(body) // 2) + 1):
        done: list[ast.Statement] = []
        at = 0
        while at < len(body):
            window = body[at : at + period]
            turns = 1
            if all(map(_is_free, window)):
                while body[at + turns * period : at + (turns + 1) * period] == window:
                    turns += 1
            if turns > 1 and len(window) == period and (period == 1 or turns * period > 4):
                first = window[0]
                assert isinstance(first, ast.Item)
                core = first.core if period == 1 else ast.Group(NOWHERE, tuple(window), numbered=False)
                done.append(ast.Item(NOWHERE, None, core, literal(turns), None))
                at += turns * period
            else:
                done.append(body[at])
                at += 1
        body = done
    return body


def _copies(body: tuple[ast.Statement, ...], turns: int) -> ast.Item:
    """Return a body that is repeated as it is."""
    first = body[0]
    if (
        len(body) == 1
        and isinstance(first, ast.Item)
        and first.count is None
        and first.label is None
        and not isinstance(first.core, ast.Ref)
    ):
        return ast.Item(NOWHERE, None, first.core, literal(turns), None)
    return ast.Item(NOWHERE, None, ast.Group(NOWHERE, body, numbered=False), literal(turns), None)


def _is_free(statement: ast.Statement) -> bool:
    """Return whether the language names all that a statement names, so that it may be repeated."""
    if not isinstance(statement, ast.Item) or statement.count is not None or isinstance(statement.core, (ast.Ref, ast.Index, ast.Here)):
        return False
    if statement.label is not None:
        return False
    if isinstance(statement.core, ast.Group):
        return statement.core.numbered
    if isinstance(statement.core, ast.Merge):
        inner = [item for branch in statement.core.branches for item in branch]
        return all(isinstance(item, ast.Item) and (isinstance(item.core, (ast.Here, ast.Ref)) or _is_free(item)) for item in inner)
    return True


def _variables(body: Sequence[ast.Statement]) -> set[str]:
    names = {node.name for statement in body for node in ast.walk(statement) if isinstance(node, (ast.Name, ast.Pattern)) and node.name}
    return names | {node.path for statement in body for node in ast.walk(statement) if isinstance(node, ast.Ref)}
