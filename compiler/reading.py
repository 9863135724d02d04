"""Read a source as a text of this language: a front end, and the engine that finds blocks and loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from archc.compiler.errors import UsageError
from archc.compiler.frontends import FlatNetwork, find
from archc.compiler.frontends import read as read_source
from archc.compiler.frontends.unfolding import unfolded
from archc.compiler.graph import ArchGraph
from archc.compiler.read import Reading, UnreadableError, read_graph, read_nameless

SHORTER = 1.5  # by how much a text without the names of its source must be shorter, to be worth losing them


@dataclass(frozen=True)
class Read:
    """A network of another framework: what its front end has found, and the text."""

    flat: FlatNetwork
    reading: Reading

    @property
    def text(self) -> str:
        """Return the text."""
        return self.reading.text

    def tensors(self) -> Mapping[str, Any] | None:
        """Return the weights as numpy arrays under the keys of the text; None where the source has none. Raises CannotRead."""
        return None if self.flat.weights is None else self.renamed(self.flat.weights())

    def renamed(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return weights by key of the source under the keys of the text."""
        names = self.reading.names
        keys = {node.key: names.get(node.name, node.key) for node in self.flat.graph if node.key == node.name}
        left_out = set(self.flat.unread)
        return {_renamed(key, keys): tensor for key, tensor in weights.items() if key not in left_out}


def _renamed(key: str, keys: Mapping[str, str]) -> str:
    owner, _, part = key.rpartition(".")
    return f"{keys[owner]}.{part}" if owner in keys else keys.get(key, key)


def read_text(
    source: str,
    shapes: Sequence[Sequence[int]] = (),
    call: bool = False,
    weights: str = "",
    partial: bool = False,
    unfold: bool = False,
    names: bool = False,
) -> Read:
    """Read what a source names; with `partial`, what cannot be read becomes holes, with `unfold`, biases become batch norms.

    Where names are those of single layers, which say nothing of blocks, the text has names of its own; with `names` it keeps them. So it
    has where it is much shorter without those of a source that states no scopes.

    Raises UsageError, NotInstalled, CannotRead and UnreadableError.
    """
    flat = read_source(source, shapes, call, weights, partial)
    if unfold:
        flat = unfolded(flat)
    kind = find(source)[0].names
    if names and kind == "none":
        raise UsageError(f"{source} has no names of layers", option="names", given=source)
    if kind == "scopes":
        named = Read(flat, folded(flat))
        return named if names or not flat.bare else _shorter(named)
    ordered = replace(flat, graph=by_branches(flat.graph))
    if not names:
        return Read(ordered, read_nameless(ordered.graph, flat.title))
    try:
        return Read(ordered, folded(ordered))
    except UnreadableError:  # a scope may not be in one piece
        return Read(flat, folded(flat))


def _shorter(named: Read) -> Read:
    """Return a text without the names of its source where it is much shorter, otherwise that with them."""
    flat = replace(named.flat, graph=by_branches(named.flat.graph))
    free = Read(flat, read_nameless(flat.graph, flat.title))
    return free if SHORTER * free.reading.lines < named.reading.lines else named


def by_branches(graph: ArchGraph) -> ArchGraph:
    """Return the same graph with the operators of each branch in a row; files list them in any order in which they can be computed."""
    order: dict[str, None] = dict.fromkeys(node.name for node in graph.inputs)
    stack = [output.node for output in reversed(graph.outputs.values())]
    while stack:
        name = stack[-1]
        waiting = [operand for operand in graph.operands(name) if operand not in order] if name not in order else []
        if waiting:
            stack.append(waiting[0])
        else:
            order[stack.pop()] = None
    made = ArchGraph(graph.name, graph.title)
    for name in order:
        made.add(replace(graph[name]), list(graph.operands(name)))
    made.outputs.update(graph.outputs)
    return made


def folded(flat: FlatNetwork) -> Reading:
    """Return the text for what a front end has found. Raises UnreadableError."""
    return read_graph(flat.graph, flat.title, flat.classes, free=True)
