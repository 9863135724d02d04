"""Where a value comes from, for messages: its arithmetic with the numbers in it, and the `let`s that it reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from compiler.expand.environment import VARIABLE
from compiler.expand.evaluate import Evaluator
from compiler.ops.kinds import show
from compiler.shapes.dim import Formula
from dsl import ast
from dsl.diagnostics import Diagnostic, Fault, Related
from dsl.printer import expression

MOST = 2  # variables that are shown


@dataclass(frozen=True, slots=True)
class Workings:
    """An expression, what it was evaluated with and its value; the words are worked out when a message needs them."""

    expr: ast.Expr
    evaluator: Evaluator
    value: Any

    def added_to(self, found: Diagnostic) -> Diagnostic:
        """The diagnostic, with `32 - 16*2 = 0`, and where a variable got its value."""
        steps = _steps(self.expr, self.evaluator, self.value)
        notes = (" = ".join(steps),) if len(steps) > 1 and not isinstance(self.expr, ast.Name) else ()
        related = []
        for name in dict.fromkeys(node.name for node in ast.walk(self.expr) if isinstance(node, ast.Name)):
            bound = self.evaluator.env.find(name)
            if bound is not None and bound.kind == VARIABLE and bound.expr is not None and bound.home is not None:
                from_here = _steps(bound.expr, Evaluator(bound.home.until(bound.position)), bound.value)
                related.append(Related(bound.span, f"`{name}` is {' = '.join(from_here)}"))
        return replace(found, notes=(*notes, *found.notes), related=(*found.related, *related[:MOST]))


def _steps(expr: ast.Expr, evaluator: Evaluator, value: Any) -> list[str]:
    """An expression as it is written, with the numbers that its names stand for, and its value."""
    return list(dict.fromkeys([expression(expr), expression(_with_numbers(expr, evaluator)), _short(value)]))


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else show(value)


def _with_numbers(expr: ast.Expr, evaluator: Evaluator) -> ast.Expr:
    match expr:
        case ast.Name() | ast.Ref() | ast.Field() | ast.Index():
            try:
                value = evaluator.value(expr)
            except Fault:  # a tensor that is not at hand any more
                return expr
            plain = isinstance(value, (int, float, Formula)) and not isinstance(value, bool)
            return ast.Number(expr.span, 0, _short(value)) if plain else expr
        case ast.Fold():
            rest = tuple((op, _with_numbers(operand, evaluator)) for op, operand in expr.rest)
            return replace(expr, first=_with_numbers(expr.first, evaluator), rest=rest)
        case ast.Unary():
            return replace(expr, operand=_with_numbers(expr.operand, evaluator))
        case ast.CallExpr():
            return replace(expr, args=tuple(replace(arg, value=_with_numbers(arg.value, evaluator)) for arg in expr.args))
        case _:
            return expr
