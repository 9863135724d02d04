"""Which activations may overwrite their input: no rewrite, but what the graph allows a lowering to do.

`y = relu(x)` may write into `x` where nobody else reads `x`, and where neither the operator before nor its backward needs it.
"""

from __future__ import annotations

from archc.compiler.graph import INPUT, ArchGraph

OVERWRITING = ("relu", "relu6")  # their backward needs the output only


def in_place(graph: ArchGraph) -> set[str]:
    """The keys of activations that may overwrite their input, at every call."""
    allowed: dict[str, bool] = {}
    for node in graph:
        if node.op in OVERWRITING:
            before = graph[graph.operands(node.name)[0]]
            free = before.op != INPUT and graph.only_user(before) is node
            memory = before.operator.memory if before.op != INPUT else None
            sound = memory is not None and not (memory.view or memory.idle) and "output" not in memory.saves(graph.call(before.name))
            allowed[node.key] = allowed.get(node.key, True) and free and sound
    return {key for key, may in allowed.items() if may}
