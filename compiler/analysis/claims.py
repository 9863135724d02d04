"""Check the `expect` lines of a file against its network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import prod
from typing import Any

from archc.compiler.analysis.cost import BOUNDED, MEASURES, holes_of, node_params, weights
from archc.compiler.analysis.written import literal
from archc.compiler.elaborate.arithmetic import COMPARISONS, describe
from archc.compiler.elaborate.claims import ClaimResult, Expected
from archc.compiler.elaborate.scopes import Flow, Missing, Scope, in_graph
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.shapes.dim import Dim, Formula, show_shape
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Fault
from archc.dsl.vocabulary import claims as says
from archc.dsl.vocabulary import names

TRAINING = "training"


def check_expects(expects: Iterable[Expected], graph: ArchGraph, scope: Scope, waived: bool) -> tuple[list[ClaimResult], list[Diagnostic]]:
    """Check every `expect`. One that fails is an error, or waived where the caller changed the network."""
    results, problems = [], []
    for expect, value, _ in expects:
        try:
            result, problem = _check(expect, value, graph, scope, waived)
        except Fault as fault:
            problems.append(fault.diagnostic.at(expect.span))
            continue
        if result is not None:
            results.append(result)
        if problem is not None:
            problems.append(problem.at(expect.span))
    return results, problems


def _check(expect: ast.Expect, value: Any, graph: ArchGraph, scope: Scope, waived: bool) -> tuple[ClaimResult | None, Diagnostic | None]:
    node = ""
    what = expect.measure + (f"({expect.target})" if expect.target else "")
    actual: Any
    if expect.measure == "shape":
        tensor = _target(expect, scope)
        if isinstance(tensor, Missing):
            return None, None
        value = value if isinstance(value, tuple) else (value,)
        if expect.relation not in ("==", "!=") or expect.within is not None or not all(isinstance(dim, (int, Formula)) for dim in value):
            got = describe(value[0] if len(value) == 1 else value)
            by = ", by `==`" if expect.relation not in ("==", "!=") or expect.within is not None else ""
            raise Fault(says.not_comparable(what, f"a shape{by}", f"`{expect.relation}` {got}" if by else got))
        actual, node = tensor.shape, tensor.name
        held = COMPARISONS[expect.relation](actual, value)
        shown, claimed = show_shape(actual), show_shape(value)
    else:
        actual = _count(expect, graph, scope)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Fault(says.not_comparable(what, "a number", describe(value)))
        if isinstance(actual, Formula) and waived:
            return ClaimResult(expect.span, " ".join(expect.span.text.split()), str(actual), False, waived=True), None
        if isinstance(actual, Formula):
            raise Fault(says.not_comparable(what, "a number, and is itself open", str(actual)))
        held = _holds(expect, actual, value)
        shown, claimed = f"{actual:,}", f"{value:,}"
    text = " ".join(expect.span.text.split())
    result = ClaimResult(expect.span, text, shown, held, waived and not held, node)
    if held or waived:
        return result, None
    difference = ""
    help_text = ""
    if isinstance(actual, int):
        difference = f"{actual - value:+,}" + (f" ({100 * (actual - value) / value:+.3g}%)" if value else "")
        near = value and abs(actual - value) / abs(value) < 0.05 and expect.relation == "==" and expect.within is None
        help_text = f"write the exact number, {actual:_}, or say how near: `within 2%`" if near else ""
        if held_by := _evidence(expect, actual, value, graph):
            difference += f": {held_by}"
    within = f" within {expect.within:g}%" if expect.within is not None else ""
    problem = says.count_claim(what, shown, expect.relation, claimed + within, difference or f"{shown} is not {claimed}", help_text)
    facts = {"actual": actual, "claimed": value, "measure": what, "relation": expect.relation, "node": node, "label": expect.target}
    return result, problem.with_facts(**facts)


def readable_alone(expected: Expected, graph: ArchGraph, scope: Scope) -> ast.Expect:
    """Return an `expect` that needs nothing else of its file: numbers for variables, and a node for another name of it."""
    expect = expected.statement
    if any(isinstance(part, (ast.Name, ast.Ref, ast.CallExpr)) for part in ast.walk(expect.value)):
        expect = replace(expect, value=literal(expected.value))
    tensor = scope.lookup(expect.target) if expect.target is not None else None
    if expect.target is None or tensor is None or expect.target in graph:
        return expect
    part = [node.name for node in _part(graph, expect.target)]
    ends_there = part[-1:] == [tensor.name]
    return expect if ends_there or (part and expect.measure != "shape") else replace(expect, target=tensor.name)


def _evidence(expect: ast.Expect, actual: int, value: float, graph: ArchGraph) -> str:
    """Return what may cause a difference: one digit, or parameters that were missed or counted in excess; empty where unknown."""
    a, b = str(actual), str(value)
    if expect.relation != "==":
        return ""
    if len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) == 1:
        return "the two numbers differ in one digit"
    if expect.measure != "params" or expect.target is not None:
        return ""
    missing, nodes = abs(actual - value), [node for node in graph if not node.training_only]
    biases = sum(prod(weights(graph, node).get("bias", (0,))) for node in nodes if node.operator.linear)
    norms = sum(node_params(graph, node) for node in nodes if node.operator.family == "normalization")
    left_out = sum(int(node.attrs["out"]) for node in nodes if node.operator.linear and not node.attrs["bias"])
    for count, what in (
        (biases, "the biases of the convolutions and fully-connected layers are"),
        (left_out, "the biases that `bias=no` leaves out would be"),
        (norms, "the parameters of the normalizations are"),
    ):
        if count == missing:
            return f"as many as {what}"
    alike = [node.name for node in nodes if node_params(graph, node) == missing]
    return f"as many as `{alike[0]}` has" if len(alike) == 1 else ""


def _holds(expect: ast.Expect, actual: int, value: float) -> bool:
    if expect.within is None:
        return COMPARISONS[expect.relation](actual, value)
    margin = abs(value) * expect.within / 100
    if expect.relation == "==":
        return abs(actual - value) <= margin
    raise Fault(says.not_comparable(expect.measure, "a margin, by `==`", f"`{expect.relation}`"))


def _target(expect: ast.Expect, scope: Scope) -> Flow:
    if expect.target is None:
        raise Fault(says.not_comparable(expect.measure, "a place, as in `shape(conv1)`", "without one"))
    tensor = scope.lookup(expect.target)
    if tensor is None:
        raise Fault(names.unknown_reference(expect.target, list(scope.members)))
    return tensor


def _count(expect: ast.Expect, graph: ArchGraph, scope: Scope) -> Dim:
    """Count over the network at inference, over all of it (`params(training)`), or over a labelled part."""
    measure = MEASURES.get(expect.measure)
    if measure is None:
        raise Fault(says.unknown_measure(expect.measure, ["shape", *MEASURES]))
    nodes = _counted(expect, graph, scope)
    holes = holes_of(nodes) if expect.measure in BOUNDED and expect.relation not in (">", ">=") else []
    if holes:
        raise Fault(says.only_bounded(expect.measure, holes[0].name, len(holes), str(measure(graph, nodes))))
    return measure(graph, nodes)


def _counted(expect: ast.Expect, graph: ArchGraph, scope: Scope) -> list[Node]:
    if expect.target is None:
        return [node for node in graph if not node.training_only]
    if expect.target == TRAINING and TRAINING not in scope.members:
        return list(graph)
    tensor = _target(expect, scope)
    return list(_part(graph, expect.target)) or ([graph[tensor.name]] if in_graph(tensor) else [])


def _part(graph: ArchGraph, path: str) -> Iterable[Node]:
    return (node for node in graph if node.name == path or node.name.startswith(path + "."))
