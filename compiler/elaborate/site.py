"""The place of an item, a statement or an expression: what names and labels mean there, the current tensor, and the calls around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from archc.compiler.elaborate.environment import Environment
from archc.compiler.elaborate.scopes import Flow, Missing, Scope
from archc.compiler.graph import Choice, Frame
from archc.dsl import ast
from archc.dsl.diagnostics import Fault
from archc.dsl.source import Span
from archc.dsl.vocabulary import files


class LimitReached(Fault):
    """A limit is exceeded, and elaboration ends."""


@dataclass
class Budget:
    """What expressions share in one elaboration: the number of list values that they may compute, the count, and the choices so far."""

    limit: int
    spent: int = 0
    choices: list[Choice] = field(default_factory=list)  # so far

    def spend(self, count: int) -> None:
        """Count the values of a new list. Raises LimitReached."""
        self.spent += count
        if self.spent > self.limit:
            raise LimitReached(files.too_many_list_values(self.limit))


@dataclass(frozen=True, slots=True)
class BlockCall:
    """A call of a block: the path of what it makes, the call as a picture shows it, and the values of the parameters, by name."""

    block: ast.Block | ast.Share
    scope: str
    brief: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """A place of the program during elaboration.

    Without a `scope` neither labels nor a tensor can be meant: in parameters of the network, in defaults and in sizes.
    """

    env: Environment
    scope: Scope | None = None
    incoming: Flow = Missing.NO_INPUT
    budget: Budget | None = None
    frame: Frame | None = None  # the innermost call or copy around
    depth: int = 0  # how many of them there are
    calls: tuple[ast.Block | ast.Share, ...] = ()  # the blocks among them, the outermost first

    def chose(self, span: Span, *held: Any) -> None:
        """Note what a choice depends on."""
        if self.budget is not None:
            self.budget.choices.append(Choice(span, held))

    @property
    def labels(self) -> Scope:
        """Return the scope of labels of an item, which always has one."""
        assert self.scope is not None
        return self.scope

    def after(self, incoming: Flow) -> Site:
        """Return the next place of a chain."""
        return Site(self.env, self.scope, incoming, self.budget, self.frame, self.depth, self.calls)

    def nested(self) -> Site:
        """Return the same place with an environment of its own, for a body in braces."""
        return self.under(Environment(self.env))

    def under(self, env: Environment) -> Site:
        """Return the same place with other names."""
        return Site(env, self.scope, self.incoming, self.budget, self.frame, self.depth, self.calls)

    def labelled(self, scope: Scope) -> Site:
        """Return the same place with other labels."""
        return Site(self.env, scope, self.incoming, self.budget, self.frame, self.depth, self.calls)

    def alone(self) -> Site:
        """Return the same place where neither labels nor a tensor can be meant."""
        return Site(self.env, None, Missing.NO_INPUT, self.budget, self.frame, self.depth, self.calls)

    def inside(self, text: str, span: Span, call: BlockCall | None = None) -> Site:
        """Return the place within a call of a block, a copy or a group; `text` is how a message lists it."""
        if call is None:
            frame = Frame(text, span, self.frame)
        else:
            frame = Frame(text, span, self.frame, call.scope, call.brief, call.block, call.values)
        calls = (*self.calls, call.block) if call is not None else self.calls
        return Site(self.env, self.scope, self.incoming, self.budget, frame, self.depth + 1, calls)
