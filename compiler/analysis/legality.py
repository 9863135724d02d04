"""Compute the legal values of open sizes, and the conflicting conditions where there are none."""

from __future__ import annotations

from archc.compiler.elaborate.histories import histories, parting
from archc.compiler.graph import ArchGraph
from archc.compiler.shapes.conditions import Condition, Legal, contradiction, legal_sizes
from archc.dsl.diagnostics import Diagnostic, Related
from archc.dsl.vocabulary import shapes as says


def legality(graph: ArchGraph, explained: bool = True) -> tuple[list[Legal], list[Diagnostic]]:
    """Return the legal values of every open size, and an error for the first that has none, with the reason if `explained`."""
    legal: list[Legal] = []
    problems: list[Diagnostic] = []
    conditions = [condition for _, condition in graph.conditions]
    for name in graph.unknowns:
        sizes = legal_sizes(name, conditions)
        if sizes is None:
            continue
        legal.append(sizes)
        if not sizes.classes and not problems:
            problems.append(_impossible(graph, name, contradiction(name, conditions) if explained else []))
    return legal, problems


def _impossible(graph: ArchGraph, name: str, reasons: list[Condition]) -> Diagnostic:
    """Return the error at the node that adds the last of the conditions, with the history of its branches."""
    nodes = [next(graph[node] for node, condition in graph.conditions if condition == reason) for reason in reasons]
    if not nodes:
        return says.no_legal_size(name, [], []).at(next(node.span for node in graph.inputs))
    last = nodes[-1]
    merges = len(last.operands) > 1
    sides = histories(last.operands) if merges else []
    parted = list(parting(last.operands, range(1, len(last.shape)), last.span)) if merges else []
    shapes, operands = tuple(operand.shape for operand in last.operands), tuple(operand.name for operand in last.operands)
    others = {node.span: Related(node.span, str(reason)) for node, reason in zip(nodes, reasons, strict=True) if node.span != last.span}
    problem = says.no_legal_size(name, sides, [str(reason) for reason in reasons])
    frames = [frame for frame in last.frame.chain() if frame.text != "{ ... }"] if last.frame else []
    trail = [f"in {frame.text}, line {frame.span.line} of {frame.span.source.name}" for frame in frames[:3]]
    return problem.with_facts(shapes=shapes, operands=operands).at(last.span, trail=trail, related=(*parted, *others.values()))
