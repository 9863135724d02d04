"""A graph as a flat `.arch` program: one operator a line, with the shape that it gives. What `compile --print-after` shows."""

from __future__ import annotations

import re

from archc.compiler.analysis.notation import notation
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.kinds import exact
from archc.compiler.shapes.dim import show_shape


def listing(graph: ArchGraph) -> str:
    """A program with the same nodes in the same order. Paths become single labels, since a rewrite moves across blocks."""
    names = _names(graph)
    lines = [f"arch {graph.name}"] if graph.name else []
    before = ""
    for node in graph:
        if node.is_input:
            name = "" if node.name == "input" else f"{names[node.name]}: "
            lines.append(f"input {name}{show_shape(node.shape)}")
        else:
            lines.append(_line(graph, node, names, before))
        before = node.name
    main = [output.node for output in graph.outputs.values() if not output.training_only][-1:]
    for name, output in graph.outputs.items():
        when = "(when=training)" if output.training_only else ""
        if output.training_only or [output.node] != main or output.node != before or len(graph.outputs) > 1:
            lines.append(f"output {name}{when}: @{names[output.node]}")
    return "\n".join(lines) + "\n"


def _line(graph: ArchGraph, node: Node, names: dict[str, str], before: str) -> str:
    operands = graph.operands(node.name)
    text = notation(node, write=exact)
    claim = f" => {show_shape(node.shape)}" if all(isinstance(dim, int) for dim in node.shape) else ""
    if table := node.attrs.get("from"):
        text = f"{text[:-1]}, " if text.endswith(")") else f"{text}("
        text += f"from={exact(table)})"
    if len(operands) > 1:
        word, _, options = text.partition("(")
        branches = " | ".join(f"@{names[operand]}" for operand in operands)
        text = f"{word}<{branches}>" + (f"({options}" if options else "")
    elif operands != [before]:
        text = f"@{names[operands[0]]}; {names[node.name]}: {text}"
        return text + claim
    return f"{names[node.name]}: {text}{claim}"


def _names(graph: ArchGraph) -> dict[str, str]:
    """Labels for paths: `layer1.0.conv1` is `layer1_0_conv1`, each once."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for node in graph:
        label = re.sub(r"\W", "_", node.name)
        label = f"n{label}" if label[0].isdigit() else label
        while label in taken:
            label += "_"
        taken.add(label)
        names[node.name] = label
    return names
