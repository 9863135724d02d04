"""Expressions of Python that have given values: a constant, an argument, or a short formula of arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

ATOM, PRODUCT, SUM = 3, 2, 1  # how tightly the outermost operator of an expression binds


@dataclass(frozen=True)
class Expression:
    """An expression as text, and how tightly it binds."""

    text: str
    binds: int = ATOM
    names: frozenset[str] = frozenset()


def alike(one: Any, other: Any) -> bool:
    """Return whether two values are the same constant: equal, and of one type, all that they contain included."""
    return type(one) is type(other) and repr(one) == repr(other)


def literal(value: Any) -> Expression:
    """Return a constant as Python in the form of ruff."""
    return Expression(_literal(value))


def _literal(value: Any) -> str:
    match value:
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case tuple():
            return f"({', '.join(map(_literal, value))}{',' * (len(value) == 1)})"
        case list():
            return f"[{', '.join(map(_literal, value))}]"
        case slice():
            parts = [value.start, value.stop] if value.step in (None, 1) else [value.start, value.stop, value.step]
            if value.start in (None, 0):
                parts[0] = None
            return ":".join("" if part is None else _literal(part) for part in parts)
        case float() if value in (float("inf"), float("-inf")):
            return f'float("{value}")'
    return str(value.text) if hasattr(value, "text") else repr(value)


class Known:
    """The arguments that a class may have, and the expressions that it has used so far."""

    def __init__(self, given: Mapping[str, tuple[Any, ...]]) -> None:
        self.names: dict[str, tuple[Any, ...]] = dict(given)
        self.used: set[str] = set()
        self._seen: list[tuple[tuple[Any, ...], Expression]] = []

    def written(self, values: tuple[Any, ...], words: frozenset[str], size: bool) -> Expression | None:
        """Return an expression of names that the text has, too. `size`: it is a number of channels or values."""
        names = [name for name in self.names if name in words]
        return self._use(values, next(self._candidates(values, names, pairs=True), None), size)

    def constant(self, values: tuple[Any, ...], words: frozenset[str], size: bool) -> Expression | None:
        """Return an expression of names for what is equal in all instances; its numbers, too, must be in the text."""
        if isinstance(values[0], bool):
            return None
        names = [name for name in self.names if name in words]
        found = self._candidates(values, names, pairs=True)
        texts = (each for each in found if all(part in words for part in re.findall(r"\d+", each.text) if part not in each.names))
        return self._use(values, next(texts, None), size)

    def searched(self, values: tuple[Any, ...], enters: bool, size: bool) -> Expression | None:
        """Return an expression of any names; `enters`: the number of channels that a layer takes."""
        found = self.repeated(values) if size else None
        if found is None or (enters and "in_channels" in self.names and _same(self.names["in_channels"], values)):
            found = next(self._candidates(values, list(self.names), pairs=size), None)
        return self._use(values, found, size)

    def repeated(self, values: tuple[Any, ...]) -> Expression | None:
        """Return the latest expression of a size that was used for these values."""
        return next((found for before, found in reversed(self._seen) if _same(before, values)), None)

    def added(self, name: str, values: tuple[Any, ...], size: bool) -> Expression:
        """Return a new argument."""
        self.names[name] = values
        found = self._use(values, Expression(name, ATOM, frozenset({name})), size)
        assert found is not None
        return found

    def _use(self, values: tuple[Any, ...], found: Expression | None, size: bool) -> Expression | None:
        if found is not None:
            self.used |= found.names
            if size:
                self._seen.append((values, found))
        return found

    def _candidates(self, values: tuple[Any, ...], names: list[str], pairs: bool) -> Iterator[Expression]:
        """Yield the expressions of some names that have the given values, simple ones first; `pairs` allows two names."""
        for computed, found in self._formulas(values, names, pairs):
            if _same(computed, values):
                yield found

    def _formulas(self, values: tuple[Any, ...], names: list[str], pairs: bool) -> Iterator[tuple[tuple[Any, ...], Expression]]:
        for name in names:
            yield self.names[name], Expression(name, ATOM, frozenset({name}))
        if not all(type(value) is int for value in values):
            return
        whole = [name for name in names if all(type(value) is int for value in self.names[name])]
        for name in whole:
            yield from _multiples(name, self.names[name], values)
        for one, other in combinations(whole, 2) if pairs else ():
            a, b, both = self.names[one], self.names[other], frozenset({one, other})
            yield tuple(x + y for x, y in zip(a, b, strict=True)), Expression(f"{one} + {other}", SUM, both)
            yield tuple(x * y for x, y in zip(a, b, strict=True)), Expression(f"{one} * {other}", PRODUCT, both)
            yield tuple(x - y for x, y in zip(a, b, strict=True)), Expression(f"{one} - {other}", SUM, both)
            yield tuple(y - x for x, y in zip(a, b, strict=True)), Expression(f"{other} - {one}", SUM, both)
            if all(a) and all(b):
                yield tuple(x // y for x, y in zip(a, b, strict=True)), Expression(f"{one} // {other}", PRODUCT, both)
                yield tuple(y // x for x, y in zip(a, b, strict=True)), Expression(f"{other} // {one}", PRODUCT, both)


def _multiples(name: str, have: tuple[int, ...], want: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Expression]]:
    """Yield the multiple and the part of an argument that has the first value."""
    names = frozenset({name})
    if have[0] > 0 and want[0] > 0:
        times, rest = divmod(want[0], have[0])
        if rest == 0 and times > 1:
            yield tuple(times * x for x in have), Expression(f"{times} * {name}", PRODUCT, names)
        by, rest = divmod(have[0], want[0])
        if by > 1 and rest <= 1:
            yield tuple(x // by for x in have), Expression(f"{name} // {by}", PRODUCT, names)


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return all(alike(x, y) for x, y in zip(one, other, strict=True))
