"""The ground of the expansion: the graph that grows, the mistakes found so far, the bounds, and where we are."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from archc.compiler.elaborate.arithmetic import describe
from archc.compiler.elaborate.claims import ClaimResult, Expected
from archc.compiler.elaborate.environment import OPEN_SIZE, BlockValue, Env
from archc.compiler.elaborate.evaluate import Evaluator
from archc.compiler.elaborate.loader import Loader
from archc.compiler.elaborate.options import option_words
from archc.compiler.elaborate.scopes import Poison, Scope, Tensor
from archc.compiler.elaborate.uses import Using
from archc.compiler.graph import ArchGraph, Frame, Node
from archc.compiler.ops.kinds import Whole, Word
from archc.compiler.shapes.dim import Formula, unknown
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Fault
from archc.dsl.parser import MAX_NESTING
from archc.dsl.source import Span
from archc.dsl.vocabulary import files, warnings

MAX_NODES = 50_000  # ten times the largest network in archs/, and a few seconds
TOLD = 6  # calls of a block by itself whose arguments are shown
LIST_BUDGET = 10  # list values that may be made, for each node that the limit allows

FATAL = ("E0604", "E0605", "E0613")  # the limits: there is no going on behind them

NOTHING = Tensor("", None)  # what there is before an input


@dataclass(frozen=True)
class Limits:
    """How far an expansion may go."""

    max_nodes: int = MAX_NODES
    max_nesting: int = MAX_NESTING


@dataclass(frozen=True)
class Overrides:
    """What the caller sets anew: parameters of the arch, and shapes of inputs (`""`: of the only one)."""

    settings: dict[str, ast.Expr] = field(default_factory=dict)
    inputs: dict[str, ast.Dims] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.settings or self.inputs)


@dataclass(frozen=True)
class Failure:
    """An operator that could not be put into the graph: where it would stand, behind what, and why not."""

    name: str
    written: str
    operands: tuple[str, ...]
    message: str
    span: Span


class Abort(Exception):
    """The expansion cannot go on; what is wrong has been reported."""


class Builder(ABC):
    """`graph` and `problems` hold what has come of the expansion so far."""

    def __init__(self, loader: Loader, limits: Limits, overrides: Overrides) -> None:
        self.loader = loader
        self.limits = limits
        self.overrides = overrides
        self.graph = ArchGraph()
        self.problems: list[Diagnostic] = []
        self.doubts: dict[tuple[str, Span], Diagnostic] = {}  # warnings of what only the expansion sees
        self.failures: list[Failure] = []
        self.expects: list[Expected] = []
        self.claims: dict[Span, ClaimResult] = {}
        self.claimed_at: dict[str, str] = {}  # what a claim that holds stands behind, a node or a scope -> the node of that shape
        self.top = Scope("", "", None)
        self._reported: dict[tuple[str, str, int, int], int] = {}  # -> the number among the problems
        self._again: Counter[int] = Counter()  # how often a problem came again, in other copies or calls
        self._frame: Frame | None = None
        self._calls: list[ast.Block | ast.Share] = []
        self._depth = 0
        self._steps = 0
        self._list_values = 0
        self._created: list[Node] = []
        self._using: list[Using] = []
        self._used_inputs: set[str] = set()
        self._output_places: dict[str, Span] = {}
        self._own_expects = True

    def report(self, fault: Fault | Diagnostic, span: Span | None = None) -> bool:
        """Add a diagnostic, once for each place; returns False, for `sound = report(...)`."""
        found = fault.diagnostic if isinstance(fault, Fault) else fault
        found = found.at(span)
        if self._frame is not None and not found.trail:
            frames = self._frame.chain()
            found = replace(found, trail=tuple(_trail(frames)), facts={**found.facts, "frames": frames})
        place = (found.span.source.name, found.span.start, found.span.end) if found.span else ("", 0, 0)
        if once := found.facts.get("once"):  # a mistake of one place that shows at several
            place = (once, 0, 0)
        if (key := (found.code, *place)) not in self._reported:
            self._reported[key] = len(self.problems)
            self.problems.append(found)
        else:
            self._again[self._reported[key]] += 1
        if found.code in FATAL:
            raise Abort
        return False

    def doubt(self, warning: Diagnostic) -> None:
        """Note what is probably not meant, once for each place."""
        assert warning.span is not None
        self.doubts.setdefault((warning.code, warning.span), warning)

    def _doubt_name(self, name: str, value: Any, kind: str, span: Span) -> None:
        """Warn of a variable with the name of a word of some option that stands for another word, or for a block."""
        if name in option_words() and (isinstance(value, BlockValue) or (isinstance(value, Word) and value.text != name)):
            self.doubt(warnings.word_before_variable("", name, kind, describe(value)).at(span))

    def _tell_copies(self) -> None:
        """A mistake that came again in other copies or calls is told once, with how often."""
        for number, times in self._again.items():
            found = self.problems[number]
            if found.facts.get("once"):
                again = f"and {times} more use{'s' * (times > 1)} of it"
                self.problems[number] = replace(found, notes=(*found.notes, again))
            elif found.trail:
                again = f"and {times} more cop{'ies' if times > 1 else 'y'} or call{'s' * (times > 1)} of the same line"
                self.problems[number] = replace(found, trail=(*found.trail, again))

    def _step(self, span: Span, count: int = 1) -> None:
        """Count statements, turns and copies before they are made, so that the limit is met at once."""
        self._steps += count
        if self._steps > self.limits.max_nodes:
            self.report(files.too_many_nodes(self.limits.max_nodes), span)

    def _spend(self, count: int) -> None:
        self._list_values += count
        if self._list_values > LIST_BUDGET * self.limits.max_nodes:
            raise Fault(files.too_many_list_values(LIST_BUDGET * self.limits.max_nodes))

    @contextmanager
    def _within(self, text: str, span: Span, call: ast.Block | ast.Share | None = None, scope: str = "", brief: str = "") -> Iterator[None]:
        """Inside a block call or a copy: nodes made here remember it."""
        outer = self._frame
        self._frame = Frame(text, span, outer, scope, brief)
        if call is not None:
            self._calls.append(call)
        self._depth += 1
        if self._depth > self.limits.max_nesting:
            self._too_deep(self._frame, span)
        yield
        self._depth -= 1
        if call is not None:
            self._calls.pop()
        self._frame = outer

    def _too_deep(self, frame: Frame, span: Span) -> None:
        """Report calls that go too deep, with the first of them: the rest is more of the same.

        What was found wrong within a block that goes on calling itself comes of that, and is not told.
        """
        calls = [f for f in reversed(frame.chain()) if f.scope]
        ends = any(isinstance(node, ast.If) for block in {id(b): b for b in self._calls}.values() for node in ast.walk(block))
        shown = [*(f.text for f in calls[:3]), *(["..."] if len(calls) > 3 else [])]
        names = [_callee(call) for call in calls]
        again = next((i for i, name in enumerate(names) if name in names[:i]), None)
        never = ""
        if again is not None:
            own = [call for call in calls if _callee(call) == names[again]]
            span = calls[again].span
            never = "" if ends else _endless(own)
            self._again.clear()
            self.problems = [d for d in self.problems if sum(_callee(f) == names[again] for f in d.facts.get("frames", ())) < 2]
        self.report(files.too_deep(self.limits.max_nesting, shown, ends, never).at(span, trail=_trail(calls[:1])))

    def _value(self, expr: ast.Expr, env: Env, scope: Scope | None, current: Tensor | None) -> Any:
        """The value of an expression; after a mistake, which is reported, Poison."""
        incoming = None if current is NOTHING else current
        try:
            return Evaluator(env, scope, incoming, self._spend).value(expr)
        except Fault as fault:
            self.report(fault, expr.span)
            return Poison()

    def _add(self, node: Node, operands: list[str]) -> None:
        self.graph.add(node, operands)
        self._created.append(node)

    def _size(self, expr: ast.Expr, env: Env) -> Any:
        """A size of an input: a number, or a name that is left open."""
        if isinstance(expr, ast.Name) and env.find(expr.name) is None:
            env.bind(expr.name, unknown(expr.name), OPEN_SIZE, expr.span)
        value = self._value(expr, env, None, None)
        if isinstance(value, (Poison, Formula)):
            return value
        try:
            return Whole(1).read("a size", value, 1)
        except Fault as fault:
            raise Fault(fault.diagnostic.at(expr.span)) from None

    @abstractmethod
    def _statements(self, statements: Sequence[ast.Statement], env: Env, scope: Scope, current: Tensor) -> Tensor:
        """Expand statements; the tensor that they end with."""


def _callee(frame: Frame) -> str:
    return frame.text.partition("(")[0]


def _endless(calls: Sequence[Frame]) -> str:
    """How the arguments of a block go on that calls itself: `n` is 4, 3, 2, 1, 0, -1."""
    rows = [dict(re.findall(r"(\w+)=(-?\d+)(?=[,)])", call.text)) for call in calls[:TOLD]]
    names = [name for name in rows[0] if all(name in row for row in rows) and len({row[name] for row in rows}) > 1]
    told = " and ".join(f"`{name}` is {', '.join(row[name] for row in rows)}, ..." for name in names)
    return f"{told}: no `if` in `{_callee(calls[0])}` ends it" if told else ""


def _trail(frames: Sequence[Frame]) -> list[str]:
    """The calls and copies around a place, the innermost first; of many the first and the last."""
    lines = [f"in {f.text}, line {f.span.line} of {f.span.source.name}" for f in frames if f.text != "{ ... }"]
    return lines if len(lines) <= 6 else [*lines[:3], f"... {len(lines) - 4} more", lines[-1]]
