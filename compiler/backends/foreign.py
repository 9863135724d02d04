"""Weights under other names: how a foreign state_dict fits a network, by name, else by structure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from torch import Tensor

Signature = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass
class Fit:
    """`mapping` leads from each key of ours to one of theirs. `by_structure` are the modules that were matched by order and shapes
    alone (ours, theirs), `ambiguous` those of them for which another of the same shapes would do as well."""

    mapping: dict[str, str] = field(default_factory=dict)
    by_name: int = 0
    by_structure: list[tuple[str, str]] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # ours without one of theirs
    unused: list[str] = field(default_factory=list)  # theirs that nothing takes

    @property
    def whole(self) -> bool:
        return not self.missing


def fit(own: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> Fit:
    """Match two state_dicts: equal keys with equal shapes first; then, in their orders, modules with tensors of the same names and
    shapes. Counters of batches count for nothing."""
    found = Fit()
    mine, other = _modules(own), _modules(theirs)
    for name in [name for name in mine if name in other and _signature(mine[name], own) == _signature(other[name], theirs)]:
        _take(found, mine.pop(name), other.pop(name))
        found.by_name += 1
    left, right = list(mine), list(other)
    marks_left = [_signature(mine[name], own) for name in left]
    marks_right = [_signature(other[name], theirs) for name in right]
    for block in SequenceMatcher(None, marks_left, marks_right, autojunk=False).get_matching_blocks():
        for step in range(block.size):
            ours, name = left[block.a + step], right[block.b + step]
            _take(found, mine.pop(ours), other.pop(name))
            found.by_structure.append((ours, name))
    counts = Counter(marks_left), Counter(marks_right)
    uneven = {mark for mark in counts[0] if counts[0][mark] != counts[1][mark]}
    matched = {ours for ours, _ in found.by_structure}
    found.ambiguous = [name for name, mark in zip(left, marks_left, strict=True) if mark in uneven and name in matched]
    found.missing = [key for keys in mine.values() for key in keys.values() if not key.endswith("num_batches_tracked")]
    found.unused = [key for keys in other.values() for key in keys.values() if not key.endswith("num_batches_tracked")]
    return found


def converted(found: Fit, theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their tensors under our keys."""
    return {ours: theirs[key] for ours, key in found.mapping.items() if key in theirs}


def _modules(state: Mapping[str, Tensor]) -> dict[str, dict[str, str]]:
    """The tensors of each module: module -> name of the tensor -> key, in the order of the state_dict."""
    modules: dict[str, dict[str, str]] = {}
    for key in state:
        module, _, name = key.rpartition(".")
        modules.setdefault(module, {})[name] = key
    return modules


def _signature(tensors: Mapping[str, str], state: Mapping[str, Tensor]) -> Signature:
    return tuple(sorted((name, tuple(state[key].shape)) for name, key in tensors.items() if name != "num_batches_tracked"))


def _take(found: Fit, ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    found.mapping.update({key: theirs[name] for name, key in ours.items() if name in theirs})


def told(found: Fit, most: int = 20) -> str:
    """The fit in words."""
    lines = [f"{found.by_name} modules by name, {len(found.by_structure)} by order and shapes, {len(found.missing)} tensors missing"]
    lines += [f"  {ours} <- {theirs}{' (ambiguous)' * (ours in found.ambiguous)}" for ours, theirs in found.by_structure[:most]]
    lines += [f"  ... and {len(found.by_structure) - most} more"] if len(found.by_structure) > most else []
    for what, keys in (("missing", found.missing), ("unused", found.unused)):
        lines += [f"  {what}: {', '.join(keys[:most])}{', ...' * (len(keys) > most)}"] if keys else []
    return "\n".join(lines)
