"""What is known of each place of a text: the shapes that its items return, in every call, and the nodes that they make."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from archc.compiler.analysis.cost import macs_of, params_of
from archc.compiler.elaborate.elaboration import Passed
from archc.compiler.graph import ArchGraph, Frame, Node
from archc.compiler.report import Report
from archc.compiler.shapes.dim import Dim, Shape
from archc.dsl.source import Source, Span


@dataclass(frozen=True)
class Seen:
    """An item in one call of the block that holds it; `scope` is the path of that call, "" outside of blocks."""

    scope: str
    span: Span
    nodes: tuple[Node, ...]
    shape: Shape | None


class Places:
    """The items of a text, by where they are."""

    def __init__(self, report: Report, source: Source) -> None:
        self.graph: ArchGraph = report.graph
        self.source = source
        self._passed = [each for each in report.passed if each.span.source is source]

    @cached_property
    def _nodes(self) -> dict[tuple[int, int], dict[str, list[Node]]]:
        """By the span of an item or a call, and the call that holds it: the nodes that it makes."""
        found: dict[tuple[int, int], dict[str, list[Node]]] = {}
        for node in self.graph:
            frames = node.frame.chain() if node.frame is not None else []
            for position, span in enumerate((node.span, *(frame.span for frame in frames))):
                if span.source is self.source:
                    scope = next((frame.scope for frame in frames[position:] if frame.scope), "")
                    made = found.setdefault((span.start, span.end), {}).setdefault(scope, [])
                    if not made or made[-1] is not node:
                        made.append(node)
        return found

    def at_line_ends(self) -> dict[int, dict[str, Passed]]:
        """Return, by the line (from 1) where it ends and the call that holds it, what the last item of the line returned."""
        found: dict[int, dict[str, Passed]] = {}
        for passed in self._passed:
            line = self.source.line_of(max(passed.span.end - 1, passed.span.start))
            row = found.setdefault(line, {})
            before = row.get(passed.scope)
            if before is None or passed.span.end >= before.span.end:
                row[passed.scope] = passed
        return found

    def at(self, offset: int) -> list[Seen]:
        """Return the innermost item at an offset, once for each call that holds it."""
        spans = [span for span in self._nodes if span[0] <= offset <= span[1]]
        passed = {(p.span.start, p.span.end) for p in self._passed if p.span.start <= offset <= p.span.end}
        if not spans and not passed:
            return []
        start, end = min((*spans, *passed), key=lambda span: span[1] - span[0])
        return self.seen(start, end)

    def seen(self, start: int, end: int) -> list[Seen]:
        """Return the item of a span, once for each call that holds it. The span is that of the item, or of it without its label."""
        core = (start, end) if (start, end) in self._nodes else self._core(start, end) or (start, end)
        shapes: dict[str, Shape] = {}
        for passed in self._passed:
            item = (passed.span.start, passed.span.end)
            if item in (core, (start, end)) or (item[0] <= core[0] and core[1] <= item[1] and self._core(*item) == core):
                shapes[passed.scope] = passed.shape
        made = self._nodes.get(core, {})
        span = Span(self.source, *core)
        return [
            Seen(scope, span, tuple(made.get(scope, ())), shapes.get(scope) or (made[scope][-1].shape if scope in made else None))
            for scope in dict.fromkeys([*made, *shapes])
        ]

    def _core(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the widest span of a node or call inside that of an item; None for an item that makes none."""
        inside = [each for each in self._nodes if start <= each[0] and each[1] <= end]
        return max(inside, key=lambda each: each[1] - each[0], default=None)

    def of_line(self, start: int, end: int, scope: str) -> list[Node]:
        """Return the nodes of the items and calls that begin in a line of the text, in one call of what holds them."""
        return [node for (begin, _), made in self._nodes.items() if start <= begin <= end for node in made.get(scope, ())]

    def calls(self) -> dict[tuple[int, int], list[str]]:
        """Return, by the span of a call in this text, the paths of the scopes that it makes, in order."""
        found: dict[tuple[int, int], dict[str, None]] = {}
        for node in self.graph:
            for frame in node.frame.chain() if node.frame is not None else ():
                if frame.scope and frame.span.source is self.source:
                    found.setdefault((frame.span.start, frame.span.end), {})[frame.scope] = None
        return {span: list(scopes) for span, scopes in found.items()}

    def within(self, span: Span) -> dict[str, list[Node]]:
        """Return the nodes of each call of a block whose body is a span, by the path of the call."""
        found: dict[str, list[Node]] = {}
        for node in self.graph:
            for place, scope in _inner(node):
                if place.source is self.source and span.start <= place.start and place.end <= span.end and scope:
                    found.setdefault(scope, []).append(node)
                    break
        return found

    def params(self, nodes: Iterable[Node]) -> int:
        """Count the parameters of some nodes."""
        return params_of(self.graph, nodes)

    def macs(self, nodes: Iterable[Node]) -> Dim:
        """Count the MACs of some nodes."""
        return macs_of(self.graph, nodes)


def _inner(node: Node) -> Iterable[tuple[Span, str]]:
    """Yield the places of a node from the innermost outwards, each with the call that holds it."""
    frames: list[Frame] = node.frame.chain() if node.frame is not None else []
    for position, span in enumerate((node.span, *(frame.span for frame in frames))):
        yield span, next((frame.scope for frame in frames[position:] if frame.scope), "")


def counted(value: Dim) -> str:
    """Return a count as text: a number with its thousands apart, or a formula in open sizes."""
    return f"{value:,}" if isinstance(value, int) else str(value)
