"""What `place` of a file means for processes: which hold a value, which compute it, and where values must go.

A layout is None for a value that is whole in every process; `(p,)` for one that is in process p alone; `(p, q, ...)` for one whose channels
are shared out, in that order. An operator without a `place` is computed where its operands are, or, where these are apart, everywhere.
"""

from __future__ import annotations

from archc.compiler.analysis.cost import weights
from archc.compiler.errors import UsageError
from archc.compiler.graph import ArchGraph, Node

Layout = tuple[int, ...] | None
SHARED = ("conv", "fc")  # their outputs can be computed channel by channel, with a part of the weights
BY_CHANNEL = frozenset({"maxpool", "avgpool", "adaptive_avgpool", "adaptive_maxpool", "dropout", "flatten"})  # besides activations


def processes_of(graph: ArchGraph) -> int:
    """Return the number of processes that `place` speaks of: one more than the largest number; 0 where nothing is placed."""
    return max((place + 1 for node in graph for place in node.place), default=0)


def layouts(graph: ArchGraph) -> dict[str, Layout]:
    """Return the layout of the value of every node. Raises UsageError for what cannot be placed so."""
    count = processes_of(graph)
    if not count:
        raise UsageError(f"{graph.name} places nothing: `place=0`, or `place=[0, 1]` for a layer with groups, says what a process holds")
    found: dict[str, Layout] = {}
    for node in graph:
        found[node.name] = _layout(node, found, count)
    _check_weights(graph, found)
    return found


def wanted(node: Node, found: dict[str, Layout]) -> list[Layout]:
    """Return the layouts in which a node takes its operands."""
    own = found[node.name]
    if own is None:
        return [None for _ in node.operands]
    if len(own) == 1:
        return [own if found[operand.name] == own else None for operand in node.operands]
    return [None if node.op in SHARED and not _grouped(node, len(own)) else own for _ in node.operands]


def _layout(node: Node, found: dict[str, Layout], count: int) -> Layout:
    if node.is_input:
        return None
    operands = {found[operand.name] for operand in node.operands}
    if not node.place:
        same = next(iter(operands)) if len(operands) == 1 else None
        own = same if same is None or len(same) == 1 or _by_channel(node) else None
        draws = node.operator.draws(node.call) or (node.operator.identity_in_eval and not node.operator.identity_in_training(node.call))
        if own is None and draws:
            raise UsageError(f"{node.name} draws random numbers, and would draw others in every process: say by `place` which computes it")
        return own
    if len(node.place) == 1:
        return node.place
    where = f"{node.name} is placed on {list(node.place)}"
    if sorted(node.place) != list(range(count)):
        raise UsageError(f"{where}: a layer is shared out over all {count} processes, each named once, or is in one of them")
    if node.op not in SHARED and not _by_channel(node):
        raise UsageError(
            f"{where}: only {', '.join(SHARED)} and what works channel by channel is shared out; place {node.op} on one process"
        )
    if node.shape[0] % count or (node.op in SHARED and node.attrs.get("groups", 1) > 1 and not _grouped(node, count)):
        raise UsageError(f"{where}: its {node.shape[0]} channels, or its groups, cannot be shared out evenly over {count} processes")
    return node.place


def _by_channel(node: Node) -> bool:
    if len(node.operands) != 1 or (node.op == "flatten" and len(node.operands[0].shape) != 3):
        return False
    return node.op in BY_CHANNEL or node.operator.fusable


def _grouped(node: Node, count: int) -> bool:
    """Return whether each process needs only its own channels of the operand."""
    groups = node.attrs.get("groups", 1)
    return isinstance(groups, int) and groups % count == 0


def _check_weights(graph: ArchGraph, found: dict[str, Layout]) -> None:
    places: dict[str, Node] = {}
    for node in graph:
        if weights(graph, node):
            other = places.setdefault(node.key, node)
            if found[other.name] != found[node.name]:
                raise UsageError(f"{other.name} and {node.name} share their weights, and are placed on different processes")
