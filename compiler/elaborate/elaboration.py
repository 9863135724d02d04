"""The state of one elaboration: the graph that grows, the mistakes found so far, and the limits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from archc.compiler.elaborate.circles import Using
from archc.compiler.elaborate.claims import ClaimResult, Expected
from archc.compiler.elaborate.loader import Loader
from archc.compiler.elaborate.scopes import Flow, Scope, Tensor
from archc.compiler.elaborate.site import Budget, LimitReached, Site
from archc.compiler.graph import ArchGraph, Frame, Node
from archc.compiler.shapes.dim import Shape
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Fault
from archc.dsl.parser import MAX_NESTING
from archc.dsl.source import Span
from archc.dsl.vocabulary import files

MAX_NODES = 50_000  # ten times the largest network in archs/, and a few seconds
TOLD = 6  # calls of a block by itself whose arguments are shown
LIST_BUDGET = 10  # list values that may be computed, for each node that the limit allows


@dataclass(frozen=True)
class Limits:
    """How far an elaboration may go."""

    max_nodes: int = MAX_NODES
    max_nesting: int = MAX_NESTING


@dataclass(frozen=True)
class Overrides:
    """What the caller overrides: parameters of the arch, and shapes of inputs (`""`: of the only one)."""

    settings: dict[str, ast.Expr] = field(default_factory=dict)
    inputs: dict[str, ast.Dims] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.settings or self.inputs)


@dataclass(frozen=True)
class Failure:
    """An operator that could not be put into the graph: its name, the text of its item, its operands, and what is wrong with it."""

    name: str
    written: str
    operands: tuple[str, ...]
    message: str
    span: Span


@dataclass(frozen=True, slots=True)
class Passed:
    """What an item, or an input, returned in one call of what holds it: the node, "" after a mistake, and its shape."""

    span: Span
    frame: Frame | None
    node: str
    shape: Shape

    @property
    def scope(self) -> str:
        """The path of the call that holds it; "" outside of blocks."""
        frame = self.frame
        while frame is not None and not frame.scope:
            frame = frame.outer
        return frame.scope if frame is not None else ""


class Stopped(Exception):
    """A check was given up, since whoever asked for it no longer needs it."""


class Abort(Exception):
    """The elaboration cannot go on; what is wrong has been reported."""


@dataclass
class Elaboration:
    """What one elaboration has produced so far, for the functions of this package, which pass it along with a `Site`.

    `body` elaborates the statements of a body. It is a field because items hold bodies, whose statements hold items.
    """

    loader: Loader
    limits: Limits
    overrides: Overrides
    body: Callable[[Elaboration, Sequence[ast.Statement], Site], Flow]
    graph: ArchGraph = field(default_factory=ArchGraph)
    problems: list[Diagnostic] = field(default_factory=list)
    doubts: dict[tuple[str, Span], Diagnostic] = field(default_factory=dict)  # warnings of what only the elaboration sees
    failures: list[Failure] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    expects: list[Expected] = field(default_factory=list)
    claims: dict[Span, ClaimResult] = field(default_factory=dict)
    claimed_at: dict[str, str] = field(default_factory=dict)  # what a claim that holds follows, a node or a scope -> the node of that shape
    top: Scope = field(default_factory=lambda: Scope("", "", None))
    created: list[Node] = field(default_factory=list)  # in order
    using: list[Using] = field(default_factory=list)  # the files on the way to the statement at hand
    inputs: dict[str, None] = field(default_factory=dict)  # the names of the inputs, in order
    output_places: dict[str, Span] = field(default_factory=dict)
    stop: Callable[[], bool] = lambda: False  # asked with every statement whether to give up
    own_expects: bool = True  # of another file's network, what it claims of itself is not checked
    _reported: dict[tuple[str, str, int, int], int] = field(default_factory=dict)  # -> the number among the problems
    _again: Counter[int] = field(default_factory=Counter)  # how often a problem came again, in other copies or calls
    _steps: int = 0

    def __post_init__(self) -> None:
        self.budget = Budget(LIST_BUDGET * self.limits.max_nodes, choices=self.graph.choices)

    # ---- the graph

    def add(self, node: Node, operands: list[str]) -> None:
        """Append a node after its operands."""
        self.graph.add(node, operands)
        self.created.append(node)

    def returned(self, span: Span, frame: Frame | None, result: Flow) -> None:
        """Note what an item returned."""
        if isinstance(result, Tensor):
            self.passed.append(Passed(span, frame, result.name, result.shape))

    # ---- mistakes

    def report(self, found: Fault | Diagnostic, site: Site, span: Span | None = None) -> None:
        """Add a diagnostic, once for each place. Raises Abort after a limit."""
        fatal = isinstance(found, LimitReached)
        found = found.diagnostic if isinstance(found, Fault) else found
        found = _with_trail(found.at(span), site.frame)
        place = (found.span.source.name, found.span.start, found.span.end) if found.span else ("", 0, 0)
        if once := found.facts.get("once"):  # a mistake of one place that shows at several
            place = (once, 0, 0)
        if (key := (found.code, *place)) not in self._reported:
            self._reported[key] = len(self.problems)
            self.problems.append(found)
        else:
            self._again[self._reported[key]] += 1
        if fatal:
            raise Abort

    def doubt(self, warning: Diagnostic) -> None:
        """Add a warning, once for each place."""
        assert warning.span is not None
        self.doubts.setdefault((warning.code, warning.span), warning)

    def count_copies(self) -> None:
        """Add to each error that occurred again in other copies or calls how often it did."""
        for number, times in self._again.items():
            found = self.problems[number]
            if found.facts.get("once"):
                again = f"and {times} more use{'s' * (times > 1)} of it"
                self.problems[number] = replace(found, notes=(*found.notes, again))
            elif found.trail:
                again = f"and {times} more cop{'ies' if times > 1 else 'y'} or call{'s' * (times > 1)} of the same line"
                self.problems[number] = replace(found, trail=(*found.trail, again))

    # ---- limits

    def step(self, site: Site, span: Span, count: int = 1) -> None:
        """Count statements, turns and copies before they are elaborated, so that the limit is met at once. Raises Stopped."""
        self._steps += count
        if self.stop():
            raise Stopped
        if self._steps > self.limits.max_nodes:
            self.report(LimitReached(files.too_many_nodes(self.limits.max_nodes)), site, span)

    @contextmanager
    def entered(self, site: Site) -> Iterator[Site]:
        """Elaborate the inside of a call, a copy or a group: a fault that ends it is reported from there."""
        if site.depth > self.limits.max_nesting:
            self._too_deep(site)
        try:
            yield site
        except Fault as fault:
            fault.diagnostic = _with_trail(fault.diagnostic, site.frame)
            raise

    def _too_deep(self, site: Site) -> None:
        """Report calls that go too deep, with the first of them: the rest is more of the same.

        Other errors within a block that never stops calling itself are consequences, and are not reported.
        """
        frame = site.frame
        assert frame is not None
        span = frame.span
        calls = [f for f in reversed(frame.chain()) if f.scope]
        ends = any(isinstance(node, ast.If) for block in {id(b): b for b in site.calls}.values() for node in ast.walk(block))
        shown = [*(f.text for f in calls[:3]), *(["..."] if len(calls) > 3 else [])]
        names = [_called(call) for call in calls]
        again = next((i for i, name in enumerate(names) if name in names[:i]), None)
        never = ""
        if again is not None:
            own = [call for call in calls if _called(call) == names[again]]
            span = calls[again].span
            never = "" if ends else _endless(own)
            self._again.clear()
            self.problems = [d for d in self.problems if sum(_called(f) == names[again] for f in d.facts.get("frames", ())) < 2]
        found = files.too_deep(self.limits.max_nesting, shown, ends, never)
        self.report(LimitReached(found.at(span, trail=_trail(calls[:1]))), site)


def _called(frame: Frame) -> str:
    return frame.text.partition("(")[0]


def _endless(calls: Sequence[Frame]) -> str:
    """Describe the arguments of a block that calls itself: `n` is 4, 3, 2, 1, 0, -1."""
    rows = [dict(re.findall(r"(\w+)=(-?\d+)(?=[,)])", call.text)) for call in calls[:TOLD]]
    names = [name for name in rows[0] if all(name in row for row in rows) and len({row[name] for row in rows}) > 1]
    told = " and ".join(f"`{name}` is {', '.join(row[name] for row in rows)}, ..." for name in names)
    return f"{told}: no `if` in `{_called(calls[0])}` ends it" if told else ""


def _with_trail(found: Diagnostic, frame: Frame | None) -> Diagnostic:
    """Add the calls and copies around a diagnostic, unless it has them."""
    if frame is None or found.trail or "frames" in found.facts:
        return found
    frames = frame.chain()
    return replace(found, trail=tuple(_trail(frames))).with_facts(frames=frames)


def _trail(frames: Sequence[Frame]) -> list[str]:
    """List the calls and copies around a place, the innermost first; of many only the first and the last."""
    lines = [f"in {f.text}, line {f.span.line} of {f.span.source.name}" for f in frames if f.text != "{ ... }"]
    return lines if len(lines) <= 6 else [*lines[:3], f"... {len(lines) - 4} more", lines[-1]]
