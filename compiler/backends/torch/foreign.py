"""Weights under other names: how a foreign state_dict fits a network, by name, else by structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any

from torch import Tensor

COUNTER = "num_batches_tracked"  # counts for nothing
USUAL = ("weight", "bias", "running_mean", "running_var")
Mark = tuple[tuple[str, tuple[int, ...]], ...]  # a module's tensors: the name where it is a usual one, the shape without 1s at its end
State = Mapping[str, Tensor]


@dataclass
class Fit:
    """`mapping` leads from each key of ours to one of theirs. `by_structure` are the modules that were matched by order and shapes
    alone (ours, theirs), `ambiguous` those of them for which another one would do as well."""

    mapping: dict[str, str] = field(default_factory=dict)
    by_name: int = 0
    by_structure: list[tuple[str, str]] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # ours without one of theirs
    unused: list[str] = field(default_factory=list)  # theirs that nothing takes

    @property
    def whole(self) -> bool:
        return not self.missing


def fit(own: State, theirs: State, ordered: bool = True) -> Fit:
    """Match two state_dicts: equal keys with equal shapes first; then modules with tensors of the same names and shapes, in their orders,
    as many as possible; then those that are left, where one of ours and one of theirs alone fit each other.

    Where the order of theirs means nothing (`ordered`), whatever fits first is taken, and is ambiguous where something else fits too.
    """
    found = Fit()
    if not ordered:
        theirs = {key: theirs[key] for key in sorted(theirs, key=_natural)}
    mine, other = _modules(own), _modules(theirs)
    for name in [name for name in mine if name in other and _exact(mine[name], own) == _exact(other[name], theirs)]:
        ours, same = mine.pop(name), other.pop(name)
        found.mapping.update({key: same[tensor] for tensor, key in ours.items() if tensor in same})
        found.by_name += 1
    left, right = list(mine), list(other)
    marks, others = [_mark(mine[name], own) for name in left], [_mark(other[name], theirs) for name in right]
    pairs = list(_aligned(marks, others)) if ordered else []
    pairs += _left_over(marks, others, pairs, alone=ordered)
    for i, j, sure in sorted(pairs):
        _take(found, mine.pop(left[i]), other.pop(right[j]))
        found.by_structure.append((left[i], right[j]))
        found.ambiguous += [] if sure else [left[i]]
    found.missing = [key for keys in mine.values() for name, key in keys.items() if name != COUNTER]
    found.unused = [key for keys in other.values() for name, key in keys.items() if name != COUNTER]
    return found


def converted(found: Fit, own: State, theirs: State) -> dict[str, Tensor]:
    """Their tensors under our keys, in our shapes."""
    return {ours: theirs[key].reshape(own[ours].shape) for ours, key in found.mapping.items() if key in theirs}


def _modules(state: State) -> dict[str, dict[str, str]]:
    """The tensors of each module: module -> name of the tensor -> key, in the order of the state_dict."""
    modules: dict[str, dict[str, str]] = {}
    for key in state:
        module, _, name = key.rpartition(".")
        modules.setdefault(module, {})[name] = key
    return modules


def _natural(key: str) -> list[Any]:
    """An order of keys in which 2 stands before 10."""
    return [(not part.isdigit(), int(part) if part.isdigit() else part) for part in key.split(".")]


def _exact(tensors: Mapping[str, str], state: State) -> set[tuple[str, tuple[int, ...]]]:
    return {(name, tuple(state[key].shape)) for name, key in tensors.items() if name != COUNTER}


def _mark(tensors: Mapping[str, str], state: State) -> Mark:
    return tuple((name if name in USUAL else "", _stripped(tuple(state[key].shape))) for name, key in _in_order(tensors))


def _stripped(shape: tuple[int, ...]) -> tuple[int, ...]:
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


@cache
def _fits(one: Mark, other: Mark) -> bool:
    """Do modules have the same tensors? So have a fully-connected layer and a convolution over the whole map before it: the same values
    in the same order."""
    if [name for name, _ in one] != [name for name, _ in other]:
        return False
    return all(
        a == b or (min(len(a), len(b)) == 2 and a[0] == b[0] and prod(a) == prod(b)) for (_, a), (_, b) in zip(one, other, strict=True)
    )


def _in_order(tensors: Mapping[str, str]) -> list[tuple[str, str]]:
    """Usual names in their order, then the others as they come; counters are left out."""
    rank = {name: number for number, name in enumerate(USUAL)}
    return sorted(((name, key) for name, key in tensors.items() if name != COUNTER), key=lambda item: rank.get(item[0], len(rank)))


def _take(found: Fit, ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    pairs = zip(_in_order(ours), _in_order(theirs), strict=True)
    found.mapping.update({key: other for (_, key), (_, other) in pairs})
    if COUNTER in ours and COUNTER in theirs:
        found.mapping[ours[COUNTER]] = theirs[COUNTER]


Pair = tuple[int, int, bool]  # places of ours and of theirs, and whether nothing else would do


def _aligned(left: Sequence[Mark], right: Sequence[Mark]) -> Iterator[Pair]:
    """A longest common subsequence. A pair is sure if every longest one has it.

    `ahead[i][j]` is the length of a longest one of `left[i:]` and `right[j:]`, `behind[i][j]` of `left[:i]` and `right[:j]`.
    """
    rows, columns = len(left), len(right)
    fits = [[_fits(one, other) for other in right] for one in left]
    ahead = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            ahead[i][j] = ahead[i + 1][j + 1] + 1 if fits[i][j] else max(ahead[i + 1][j], ahead[i][j + 1])
    behind = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows):
        for j in range(columns):
            behind[i + 1][j + 1] = behind[i][j] + 1 if fits[i][j] else max(behind[i][j + 1], behind[i + 1][j])
    longest = ahead[0][0]
    i = j = 0
    while i < rows and j < columns:
        if fits[i][j]:
            partners = sum(fits[i][k] and behind[i][k] + 1 + ahead[i + 1][k + 1] == longest for k in range(columns))
            without = max(behind[i][k] + ahead[i + 1][k] for k in range(columns + 1))
            yield i, j, partners == 1 and without < longest
            i, j = i + 1, j + 1
        elif ahead[i + 1][j] >= ahead[i][j + 1]:
            i += 1
        else:
            j += 1


def _left_over(left: Sequence[Mark], right: Sequence[Mark], pairs: Sequence[Pair], alone: bool) -> list[Pair]:
    """What fits among those that are in no pair; `alone`: only where nothing else that is left fits either of the two."""
    ours, theirs = {i for i, _, _ in pairs}, {j for _, j, _ in pairs}
    mine, other = [i for i in range(len(left)) if i not in ours], [j for j in range(len(right)) if j not in theirs]
    found = []
    for i in mine:
        fitting = [j for j in other if _fits(left[i], right[j])]
        if not fitting or (alone and (len(fitting) > 1 or sum(_fits(left[k], right[fitting[0]]) for k in mine) > 1)):
            continue
        sure = sum(_fits(left[i], mark) for mark in right) == 1 == sum(_fits(mark, right[fitting[0]]) for mark in left)
        found.append((i, fitting[0], sure))
        if not alone:
            other.remove(fitting[0])
    return found


def told(found: Fit, most: int = 20) -> str:
    """The fit in words."""
    lines = [f"{found.by_name} modules by name, {len(found.by_structure)} by order and shapes, {len(found.missing)} tensors missing"]
    lines += [f"  {ours} <- {theirs}{' (ambiguous)' * (ours in found.ambiguous)}" for ours, theirs in found.by_structure[:most]]
    lines += [f"  ... and {len(found.by_structure) - most} more"] if len(found.by_structure) > most else []
    for what, keys in (("ambiguous", found.ambiguous), ("missing", found.missing), ("unused", found.unused)):
        lines += [f"  {what}: {', '.join(keys[:most])}{', ...' * (len(keys) > most)}"] if keys else []
    return "\n".join(lines)
