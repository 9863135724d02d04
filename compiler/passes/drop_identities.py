"""Drops operators that do nothing in evaluation: dropout and stochastic depth. `idle(x) = x`."""

from __future__ import annotations

from archc.compiler.graph import INPUT
from archc.compiler.passes.program import Program
from archc.compiler.passes.rewriter import Rewriter


def drop_identities(program: Program) -> Program:
    """For inference only. Exact."""
    rewriter = Rewriter(program.graph)
    for node in program.graph:
        if node.op != INPUT and node.operator.memory.idle:
            rewriter.drop(node, rewriter.value_map[program.graph.operands(node.name)[0]])
        else:
            rewriter.keep(node)
    return Program(rewriter.result(), program.recipes)
