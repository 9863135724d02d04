"""Drop operators that are the identity in evaluation, such as dropout."""

from __future__ import annotations

from archc.compiler.passes.program import Program
from archc.compiler.passes.rewriter import Rewriter


def drop_identities(program: Program) -> Program:
    """Return the program without operators that are the identity in evaluation. For inference only; exact."""
    rewriter = Rewriter(program.graph)
    for node in program.graph:
        if node.operator.identity_in_eval:
            rewriter.drop(node, rewriter.value_map[node.operands[0].name])
        else:
            rewriter.keep(node)
    return Program(rewriter.result(), program.recipes)
