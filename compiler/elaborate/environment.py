"""What names mean at a place of the text: variables, blocks and defaults, bound early.

A binding is entered once and stays. An environment sees of its parent what stood there when it was made, so a block, which is
elaborated in an environment made at its definition, never sees what comes after it. Nothing is copied.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from archc.compiler.elaborate.scopes import Missing
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import Word
from archc.compiler.ops.record import Weights
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Fault, Related
from archc.dsl.source import Span
from archc.dsl.vocabulary import names as says

VARIABLE, PARAMETER, LOOP_NAME, OPEN_SIZE, BLOCK = "variable", "parameter", "name of a loop", "open size", "block"
STATE = "state of the loop"


class Explained(Protocol):
    """Adds to a diagnostic where a value comes from; the value of an argument by the name of its parameter."""

    def __call__(self, found: Diagnostic, name: str = "") -> Diagnostic: ...


@dataclass(frozen=True, slots=True)
class BoundArgument:
    """The value of an option, the place that sets it, and how a message shows its origin."""

    value: Any
    span: Span
    explained: Explained = field(default=lambda found, name="": found, compare=False, repr=False)


@dataclass(frozen=True)
class BlockValue:
    """A block with the environment of its definition; `args` if it is a value with settings."""

    block: ast.Block | ast.Share
    env: Environment = field(compare=False, repr=False)
    args: tuple[tuple[str, BoundArgument], ...] = ()
    shared: SharedPart | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return self.block.name

    @property
    def params(self) -> tuple[ast.Param, ...]:
        return self.block.params

    @property
    def signature(self) -> str:
        listed = ", ".join(p.name if p.default is None else f"{p.name}=..." for p in self.params)
        return f"`{self.name}({listed})`"


SharedNode = tuple[str, str, dict[str, Any]]  # key, operator, options


@dataclass
class SharedPart:
    """The weights of a `share`: the prefix of their keys, and what the first call made of them."""

    key: str
    called: Span | None = field(default=None, compare=False)  # where first
    nodes: list[SharedNode] = field(default_factory=list)
    weights: dict[str, Weights] = field(default_factory=dict)


@dataclass(frozen=True)
class LaterBlock:
    """The value of a parameter of the network that names a block of the file: that block, from its definition on."""

    name: str
    args: tuple[tuple[str, BoundArgument], ...] = ()


@dataclass
class ArchValue:
    """A network that another file describes, to be instantiated with parameters."""

    arch: ast.Arch
    statements: tuple[ast.Statement, ...]
    env: Environment


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name means, what kind of name it is, where it was bound, and its number among the bindings of its scope.

    For messages, of a `let` also its expression and the scope, and of a parameter the argument of the call.
    """

    value: Any
    kind: str
    span: Span
    position: int
    expr: ast.Expr | None = None
    home: Environment | None = field(default=None, compare=False, repr=False)
    argument: BoundArgument | None = field(default=None, compare=False, repr=False)


