"""The items of a program that is being folded: those of the language, with a column of values in place of every value.

A body stands for several instances at once: the copies of a block. Whatever may differ between them is a column, a tuple with one entry
for each instance, `ANY` where an item is absent from an instance. The body of the file itself has one instance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from archc.dsl import ast

if TYPE_CHECKING:
    from archc.compiler.read.families import Family


class Wild(Enum):
    """The entry of a column that may have any value, since its item is absent from the instance."""

    ANY = "any"

    def __repr__(self) -> str:
        return "*"


ANY = Wild.ANY
Column = tuple[Any, ...]


@dataclass(slots=True)
class Item:
    """What all items have.

    `names` are the last parts of their paths, `auto` says that the language gives this name without a label; `taken` are the nodes of
    the current tensor in front of the item, "" for none; `present` says which instances have the item.
    """

    names: Column
    auto: bool
    taken: Column
    present: tuple[bool, ...]


@dataclass(slots=True)
class Op(Item):
    """An operator with its options; one that joins has branches."""

    op: str
    values: dict[str, Column]
    nodes: Column
    branches: list[Body] | None = None


@dataclass(slots=True)
class Group(Item):
    """A scope, at the paths of its column."""

    paths: Column
    body: Body
    numbered: bool


@dataclass(slots=True)
class Slot(Item):
    """A scope that is an instance of a family."""

    paths: Column
    family: Family


@dataclass(slots=True)
class Ref(Item):
    """A reference from the scopes `sites` to nodes."""

    targets: Column
    sites: Column


@dataclass(slots=True)
class Repeat(Item):
    """Consecutive turns of a body, `counts` of them; the body has an instance for each turn, and `turns` lists those of each instance."""

    body: Body
    turns: Column


@dataclass(slots=True)
class Given(Item):
    """A variable of a shared part, or an empty branch."""

    core: ast.Core


@dataclass(slots=True)
class Line(Item):
    """An `input` or `arch` line."""

    statement: ast.Statement


@dataclass(slots=True)
class Out(Item):
    """An `output` with the chain that leads to it."""

    name: str
    training_only: bool
    body: Body


@dataclass(slots=True)
class Shared(Item):
    """The definition of a shared part."""

    name: str
    params: tuple[str, ...]
    body: Body


@dataclass(slots=True)
class SharedCall(Item):
    """A call of a shared part, with the tensors that it gets."""

    word: str
    nodes: Column
    tensors: list[Item] = field(default_factory=list)


Body = list[Item]


def bodies(item: Item) -> Sequence[Body]:
    """Return the bodies in an item."""
    match item:
        case Op(branches=list() as branches):
            return branches
        case Group() | Out() | Shared() | Repeat():
            return [item.body]
        case SharedCall():
            return [item.tensors]
        case _:
            return []


def walk(body: Body) -> Iterator[Item]:
    """Yield the items of a body and those in them, in the order of the text, except for the turns of repeats."""
    for item in body:
        yield item
        if not isinstance(item, Repeat):
            for inner in bodies(item):
                yield from walk(inner)


def map_columns(item: Item, change: Any) -> Item:
    """Return a copy of an item, with what `change` makes of every column in it; the turns of repeats are kept."""
    present = tuple(entry is not ANY and entry for entry in change(tuple(each or ANY for each in item.present)))
    common = (change(item.names), item.auto, change(item.taken), tuple(bool(each) for each in present))
    match item:
        case Op():
            branches = None if item.branches is None else [[map_columns(each, change) for each in body] for body in item.branches]
            values = {name: change(column) for name, column in item.values.items()}
            return Op(*common, item.op, values, change(item.nodes), branches)
        case Group():
            return Group(*common, change(item.paths), [map_columns(each, change) for each in item.body], item.numbered)
        case Slot():
            return Slot(*common, change(item.paths), item.family)
        case Ref():
            return Ref(*common, change(item.targets), change(item.sites))
        case Repeat():
            return Repeat(*common, item.body, change(item.turns))
        case Given():
            return Given(*common, item.core)
        case Shared():
            return Shared(*common, item.name, item.params, [map_columns(each, change) for each in item.body])
        case SharedCall():
            return SharedCall(*common, item.word, change(item.nodes), [map_columns(each, change) for each in item.tensors])
        case _:
            raise TypeError(f"{type(item).__name__} is in no block")
