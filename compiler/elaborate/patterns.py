"""The names of a loop, bound to one row of its list."""

from __future__ import annotations

from typing import Any

from archc.compiler.elaborate.arithmetic import describe
from archc.compiler.elaborate.environment import LOOP_NAME, Environment
from archc.compiler.ops.kinds import show
from archc.dsl import ast
from archc.dsl.diagnostics import Fault, Related
from archc.dsl.vocabulary import names, values


class Misfit(Fault):
    """A row does not fit the names of its loop."""


def unpack(pattern: ast.Pattern, value: Any, env: Environment) -> None:
    """Bind the names of a loop to one row. Raises Fault."""
    if pattern.name == "in":
        raise Fault(names.reserved("in", "it is the incoming tensor"))
    if pattern.name is not None:
        env.bind(pattern.name, value, LOOP_NAME, pattern.span)
        return
    if not isinstance(value, tuple) or len(value) != len(pattern.parts):
        taken = [part.name or part.span.text for part in pattern.parts]
        if not isinstance(value, tuple):
            raise Misfit(values.does_not_unpack(taken, [], describe(value)))
        raise Misfit(values.does_not_unpack(taken, [show(item) for item in value]))
    for part, item in zip(pattern.parts, value, strict=True):
        unpack(part, item, env)


def placed(fault: Fault, loop: ast.For | ast.Turns | ast.Each, number: int, rows: int, env: Environment) -> Fault:
    """Place the fault of a row that does not fit a loop's names at the row, if the file writes it out, else at the names."""
    listed: ast.Expr | None = loop.values
    if isinstance(listed, ast.Name) and (bound := env.find(listed.name)) is not None:
        listed = bound.expr
    if not isinstance(fault, Misfit) or not isinstance(listed, ast.List) or len(listed.items) != rows:
        return fault.at(loop.pattern.span)
    fault.with_facts(rows=listed.items, number=number, names=[part.name for part in loop.pattern.parts])
    return fault.at(listed.items[number].span, related=[Related(loop.pattern.span, "the names of the loop")])
