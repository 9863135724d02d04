"""Fold a batch norm into the convolution or fully-connected layer before it.

In evaluation `bn(W*x + b) = gamma*(W*x + b - mean)/sqrt(var + eps) + beta`, which is a convolution with
`W' = s*W` and `b' = s*(b - mean) + beta`, where `s = gamma/sqrt(var + eps)` for each output channel.
"""

from __future__ import annotations

from archc.compiler.ops.computed import is_plain
from archc.compiler.passes.program import Folded, Program
from archc.compiler.passes.rewriter import Rewriter, unshared

FOLDED_INTO = ("conv", "fc")  # operators whose weights have the output channels as their first axis


def fold_batch_norm(program: Program) -> Program:
    """Return the program with batch norms folded into the layers before them.

    For inference only; equal up to rounding. Layers with shared weights, connection tables or computed weights are left unchanged.
    """
    graph = program.graph
    rewriter = Rewriter(graph)
    recipes = dict(program.recipes)
    own = unshared(graph)
    folded: dict[str, str] = {}  # batch norm -> its convolution
    for node in graph:
        if node.op == "bn" and node.name in folded:
            rewriter.drop(node, rewriter.value_map[folded[node.name]])
            continue
        user = graph.only_user(node) if node.op in FOLDED_INTO and node.attrs.get("from") is None and is_plain(node.attrs) else None
        if user is None or user.op != "bn" or node.key not in own:
            rewriter.keep(node)
            continue
        operands = [rewriter.value_map[operand.name] for operand in node.operands]
        rewriter.add(node, operands, {**node.attrs, "bias": True})
        recipes[node.key] = Folded(program.recipe(node.key), user.key, user.attrs["eps"])
        folded[user.name] = node.name
    return Program(rewriter.result(), recipes)
