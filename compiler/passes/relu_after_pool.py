"""Moves a ReLU behind the max pooling that follows it: `maxpool(relu(x)) = relu(maxpool(x))`, since ReLU never changes an order.

The ReLU then has a quarter of the values, or fewer. Windows that lie in padding alone do not exist: every window holds a value.
Both are in one scope, so that blocks keep the operators that they have in the file.
"""

from __future__ import annotations

from archc.compiler.graph import Node
from archc.compiler.passes.program import Program
from archc.compiler.passes.rewriter import Rewriter


def relu_after_pool(program: Program) -> Program:
    """Exact, in training too: where the largest value is not positive, the gradient is zero either way."""
    graph = program.graph
    rewriter = Rewriter(graph)
    moved = {}
    for node in graph:
        if node.op == "relu" and (user := graph.only_user(node)) is not None and user.op == "maxpool" and _scope(user) == _scope(node):
            moved[user.name] = node
    waiting = {relu.name for relu in moved.values()}
    for node in graph:
        if node.name in waiting:
            continue
        if (relu := moved.get(node.name)) is None:
            rewriter.keep(node)
            continue
        pool = rewriter.add(node, [rewriter.value_map[relu.operands[0].name]])
        rewriter.drop(node, rewriter.add(relu, [pool]))
    return Program(rewriter.result(), program.recipes)


def _scope(node: Node) -> str:
    return node.name.rpartition(".")[0]
