"""Find where a batch may go through a network in slices: not a rewrite, but what the graph allows a backend to do.

`f([x1; x2]) = [f(x1); f(x2)]`. Values of the first layers are large. An allocator returns their memory to the system after each use,
and mapping every page again costs time; in slices the same memory serves all of them, and less of it is live at once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import ceil, prod

from archc.compiler.graph import ArchGraph

# Bytes. glibc maps blocks from 32 MiB on one by one, and returns freed memory to the system from twice its largest block on (mallopt(3),
# M_MMAP_THRESHOLD and M_TRIM_THRESHOLD); half of that stays below both.
LIMIT = 16 * 2**20


@dataclass(frozen=True)
class Slices:
    """The nodes that run on slices of `size` samples. The values of `last` are joined, and continue as a whole batch."""

    nodes: frozenset[str]
    last: str
    size: int


def slices(graph: ArchGraph, batch: int, width: int, hidden: Collection[str] = (), limit: int = LIMIT) -> Slices | None:
    """Choose the part of a network to run in slices: from its input to the first single live value after which none is too large.

    Where there is no such place, it ends at the last single live value. Returns None where all values are small enough for a whole batch.
    `width` is the bytes of a number, `limit` the most bytes of a value; `hidden` are nodes whose values are never in memory by themselves.
    For networks with one input and known sizes.
    """
    nodes = list(graph)
    sizes = [width * prod(dim for dim in node.shape if isinstance(dim, int)) for node in nodes]
    cuts = [number for number in _cuts(graph) if number and nodes[number].name not in hidden]
    if batch == 1 or len(graph.inputs) != 1 or not cuts or batch * max(sizes) <= limit:
        return None
    last_large = max(number for number, size in enumerate(sizes) if batch * size > limit)
    number = next((cut for cut in cuts if cut > last_large), cuts[-1])
    largest = max(sizes[: number + 1])
    if batch * largest <= limit:
        return None
    size = ceil(batch / ceil(batch / max(1, limit // largest)))  # as few slices as possible, as even as possible
    return Slices(frozenset(node.name for node in nodes[: number + 1]), nodes[number].name, size)


def _cuts(graph: ArchGraph) -> list[int]:
    """Return the numbers of the nodes after which no value but theirs is needed."""
    order = {node.name: number for number, node in enumerate(graph)}
    outputs = {output.node for output in graph.outputs.values()}
    cuts = []
    open_until = -1  # the last reader of the values before this one
    for number, node in enumerate(graph):
        if open_until <= number:
            cuts.append(number)
        readers = [order[user] for user in graph.users(node.name)]
        readers += [len(order)] if node.name in outputs else []
        open_until = max(open_until, *readers, number)
    return cuts
