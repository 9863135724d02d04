"""Trace a failed claim: the steps between it and the claim before it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from archc.compiler.elaborate.claims import ClaimResult
from archc.compiler.graph import ArchGraph, Frame, Node
from archc.compiler.ops.record import AXES
from archc.compiler.shapes.dim import Shape, show_shape
from archc.dsl.diagnostics import Diagnostic, Related
from archc.dsl.source import Span

LONGEST = 8  # steps shown
WIDEST = 40  # characters of a step shown


@dataclass(frozen=True)
class Step:
    """An item of the chain that holds the claim, and the shape of its result."""

    span: Span
    shape: Shape

    @property
    def text(self) -> str:
        """The item as it is written, without its claim, on one line of at most `WIDEST` characters."""
        text = self.span.text.split("=>")[0].split("\n")[0].strip()
        return text if len(text) <= WIDEST else text[: WIDEST - 3] + "..."


def with_blame(diagnostics: Sequence[Diagnostic], graph: ArchGraph, claims: Iterable[ClaimResult]) -> list[Diagnostic]:
    """Add to the diagnostics of failed shape claims the steps since the claim before. Other diagnostics are returned as they are."""
    by_node = {claim.node: claim for claim in claims if claim.node}
    return [_blamed(d, graph, by_node) if d.code in ("E0501", "E0502") and d.facts.get("node") in graph else d for d in diagnostics]


def _blamed(d: Diagnostic, graph: ArchGraph, claims: dict[str, ClaimResult]) -> Diagnostic:
    item, actual, claimed = d.facts.get("item", d.span), d.facts["actual"], d.facts["claimed"]
    line = _since_a_claim(graph, d.facts["node"], claims)
    begin, steps = line[0], _steps(line[1:], item, _around(graph[d.facts["node"]], item, d.facts.get("label")))
    notes = [*_sum(graph, d.facts["node"], claimed), *d.notes]
    related = list(d.related)
    facts = {**d.facts, "between": tuple(step.span for step in steps)}
    if len(steps) > 1 or (steps and not notes and line[-1].span != d.span):
        shown = [Step(begin.span, begin.shape), *steps]
        lines = [f"{step.text}: {show_shape(step.shape)}" for step in steps]
        lines = lines if len(lines) <= LONGEST else [*lines[:3], "...", *lines[3 - LONGEST :]]
        before = claims.get(begin.name)
        if before is None:
            shape, origin = show_shape(begin.shape), "the input" if begin.is_input else begin.name
        else:  # after a claim that fails, checking continued with the claimed shape
            shape = show_shape(begin.shape) if before.held else re.split("=>|==", before.text)[-1].strip()
            origin = f"claimed on line {before.span.line}, and {'holds' if before.held else 'fails'}"
        notes.append(f"from {shape} ({origin}): " + ", then ".join(lines))
        if before is None or before.held:
            notes.extend(_unchanged(shown, actual, claimed))
        if before is not None and before.held:
            related.append(Related(before.span, "this claim holds"))
    return replace(d, notes=tuple(notes), related=tuple(related), facts=facts)


def _since_a_claim(graph: ArchGraph, name: str, claims: dict[str, ClaimResult]) -> list[Node]:
    """Return the longest path of nodes to a failed claim, from the last claimed node or from an input."""
    depths: dict[str, int] = {}
    for node in graph:
        depths[node.name] = 1 + max((depths[operand.name] for operand in node.operands), default=0)
    line = [graph[name]]
    while (operands := line[-1].operands) and not (len(line) > 1 and line[-1].name in claims):
        line.append(max(operands, key=lambda operand: depths[operand.name]))
    return line[::-1]


def _around(node: Node, item: Span, label: str | None) -> list[Frame]:
    """Return the calls and copies around what is claimed: an item that ends in the node, or what a label names."""
    frames = node.frame.chain() if node.frame else []
    return [frame for frame in frames if (not _within(frame.span, item) if label is None else frame.text == label)]


def _steps(line: Sequence[Node], item: Span, calls: Sequence[Frame]) -> list[Step]:
    """Group the nodes of a path into the items next to the one that holds the claim."""
    steps: list[Step] = []
    for node in line:
        frames = [frame for frame in (node.frame.chain() if node.frame else []) if not any(frame is call for call in calls)]
        at = frames[-1].span if frames else node.span
        at = item if _within(at, item) else at
        if steps and steps[-1].span == at:
            steps.pop()
        steps.append(Step(at, node.shape))
    return steps


def _within(inner: Span, outer: Span) -> bool:
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


def _unchanged(steps: Sequence[Step], actual: Shape, claimed: Shape) -> Iterable[str]:
    """Note the sizes that the claim expects to be smaller and that no step changes."""
    if len(actual) != len(claimed):
        return
    names = ("channels", *AXES.get(len(actual) - 1, ()))
    same = [
        axis
        for axis in range(1, min(len(actual), len(names)))
        if actual[axis] != claimed[axis]
        and all(len(a.shape) == len(b.shape) == len(actual) and a.shape[axis] == b.shape[axis] for a, b in pairwise(steps))
    ]
    if same:
        kept = " and ".join(f"{names[axis]} {actual[axis]}" for axis in same)
        factors = {_factor(actual[axis], claimed[axis]) for axis in same}
        factor = next(iter(factors)) if len(factors) == 1 else None
        yield f"no step between changes {kept}" + (f"; a stride of {factor} would" if factor else "")


def _factor(actual: object, wanted: object) -> int | None:
    if isinstance(actual, int) and isinstance(wanted, int) and 0 < wanted < actual:
        return next((stride for stride in range(2, 17) if -(-actual // stride) == wanted), None)
    return None


def _joins_channels(node: Node) -> bool:
    return not node.is_input and node.operator.joined_axis(node.call) == 0


def _sum(graph: ArchGraph, name: str, claimed: Shape) -> Iterable[str]:
    """Note what the channels of a concatenation add up to."""
    node = graph[name]
    while not _joins_channels(node) and len(node.operands) == 1 and node.operands[0].shape[0] == node.shape[0]:
        node = node.operands[0]
    if not _joins_channels(node) or len(claimed) != len(node.shape) or claimed[0] == node.shape[0]:
        return
    total, wanted = node.shape[0], claimed[0]
    parts = " + ".join(str(operand.shape[0]) for operand in node.operands)
    if isinstance(total, int) and isinstance(wanted, int):
        yield f"channels: {parts} = {total}, {abs(total - wanted)} {'short of' if total < wanted else 'more than'} {wanted}"
