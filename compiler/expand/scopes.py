"""What names mean: tensors, the lexical environment of variables, blocks and defaults, and the scopes of labels."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from compiler.expand.reserved import MODULE_NAMES
from compiler.ops import OPERATORS
from compiler.ops.record import Weights
from compiler.shapes.dim import Shape
from dsl import ast
from dsl.diagnostics import Fault, Related
from dsl.source import Span
from dsl.vocabulary import names as says


@dataclass(frozen=True, slots=True)
class Tensor:
    """The output of a node; after a mistake, a tensor without a shape, which flows on silently."""

    name: str
    shape: Shape | None


UNKNOWN = Tensor("", None)


class Poison:
    """The value of an expression that had a mistake: whatever is made of it is silently unknown."""

    def __repr__(self) -> str:
        return "unknown"


POISON = Poison()


@dataclass(frozen=True, slots=True)
class Given:
    """An option with the value that a default or a use gives it, and where."""

    value: Any
    span: Span


@dataclass(frozen=True)
class BlockValue:
    """A block with the environment it was written in; `args` where it stands as a value with settings."""

    block: ast.Block | ast.Share
    env: Env = field(compare=False, repr=False)
    args: tuple[tuple[str, Given], ...] = ()
    shared: SharedPart | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.block.name

    @property
    def params(self) -> tuple[ast.Param, ...]:
        return self.block.params if isinstance(self.block, ast.Block) else ()

    @property
    def signature(self) -> str:
        listed = ", ".join(p.name if p.default is None else f"{p.name}=..." for p in self.params)
        return f"`{self.name}({listed})`"


SharedNode = tuple[str, str, dict[str, Any]]  # key, operator, options


@dataclass
class SharedPart:
    """The weights of a `share`: the prefix of their keys, and what the first call made of them."""

    key: str
    called: bool = field(default=False, compare=False)
    nodes: list[SharedNode] = field(default_factory=list)
    weights: dict[str, Weights] = field(default_factory=dict)


@dataclass
class ArchValue:
    """A network that another file describes, to be instantiated with parameters."""

    arch: ast.Arch
    statements: tuple[ast.Statement, ...]
    env: Env


@dataclass
class Env:
    """A lexical environment. A block body sees what surrounds its definition, not what surrounds its call."""

    parent: Env | None = None
    folder: Any = None  # of the file, for `use`
    variables: dict[str, Any] = field(default_factory=dict)
    blocks: dict[str, BlockValue] = field(default_factory=dict)
    archs: dict[str, ArchValue] = field(default_factory=dict)
    defaults: dict[str, dict[str, Given]] = field(default_factory=dict)
    incomplete: bool = False  # a `use` failed, so an unknown name may have come from there

    def outward(self) -> Iterator[Env]:
        env: Env | None = self
        while env is not None:
            yield env
            env = env.parent

    def variable(self, name: str) -> Any:
        """The value of a variable, or None."""
        for env in self.outward():
            if name in env.variables:
                return env.variables[name]
        return None

    def block(self, name: str) -> BlockValue | None:
        for env in self.outward():
            if name in env.blocks:
                return env.blocks[name]
        return None

    def arch(self, name: str) -> ArchValue | None:
        for env in self.outward():
            if name in env.archs:
                return env.archs[name]
        return None

    def defaults_of(self, operator: str) -> dict[str, Given]:
        for env in self.outward():
            if operator in env.defaults:
                return env.defaults[operator]
        return {}

    def known_blocks(self) -> list[str]:
        return [name for env in self.outward() for name in env.blocks]

    def known_variables(self) -> list[str]:
        return [name for env in self.outward() for name in env.variables]

    @property
    def is_incomplete(self) -> bool:
        return any(env.incomplete for env in self.outward())


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
        self.members: dict[str, Tensor | Scope] = {}
        self.places: dict[str, Span] = {}
        self.result: Tensor = UNKNOWN
        self._counts: dict[str, int] = {}
        self._position = 0

    def child(self, name: str, numbered: bool = False, boundary: bool = False) -> Scope:
        return Scope(self.full(name), join(self.key, name), self, numbered, boundary)

    def full(self, name: str) -> str:
        return join(self.path, name)

    def new_name(self, label: str | None, kind: str, span: Span, implied: bool = False) -> str:
        """The name of the next member, entered. Raises Fault when it is taken."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        name = label
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

    def lookup(self, path: str) -> Tensor | None:
        """What a reference names: innermost scope first, outwards to the block's edge; `.a.b` from the top."""
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
        """The names that a reference can use here."""
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


def _descend(member: Tensor | Scope, path: str) -> Tensor | None:
    while path:
        if isinstance(member, Tensor):
            return None
        first, _, path = path.partition(".")
        inner = member.members.get(first)
        if inner is None:
            return None
        member = inner
    return member if isinstance(member, Tensor) else member.result


def check_label(label: str, span: Span) -> None:
    """Refuse what cannot be the name of a module."""
    if keyword.iskeyword(label):
        raise Fault(says.reserved(label, "it is a keyword of Python").at(span))
    if label in MODULE_NAMES or label.startswith("_"):
        raise Fault(says.reserved(label, "modules of torch have something of that name").at(span))


def check_block_name(name: str, span: Span, env: Env) -> None:
    if name.lower() in OPERATORS or name in ("residual", "input"):
        raise Fault(says.block_name_taken(name, "an operator").at(span))
    if name in env.blocks:
        other = env.blocks[name].block.name_span
        raise Fault(says.block_name_taken(name, f"a block, of line {other.line} of {other.source.name}").at(span))
