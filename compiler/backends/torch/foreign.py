"""Match a state_dict with other keys to a network: by name, and otherwise by structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import Any

from torch import Tensor

COUNTER = "num_batches_tracked"  # ignored when modules are compared
USUAL = ("weight", "bias", "running_mean", "running_var")
Mark = tuple[tuple[str, tuple[int, ...]], ...]  # the tensors of a module: the name if it is a usual one, the shape without trailing 1s
State = Mapping[str, Tensor]


@dataclass
class Fit:
    """The result of matching two state_dicts.

    `mapping` maps our keys to theirs. `by_name` is the number of modules that were matched by name. `by_structure` are the modules that
    were matched by order and shapes alone (ours, theirs), and `ambiguous` those of ours among them that another module fits as well.
    """

    mapping: dict[str, str] = field(default_factory=dict)
    by_name: int = 0
    by_structure: list[tuple[str, str]] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # our keys without a match
    unused: list[str] = field(default_factory=list)  # their keys without a match

    @property
    def whole(self) -> bool:
        """Return whether every key of ours has a match."""
        return not self.missing


def fit(own: State, theirs: State, ordered: bool = True) -> Fit:
    """Match two state_dicts.

    First by equal keys with equal shapes; then as many modules as possible, in order, with tensors of the same names and shapes; then the
    remaining modules where exactly one of ours and one of theirs fit each other.

    If the order of theirs is meaningless (`ordered=False`), the first module that fits is taken; it is ambiguous where another one fits.
    """
    match = Fit()
    if not ordered:
        theirs = {key: theirs[key] for key in sorted(theirs, key=_natural)}
    mine, other = _modules(own), _modules(theirs)
    for name in [name for name in mine if name in other and _exact(mine[name], own) == _exact(other[name], theirs)]:
        ours, same = mine.pop(name), other.pop(name)
        match.mapping.update({key: same[tensor] for tensor, key in ours.items() if tensor in same})
        match.by_name += 1
    left, right = list(mine), list(other)
    marks, others = [_mark(mine[name], own) for name in left], [_mark(other[name], theirs) for name in right]
    pairs = list(_aligned(marks, others)) if ordered else []
    pairs += _left_over(marks, others, pairs, alone=ordered)
    for i, j, sure in sorted(pairs):
        _take(match, mine.pop(left[i]), other.pop(right[j]))
        match.by_structure.append((left[i], right[j]))
        match.ambiguous += [] if sure else [left[i]]
    match.missing = [key for keys in mine.values() for name, key in keys.items() if name != COUNTER]
    match.unused = [key for keys in other.values() for name, key in keys.items() if name != COUNTER]
    return match


def converted(match: Fit, own: State, theirs: State) -> dict[str, Tensor]:
    """Return their tensors under our keys, in our shapes. Keys without a match are left out."""
    return {ours: theirs[key].reshape(own[ours].shape) for ours, key in match.mapping.items() if key in theirs}


def _modules(state: State) -> dict[str, dict[str, str]]:
    """Return the tensors of each module, in the order of the state_dict: module -> name of the tensor -> key."""
    modules: dict[str, dict[str, str]] = {}
    for key in state:
        module, _, name = key.rpartition(".")
        modules.setdefault(module, {})[name] = key
    return modules


def _natural(key: str) -> list[Any]:
    """Return a sort key for keys that orders 2 before 10."""
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
    """Return whether two modules have the same tensors.

    A fully-connected layer fits a convolution over the whole map: it has the same values in the same order.
    """
    if [name for name, _ in one] != [name for name, _ in other]:
        return False
    return all(
        a == b or (min(len(a), len(b)) == 2 and a[0] == b[0] and prod(a) == prod(b)) for (_, a), (_, b) in zip(one, other, strict=True)
    )


def _in_order(tensors: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (name, key) of the tensors: usual names in the order of USUAL, then the others in theirs; counters are left out."""
    rank = {name: number for number, name in enumerate(USUAL)}
    return sorted(((name, key) for name, key in tensors.items() if name != COUNTER), key=lambda item: rank.get(item[0], len(rank)))


def _take(match: Fit, ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    pairs = zip(_in_order(ours), _in_order(theirs), strict=True)
    match.mapping.update({key: other for (_, key), (_, other) in pairs})
    if COUNTER in ours and COUNTER in theirs:
        match.mapping[ours[COUNTER]] = theirs[COUNTER]


Pair = tuple[int, int, bool]  # indices of ours and of theirs, and whether no other pairing is possible


def _aligned(left: Sequence[Mark], right: Sequence[Mark]) -> Iterator[Pair]:
    """Yield the pairs of a longest common subsequence; a pair is sure if every longest common subsequence contains it.

    `suffix[i][j]` is the length for the suffixes `left[i:]` and `right[j:]`, `prefix[i][j]` for the prefixes `left[:i]` and `right[:j]`.
    """
    rows, columns = len(left), len(right)
    fits = [[_fits(one, other) for other in right] for one in left]
    suffix = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            suffix[i][j] = suffix[i + 1][j + 1] + 1 if fits[i][j] else max(suffix[i + 1][j], suffix[i][j + 1])
    prefix = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows):
        for j in range(columns):
            prefix[i + 1][j + 1] = prefix[i][j] + 1 if fits[i][j] else max(prefix[i][j + 1], prefix[i + 1][j])
    longest = suffix[0][0]
    i = j = 0
    while i < rows and j < columns:
        if fits[i][j]:
            partners = sum(fits[i][k] and prefix[i][k] + 1 + suffix[i + 1][k + 1] == longest for k in range(columns))
            without = max(prefix[i][k] + suffix[i + 1][k] for k in range(columns + 1))
            yield i, j, partners == 1 and without < longest
            i, j = i + 1, j + 1
        elif suffix[i + 1][j] >= suffix[i][j + 1]:
            i += 1
        else:
            j += 1


def _left_over(left: Sequence[Mark], right: Sequence[Mark], pairs: Sequence[Pair], alone: bool) -> list[Pair]:
    """Return pairs that fit among modules in no pair; `alone`: only pairs of which neither fits another remaining module."""
    ours, theirs = {i for i, _, _ in pairs}, {j for _, j, _ in pairs}
    mine, other = [i for i in range(len(left)) if i not in ours], [j for j in range(len(right)) if j not in theirs]
    further = []
    for i in mine:
        fitting = [j for j in other if _fits(left[i], right[j])]
        if not fitting or (alone and (len(fitting) > 1 or sum(_fits(left[k], right[fitting[0]]) for k in mine) > 1)):
            continue
        sure = sum(_fits(left[i], mark) for mark in right) == 1 == sum(_fits(mark, right[fitting[0]]) for mark in left)
        further.append((i, fitting[0], sure))
        if not alone:
            other.remove(fitting[0])
    return further


def described(match: Fit, most: int = 20) -> str:
    """Return the fit as lines of text, with at most `most` entries of each kind."""
    lines = [f"{match.by_name} modules by name, {len(match.by_structure)} by order and shapes, {len(match.missing)} tensors missing"]
    lines += [f"  {ours} <- {theirs}{' (ambiguous)' * (ours in match.ambiguous)}" for ours, theirs in match.by_structure[:most]]
    lines += [f"  ... and {len(match.by_structure) - most} more"] if len(match.by_structure) > most else []
    for what, keys in (("ambiguous", match.ambiguous), ("missing", match.missing), ("unused", match.unused)):
        lines += [f"  {what}: {', '.join(keys[:most])}{', ...' * (len(keys) > most)}"] if keys else []
    return "\n".join(lines)
