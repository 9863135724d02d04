"""The legal values of open sizes, and what contradicts itself where there are none."""

from __future__ import annotations

from archc.compiler.elaborate.histories import histories, parting
from archc.compiler.graph import ArchGraph
from archc.compiler.shapes.conditions import Condition, Legal, contradiction, legal_sizes
from archc.dsl.diagnostics import Diagnostic, Related
from archc.dsl.vocabulary import shapes as says


def legality(graph: ArchGraph, explained: bool = True) -> tuple[list[Legal], list[Diagnostic]]:
    """The legal values of every open size; an error at the first that has none, with the reason where that is `explained`."""
    legal: list[Legal] = []
    problems: list[Diagnostic] = []
    conditions = [condition for _, condition in graph.conditions]
    for name in graph.unknowns:
        found = legal_sizes(name, conditions)
        if found is None:
            continue
        legal.append(found)
        if not found.classes and not problems:
            problems.append(_impossible(graph, name, contradiction(name, conditions) if explained else []))
    return legal, problems


def _impossible(graph: ArchGraph, name: str, reasons: list[Condition]) -> Diagnostic:
    """The error at the node that brings the last of the conditions, with what its branches have become."""
    brings = [next(graph[node] for node, condition in graph.conditions if condition == reason) for reason in reasons]
    if not brings:
        return says.no_legal_size(name, [], []).at(next(node.span for node in graph.inputs))
    last = brings[-1]
    merges = len(last.operands) > 1
    sides = histories(last.operands) if merges else []
    parted = list(parting(last.operands, range(1, len(last.shape)), last.span)) if merges else []
    shapes, operands = tuple(operand.shape for operand in last.operands), tuple(operand.name for operand in last.operands)
    others = {node.span: Related(node.span, str(reason)) for node, reason in zip(brings, reasons, strict=True) if node.span != last.span}
    found = says.no_legal_size(name, sides, [str(reason) for reason in reasons])
    frames = [frame for frame in last.frame.chain() if frame.text != "{ ... }"] if last.frame else []
    trail = [f"in {frame.text}, line {frame.span.line} of {frame.span.source.name}" for frame in frames[:3]]
    return found.with_facts(shapes=shapes, operands=operands).at(last.span, trail=trail, related=(*parted, *others.values()))
