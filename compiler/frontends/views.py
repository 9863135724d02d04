"""How a tensor of a source lies over an operator of ours: which of its axes are which of the operator's, part by part.

Sources reorder and reshape tensors, where the language computes channels first at each position. So a reshape or a permutation makes
no operator: it makes another `View` of the same one. What is equal to an axis of the operator stays as it is; only where an operator
needs another arrangement is one made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod


class Atom:
    """A part of an axis that nothing has split yet. Two atoms are the same only if they are the same object."""

    __slots__ = ("_halves", "_joined", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._halves: dict[int, tuple[Atom, Atom]] = {}
        self._joined: dict[tuple[Atom, ...], Atom] = {}

    def joined(self, after: tuple[Atom, ...]) -> Atom:
        """Return one atom of this and those after it: the same each time."""
        if after not in self._joined:
            self._joined[after] = Atom(self.size * prod(atom.size for atom in after))
        return self._joined[after]

    def halves(self, outer: int) -> tuple[Atom, Atom]:
        """Return its two factors, the outer one of the given size: the same two each time."""
        if outer not in self._halves:
            self._halves[outer] = (Atom(outer), Atom(self.size // outer))
        return self._halves[outer]

    def __repr__(self) -> str:
        return f"{self.size}@{id(self) % 9973}"


Axis = tuple[Atom, ...]
Axes = tuple[Axis, ...]


def size(axis: Iterable[Atom]) -> int:
    """Return the number of positions of an axis."""
    return prod(atom.size for atom in axis)


def atoms_of(axes: Iterable[Axis]) -> list[Atom]:
    """Return the atoms of axes in order."""
    return [atom for axis in axes for atom in axis]


def fresh(sizes: Sequence[int]) -> Axes:
    """Return new axes of the given sizes; one of size 1 has no atoms."""
    return tuple((Atom(count),) if count != 1 else () for count in sizes)


class NotAligned(Exception):
    """A reshape splits positions where no axis can be split."""


@dataclass(frozen=True)
class View:
    """A tensor `dims` over the operator number `item`, whose axes, the channels first, are `axes`.

    `picks` are atoms of `axes` at one index, which `dims` lack. Atoms of `dims` that `axes` lack are repeated; among them is that of the
    batch. `factor` multiplies all values, and with a `unit` other than 0 vectors are divided by their length, which is at least that:
    what was done to queries and keys before their products.
    """

    item: int
    axes: Axes
    dims: Axes
    picks: tuple[tuple[Atom, int], ...] = ()
    factor: float = 1.0
    unit: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the sizes of the tensor."""
        return tuple(size(axis) for axis in self.dims)

    def substituted(self, parts: Mapping[Atom, Axis]) -> View:
        """Return the same tensor with some atoms as several, or as others."""

        def put(axes: Axes) -> Axes:
            return tuple(tuple(part for atom in axis for part in parts.get(atom, (atom,))) for axis in axes)

        return replace(self, axes=put(self.axes), dims=put(self.dims)) if parts else self

    def with_dims(self, dims: Iterable[Axis]) -> View:
        """Return a tensor with other axes."""
        return replace(self, dims=tuple(dims))

    def coalesced(self) -> View:
        """Return the same tensor with one atom in place of those that are next to each other wherever they are."""
        picked = {atom for atom, _ in self.picks}
        parts: dict[Atom, Axis] = {}
        for run in runs(self.axes, self.dims):
            if len(run) > 1 and not picked & set(run):
                parts[run[0]] = (run[0].joined(run[1:]),)
                parts.update(dict.fromkeys(run[1:], ()))
        return self.substituted(parts)

    def reshaped(self, sizes: Sequence[int]) -> View:
        """Return the tensor in another shape of as many values. Raises NotAligned."""
        view, groups = self, list[Axis]()
        left = atoms_of(view.dims)
        for wanted in sizes:
            group: list[Atom] = []
            while left and left[0].size == 1:  # the batch of one sample
                group.append(left.pop(0))
            missing = wanted
            while missing > 1:
                if not left:
                    raise NotAligned
                atom = left[0]
                if missing % atom.size == 0:
                    group.append(left.pop(0))
                    missing //= atom.size
                elif atom.size % missing == 0:
                    outer, inner = atom.halves(missing)
                    view = view.substituted({atom: (outer, inner)})
                    groups = [tuple(part for each in axis for part in ((outer, inner) if each is atom else (each,))) for axis in groups]
                    left[0:1] = [outer, inner]
                else:
                    raise NotAligned
            groups.append(tuple(group))
        if any(atom.size > 1 for atom in left):
            raise NotAligned
        if left and groups:
            groups[-1] += tuple(left)
        return view.with_dims(groups)

    def picked(self, dim: int, index: int) -> View:
        """Return the tensor at one index of an axis."""
        picks = list(self.picks)
        inner = size(self.dims[dim])
        for atom in self.dims[dim]:
            inner //= atom.size
            picks.append((atom, index // inner % atom.size))
        held = set(atoms_of(self.axes))
        kept = tuple((atom, at) for atom, at in picks if atom in held)
        return replace(self, dims=(*self.dims[:dim], *self.dims[dim + 1 :]), picks=kept)

    def matched(self, other: View, pairs: Iterable[tuple[int, int]]) -> tuple[View, View, dict[Atom, Atom]]:
        """Return both tensors with atoms of the same sizes along pairs of axes, and the other's atoms by this one's. Raises NotAligned."""
        one, two = self, other
        names: dict[Atom, Atom] = {}
        for mine, theirs in pairs:
            at = 0
            while at < max(len(one.dims[mine]), len(two.dims[theirs])):
                a, b = one.dims[mine][at : at + 1], two.dims[theirs][at : at + 1]
                if not a or not b:
                    raise NotAligned
                if a[0].size < b[0].size and b[0].size % a[0].size == 0:
                    two = two.substituted({b[0]: b[0].halves(a[0].size)})
                elif b[0].size < a[0].size and a[0].size % b[0].size == 0:
                    one = one.substituted({a[0]: a[0].halves(b[0].size)})
                elif a[0].size != b[0].size:
                    raise NotAligned
                at += 1
            names.update(zip(two.dims[theirs], one.dims[mine], strict=True))
        return one, two, names


def runs(have: Axes, want: Axes) -> list[Axis]:
    """Return the longest runs of atoms that are next to each other in both."""
    after = {one: two for axis in want for one, two in pairwise(axis)}
    found: list[Axis] = []
    for axis in have:
        run: list[Axis] = []
        for atom in axis:
            if run and after.get(run[-1][-1]) is atom:
                run[-1] = (*run[-1], atom)
            else:
                run.append((atom,))
        found.extend(run)
    return found
