"""Print a graph as `.arch` text: `program` with its scopes and branches, as `expand` shows it; `listing` flat, one operator a line.

Both need only the graph, whatever produced it. Nodes are written in their order.
"""

from __future__ import annotations

import re

from archc.compiler.analysis import written
from archc.compiler.analysis.nesting import IMPLIED, Program, Stated
from archc.compiler.graph import ArchGraph
from archc.compiler.shapes.dim import show_shape
from archc.dsl import ast
from archc.dsl.formatter import format_text
from archc.dsl.parser import MAX_NESTING
from archc.dsl.printer import print_file, print_statement
from archc.dsl.source import Source
from archc.dsl.stack import deep_stack


def program(graph: ArchGraph, stated: Stated | None = None) -> str:
    """Print a graph with everything written out. The text reads back as the same graph.

    Raises ValueError where names cannot be written: a scope that is not in one piece, weights shared otherwise than by whole scopes.
    """
    file = ast.File(written.NOWHERE, tuple(Program(graph, stated or Stated()).statements()))
    # Every dot of a name is a group, which may be inside merges.
    nesting = 2 * max((node.name.count(".") for node in graph), default=0) + MAX_NESTING
    with deep_stack(nesting):
        return format_text(Source("expanded", print_file(file)), max_nesting=nesting, hold=False)


def listing(graph: ArchGraph) -> str:
    """Print a graph with one operator a line and the shape of each; of the options, those that differ from their defaults.

    Paths become single labels, since passes move operators across blocks. Initializations are left out.
    """
    names = _labels(graph)
    lines = [[line] for line in written.header(graph)]
    before = ""
    for node in graph:
        operands = [names[operand.name] for operand in node.operands]
        name = names[node.name]
        claim = node.shape if all(isinstance(dim, int) for dim in node.shape) else None
        if node.is_input:
            lines.append([written.input_line(node, name)])
        elif node.operator.is_merge and not (node.operator.plain and len(operands) == 1):
            branches = [[written.reference(operand)] for operand in operands]
            lines.append([written.labelled(name, written.merge(node, branches, brief=True), claim)])
        else:
            lead = [written.reference(operands[0])] if operands != [before] else []
            lines.append([*lead, written.labelled(name, written.operator(node, brief=True), claim)])
        before = name
    implied = list(graph.outputs) == [IMPLIED] and names[graph.outputs[IMPLIED].node] == before
    for key, output in graph.outputs.items() if not implied else ():
        lines.append([written.output_line(key, output.training_only, [written.reference(names[output.node])])])
    return "".join("; ".join(map(print_statement, line)) + "\n" for line in lines)


def _labels(graph: ArchGraph) -> dict[str, str]:
    """Return a unique label for each path: `layer1_0_conv1` for `layer1.0.conv1`."""
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


def node_table(graph: ArchGraph) -> str:
    """Return the graph as a line for every node: name, operator, shape without the batch, operands."""
    width = max((len(node.name) for node in graph), default=0)
    rows = ((node, ", ".join(operand.name for operand in node.operands)) for node in graph)
    return "".join(f"{n.name:<{width}}  {n.op:<17}{show_shape(n.shape):<16}{operands}".rstrip() + "\n" for n, operands in rows)
