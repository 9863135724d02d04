"""Move a ReLU after the max pooling that follows it: `maxpool(relu(x)) = relu(maxpool(x))`, since ReLU is monotonic.

At stride 2 the ReLU then processes a quarter of the values. The equation holds with padding: no window is entirely in the padding.
Only pairs within one scope are swapped, so that blocks keep the operators that they have in the file.
"""

from __future__ import annotations

from archc.compiler.graph import Node
from archc.compiler.passes.program import Program
from archc.compiler.passes.rewriter import Rewriter


def relu_after_pool(program: Program) -> Program:
    """Return the program with ReLUs moved after the max pooling that follows them.

    Exact, also in training: where the largest value is not positive, the gradient is zero in either order.
    """
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
