"""Find the scopes that are instances of one block.

Scopes of one shape, up to the values of options, are a family from the start. Families are then merged, the innermost first, where one
body for both is shorter than two; such a body has items that only some instances have. What is left of a family with one place in the
text, or that a block would not make shorter, is written where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.read.items import ANY, Body, Column, Group, Item, Op, Ref, Slot, bodies, map_columns, walk
from archc.compiler.read.size import Sizes
from archc.compiler.read.unify import is_closed, skeleton, unify, zipped

BLOCK = 6  # what the definition of a block costs besides its body
CALL = 3
CONTAINERS = {"Sequential", "ModuleList", "ModuleDict", "Module"}  # classes that say nothing of what is in them
LEAST_GAIN = 4.0
LEAST_SHARE = 0.3  # of the smaller body, that merging two families must save
MOST_FAMILIES = 150  # of one height, that are compared with each other


@dataclass(eq=False)
class Family:
    """Scopes that may be calls of one block: their common body, their paths, and the current tensors that enter them."""

    body: Body
    numbered: bool
    roots: Column
    entries: Column
    kind: str  # the name of the class that the source gives these scopes; "" for none
    height: int
    parent: Family | None = None
    is_block: bool = True
    name: str = ""
    parameters: list[Any] = field(default_factory=list)
    results: Column = ()

    @property
    def root(self) -> Family:
        """Return the family that this one was merged into, or itself."""
        family = self
        while family.parent is not None:
            family = family.parent
        return family


class Families:
    """The families of a program, whose body is changed in place."""

    def __init__(self, body: Body, sizes: Sizes, kinds: Mapping[str, str]) -> None:
        self.sizes = sizes
        self.kinds = kinds
        self.body = body
        self.all: list[Family] = []
        self.index: dict[str, int] = {}  # the number of each scope among those of its family
        self._slots(body)
        self._merge_alike(self.all)
        for height in range(1, max((family.height for family in self.all), default=0) + 1):
            self._merge_level(height)
        self._choose()

    def roots(self) -> list[Family]:
        """Return the families that were not merged into others, in the order of their first scopes."""
        return [family for family in self.all if family.parent is None]

    # ---- every scope an instance

    def _slots(self, body: Body) -> int:
        """Replace the scopes in a body by instances of families of their own; return the height of the body."""
        height = 0
        for at, item in enumerate(body):
            inner = max((self._slots(each) for each in bodies(item)), default=0)
            if isinstance(item, Group):
                inner += 1
                if is_closed(item.body) and self.sizes.body(item.body) > CALL:
                    family = Family(item.body, item.numbered, item.paths, item.taken, self._kind(item.paths[0]), inner)
                    self.all.append(family)
                    body[at] = Slot(item.names, item.auto, item.taken, item.present, item.paths, family)
            height = max(height, inner)
        return height

    def _kind(self, path: str) -> str:
        kind = self.kinds.get(path, "")
        return "" if kind in CONTAINERS else kind

    def _merge_alike(self, families: Sequence[Family]) -> None:
        """Merge families whose bodies have one shape, from the inside out."""
        for height in sorted({family.height for family in families}):
            alike: dict[Any, list[Family]] = {}
            for family in families:
                if family.height == height and family.parent is None:
                    alike.setdefault((family.kind, family.numbered, skeleton(family.body)), []).append(family)
            for same in alike.values():
                if len(same) > 1:
                    self._join(same, zipped([family.body for family in same]))

    def _join(self, families: Sequence[Family], body: Body) -> None:
        first, *others = families
        first.body = body
        first.roots = tuple(root for family in families for root in family.roots)
        first.entries = tuple(entry for family in families for entry in family.entries)
        first.height = max(family.height for family in families)
        for family in others:
            family.parent = first

    def _merge_level(self, height: int) -> None:
        """Merge the families up to a height that have one of this height among them, those with most in common first."""
        self._merge_alike(self.roots())
        candidates = [family for family in self.roots() if family.height <= height]
        if len(candidates) > MOST_FAMILIES:
            return
        gains: dict[tuple[int, int], float] = {}
        made: dict[tuple[int, int], Body] = {}
        merged: set[int] = set()
        fresh = list(range(len(candidates)))
        while fresh:
            for a in fresh:
                for b in range(len(candidates)):
                    pair = (min(a, b), max(a, b))
                    if a == b or b in merged or pair in gains:
                        continue
                    first, second = candidates[pair[0]], candidates[pair[1]]
                    if max(first.height, second.height) < height:
                        continue
                    gain, body = self._gain(first, second)
                    if body is not None and gain > 0:
                        gains[pair], made[pair] = gain, body
            fresh = []
            if gains:
                a, b = max(gains, key=lambda pair: (gains[pair], -pair[0], -pair[1]))
                self._join([candidates[a], candidates[b]], made[a, b])
                merged.add(b)
                gains = {pair: gain for pair, gain in gains.items() if not {a, b} & set(pair)}
                fresh = [a]

    def _gain(self, first: Family, second: Family) -> tuple[float, Body | None]:
        if first.kind != second.kind or first.numbered != second.numbered:
            return 0.0, None
        one, two = self.sizes.body(first.body), self.sizes.body(second.body)
        body = unify(first.body, second.body, (len(first.roots), len(second.roots)))
        if body is None:
            return 0.0, None
        gain = one + two - self.sizes.body(body) - 2 * self.sizes.variety(body)
        gain += 2 * max(self.sizes.variety(first.body), self.sizes.variety(second.body))
        if len(first.roots) == len(second.roots) == 1:
            gain -= BLOCK + 2 * CALL
        if gain <= max(LEAST_GAIN, LEAST_SHARE * min(one, two)) or self._inside(first, second) or self._inside(second, first):
            return 0.0, None
        return gain, body

    def _inside(self, inner: Family, outer: Family) -> bool:
        """Return whether a family has instances within those of another, however deep."""
        waiting, seen = [outer], {id(outer)}
        while waiting:
            for item in walk(waiting.pop().body):
                if isinstance(item, Slot) and id(root := item.family.root) not in seen:
                    if root is inner:
                        return True
                    seen.add(id(root))
                    waiting.append(root)
        return False

    def inline(self, family: Family) -> None:
        """Write the body of a family in its places."""
        family.is_block = False
        for body, at in [place for text in self._texts() for place in self._places(text, family)]:
            body[at] = self._inlined(body[at], family)

    def blocks(self) -> list[Family]:
        """Return the families that are blocks and have places, each after those that it calls."""
        done: dict[int, Family] = {}

        def visit(body: Body) -> None:
            for item in walk(body):
                if isinstance(item, Slot) and id(root := item.family.root) not in done:
                    visit(root.body)
                    done[id(root)] = root

        visit(self.body)
        return list(done.values())

    # ---- which of them are blocks

    def _choose(self) -> None:
        """Decide which families become blocks, from the outside in, and write the others in their places."""
        self._number()
        for family in sorted(self.roots(), key=lambda family: -family.height):
            places = [place for text in self._texts() for place in self._places(text, family)]
            size = self.sizes.body(family.body)
            call = CALL + 2 * self.sizes.variety(family.body)
            if len(places) > 1 and BLOCK + size + len(places) * call < len(places) * size:
                continue
            self.inline(family)

    def _number(self) -> None:
        self.index = {root: number for family in self.roots() for number, root in enumerate(family.roots)}

    def _texts(self) -> Iterator[Body]:
        yield self.body
        yield from (family.body for family in self.roots() if family.is_block)

    def _places(self, body: Body, family: Family) -> Iterator[tuple[Body, int]]:
        for at, item in enumerate(body):
            if isinstance(item, Slot) and item.family.root is family:
                yield body, at
            for inner in bodies(item):
                yield from self._places(inner, family)

    def _inlined(self, slot: Item, family: Family) -> Group:
        assert isinstance(slot, Slot)
        numbers = [ANY if path is ANY else self.index[path] for path in slot.paths]

        def taken(column: Column) -> Column:
            return tuple(ANY if number is ANY else column[number] for number in numbers)

        body = [map_columns(item, taken) for item in family.body]
        body = [item for item in body if any(item.present)]
        _prune(body)
        return Group(slot.names, slot.auto, slot.taken, slot.present, slot.paths, body, family.numbered)


def _prune(body: Body) -> None:
    """Remove what no instance has."""
    for item in body:
        for inner in bodies(item):
            inner[:] = [each for each in inner if any(each.present)]
            _prune(inner)


def outside(item: Ref, roots: Column) -> bool:
    """Return whether a reference leads out of an instance."""
    return any(target is not ANY and not target.startswith(f"{root}.") for target, root in zip(item.targets, roots, strict=True))


__all__ = ["Families", "Family", "Op", "outside"]
