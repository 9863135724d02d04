"""Layers that are called several times: each call is a scope of its own, and all have the weights of one shared part."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from archc.compiler.frontends.flat import CannotRead, Flat
from archc.compiler.graph import ArchGraph


class Calls:
    """The calls of shared layers and models so far.

    A path of the file, `tower.conv`, is `tower1.conv` in the first call of the model `tower`, and has the key `tower.conv`. A layer alone,
    `proj`, is `proj1.proj` in its first call.
    """

    def __init__(self) -> None:
        self.shares: dict[str, str] = {}  # by the scope of a call, the path of the part
        self.active: tuple[str, str] | None = None  # the part that is called, and the scope of the call

    def name(self, path: str) -> str:
        """Return the path in the graph of a path of the file."""
        if self.active is None:
            return path
        part, scope = self.active
        return f"{scope}.{path[len(part) + 1 :] or part.rpartition('.')[2]}"

    @contextmanager
    def call(self, flat: Flat, kind: str, path: str, number: int, taken: Collection[str]) -> Iterator[None]:
        """Put what is appended meanwhile into the scope of the call `number` of a part; nothing without weights needs one.

        `taken` are the paths of other parts. Raises CannotRead for a shared part within another.
        """
        before, start = self.active, len(flat.items)
        scope = next(name for name in (f"{path}{mark}{number}" for mark in ("", "_call", "_call_", "_call__")) if name not in taken)
        self.active = before or (path, scope)
        try:
            yield
        finally:
            self.active = before
        made = flat.items[start:]
        if not any(item.key for item in made):
            return
        if before is not None:
            raise CannotRead("a shared layer within a shared model is not known", kind, path)
        self.shares[scope] = path
        for item in made:
            item.path = item.path or scope

    def key(self, key: str) -> str:
        """Return a key as all calls have it."""
        pieces = key.split(".")
        scope = next((found for end in range(1, len(pieces)) if (found := ".".join(pieces[:end])) in self.shares), "")
        return self.shares[scope] + key[len(scope) :] if scope else key

    def shared(self, graph: ArchGraph) -> ArchGraph:
        """Return a graph whose calls have the weights of their parts."""
        if not self.shares:
            return graph
        made = ArchGraph(graph.name, graph.title)
        for node in graph:
            made.add(replace(node, key=self.key(node.key)), graph.operands(node.name))
        made.outputs.update(graph.outputs)
        return made
