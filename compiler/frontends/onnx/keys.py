"""Keys of weights: those of the file where its tensors are named as ours are, otherwise names made from its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from archc.compiler.frontends.flat import Flat
from archc.compiler.frontends.naming import label_of, path_of
from archc.compiler.frontends.onnx.model import MAX_SCOPES
from archc.compiler.frontends.onnx.tensors import Fixed

UNIFORM = 2**16  # values of a tensor that is looked at
ENDS = re.compile(r"[._/:]?(weights?|kernel|gamma|beta|bias|scale|[wbs])(_quant)?([._]\d+)?$", re.IGNORECASE)


def label_at(name: str) -> str:
    """Return a name of a file as a path; `/` and `.` are the borders of scopes, unless there are too many."""
    if len(re.split(r"[/.]", name)) <= MAX_SCOPES:
        return path_of(name, "/.", numbers=True)
    return label_of(name, "layer", numbers=True)


def stated(parts: Mapping[str, Fixed]) -> str:
    """Return the key of weights that the file names by it, or that of its `weight`; "" where there is none."""
    found = []
    for part, fixed in parts.items():
        end = f".{part}" if part else ""
        fits = fixed.origin.endswith(end) and len(fixed.origin) > len(end)
        found.append(fixed.origin.removesuffix(end) if fits else "")
    if len(set(found)) == 1:
        return found[0]
    return found[list(parts).index("weight")] if "weight" in parts else ""


def own_of(path: str, parts: Mapping[str, Fixed], users: Mapping[str, set[str]]) -> str:
    """Return the key of weights of the module at a path, where tensors that are equal in several modules are stored once; "" for none.

    `users` are the paths that take each tensor. One that a single path takes names its own key. Of another only what it is called within
    the module that it is named after is known, and modules of a class call it the same.
    """
    certain, derived = dict[str, str](), dict[str, str]()
    for part, fixed in parts.items():
        end = f".{part}" if part else ""
        if not fixed.origin.endswith(end) or len(fixed.origin) <= len(end):
            continue
        key, paths = fixed.origin.removesuffix(end), users[fixed.origin]
        if len(paths) == 1:
            certain[part] = key
        elif home := max((each for each in paths if f"{key}.".startswith(f"{each}.")), key=len, default=""):
            derived[part] = path + key[len(home) :]
    found = certain or derived
    return found["weight"] if "weight" in found else next(iter(found.values()), "")


def assign(flat: Flat, numbers: Sequence[int], held: Mapping[int, dict[str, Fixed]], scoped: bool) -> dict[str, Callable[[], Any]]:
    """Give each operator with weights its key, and return by key what returns each tensor. `scoped`: the file has paths of modules."""
    keys = Keys()
    arrays: dict[str, Callable[[], Any]] = {}
    mine = [number for number in numbers if number in held]
    tensors = {number: _tensors(flat.items[number].op, held[number]) for number in mine}
    counts = Counter(tensors.values())
    users: dict[str, set[str]] = {}
    for number in mine:
        for fixed in held[number].values():
            users.setdefault(fixed.origin, set()).add(flat.items[number].path)
    for number in mine:
        item, parts = flat.items[number], held[number]
        signature, is_merged = tensors[number], False
        if counts[signature] > 1 and not flat.labeled:
            # Writers store equal tensors once. So what has the same ones is the same module only if its path says so, or they are trained.
            is_merged = scoped or all(map(_is_uniform, parts.values()))
            signature = (signature, (item.path if scoped else number) if is_merged else "")
        wish = label_at(own_of(item.path, parts, users) if scoped else stated(parts))
        if not wish and scoped:
            wish = label_at(item.path)
        if not wish:
            first = parts.get("weight") or next(iter(parts.values()), None)
            wish = label_at(ENDS.sub("", first.origin)) if first is not None and first.origin else ""
        key = keys.free(wish or item.op, signature)
        old, item.key = item.key, key
        item.weights = {f"{key}{name.removeprefix(old)}": shape for name, shape in item.weights.items()}
        for name, fixed in parts.items():
            arrays[f"{key}.{name}".rstrip(".")] = fixed.array
    return arrays


def _tensors(op: str, parts: Mapping[str, Fixed]) -> Any:
    """Return what tells the tensors of an operator from others."""
    return op, tuple((name, fixed.origin or id(fixed)) for name, fixed in parts.items())


def _is_uniform(fixed: Fixed) -> bool:
    """Return whether all values of a small tensor are the same, as before training."""
    if prod(fixed.shape) > UNIFORM:
        return False
    array = np.asarray(fixed.array())
    return bool((array == array.reshape(-1)[:1]).all())


@dataclass
class Keys:
    """The keys that operators have so far, and the scopes around them."""

    taken: set[str] = field(default_factory=set)
    scopes: set[str] = field(default_factory=set)
    shared: dict[Any, str] = field(default_factory=dict)  # by what was wished for, and the weights
    last: dict[str, int] = field(default_factory=dict)  # the number of the last key of each wish

    def free(self, wish: str, signature: Any) -> str:
        """Return the key of these weights, or one that no other weights have, and that is neither within another nor around one."""
        known = (wish, signature)
        if known not in self.shared:
            self.shared[known] = self._new(wish)
            self.taken.add(self.shared[known])
            self.scopes.update(_around(self.shared[known]))
        return self.shared[known]

    def _new(self, wish: str) -> str:
        if around := next((each for each in _around(wish) if each in self.taken), ""):  # it becomes a neighbor of what is around it
            return self._new(f"{around}_{wish[len(around) + 1 :].replace('.', '_')}")
        number = self.last.get(wish, 0) + 1
        while (key := wish if number == 1 else label_at(f"{wish}_{number}")) in self.taken or key in self.scopes:
            number += 1
        self.last[wish] = number
        return key


def _around(key: str) -> list[str]:
    """Return the scopes around a key, the outermost first."""
    pieces = key.split(".")
    return [".".join(pieces[:end]) for end in range(1, len(pieces))]


def zeros(shape: tuple[int, ...]) -> Callable[[], Any]:
    """Return what returns a count that a file does not store."""
    return lambda: np.zeros(shape, np.int64)