class Environment:
    """The names of one body, and as much of those around it as stood there when it was entered."""

    def __init__(self, parent: Environment | None = None, folder: Path | None = None, seen: int | None = None) -> None:
        self.parent = parent
        self.folder = folder  # of the file, for `use`
        self.body: Sequence[ast.Statement] = ()  # what is elaborated here, for names that are defined only later
        self.reader = ""  # the block whose body this is
        self.archs: dict[str, ArchValue] = {}
        self.handed: dict[str, BoundArgument | None] = {}  # of a turn of a loop, by state: what the next turn is given
        self.incomplete = False  # a `use` failed, so an unknown name may have come from there
        self.size = 0  # how many bindings have been made here
        self._seen = seen if seen is not None else parent.size if parent is not None else 0  # how many of the parent's are seen
        self._names: dict[str, Binding] = {}
        self._defaults: dict[str, list[tuple[int, Mapping[str, BoundArgument]]]] = {}
        self._places: dict[str, Span] | None = None

    # ---- entering

    def bind(
        self, name: str, value: Any, kind: str, span: Span, expr: ast.Expr | None = None, argument: BoundArgument | None = None
    ) -> None:
        """Bind a name in this scope. Raises Fault when it is bound already; from then on its value is poisoned."""
        if (first := self._names.get(name)) is not None:
            self._names[name] = replace(first, value=Missing.POISONED)
            fault = says.already_bound(name, first.kind)
            raise Fault(fault.at(span, related=[Related(first.span, "the first is here")]))
        self._names[name] = Binding(value, kind, span, self.size, expr, self, argument)
        self.size += 1

    def define(self, block: ast.Block | ast.Share, shared: SharedPart | None = None) -> None:
        """Bind a block; its body sees the bindings so far, and the block itself. Raises Fault when the name is taken."""
        self.bind(block.name, BlockValue(block, Environment(self, seen=self.size + 1), shared=shared), BLOCK, block.name_span)

    def set_defaults(self, operator: str, options: Mapping[str, BoundArgument]) -> None:
        """Set defaults for options of an operator, from here on."""
        self._defaults.setdefault(operator, []).append((self.size, options))
        self.size += 1

    def until(self, position: int) -> Environment:
        """Return this environment as it was before a binding."""
        return Environment(self, seen=position)

    # ---- looking up

    def outward(self) -> Iterator[tuple[Environment, int]]:
        """Yield this environment and the enclosing ones, each with the number of its bindings that are visible from here."""
        yield self, self.size
        env = self
        while env.parent is not None:
            yield env.parent, env._seen
            env = env.parent

    def find(self, name: str, accept: Callable[[Any], bool] | None = None) -> Binding | None:
        """Return the innermost meaning of a name whose value is accepted.

        Raises Fault, without a place, for a parameter that is a block which is not defined yet.
        """
        reader = ""
        env: Environment | None = self
        seen = self.size
        while env is not None:  # as `outward`, which takes twice as long
            found = env._names.get(name)
            if found is not None and found.position < seen:
                if isinstance(found.value, LaterBlock):
                    found = replace(found, value=env._resolved(found.value, seen, name, reader))
                if accept is None or accept(found.value):
                    return found
            reader = env.reader or reader
            seen, env = env._seen, env.parent
        return None

    def value(self, name: str) -> Any:
        """Return the value of a name, or None."""
        found = self.find(name)
        return found.value if found is not None else None

    def callee(self, name: str) -> Any:
        """Return the value of a name as an item: a block, a word such as `relu`, or the poisoned value; else None."""
        found = self.find(name, lambda value: isinstance(value, (BlockValue, Word)) or value is Missing.POISONED)
        return found.value if found is not None else None

    def block(self, name: str) -> BlockValue | None:
        found = self.find(name, lambda value: isinstance(value, BlockValue))
        return found.value if found is not None else None

    def turn_of(self, name: str) -> Environment | None:
        """Return the turn of the loop whose state a name is here; None where it is none, or that of a loop around the block."""
        for env, seen in self.outward():
            found = env._names.get(name)
            if found is not None and found.position < seen:
                return env if name in env.handed else None
            if env.reader:
                break
        return None

    def _resolved(self, later: LaterBlock, seen: int, through: str, reader: str) -> BlockValue:
        """Return the block of this scope that a parameter names, as far as this scope is seen."""
        found = self._names.get(later.name)
        if found is None or found.position >= seen or not isinstance(found.value, BlockValue):
            raise Fault(_later(later.name, self._place_of(later.name), through, reader))
        return replace(found.value, args=later.args)

    def _place_of(self, name: str) -> Span | None:
        """Return the statement that defines a name in this body, before this point or after it."""
        if self._places is None:
            self._places = {s.name: s.span for s in reversed(self.body) if isinstance(s, (ast.Let, ast.Block, ast.Share))}
        return self._places.get(name)

    def own(self, name: str) -> Binding | None:
        """Return the meaning that a name has been given in this very scope."""
        return self._names.get(name)

    def own_blocks(self) -> Iterator[BlockValue]:
        return (binding.value for binding in self._names.values() if binding.kind == BLOCK)

    def arch(self, name: str) -> ArchValue | None:
        return next((env.archs[name] for env, _ in self.outward() if name in env.archs), None)

    def defaults_of(self, operator: str) -> Mapping[str, BoundArgument]:
        env: Environment | None = self
        seen = self.size
        while env is not None:
            if (all_ := env._defaults.get(operator)) is not None and (count := bisect_left(all_, seen, key=lambda entry: entry[0])):
                return all_[count - 1][1]
            seen, env = env._seen, env.parent
        return {}

    def defined_later(self, name: str) -> Diagnostic | None:
        """Report a name that is defined only later, in this body or an enclosing one; None for any other."""
        reader = ""
        for env, seen in self.outward():
            bound = env._names.get(name)
            if (place := env._place_of(name)) is not None and (bound is None or bound.position >= seen):
                return _later(name, place, reader=reader)
            reader = env.reader or reader
        return None

    def known(self, blocks: bool) -> list[str]:
        """List the visible names of blocks, or of everything else."""
        return [
            name
            for env, seen in self.outward()
            for name, binding in env._names.items()
            if binding.position < seen and (binding.kind == BLOCK) is blocks
        ]

    @property
    def is_incomplete(self) -> bool:
        return any(env.incomplete for env, _ in self.outward())


def _later(name: str, place: Span | None, through: str = "", reader: str = "") -> Diagnostic:
    """Report a name that is defined only at a later place."""
    found = says.defined_later(name, place.line if place is not None else 0, through, reader)
    found = found.with_facts(once=f"{name} {reader}", definition=place)
    return found.with_related(Related(place, "defined here")) if place is not None else found


def check_block_name(name: str, span: Span, env: Environment) -> None:
    """Refuse a block the name of an operator, or one that is taken in its scope."""
    if name.lower() in OPERATORS or name in ("residual", "input"):
        raise Fault(says.block_name_taken(name, "an operator").at(span))
    if (first := env.own(name)) is not None:
        what = f"a {first.kind}, of line {first.span.line} of {first.span.source.name}"
        raise Fault(says.block_name_taken(name, what).at(span))
