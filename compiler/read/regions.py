"""Give a graph without names scopes of its own, so that what repeats in it can become blocks.

A region is a merge with its branches and the operators without weights behind it, where others have the same shape up to numbers, or
several such regions and operators that repeat together, as the two halves of a transformer layer do. Nodes are named as the language
would name them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archc.compiler.graph import ArchGraph, Node, Output
from archc.compiler.ops import operator_of
from archc.compiler.read.items import Body, Item, Op, bodies
from archc.compiler.read.lift import Lift
from archc.compiler.read.size import key_of

UNIT = "unit"
LONGEST = 6  # elements of a region that repeats
MOST = 600  # elements that are looked at from one place


def renamed(graph: ArchGraph, names: Mapping[str, str]) -> ArchGraph:
    """Return a copy of a graph with other names. Weights must not be shared."""
    outputs = {key: Output(names[output.node], output.training_only) for key, output in graph.outputs.items()}
    conditions = [(names[node], condition) for node, condition in graph.conditions]
    copy = ArchGraph(graph.name, graph.title, outputs, conditions, preprocess=graph.preprocess)
    for node in graph:
        name = names[node.name]
        fresh = Node(name, node.op, node.attrs, node.shape, node.span, key=name if node.key else "", place=node.place,
                     training_only=node.training_only)  # fmt: skip
        copy.add(fresh, [names[operand] for operand in graph.operands(node.name)])
    return copy


def counted(graph: ArchGraph, scopes: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each node: that of its scope, its operator and its number among those of the scope."""
    counts: Counter[tuple[str, str]] = Counter()
    names: dict[str, str] = {}
    for node in graph:
        if node.is_input:
            names[node.name] = node.name
            continue
        scope = scopes.get(node.name, "")
        counts[scope, node.op] += 1
        name = f"{node.op}{counts[scope, node.op]}"
        names[node.name] = f"{scope}.{name}" if scope else name
    return names


def without_labels(graph: ArchGraph, moved: Mapping[str, str]) -> dict[str, str]:
    """Return the name of each node, that which the language gives for operators without weights; those in `moved` go to other scopes.

    The members of a numbered scope keep their numbers.
    """
    numbered = {node.name.rpartition(".")[0] for node in graph if node.name.rpartition(".")[2].isdigit()}
    scopes = {node.name: moved.get(node.name, node.name.rpartition(".")[0]) for node in graph}
    held = {node.name for node in graph if kept_names(node)}
    taken = {*held, *(scope for name in held for scope in _around(name))}
    names: dict[str, str] = {}
    for old, new in counted(graph, scopes).items():
        kept = old in held or new in taken or (scopes[old] in numbered and old not in moved)
        names[old] = old if kept else new
    return names if len(set(names.values())) == len(names) else {node.name: node.name for node in graph}


def kept_names(node: Node) -> bool:
    """Return whether the name of a node is that of an input or of weights."""
    return node.is_input or bool(node.operator.weights(node.call)) or bool(node.operator.buffers(node.call))


def _around(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        yield name


def regions(graph: ArchGraph) -> dict[str, str]:
    """Return the scope of each node that is in a region. The graph has flat names, each once."""
    found = _Regions(graph)
    found.count(found.body)
    found.cut(found.body, "")
    return found.scopes


@dataclass(frozen=True)
class _Element:
    """A region, or an item alone, of a body."""

    items: tuple[Item, ...]
    key: int  # of its shape
    is_region: bool


class _Regions:
    def __init__(self, graph: ArchGraph) -> None:
        self.graph = graph
        self.body = Lift(graph).items()
        self.scopes: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.often: Counter[int] = Counter()
        self.numbers: dict[Any, int] = {}  # shapes by number

    def count(self, body: Body) -> None:
        """Count how often each shape of a region occurs."""
        for element in self.elements(body):
            self.often[element.key] += element.is_region
            for item in element.items:
                for inner in bodies(item):
                    self.count(inner)

    def elements(self, body: Body) -> list[_Element]:
        """Return the regions and other items of a body."""
        done: list[_Element] = []
        at = 0
        while at < len(body):
            end = at + 1
            if _is_merge(body[at]):
                while end < len(body) and _is_light(body[end]):
                    end += 1
            items = tuple(body[at:end])
            done.append(_Element(items, self.numbers.setdefault(tuple(map(key_of, items)), len(self.numbers)), _is_merge(body[at])))
            at = end
        return done

    def cut(self, body: Body, scope: str) -> None:
        """Make the regions of a body scopes, those that repeat together one, and then those within them."""
        elements = self.elements(body)
        at = 0
        while at < len(elements):
            period, turns = self._tandem(elements, at)
            for _ in range(turns):
                group = elements[at : at + period]
                at += period
                inner = scope
                if any(element.is_region and self.often[element.key] > 1 for element in group):
                    self.counts[scope] += 1
                    inner = f"{scope}.{UNIT}{self.counts[scope]}" if scope else f"{UNIT}{self.counts[scope]}"
                for element in group:
                    for item in element.items:
                        self._put(item, inner)

    def _tandem(self, elements: Sequence[_Element], at: int) -> tuple[int, int]:
        """Return the period and the turns of the longest repeat of several elements from a place; else one element, once."""
        best = (1, 1)
        if not elements[at].is_region:
            return best
        keys = [element.key for element in elements[at : at + MOST]]
        for period in range(2, LONGEST + 1):
            window = keys[:period]
            if len(set(window)) < period:
                continue
            turns = 1
            while keys[turns * period : (turns + 1) * period] == window:
                turns += 1
            if turns > 1 and turns * period > best[0] * best[1]:
                best = (period, turns)
        return best

    def _put(self, item: Item, scope: str) -> None:
        if not isinstance(item, Op):
            return
        for name in self._nodes(item):
            if scope:
                self.scopes[name] = scope
        for branch in item.branches or ():
            self.cut(branch, scope)

    def _nodes(self, item: Op) -> list[str]:
        """Return the nodes of an item: its own, those that became its options, and a `flatten` in front of it."""
        found = [item.nodes[0]]
        while not _starts(self.graph, found[-1], item):
            found.append(self.graph[found[-1]].operands[0].name)
        return found


def _starts(graph: ArchGraph, name: str, item: Op) -> bool:
    node = graph[name]
    if item.branches is not None:
        return True
    return bool(node.operands[0].name == item.taken[0])


def _is_merge(item: Item) -> bool:
    return isinstance(item, Op) and item.branches is not None


def _is_light(item: Item) -> bool:
    return isinstance(item, Op) and item.branches is None and operator_of(item.op).family in ("activation", "normalization")


def flat(graph: ArchGraph) -> bool:
    """Return whether the names of a graph may be replaced: no weights are shared."""
    return all(node.key in ("", node.name) for node in graph)


__all__ = ["counted", "flat", "regions", "renamed"]
