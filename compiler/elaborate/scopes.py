"""Tensors, placeholders for missing ones, and the scopes of labels that name them."""

from __future__ import annotations

import keyword
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeGuard

from archc.compiler.elaborate.reserved import MODULE_NAMES
from archc.compiler.shapes.dim import Shape
from archc.dsl.diagnostics import Fault, Related
from archc.dsl.source import Span
from archc.dsl.vocabulary import names as says


@dataclass(frozen=True, slots=True)
class Tensor:
    """The output of a node; or, where only a claim says the shape after a mistake, a shape that no node produces: the name is ""."""

    name: str
    shape: Shape


class Missing(Enum):
    """A placeholder for a tensor or a value. Results of the last two are missing too, without another message."""

    NO_INPUT = "no input"  # there is no tensor yet: an operator here is a mistake
    UNKNOWN = "unknown tensor"  # a tensor that a mistake has left without a shape
    POISONED = "unknown"  # the value of an expression that rests on a mistake

    def __str__(self) -> str:
        return self.value


Flow = Tensor | Missing  # what runs along a chain


def in_graph(tensor: Flow) -> TypeGuard[Tensor]:
    """Return whether a node produces a tensor."""
    return isinstance(tensor, Tensor) and tensor.name != ""


def is_tensor(value: Any) -> bool:
    """Return whether a value is a tensor, known or not."""
    return isinstance(value, Tensor) or value is Missing.UNKNOWN or value is Missing.NO_INPUT


@dataclass(frozen=True, slots=True)
class Label:
    """The label of an item as text, and its place; of a copy, its number."""

    text: str
    span: Span


class Scope:
    """A scope of labels: a path, the names given in it, and what each names.

    An item without a label is named after its operator and its number among those of the scope, labelled ones
    counted, so that labelling one item renames no other. In a numbered scope it is named by its position.
    """

    def __init__(self, path: str, key: str, parent: Scope | None, numbered: bool = False, boundary: bool = False) -> None:
        self.path = path
        self.key = key
        self.parent = parent
        self.numbered = numbered
        self.boundary = boundary  # of a block: names outside are not seen
        self.members: dict[str, Flow | Scope] = {}
        self.places: dict[str, Span] = {}
        self.result: Flow = Missing.UNKNOWN
        self._counts: dict[str, int] = {}
        self._position = 0

    def child(self, name: str, numbered: bool = False, boundary: bool = False) -> Scope:
        return Scope(self.full(name), join(self.key, name), self, numbered, boundary)

    def full(self, name: str) -> str:
        return join(self.path, name)

    def new_name(self, label: Label | None, kind: str, span: Span, implied: bool = False) -> str:
        """Name the next member. Raises Fault, with a place, if the name is taken."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        name, span = (label.text, label.span) if label is not None else (None, span)
        if name is None and self.numbered and not implied:
            name = str(self._position)
        if self.numbered and not implied:
            self._position += 1
        if name is None:
            name = f"{kind}{self._counts[kind]}"
        self.reserve(name, span)
        return name

    def reserve(self, name: str, span: Span) -> None:
        """Keep a name from being given to a member. Raises Fault when it is taken."""
        if name in self.places:
            raise Fault(says.name_taken(name, self.path).at(span, related=[_first(self.places[name])]))
        self.places[name] = span

    def lookup(self, path: str) -> Flow | None:
        """Look up a reference, from the innermost scope outwards to that of the block; `.a.b` from the top."""
        first, _, rest = path.lstrip(".").partition(".")
        scope: Scope | None = self.top if path.startswith(".") else self
        while scope is not None:
            found = scope.members.get(first)
            if found is not None and (tensor := _descend(found, rest)) is not None:
                return tensor
            scope = None if scope.boundary else scope.parent
        return None

    @property
    def top(self) -> Scope:
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def visible(self) -> list[str]:
        """Return the names that a reference can use here."""
        names: list[str] = []
        scope: Scope | None = self
        while scope is not None:
            names.extend(scope.members)
            scope = None if scope.boundary else scope.parent
        return names


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _first(span: Span) -> Related:
    return Related(span, "the first is here")


def _descend(member: Flow | Scope, path: str) -> Flow | None:
    while path:
        if not isinstance(member, Scope):
            return None
        first, _, path = path.partition(".")
        inner = member.members.get(first)
        if inner is None:
            return None
        member = inner
    return member.result if isinstance(member, Scope) else member


def check_label(label: str, span: Span) -> None:
    """Refuse what cannot be the name of a module."""
    if keyword.iskeyword(label):
        raise Fault(says.reserved(label, "it is a keyword of Python").at(span))
    if label in MODULE_NAMES or label.startswith("_"):
        raise Fault(says.reserved(label, "modules of torch have something of that name").at(span))
