"""Choose what a file states once: the `default` lines, and whether padding is written as the word `same`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from archc.compiler.analysis.notation import _canonical
from archc.compiler.ops import operator_of
from archc.compiler.ops.kinds import NONE, PerAxis, Whole, Word
from archc.compiler.ops.record import Like, Required
from archc.compiler.ops.windows import same_padding
from archc.compiler.read.items import Op
from archc.dsl.diagnostics import Fault

SAME = "same"
LEAST = 3  # how many uses a default must save
FOLLOWERS = frozenset({"norm", "act"})

Defaults = Mapping[str, Mapping[str, Any]]  # operator -> option -> value
Uses = defaultdict[tuple[str, str], Counter[Any]]  # operator and option -> how often each value is used


def name_same_padding(ops: Iterable[Op]) -> None:
    """Write padding as `same` in the operators of which most are padded so."""
    by_op: defaultdict[str, list[Op]] = defaultdict(list)
    for op in ops:
        if any(attr.name == "pad" and isinstance(attr.kind, PerAxis) and SAME in attr.kind.words for attr in operator_of(op.op).attrs):
            by_op[op.op].append(op)
    for found in by_op.values():
        same = {id(op): _is_same(op) for op in found}
        wide = [op for op in found if op.values["kernel"] != (1,)]
        padded = sum(same[id(op)] and op.values["pad"] != (0,) for op in wide)
        if 2 * padded > len(wide):
            for op in found:
                if same[id(op)]:
                    op.values["pad"] = (SAME,)


def _is_same(op: Op) -> bool:
    sizes: dict[str, Any] = {name: op.values[name][0] for name in ("kernel", "stride", "dilation") if name in op.values}
    axes = max((len(size) for size in sizes.values() if isinstance(size, tuple)), default=1)
    attrs: dict[str, Any] = {name: size if isinstance(size, tuple) else (size,) * axes for name, size in sizes.items()}
    attrs["pad"] = SAME
    try:
        same_padding(attrs)
    except Fault:
        return False
    pad = op.values["pad"][0]
    return bool(attrs["pad"] == (pad if isinstance(pad, tuple) else (pad,) * axes))


def recorded(op: str, option: str, value: Any) -> Any:
    """Return the default of an option in its record, in the form of a value of a column; None where it is required or another option."""
    if option in FOLLOWERS:
        return NONE
    attr = next((attr for attr in operator_of(op).attrs if attr.name == option), None)
    if attr is None or isinstance(attr.default, (Like, Required)):
        return Required
    usual = _canonical(attr, value)
    if isinstance(usual, tuple) and isinstance(getattr(attr.kind, "kind", attr.kind), PerAxis) and len(set(usual)) == 1:
        return usual[0]
    return usual


def defaults_of(ops: Sequence[Op]) -> dict[str, dict[str, Any]]:
    """Choose the value of each option that the file states once, where that saves enough; shorten `norm` and `act` to what differs."""
    uses: Uses = defaultdict(Counter)
    for op in ops:
        for option, (value,) in op.values.items():
            if option not in FOLLOWERS:
                uses[op.op, option][value] += 1
            elif value != NONE:
                for name, given in value.args:
                    uses[value.text, name][given.text if isinstance(given, Word) else given] += 1
    chosen = _chosen(uses)
    uses.clear()
    for op in ops:
        for option in FOLLOWERS & op.values.keys():
            (value,) = op.values[option]
            op.values[option] = (Word(value.text, tuple(_unusual(value, chosen))),)
            uses[op.op, option][op.values[option][0]] += 1
    for name, options in _chosen(uses).items():
        chosen.setdefault(name, {}).update(options)
    return chosen


def _unusual(word: Word, chosen: Defaults) -> Iterator[tuple[str, Any]]:
    """Yield the settings of an operator in `norm` or `act` that are no defaults."""
    for name, given in word.args:
        value = given.text if isinstance(given, Word) else given
        stated = chosen.get(word.text, {})
        if value != (stated[name] if name in stated else recorded(word.text, name, value)):
            yield name, given


def _chosen(uses: Uses) -> dict[str, dict[str, Any]]:
    chosen: dict[str, dict[str, Any]] = {}
    for (op, option), counts in uses.items():
        record = operator_of(op)
        kept = {*record.short, "place", "from", *(attr.name for attr in record.attrs if isinstance(attr.default, (Required, Like)))}
        kinds = {attr.name: attr.kind for attr in record.attrs}
        if option in kept or not (option in FOLLOWERS or option in kinds):
            continue
        value, count = max(counts.items(), key=lambda pair: pair[1])
        usual = recorded(op, option, value)
        if isinstance(kinds.get(option), (Whole, PerAxis)) and value != SAME:
            continue  # sizes and counts are those of a layer, not of a file
        if value != usual and count - counts[usual] >= LEAST:
            chosen.setdefault(op, {})[option] = value
    return chosen
