"""How the tensors of a source become those of a graph: under other keys, in another shape, or as numbers of the text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.frontends.item import CannotRead
from archc.compiler.frontends.naming import outer

Shape = tuple[int, ...]


@dataclass
class Changes:
    """What differs between the tensors of a source and those of a graph.

    `lists` are paths of modules that only list others, in the order in which they were dissolved: the members of `convs` are `convs0`,
    `convs1`, and no longer `convs.0`. A path in it is as those before it have left it. `shapes` are shapes of as many values, by keys of
    the source. `numbers` are the values of tensors that the text states itself, by keys of the source. `parts` are modules that a source
    has at several paths: the path under which the graph has the weights, by each of the others; `called` are those of the former that
    are called, too.
    """

    lists: dict[str, None] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, str] = field(default_factory=dict)
    called: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        """Return whether anything differs."""
        return bool(self.lists or self.shapes or self.numbers or self.parts)

    def key(self, key: str) -> str:
        """Return the path or the key that one of the source has in the graph."""
        return self.shared(self._undone(key))

    def shared(self, key: str) -> str:
        """Return the key under which the graph has the weights of a module that has several paths; other keys as they are."""
        for path, other in self.parts.items():
            path = self._undone(path)
            if f"{key}.".startswith(f"{path}."):
                return self._undone(other) + key[len(path) :]
        return key

    def calls(self) -> list[str]:
        """Return the paths of shared parts that are those of a call as well, as the graph has them."""
        return sorted(map(self._undone, self.called))

    def _undone(self, key: str) -> str:
        for path in self.lists:
            key = dissolved(path, key)
        return key

    def state(self, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
        """Return the shapes of the tensors of a graph by key, from those of the source."""
        return {self.key(key): self.shapes.get(key, shape) for key, shape in shapes.items() if key not in self.numbers}

    def tensors(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return numpy arrays under the keys of the graph. Raises CannotRead where what the text states has other values in the source."""
        import numpy as np

        for key, values in self.numbers.items():
            if key in tensors and not np.array_equal(np.asarray(tensors[key]), values):
                raise CannotRead(f"{key} has other values than the source was read with, and the text states these")
        held: dict[str, Any] = {}
        for key, tensor in tensors.items():
            if key in self.numbers:
                continue
            ours = self.key(key)
            tensor = np.asarray(tensor).reshape(self.shapes[key]) if key in self.shapes else tensor
            if ours in held and not np.array_equal(np.asarray(held[ours]), np.asarray(tensor), equal_nan=True):
                raise CannotRead(f"{key} has other values than {ours}, and the source was read with one tensor for both")
            held[ours] = tensor
        return held


def dissolved(path: str, key: str) -> str:
    """Return a path without the list `path` in it, whose members get its name: `convs.0` is `convs0`, and `layer1.0` is `layer1-0`."""
    if not key.startswith(f"{path}."):
        return key
    rest = key[len(path) + 1 :]
    return f"{path}{'' if rest[0].isdigit() and not path[-1].isdigit() else '-'}{rest}"


def members(path: str, names: Collection[str]) -> set[str]:
    """Return what the members of a list are called without it."""
    before = path.rpartition(".")[0]
    depth = before.count(".") + 1 if before else 0
    return {".".join(dissolved(path, name).split(".")[: depth + 1]) for name in names if name.startswith(f"{path}.")}


def several_lists(groups: Sequence[str], names: Iterable[str], classes: Mapping[str, str]) -> bool:
    """Return whether several of the scopes that depend on each other are lists of modules, which no operator between them can join."""
    around = {path for name in names for path in outer(name)}
    return sum(group in around and group not in classes for group in set(groups)) > 1


def lists_like(groups: Sequence[str], names: Collection[str], classes: Mapping[str, str]) -> list[str]:
    """Return the lists of modules among groups, and those of the same label in modules of the same class, the innermost first."""

    def place(path: str) -> tuple[str, str]:
        before, _, label = path.rpartition(".")
        return (classes.get(before, before) if before else "", label)

    lists = {path for name in names for path in outer(name) if path not in classes}
    wanted = {place(group) for group in groups if group in lists}
    return sorted((path for path in lists if place(path) in wanted), key=lambda path: (-path.count("."), path))
