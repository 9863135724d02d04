"""Keys of weights: those of the file where its tensors are named as ours are, otherwise names made from its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from archc.compiler.frontends.flat import Flat
from archc.compiler.frontends.naming import path_of
from archc.compiler.frontends.onnx.tensors import Fixed

ENDS = re.compile(r"[._/:]?(weights?|kernel|gamma|beta|bias|scale|[wbs])(_quant)?([._]\d+)?$", re.IGNORECASE)


def live(flat: Flat, outputs: Sequence[int]) -> list[int]:
    """Return the numbers of the operators that outputs depend on, in order."""
    seen, stack = set[int](), list(outputs)
    while stack:
        number = stack.pop()
        if number not in seen:
            seen.add(number)
            stack.extend(flat.items[number].operands)
    return sorted(seen)


def _label(name: str) -> str:
    return path_of(name, "/.", numbers=True)


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


def assign(flat: Flat, numbers: Sequence[int], held: Mapping[int, dict[str, Fixed]], scoped: bool) -> dict[str, Callable[[], Any]]:
    """Give each operator with weights its key, and return by key what returns each tensor. `scoped`: the file has paths of modules."""
    taken: dict[str, Any] = {}
    scopes = set[str]()
    arrays: dict[str, Callable[[], Any]] = {}
    for number in numbers:
        item = flat.items[number]
        if number not in held:
            continue
        parts = held[number]
        signature = (item.op, tuple((name, fixed.origin or id(fixed)) for name, fixed in parts.items()))
        wish = _label(stated(parts))
        if not wish and scoped:
            wish = _label(item.path)
        if not wish:
            first = parts.get("weight") or next(iter(parts.values()), None)
            wish = _label(ENDS.sub("", first.origin)) if first is not None and first.origin else ""
        key = _free(wish or item.op, signature, taken, scopes)
        taken[key] = signature
        pieces = key.split(".")
        scopes |= {".".join(pieces[:end]) for end in range(1, len(pieces))}
        old, item.key = item.key, key
        item.weights = {f"{key}{name.removeprefix(old)}": shape for name, shape in item.weights.items()}
        for name, fixed in parts.items():
            arrays[f"{key}.{name}".rstrip(".")] = fixed.array
    return arrays


def _free(wish: str, signature: Any, taken: Mapping[str, Any], scopes: set[str]) -> str:
    """Return a key that no other weights have, and that is neither within another nor around one."""
    number, key = 1, wish
    while True:
        if taken.get(key) == signature:
            return key
        pieces = key.split(".")
        inside = any(".".join(pieces[:end]) in taken for end in range(1, len(pieces)))
        if key not in taken and key not in scopes and not inside:
            return key
        if inside:  # it becomes a neighbor of what is around it
            around = next(".".join(pieces[:end]) for end in range(1, len(pieces)) if ".".join(pieces[:end]) in taken)
            wish = f"{around}_{key[len(around) + 1 :].replace('.', '_')}"
        number += 1
        key = wish if number == 2 and inside else f"{wish}_{number}"


def zeros(shape: tuple[int, ...]) -> Callable[[], Any]:
    """Return what returns a count that a file does not store."""
    return lambda: np.zeros(shape, np.int64)
