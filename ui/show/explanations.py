"""What `archc explain FILE:NODE` says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from archc.compiler.analysis.derive import back as derive_back
from archc.compiler.analysis.derive import derive, size_lines
from archc.compiler.analysis.notation import notation
from archc.compiler.analysis.receptive import receptive_fields
from archc.compiler.driver import Report, parse_overrides
from archc.compiler.elaborate.elaboration import Overrides
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.shapes.dim import show_shape
from archc.dsl.errors import ArchError
from archc.dsl.rendering import render

SIZES = {1: "W", 2: "HxW", 3: "DxHxW"}


def explanation(graph: ArchGraph, label: str, back: bool) -> list[dict[str, Any]]:
    """A node, the nodes of a labelled part, or those of the network that change a shape; each with its topics. Raises KeyError."""
    nodes = [node for node in graph if not label or node.name == label or node.name.startswith(label + ".")]
    if not nodes:
        raise KeyError(label)
    if back:
        last = nodes[-1].name
        return [_step(node, lines) for node, lines in derive_back(graph, last)]
    if not label:
        return [_step(node, size_lines(graph, node)) for node in nodes if _changes(graph, node)]
    fields = receptive_fields(graph)
    return [{"name": node.name, "topics": dict(derive(graph, node.name, fields))} for node in nodes]


def _step(node: Node, lines: list[str]) -> dict[str, Any]:
    return {"name": node.name, "topics": {"output": [f"{show_shape(node.shape)}, by {notation(node)}", *lines]}}


def _changes(graph: ArchGraph, node: Node) -> bool:
    operands = graph.operands(node.name)
    return not operands or len(operands) > 1 or graph[operands[0]].shape != node.shape


def text(data: list[dict[str, Any]]) -> str:
    out = []
    for entry in data:
        out.append(entry["name"])
        for topic, lines in entry["topics"].items():
            out.extend(f"  {topic if number == 0 else '':<12}{line}" for number, line in enumerate(lines))
    return "\n".join(out) + "\n"


def _without_formula(message: str) -> str:
    """A message without the formula of a size, which says nothing to a reader."""
    known, found, value = message.partition(", and it is ")
    return f"{known}, and it changes with the size of the input" if found and re.search("[A-Z]", value) else message


def why_not(check: Callable[[Overrides], Report], size: str) -> str:
    """What first fails when the input of a file, which `check` reads, has another shape; and which sizes are legal.

    Raises ArchError for a file that is wrong.
    """
    report = check(Overrides())
    if report.diagnostics:
        raise ArchError(report.diagnostics)
    changed = check(parse_overrides({}, {"": size}))
    if changed.diagnostics:
        lines = [f"{report.name} cannot take {size}. What fails first:", "", render(changed.diagnostics[0]), ""]
    else:
        outputs = ", ".join(f"{name}: {show_shape(changed.graph[out.node].shape)}" for name, out in changed.graph.outputs.items())
        lines = [f"{report.name} takes {size}, and gives {outputs}."]
        failed = [claim for claim in changed.claims if claim.waived]
        for claim in failed[:1]:
            lines += [f"It is not what the file claims: {claim.text} would be {claim.actual}.", *(f"  {line}" for line in claim.why)]
    shape = report.graph.inputs[0].shape
    opened = check(parse_overrides({}, {"": f"{shape[0]}x{SIZES[len(shape) - 1]}"})) if len(shape) > 1 else None
    if opened is not None and opened.ok:
        lines.append("Legal: " + ", ".join(str(legal) for legal in opened.legal) + ".")
    elif opened is not None:
        lines.append(f"Its sizes cannot be left open: {_without_formula(opened.diagnostics[0].message)}.")
    return "\n".join(lines)
