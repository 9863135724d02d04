"""What a unit is made of, as plain data: members, statements, and constants in which the instances of a class may differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.graph import Frame

# ---- constants, and what is constructed


@dataclass(frozen=True)
class Leaf:
    """A constant of one instance: its value, what it is called, and the text that it was written in."""

    value: Any
    role: str = ""
    text: str = ""


@dataclass(frozen=True)
class Code:
    """A value of a leaf that is a name of Python, such as `nn.ReLU`."""

    text: str


@dataclass(frozen=True)
class New:
    """A module: its class, which is a leaf so that instances may differ in it, and the arguments of its constructor."""

    target: Leaf
    args: tuple[tuple[str, Leaf], ...]
    place: int = field(default=-1, compare=False)  # of its text


@dataclass(frozen=True)
class Weight:
    """A trained tensor, and the call that initializes it, with `{}` in place of the tensor; "" where none does."""

    shape: Leaf
    start: str


@dataclass(frozen=True)
class Chain:
    """An `nn.Sequential` of members by name, in order."""

    items: tuple[tuple[str, Member], ...]


@dataclass(frozen=True)
class Child:
    """An instance of a class: the unit of a key."""

    key: str
    place: int = field(default=-1, compare=False)


Member = New | Weight | Chain | Child
NETWORK = ("network",)  # the group of a whole network

# ---- statements


@dataclass(frozen=True)
class Ref:
    """A value: what enters has the numbers -1, -2, ...; statements have those of their results."""

    number: int


@dataclass(frozen=True)
class Own:
    """A member, by its path below the unit."""

    path: tuple[str, ...]


@dataclass(frozen=True)
class Slice:
    """A range in an index: its bounds and its step, where it has them."""

    start: Leaf | None
    stop: Leaf | None
    step: Leaf | None


@dataclass(frozen=True)
class Applied:
    """A call of a function or of a member."""

    target: Leaf | Own
    args: tuple[Any, ...]  # Ref, Own, Leaf, Slice, Applied, and lists of them
    kwargs: tuple[tuple[str, Leaf], ...] = ()


@dataclass(frozen=True)
class Do:
    """A statement: a call, and the numbers of its results. What a reader is told about it does not distinguish statements."""

    results: tuple[int, ...]
    call: Applied
    training_only: bool
    leads: bool = field(compare=False)  # a layer or a scope, which begins a line
    label: str = field(compare=False, default="")
    shapes: tuple[str, ...] = field(compare=False, default=())
    place: int = field(compare=False, default=-1)


def refs(part: Any) -> Iterator[int]:
    """Yield the values that a call takes, in order."""
    match part:
        case Ref(number):
            yield number
        case Applied():
            yield from refs(part.args)
        case tuple() | list():
            for item in part:
                yield from refs(item)


@dataclass
class Unit:
    """A scope: `members` by name, `body`, the numbers of what it returns, and the text that it comes from.

    One that cannot be run by itself is `loose`: it has members, and the statements around it call them.
    """

    key: str
    members: tuple[tuple[str, Any], ...]  # a Member, or a loop of them
    body: tuple[Any, ...]  # a Do, or a loop of them
    returns: tuple[Ref, ...]
    chain: Chain | None = None
    frame: Frame | None = None
    takes: tuple[str, ...] = ()
    entering: tuple[tuple[Any, ...], ...] = ()
    group: tuple[Any, ...] = ()
    loose: bool = False
    lacks: bool = False  # another instance has what it lacks
    args: dict[str, Leaf] = field(default_factory=dict)  # of its constructor, once its class is known
    values: Mapping[str, Any] = field(default_factory=dict)  # of the parameters of the `arch` line that may be arguments
    variant: int = 0  # which of the networks it belongs to; 0 is the one that is written

    @property
    def is_network(self) -> bool:
        """Return whether it is a whole network."""
        return self.group == NETWORK

    @property
    def block(self) -> str:
        """Return the name of the block that it is a call of, or ""."""
        return self.frame.block.name if self.frame is not None and self.frame.block is not None else ""


def is_numbered(chain: Chain) -> bool:
    """Return whether the names of a chain are numbers in order, with few missing: those of an `nn.Sequential`."""
    names = [name for name, _ in chain.items]
    if not all(name.isdigit() and str(int(name)) == name for name in names):
        return False
    numbers = [int(name) for name in names]
    return numbers == sorted(set(numbers)) and numbers[-1] < 2 * len(numbers)


def children(members: Sequence[tuple[str, Member]]) -> Iterator[str]:
    """Yield the keys of the units that members construct."""
    for _, member in members:
        if isinstance(member, Child):
            yield member.key
        elif isinstance(member, Chain):
            yield from children(member.items)
