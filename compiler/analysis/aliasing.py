"""Alias analysis: which operators may overwrite their input.

`y = relu(x)` may write into `x` where nobody else reads `x`, and where neither the operator that produced `x` nor its backward needs it.
"""

from __future__ import annotations

from archc.compiler.graph import ArchGraph


def in_place(graph: ArchGraph) -> set[str]:
    """Return the keys of the operators that may overwrite their input at every call."""
    allowed: dict[str, bool] = {}
    for node in graph:
        if node.operator.overwrites:
            (before,) = node.operands
            free = not before.is_input and graph.only_user(before) is node
            own = not (before.operator.memory.view or before.operator.memory.stored or before.operator.identity_in_eval)
            unsaved = own and "output" not in before.operator.memory.saves(before.call)
            allowed[node.key] = allowed.get(node.key, True) and free and unsaved
    return {key for key, may in allowed.items() if may}
