"""Fold statements that repeat: `xN` where they are equal, `for` where they differ in numbers alone.

Works on the tree of a program, the innermost bodies first. Consecutive windows of statements with one shape up to numbers are the turns of
a loop. A number that differs between the turns is an expression of the turn's index, or a variable of a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from archc.compiler.analysis.written import NOWHERE
from archc.compiler.ops import OPERATORS
from archc.compiler.read.literals import literal
from archc.dsl import ast

LONGEST = 12  # statements in a turn
HEAD = 8  # tokens of the head of a loop
LEAST_GAIN = 5
LEAST_SHARE = 0.2  # of the tokens, that a loop must save
INDEX = "i"
INDICES = ("i", "j", "k", "l", *(f"i{number}" for number in range(2, 200)))

Params = Mapping[str, Sequence[ast.Param]]  # the parameters of each block


def with_loops(statements: Sequence[ast.Statement]) -> list[ast.Statement]:
    """Return the statements of a file with repeats and loops."""
    params = {each.name: each.params for each in statements if isinstance(each, ast.Block)}
    return _Folder(params).body(statements)


# ---- what differs between statements


@dataclass(frozen=True)
class _Leaf:
    """A number in a statement, and what it is called where it becomes a variable."""

    value: int | float
    hint: str


class _Shapes:
    """Gives statements that are equal up to numbers the same key, and lists their numbers."""

    def __init__(self, params: Params) -> None:
        self.params = params

    def split(self, node: Any) -> tuple[Any, list[_Leaf]]:
        """Return the shape of a statement and its numbers, in a fixed order."""
        leaves: list[_Leaf] = []
        return self._shape(node, leaves, "n"), leaves

    def _shape(self, node: Any, leaves: list[_Leaf], hint: str) -> Any:
        match node:
            case ast.Number():
                leaves.append(_Leaf(node.value, hint))
                return (type(node.value).__name__,)
            case ast.Label(index=None, second=None) if found := DASHED.fullmatch(node.text):
                leaves.extend(_Leaf(int(digits), INDEX) for digits in found.groups()[1:])
                return ("labels", found[1])
            case ast.Label(index=None, second=None) if found := LABELLED.fullmatch(node.text):
                leaves.append(_Leaf(int(found[2]), INDEX))
                return ("label", found[1])
            case ast.Ref(indices=()):
                return ("ref", self._path(node.path, leaves))
            case ast.Op():
                word, kernel = _word(node)
                out = None if node.out is None else self._shape(node.out, leaves, "w")
                sizes = tuple(self._shape(size, leaves, "k") for size in kernel)
                stride = tuple(self._shape(size, leaves, "s") for size in node.stride)
                args = tuple((arg.name, self._shape(arg.value, leaves, name)) for name, arg in self.named(node))
                return ("op", word, sizes, out, stride, args)
            case ast.Output(index=None) if found := LABELLED.fullmatch(node.name):
                leaves.append(_Leaf(int(found[2]), INDEX))
                return ("output", found[1], self._shape(node.args, leaves, hint), self._shape(node.chain, leaves, hint))
            case ast.Item():
                label = self._shape(node.label, leaves, INDEX)
                core = self._shape(node.core, leaves, hint)
                return ("item", label, core, self._shape(node.count or literal(1), leaves, "n"))
            case ast.Node():
                names = [each.name for each in fields(node) if each.name not in SKIPPED]
                return (type(node).__name__, *(self._shape(getattr(node, name), leaves, hint) for name in names))
            case tuple():
                return tuple(self._shape(each, leaves, hint) for each in node)
            case _:
                return node

    def _path(self, path: str, leaves: list[_Leaf]) -> str:
        for digits in re.findall(DIGITS, path):
            leaves.append(_Leaf(int(digits), INDEX))
        return re.sub(DIGITS, "{}", path)

    def named(self, op: ast.Op) -> list[tuple[str, ast.Arg]]:
        """Return the arguments of an item with the names of what they set: of a call of a block, all of them."""
        if op.word not in self.params:
            return [(arg.name or "n", arg) for arg in op.args]
        given: dict[str, ast.Arg] = {}
        free = [param.name for param in self.params[op.word]]
        for at, arg in enumerate(op.args):
            given[arg.name or free[at]] = arg
        full = []
        for param in self.params[op.word]:
            arg = given.get(param.name)
            if arg is None and param.default is not None:
                arg = ast.Arg(NOWHERE, param.name, param.default)
            if arg is not None:
                full.append((param.name, arg))
        return full


DIGITS = r"(?<![A-Za-z_0-9])(?:0|[1-9]\d*)(?![A-Za-z_0-9])|(?<=[A-Za-z_])(?:[1-9]\d*|0)(?=\.|$)"
RATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.05)
MOST_TOTAL = 130  # units over which a rate rises
LABELLED = re.compile(r"([^-]*?)(0|[1-9]\d*)")
DASHED = re.compile(r"([A-Za-z_][^-]*?)(0|[1-9]\d*)-(0|[1-9]\d*)")
SKIPPED = {"span", "word_span", "opening", "branch_spans", "name_span", "claim", "claim_span", "text"}


def _word(op: ast.Op) -> tuple[str, ast.Dims]:
    """Return the name of an operator and its kernel, where that is one number at the end of the word."""
    found = re.fullmatch(r"([a-z_]+?)(\d+)", op.word)
    if found and op.word not in OPERATORS and found[1] in OPERATORS and not op.kernel:
        return found[1], (ast.Number(NOWHERE, int(found[2]), found[2]),)
    return op.word, op.kernel


class _Fill:
    """Puts expressions in the places of the numbers of a statement, in the order in which `_Shapes` lists them."""

    def __init__(self, shapes: _Shapes, exprs: Sequence[ast.Expr]) -> None:
        self.shapes = shapes
        self.exprs = iter(exprs)

    def node(self, node: Any) -> Any:
        match node:
            case ast.Number():
                return next(self.exprs)
            case ast.Label(index=None, second=None) if found := DASHED.fullmatch(node.text):
                both = next(self.exprs), next(self.exprs)
                same = [_is_number(expr) and expr.text == digits for expr, digits in zip(both, found.groups()[1:], strict=True)]  # type: ignore[union-attr]
                return node if all(same) else ast.Label(NOWHERE, found[1], *both)
            case ast.Label(index=None, second=None) if found := LABELLED.fullmatch(node.text):
                expr = next(self.exprs)
                return node if _is_number(expr) and expr.value == int(found[2]) else ast.Label(NOWHERE, found[1], expr)  # type: ignore[union-attr]
            case ast.Ref(indices=()):
                return self._reference(node)
            case ast.Op():
                return self._op(node)
            case ast.Output(index=None) if found := LABELLED.fullmatch(node.name):
                expr = next(self.exprs)
                args, chain = self.node(node.args), self.node(node.chain)
                fixed = _is_number(expr) and expr.value == int(found[2])  # type: ignore[union-attr]
                return ast.Output(NOWHERE, node.name, args, chain) if fixed else ast.Output(NOWHERE, found[1], args, chain, expr)
            case ast.Item():
                label, core = self.node(node.label), self.node(node.core)
                count = next(self.exprs)
                once = _is_number(count) and count.value == 1  # type: ignore[union-attr]
                return ast.Item(NOWHERE, label, core, None if once else count, None)
            case ast.Node():
                names = [each.name for each in fields(node) if each.name not in SKIPPED]
                return replace(node, **{name: self.node(getattr(node, name)) for name in names})
            case tuple():
                return tuple(self.node(each) for each in node)
            case _:
                return node

    def _reference(self, node: ast.Ref) -> ast.Ref:
        path, indices, at = "", [], 0
        for found in re.finditer(DIGITS, node.path):
            expr = next(self.exprs)
            fixed = _is_number(expr) and expr.value == int(found[0])  # type: ignore[union-attr]
            path += node.path[at : found.start()] + (found[0] if fixed else "{}")
            at = found.end()
            if not fixed:
                indices.append(expr)
        return ast.Ref(NOWHERE, path + node.path[at:], tuple(indices))

    def _op(self, node: ast.Op) -> ast.Op:
        word, kernel = _word(node)
        out = None if node.out is None else self.node(node.out)
        sizes = tuple(self.node(size) for size in kernel)
        stride = tuple(self.node(size) for size in node.stride)
        defaults = {param.name: param.default for param in self.shapes.params.get(word, ())}
        args = []
        for name, arg in self.shapes.named(node):
            value = self.node(arg.value)
            if defaults.get(name) is None or value != defaults[name]:
                args.append(ast.Arg(NOWHERE, name if defaults.get(name) is not None else arg.name, value))
        if len(sizes) == 1 and kernel is not node.kernel and _is_number(sizes[0]):
            word, sizes = word + sizes[0].text, ()  # type: ignore[union-attr]
        return ast.Op(NOWHERE, word, sizes, out, stride, tuple(args), NOWHERE)


def _is_number(expr: Any) -> bool:
    return isinstance(expr, ast.Number)


# ---- folding


@dataclass(frozen=True)
class _Run:
    """Turns of a loop: `turns` windows of `period` statements from `first`, and the tokens that it saves."""

    first: int
    period: int
    turns: int
    gain: float
    statements: tuple[ast.Statement, ...]


class _Folder:
    def __init__(self, params: Params) -> None:
        self.shapes = _Shapes(params)

    def body(self, statements: Sequence[ast.Statement]) -> list[ast.Statement]:
        """Fold the statements of a body, after those of the bodies in it."""
        done = [self._inner(statement) for statement in statements]
        done = _repeated(done)
        while (run := self._best(done)) is not None:
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
        at, done = 0, []
        while at < len(branches):
            end = at + 1
            while end < len(branches) and split[end][0] == split[at][0]:
                end += 1
            plan = _Plan(end - at, _variables(branches[at]))
            columns = list(zip(*(leaves for _, leaves in split[at:end]), strict=True))
            exprs = plan.expressions(columns)
            made = _Fill(self.shapes, exprs).node(branches[at])
            loop = plan.loop(made)
            before = sum(tokens(branch) + 1 for branch in branches[at:end])
            if not _fixed(made, {plan.index, *plan.rows}) and before - tokens(loop) >= max(LEAST_GAIN, LEAST_SHARE * before):
                done.append((ast.Turns(NOWHERE, loop.pattern, loop.values, loop.body),))
            else:
                done.extend(branches[at:end])
            at = end
        return done

    def _best(self, body: Sequence[ast.Statement]) -> _Run | None:
        """Return the loop that saves most."""
        split = [self.shapes.split(each) if isinstance(each, (ast.Item, ast.If, ast.Output)) else (None, []) for each in body]
        numbers: dict[Any, int] = {}
        keys = [-1 - at if shape is None else numbers.setdefault(shape, len(numbers)) for at, (shape, _) in enumerate(split)]
        best: _Run | None = None
        for period in range(1, min(LONGEST, len(body) // 2) + 1):
            for first, length in _runs(keys, period):
                for start in range(first, first + min(period, length % period + 1)):
                    turns = (first + length - start) // period
                    run = self._loop(body, [leaves for _, leaves in split], start, period, turns)
                    if run is not None and (best is None or run.gain > best.gain):
                        best = run
        return best

    def _loop(self, body: Sequence[ast.Statement], leaves: Sequence[list[_Leaf]], first: int, period: int, turns: int) -> _Run | None:
        """Return the loop over windows, if it saves enough."""
        windows = [range(first + turn * period, first + (turn + 1) * period) for turn in range(turns)]
        columns = list(zip(*([leaf for at in window for leaf in leaves[at]] for window in windows), strict=True))
        plan = _Plan(turns, _variables(body[first : first + period]))
        exprs = plan.expressions(columns)
        fill = _Fill(self.shapes, exprs)
        made = tuple(fill.node(body[at]) for at in windows[0])
        if _fixed(made, {plan.index, *plan.rows}):
            return None
        loop = plan.loop(made)
        before = sum(tokens(body[at]) + 1 for window in windows for at in window)
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


class _Plan:
    """The head of a loop: its index where that is used, and the variables of its rows."""

    def __init__(self, turns: int, taken: set[str]) -> None:
        self.turns = turns
        self.index = next(name for name in INDICES if name not in taken)
        self.taken = {*taken, self.index}
        self.uses_index = False
        self.start = 0
        self.rows: dict[str, list[int | float]] = {}

    def expressions(self, columns: Sequence[Sequence[_Leaf]]) -> list[ast.Expr]:
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
