"""Name blocks: after the class of their scopes, the label that these have in common, or what papers call such a body."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from archc.compiler.ops import OPERATORS
from archc.compiler.read.families import Family
from archc.compiler.read.items import Item, Op, walk
from archc.compiler.read.regions import UNIT

RESERVED = """in for if else let block share use arch input output default expect and or not next with residual none same yes no
training start"""
WORDS = frozenset(RESERVED.split())


def named(family: Family, taken: set[str]) -> str:
    """Return a name for a block: that of the class, or what it is."""
    name = re.sub(r"\W", "", re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", family.kind)).lower().strip("_")
    name = name or _label(family) or kind_of(family.body)
    if name in OPERATORS or name in WORDS or not name or not name[0].isalpha() or name[-1].isdigit():
        name = f"{name}_block" if name and name[0].isalpha() else "part"
    chosen, at = name, 0
    while chosen in taken:
        chosen, at = f"{name}_{'bcdefghijklmnopqrstuvwxyz'[at % 25]}{'' if at < 25 else at}", at + 1
    return chosen


def _label(family: Family) -> str:
    """Return the label that all scopes of a family have, up to numbers; "" where they have none."""
    labels = {re.sub(r"[-_]?\d+(-\d+)?$", "", root.rpartition(".")[2]) for root in family.roots}
    label = labels.pop().lower() if len(labels) == 1 else ""
    if label in OPERATORS or label in WORDS:
        return ""
    return label if len(label) > 2 and re.fullmatch(r"[a-z]\w*[a-z]", label) and label != UNIT else ""


def kind_of(body: Sequence[Item]) -> str:
    """Return what a body is, in the words of papers."""
    ops = [item for item in walk(list(body)) if isinstance(item, Op)]
    layers: list[Any] = [op for op in ops if op.op == "conv"]
    merges = [op.op for op in ops if op.branches is not None]
    attends = any("attention" in op.op for op in ops)
    kernels = [op.values["kernel"][0] for op in layers]
    grouped = any(op.values["groups"][0] != 1 for op in layers)
    if attends:
        return "transformer_layer" if "add" in merges else "attention_part"
    if "add" in merges and not grouped:
        return "bottleneck" if kernels[:3] == [1, 3, 1] else "residual_unit"
    if "add" in merges:
        return "inverted_residual" if kernels[:1] == [1] else "residual_unit"
    if "concat" in merges:
        return "inception" if len([m for m in merges if m == "concat"]) == 1 and len(layers) > 3 else "dense_part"
    if "mul" in merges:
        return "gate"
    if grouped:
        return "separable"
    return "unit"
