"""The kinds of values that options of operators take; each reads a value into canonical form.

Every kind has `read(name, value, axes)`: it returns the canonical form of the value of the option `name`, on an input with `axes` axes
after the channels, and raises Fault for a value of another kind. Its text is what the documentation says the option takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.shapes.dim import Formula
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import values as says
from archc.dsl.vocabulary.spelling import misspelt


@dataclass(frozen=True)
class Word:
    """A bare word, or a word with settings: `same`, `relu`, `normal(std=0.01)`."""

    text: str
    args: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return show(self)


@dataclass(frozen=True)
class Text:
    """A text in quotes: `"c h w -> (h w) c"`."""

    text: str

    def __str__(self) -> str:
        return f'"{self.text}"'


Value = int | float | bool | Formula | Word | Text | tuple[Any, ...]
Canonical = Any  # what a kind reads a value into: numbers, flags, plain text, tuples of them, or None
NONE = Word("none")


def show(value: object) -> str:
    """Return a value as the language writes it, for people: floats to 12 digits, which hides rounding (`0.037500000000000006`)."""
    return _written(value, "{:.12g}".format)


def exact(value: object) -> str:
    """Return a value as the language writes it, for programs: reading it produces the same value to the last bit."""
    return _written(value, repr)


def _written(value: object, digits: Callable[[float], str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return f"[{', '.join(_written(item, digits) for item in value)}]"
    if isinstance(value, float):
        text = digits(value)
        return text if any(mark in text for mark in ".en") else f"{text}.0"
    if isinstance(value, Word) and value.args:
        listed = ", ".join((f"{name}=" if name else "") + _written(given, digits) for name, given in value.args)
        return f"{value.text}({listed})"
    return value.text if isinstance(value, Word) else str(value)


@dataclass(frozen=True)
class Whole:
    """A whole number, at least `minimum`, or of either sign where that is None; an open size too, if `open`."""

    minimum: int | None = 1
    open: bool = False

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        return value if self.open and isinstance(value, Formula) else _whole(name, value, self.minimum)

    def __str__(self) -> str:
        return "a whole number" + (" of either sign" if self.minimum is None else f" from {self.minimum}" if self.minimum else "")


@dataclass(frozen=True)
class Real:
    """A number between two bounds."""

    low: float = float("-inf")
    high: float = float("inf")

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Fault(says.wrong_kind(f"`{name}`", "a number", show(value)))
        if not self.low <= value <= self.high:
            raise Fault(says.wrong_kind(f"`{name}`", str(self), show(value)))
        return float(value)

    def __str__(self) -> str:
        if self.high == float("inf"):
            return "a number" if self.low == float("-inf") else f"a number from {self.low:g}"
        return f"a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Flag:
    """`yes` or `no`."""

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if not isinstance(value, bool):
            meant = {"true": "yes", "false": "no", "1": "yes", "0": "no"}.get(show(value).lower(), "")
            fault = says.wrong_kind(f"`{name}`", "`yes` or `no`", show(value), f"write `{meant}`" if meant else "")
            raise Fault(fault.with_facts(**misspelt(show(value), [meant] if meant else [], sure=True)))
        return value

    def __str__(self) -> str:
        return "`yes` or `no`"


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if not isinstance(value, Word) or value.text not in self.words or value.args:
            raise Fault(says.not_a_choice(name, f"`{show(value)}`", self.words))
        return value.text

    def __str__(self) -> str:
        return ", ".join(f"`{word}`" for word in self.words)


@dataclass(frozen=True)
class PerAxis:
    """A whole number for all axes of the input (`3`), or one per axis (`1x7`, `[1, 7]`); or one of some words."""

    minimum: int = 1
    words: tuple[str, ...] = ()
    open: bool = False  # whether a size may be a formula
    count: int | None = None  # how many axes there are, where the input does not say

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if isinstance(value, Word) and value.text in self.words and not value.args:
            return value.text
        wanted = axes if self.count is None else self.count
        parts = value if isinstance(value, tuple) else (value,) * wanted
        if len(parts) != wanted:
            expected = f"one number or {wanted}" if wanted != 1 else "one number"
            where = f" on an input with {axes} sizes" if self.count is None else ""
            raise Fault(says.wrong_kind(f"`{name}`", f"{expected}{where}", show(value)))
        if self.open:
            return tuple(part if isinstance(part, Formula) else _whole(name, part, self.minimum) for part in parts)
        return tuple(_whole(name, part, self.minimum) for part in parts)

    def __str__(self) -> str:
        words = "".join(f", or `{word}`" for word in self.words)
        each = "one for each axis" if self.count is None else f"{self.count} of them"
        return f"a whole number from {self.minimum}, or {each}{words}"


@dataclass(frozen=True)
class Sizes:
    """The sizes of a tensor, up to three (`14x7`, `[h, w]`). One number is a square where the `map` must be one, or else one for each
    size of the input."""

    map: bool = False

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        parts = value if isinstance(value, tuple) else (value,) * (2 if self.map else axes)
        if not 1 + self.map <= len(parts) <= 3:
            expected = "one number, or two or three, as in `14x14`" if self.map else "one to three numbers, as in `[14]` or `14x14`"
            raise Fault(says.wrong_kind(f"`{name}`", expected, show(value)))
        return tuple(part if isinstance(part, Formula) else _whole(name, part, 1) for part in parts)

    def __str__(self) -> str:
        return "a whole number for a square, or two or three as in `14x7`" if self.map else "a whole number, or up to three as in `14x7`"


@dataclass(frozen=True)
class Extents:
    """A shape, channels first: `64x56x56`, or one number for flat values."""

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        parts = value if isinstance(value, tuple) else (value,)
        if not 1 <= len(parts) <= 4:
            raise Fault(says.wrong_kind(f"`{name}`", str(self), show(value)))
        return tuple(part if isinstance(part, Formula) else _whole(name, part, 1) for part in parts)

    def __str__(self) -> str:
        return "a shape of one to four sizes, channels first, as in `64x56x56`"


@dataclass(frozen=True)
class Place:
    """A position along an axis: a whole number from 0 or, counted from the end, from -1 down."""

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        return _whole(name, value, -(2**62))

    def __str__(self) -> str:
        return "a whole number, from 0, or from the end, from -1"


@dataclass(frozen=True)
class Bound:
    """A bound of a range of an axis: a position from 0, or an open size.

    A negative one passes, so that the rule of the operator, which knows the axis, can say how it is written.
    """

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if value == NONE:
            help_text = "the end of an axis is its size: `in.c`, or `in.h` or `in.w` along another axis" if name == "stop" else ""
            raise Fault(says.wrong_kind(f"`{name}`", str(self), show(value), help_text))
        return value if isinstance(value, Formula) else _whole(name, value, None)

    def __str__(self) -> str:
        return "a whole number from 0"


@dataclass(frozen=True)
class Axes:
    """One axis by its word, `c`, or several, `[h, w]`. Whether the input has them is for the rule of the operator to say.

    Canonical: their words in the order of the axes; `bare`: a single one is its word alone.
    """

    words: tuple[str, ...] = ("c", "d", "h", "w")
    bare: bool = False

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        parts = value if isinstance(value, tuple) else (value,)
        given = [Choice(self.words).read(name, part, axes) for part in parts]
        if not given or len(set(given)) < len(given):
            raise Fault(says.wrong_kind(f"`{name}`", "one axis, or several different ones", show(value)))
        return given[0] if self.bare and len(given) == 1 else tuple(word for word in self.words if word in given)

    def __str__(self) -> str:
        return "one or several of " + ", ".join(f"`{word}`" for word in self.words) + ": `c`, `[h, w]`"


@dataclass(frozen=True)
class Bounds:
    """The amounts to add before and after along an axis: `[1, 2]`, or `1` for both."""

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        pair = value if isinstance(value, tuple) else (value, value)
        if len(pair) != 2:
            raise Fault(says.wrong_kind(f"`{name}`", "one number or two", show(value)))
        return tuple(_whole(name, part, 0) for part in pair)

    def __str__(self) -> str:
        return "a whole number from 0, or two for before and after"


@dataclass(frozen=True)
class Row:
    """A list of whole numbers from 0."""

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if not isinstance(value, tuple) or not value:
            raise Fault(says.wrong_kind(f"`{name}`", "a list of whole numbers", show(value)))
        return tuple(_whole(name, entry, 0) for entry in value)

    def __str__(self) -> str:
        return "a list of whole numbers from 0"


@dataclass(frozen=True)
class Numbers:
    """A number, or a list of numbers. Canonical: a list."""

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        values = value if isinstance(value, tuple) else (value,)
        if not values:
            raise Fault(says.wrong_kind(f"`{name}`", str(self), show(value)))
        return tuple(Real().read(name, entry, axes) for entry in values)

    def __str__(self) -> str:
        return "a number, or a list of numbers"


@dataclass(frozen=True)
class Table:
    """A list of lists of whole numbers, or `none`."""

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if value == NONE:
            return None
        if not isinstance(value, tuple) or not all(isinstance(row, tuple) for row in value):
            raise Fault(says.wrong_kind(f"`{name}`", "a list of lists", show(value)))
        return tuple(tuple(_whole(name, entry, 0) for entry in row) for row in value)

    def __str__(self) -> str:
        return "a list of lists of whole numbers, or `none`"


@dataclass(frozen=True)
class Quoted:
    """A text in quotes."""

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if not isinstance(value, Text):
            raise Fault(says.wrong_kind(f"`{name}`", "a text in quotes", show(value)))
        return value

    def __str__(self) -> str:
        return "a text in quotes"


@dataclass(frozen=True)
class NamedSizes:
    """Whole numbers by names that the use of an operator chooses: `i=2, j=2`. Canonical: a Word without text."""

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if not isinstance(value, Word) or value.text:
            raise Fault(says.wrong_kind(f"`{name}`", "left out: each size has its own name", show(value), "write `i=2`"))
        return Word("", tuple((part, _whole(part, size, 1)) for part, size in sorted(value.args)))

    def __str__(self) -> str:
        return "whole numbers, each with its name: `i=2`"


@dataclass(frozen=True)
class Optional:
    """A value of another kind, or `none`."""

    kind: Any

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if value == NONE:
            return None
        return self.kind.read(name, value, axes)

    def __str__(self) -> str:
        return f"{self.kind}, or `none`"


@dataclass(frozen=True)
class Recipe:
    """A word with settings from a table: word -> its settings with their defaults."""

    table: Mapping[str, Mapping[str, Value]] = field(hash=False)

    def read(self, name: str, value: Value, axes: int) -> Canonical:
        if not isinstance(value, Word) or value.text not in self.table:
            raise Fault(says.not_a_choice(name, f"`{show(value)}`", tuple(self.table)))
        settings = dict(self.table[value.text])
        order = list(settings)
        seen: set[str] = set()
        for position, (key, given) in enumerate(value.args):
            key = key or (order[position] if position < len(order) else "")
            if key not in settings or key in seen:
                raise Fault(says.not_a_choice(name, f"`{show(value)}`", (str(Word(value.text, tuple(settings.items()))),)))
            seen.add(key)
            default = settings[key]
            kind = Choice(("fan_in", "fan_out")) if isinstance(default, Word) else SETTINGS[key]
            read = kind.read(f"{name} {key}", given, axes)
            settings[key] = Word(read) if isinstance(read, str) else read
        return Word(value.text, tuple(settings.items()))

    def __str__(self) -> str:
        return ", ".join(f"`{Word(name, tuple(settings.items()))}`" for name, settings in self.table.items())


Kind = (
    Whole
    | Real
    | Flag
    | Choice
    | PerAxis
    | Axes
    | Sizes
    | Extents
    | NamedSizes
    | Place
    | Bound
    | Bounds
    | Row
    | Numbers
    | Table
    | Quoted
    | Optional
    | Recipe
)

SMALLEST = 1e-30  # the lower bound of numbers that must be positive
SETTINGS: Mapping[str, Real] = {"std": Real(SMALLEST), "bound": Real(0), "value": Real(), "eps": Real(0, 1), "gamma": Real(SMALLEST)}


def _whole(name: str, value: Any, minimum: int | None) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, Formula):
        raise Fault(says.wrong_kind(f"`{name}`", "a number", f"the open size {value}", "fix the size at the input"))
    if isinstance(value, bool) or not isinstance(value, int):
        help_text = "`//` divides and rounds down, `round()` to the nearest" if isinstance(value, float) else ""
        got = f"{value:.6g}" if isinstance(value, float) else show(value)
        raise Fault(says.wrong_kind(f"`{name}`", "a whole number", got, help_text))
    if minimum is not None and value < minimum:
        raise Fault(says.wrong_kind(f"`{name}`", f"at least {minimum}", str(value), least=minimum))
    return value


def words_of(kind: Kind) -> frozenset[str]:
    """Return the words that an option of a kind takes."""
    match kind:
        case Choice() | PerAxis() | Axes():
            return frozenset(kind.words)
        case Recipe():
            return frozenset(kind.table)
        case Flag():
            return frozenset({"yes", "no"})
        case Optional():
            return words_of(kind.kind) | {"none"}
        case Table():
            return frozenset({"none"})
        case _:
            return frozenset()
