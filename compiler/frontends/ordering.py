"""An order of operators in which each scope is in one piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from itertools import pairwise


class TangledError(Exception):
    """Groups of items depend on each other, so that none can be in one piece."""

    def __init__(self, groups: Sequence[str]) -> None:
        super().__init__()
        self.groups = list(dict.fromkeys(groups))


def gathered(order: Sequence[int], names: Mapping[int, str], operands: Mapping[int, Sequence[int]], depth: int = 0) -> list[int]:
    """Return items in an order in which each scope is in one piece. Raises TangledError where there is none."""
    groups: dict[str, list[int]] = {}
    for number in order:
        parts = names[number].split(".")
        groups.setdefault(".".join(parts[: depth + 1]), []).append(number)
    if len(groups) == len(order):
        return list(order)
    group_of = {number: group for group, numbers in groups.items() for number in numbers}
    before = {
        group: {group_of[operand] for number in numbers for operand in operands[number] if operand in group_of} - {group}
        for group, numbers in groups.items()
    }
    try:
        sequence = list(TopologicalSorter(before).static_order()) if _is_split(order, group_of) else list(groups)
    except CycleError as cycle:
        raise TangledError(cycle.args[1]) from None
    if sequence != list(groups):
        sequence = _earliest(groups, before)
    return [
        number
        for group in sequence
        for number in (groups[group] if len(groups[group]) == 1 else gathered(groups[group], names, operands, depth + 1))
    ]


def _is_split(order: Sequence[int], group_of: Mapping[int, str]) -> bool:
    """Return whether a group is not in one piece."""
    pieces = 1 + sum(group_of[one] != group_of[two] for one, two in pairwise(order))
    return pieces > len(set(group_of.values()))


def _earliest(groups: Mapping[str, Sequence[int]], before: Mapping[str, set[str]]) -> list[str]:
    """Return groups in a topological order, of those that are ready always the one that begins first."""
    sorter, sequence = TopologicalSorter(before), list[str]()
    sorter.prepare()
    ready: list[tuple[int, str]] = []
    while sorter.is_active():
        for group in sorter.get_ready():
            heappush(ready, (groups[group][0], group))
        _, group = heappop(ready)
        sequence.append(group)
        sorter.done(group)
    return sequence
