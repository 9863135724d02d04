"""An operator that is not named yet, and the refusal of a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from archc.compiler.shapes.dim import Shape

MOST_AXES = 4  # of a tensor of the language
LOWEST = -1e18  # what padding is before a maximum: less than any value
PSEUDO = "~"  # begins the names of operators that the language does not have, which a pattern must replace


class CannotRead(Exception):
    """A source cannot be read; `operator` and `path` say what and where, in the words of the source."""

    def __init__(self, reason: str, operator: str = "", path: str = "", count: int = 0) -> None:
        super().__init__(reason)
        self.reason, self.operator, self.path, self.count = reason, operator, path, count

    def __str__(self) -> str:
        """Return the operator, its place, how many of its kind there are, and the reason."""
        many = f" ({self.count} of them)" if self.count > 1 else ""
        where = f" in {self.path}" if self.path else ""
        return f"{self.operator}{where}{many}: {self.reason}" if self.operator else self.reason


class CannotCompare(Exception):
    """What a source computes cannot be found out here; the text says why."""


@dataclass(frozen=True)
class Sample:
    """What a source computes of inputs with stirred weights, by key, as arrays, its outputs in order. `by` is what has run it."""

    weights: Mapping[str, Any]
    outputs: Sequence[Any]
    by: str


@dataclass(slots=True)
class Item:
    """An operator that is not named yet: its canonical options, operands and shape, and the `weights` that it holds, by their keys.

    `path` is where the source has it: the path of a module that is the operator (`leaf`), or of the scope in which it is computed.
    `data` is what a front end notes of it; `incomplete` says why it is wrong until a pattern replaces it.
    """

    op: str
    attrs: Mapping[str, Any]
    operands: tuple[int, ...]
    shape: Shape
    key: str
    path: str
    leaf: bool
    weights: Mapping[str, tuple[int, ...]]
    data: Any = None
    incomplete: str = ""
