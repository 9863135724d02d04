"""The length of the description: how many tokens a body takes, roughly, without printing it."""

from __future__ import annotations

import re
from typing import Any

from archc.compiler.ops import operator_of
from archc.compiler.ops.record import Like, Required
from archc.compiler.read.items import ANY, Body, Column, Group, Item, Op, Ref, Repeat, Slot, bodies
from archc.compiler.read.usual import Defaults, recorded

REPEATED = 0.5  # of an item that only goes on with a repetition, which a loop says once
LONGEST = 4  # items in a turn


class Sizes:
    """Estimates sizes with the defaults of a file; `condition` is what an `if` costs."""

    def __init__(self, defaults: Defaults, condition: float) -> None:
        self.defaults = defaults
        self.condition = condition
        self._likes: dict[str, dict[str, str]] = {}
        self._usual: dict[tuple[str, str, Any], bool] = {}

    def body(self, body: Body, present: tuple[bool, ...] | None = None) -> float:
        """Return the tokens of a body, with those of conditions where items are absent from instances that have the body."""
        total = 0.0
        before = present
        again = _repeated(body)
        for item, repeated in zip(body, again, strict=True):
            if item.present != before and (present is not None or not all(item.present)):
                total += self.condition if item.present != present else 0.0
            before = item.present
            total += REPEATED if repeated else self.item(item)
        return total

    def item(self, item: Item) -> float:
        """Return the tokens of an item."""
        label = 0.0 if item.auto else 2.0
        inner = sum(self.body(each, item.present) for each in bodies(item))
        match item:
            case Op():
                joints = 1.0 + len(item.branches) if item.branches is not None else 0.0
                options = sum(self.option(item, name, column) for name, column in item.values.items())
                return label + 2.0 + joints + options + inner
            case Group() | Repeat():
                return label + 2.0 + inner
            case Slot():
                return label + 4.0
            case _:
                return label + 2.0 + inner

    def option(self, item: Op, name: str, column: Column) -> float:
        """Return the tokens of an option: none where it has its default in all instances."""
        first = next((value for value in column if value is not ANY), ANY)
        if any(value is not ANY and value != first for value in column):
            return 2.0
        likes = self._likes.get(item.op)
        if likes is None:
            attrs = operator_of(item.op).attrs
            likes = self._likes[item.op] = {attr.name: attr.default.option for attr in attrs if isinstance(attr.default, Like)}
        if name in likes:
            return 0.0 if column == item.values[likes[name]] else 1.5
        key = (item.op, name, first)
        if key not in self._usual:
            stated = self.defaults.get(item.op, {})
            usual = stated[name] if name in stated else recorded(item.op, name, first)
            self._usual[key] = usual is not Required and first == usual
        short = name in operator_of(item.op).short
        return 0.0 if self._usual[key] else 1.0 if short else 2.0

    def variety(self, body: Body) -> int:
        """Return how many columns differ between instances, those that are proportional counted once: a guess at the parameters."""
        found: set[Any] = set()
        self._collect(body, found)
        return len(found)

    def _collect(self, body: Body, found: set[Any]) -> None:
        for item in body:
            if isinstance(item, Op):
                for column in item.values.values():
                    values = [value for value in column if value is not ANY]
                    if any(value != values[0] for value in values):
                        found.add(_ratios(column))
            elif isinstance(item, Ref) and len(set(item.targets)) > 1:
                pass
            for inner in bodies(item):
                self._collect(inner, found)


def _ratios(column: Column) -> Column:
    numbers = [value for value in column if value is not ANY]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) and value for value in numbers):
        return tuple(value if value is ANY else value / numbers[0] for value in column)
    return column


def _repeated(body: Body) -> list[bool]:
    """Return for each item whether it and those before it repeat what stands before them, up to numbers."""
    keys = [key_of(item) for item in body]
    again = [False] * len(body)
    for period in range(1, LONGEST + 1):
        for at in range(2 * period - 1, len(keys)):
            if keys[at - period + 1 : at + 1] == keys[at - 2 * period + 1 : at - period + 1]:
                again[at - period + 1 : at + 1] = [True] * period
    return again


def key_of(item: Item) -> Any:
    """Return the shape of an item up to numbers, those in labels included."""
    label = "" if item.auto else re.sub(r"\d+", "", str(next((name for name in item.names if name is not ANY), "")))
    match item:
        case Op():
            branches = None if item.branches is None else tuple(tuple(map(key_of, branch)) for branch in item.branches)
            return (label, item.op, branches)
        case Group():
            return (label, tuple(map(key_of, item.body)))
        case Slot():
            return (label, id(item.family.root))
        case _:
            return (label, type(item).__name__)
