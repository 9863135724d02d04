"""Weights under other names: how a foreign state_dict fits a network, by name, else by structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from torch import Tensor

COUNTER = "num_batches_tracked"  # counts for nothing
USUAL = ("weight", "bias", "running_mean", "running_var")
Signature = tuple[tuple[str, int, int], ...]  # a tensor's name where it is a usual one, its first size, the product of the others
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


def fit(own: State, theirs: State) -> Fit:
    """Match two state_dicts: equal keys with equal shapes first; then modules with tensors of the same names and shapes, in their orders,
    as many as possible; then those that are left, where one of ours and one of theirs alone have their shapes.

    A 1x1 convolution and a fully-connected layer have the same shape here, as has a layer scale with or without axes of 1: values
    in the same order.
    """
    found = Fit()
    mine, other = _modules(own), _modules(theirs)
    for name in [name for name in mine if name in other and _exact(mine[name], own) == _exact(other[name], theirs)]:
        _take(found, mine.pop(name), other.pop(name))
        found.by_name += 1
    marks = {name: _signature(keys, own) for name, keys in mine.items()}
    others = {name: _signature(keys, theirs) for name, keys in other.items()}
    left, right = list(marks), list(others)
    pairs: list[tuple[str, str]] = []
    for i, j, sure in _aligned(list(marks.values()), list(others.values())):
        pairs.append((left[i], right[j]))
        found.ambiguous += [] if sure else [left[i]]
    matched = {ours for ours, _ in pairs}, {name for _, name in pairs}
    for mark in dict.fromkeys(marks.values()):
        ours = [name for name in left if marks[name] == mark and name not in matched[0]]
        rest = [name for name in right if others[name] == mark and name not in matched[1]]
        if len(ours) == len(rest) == 1:
            pairs.append((ours[0], rest[0]))
    for ours_, name in sorted(pairs, key=lambda pair: left.index(pair[0])):
        _take(found, mine.pop(ours_), other.pop(name))
        found.by_structure.append((ours_, name))
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


def _exact(tensors: Mapping[str, str], state: State) -> set[tuple[str, tuple[int, ...]]]:
    return {(name, tuple(state[key].shape)) for name, key in tensors.items() if name != COUNTER}


def _signature(tensors: Mapping[str, str], state: State) -> Signature:
    return tuple((name if name in USUAL else "", *_flat(state[key])) for name, key in _in_order(tensors))


def _flat(tensor: Tensor) -> tuple[int, int]:
    return (tensor.shape[0], prod(tensor.shape[1:])) if tensor.dim() else (1, 1)


def _in_order(tensors: Mapping[str, str]) -> list[tuple[str, str]]:
    """Usual names in their order, then the others as they come; counters are left out."""
    rank = {name: number for number, name in enumerate(USUAL)}
    return sorted(((name, key) for name, key in tensors.items() if name != COUNTER), key=lambda item: rank.get(item[0], len(rank)))


def _take(found: Fit, ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    pairs = zip(_in_order(ours), _in_order(theirs), strict=True)
    found.mapping.update({key: other for (_, key), (_, other) in pairs})
    if COUNTER in ours and COUNTER in theirs:
        found.mapping[ours[COUNTER]] = theirs[COUNTER]


def _aligned(left: Sequence[Signature], right: Sequence[Signature]) -> Iterator[tuple[int, int, bool]]:
    """A longest common subsequence: pairs of places, and whether every longest one has that pair.

    `ahead[i][j]` is the length of a longest one of `left[i:]` and `right[j:]`, `behind[i][j]` of `left[:i]` and `right[:j]`.
    """
    rows, columns = len(left), len(right)
    ahead = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            ahead[i][j] = ahead[i + 1][j + 1] + 1 if left[i] == right[j] else max(ahead[i + 1][j], ahead[i][j + 1])
    behind = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows):
        for j in range(columns):
            behind[i + 1][j + 1] = behind[i][j] + 1 if left[i] == right[j] else max(behind[i][j + 1], behind[i + 1][j])
    longest = ahead[0][0]
    partners = [
        [j for j in range(columns) if left[i] == right[j] and behind[i][j] + 1 + ahead[i + 1][j + 1] == longest] for i in range(rows)
    ]
    i = j = 0
    while i < rows and j < columns:
        if left[i] == right[j]:
            # Alone it has no other partner; and it is never left out where no shorter way round it is as long.
            spared = max(behind[i][k] + ahead[i + 1][k] for k in range(columns + 1))
            yield i, j, partners[i] == [j] and spared < longest
            i, j = i + 1, j + 1
        elif ahead[i + 1][j] >= ahead[i][j + 1]:
            i += 1
        else:
            j += 1


def told(found: Fit, most: int = 20) -> str:
    """The fit in words."""
    lines = [f"{found.by_name} modules by name, {len(found.by_structure)} by order and shapes, {len(found.missing)} tensors missing"]
    lines += [f"  {ours} <- {theirs}{' (ambiguous)' * (ours in found.ambiguous)}" for ours, theirs in found.by_structure[:most]]
    lines += [f"  ... and {len(found.by_structure) - most} more"] if len(found.by_structure) > most else []
    for what, keys in (("ambiguous", found.ambiguous), ("missing", found.missing), ("unused", found.unused)):
        lines += [f"  {what}: {', '.join(keys[:most])}{', ...' * (len(keys) > most)}"] if keys else []
    return "\n".join(lines)
