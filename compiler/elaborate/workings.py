"""Where a value comes from, for messages: its arithmetic with the numbers in it, and the `let`s and arguments that it reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from archc.compiler.elaborate import evaluate
from archc.compiler.elaborate.site import Site
from archc.compiler.ops.kinds import show
from archc.compiler.shapes.dim import Formula
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Fault, Related
from archc.dsl.printer import expression

MOST = 2  # variables and arguments that are shown


@dataclass(frozen=True, slots=True)
class Workings:
    """An expression, what it was evaluated with and its value; the words are worked out when a message needs them."""

    expr: ast.Expr
    site: Site
    value: Any

    def added_to(self, found: Diagnostic, name: str = "") -> Diagnostic:
        """Add `32 - 16*2 = 0` to a diagnostic, and where variables and parameters get their values; `name` is the one with this value."""
        steps = _steps(self.expr, self.site, self.value)
        if name and not isinstance(self.expr, ast.Number) and len(found.related) < MOST:
            found = found.with_related(Related(self.expr.span, f"`{name}` is {' = '.join(steps)}"))
        elif not name and len(steps) > 1 and not isinstance(self.expr, ast.Name):
            found = replace(found, notes=(" = ".join(steps), *found.notes))
        found = self._with_facts(found)
        for variable in self._names():
            if len(found.related) >= MOST:
                break
            bound = self.site.env.find(variable)
            if bound is None:
                continue
            if bound.argument is not None:
                found = bound.argument.explained(found, variable)
            elif bound.expr is not None and bound.home is not None:
                found = Workings(bound.expr, Site(bound.home.until(bound.position)), bound.value).added_to(found, variable)
        return found

    def _names(self) -> Iterator[str]:
        return iter(dict.fromkeys(node.name for node in ast.walk(self.expr) if isinstance(node, ast.Name)))

    def _with_facts(self, found: Diagnostic) -> Diagnostic:
        """Add the division that leaves a fraction, and which numbers would be large or small enough."""
        if isinstance(self.value, float) and not isinstance(self.expr, ast.Name):
            found = found.with_facts(fraction=self.expr)
        least = found.facts.get("least")
        if isinstance(least, int) and isinstance(self.value, int) and not found.help and not isinstance(self.expr, (ast.Name, ast.Number)):
            needs = [need for name in self._names() if (need := self._needed(name, least))]
            found = replace(found, help=f"it needs {', or '.join(needs)}" if needs else "")
        return found

    def _needed(self, name: str, least: int) -> str:
        """Describe which values of a name make the result large enough, the others unchanged; "" if this is unknown."""
        now = self.site.env.value(name)
        if not isinstance(now, int) or isinstance(now, bool):
            return ""
        step = self._with(name, now + 1)
        slope = step - self.value if step is not None else 0
        if slope == 0:
            return ""
        more = -((self.value - least) // abs(slope))
        there = now + more if slope > 0 else now - more
        reached, short = self._with(name, there), self._with(name, there - 1 if slope > 0 else there + 1)
        if there < 1 or reached is None or short is None or not short < least <= reached:
            return ""
        return f"`{name}` of at {'least' if slope > 0 else 'most'} {there}"

    def _with(self, name: str, value: int) -> int | None:
        """Evaluate the expression with another number for a name."""
        try:
            found = evaluate.value(_replaced(self.expr, name, value), self.site)
        except Fault:
            return None
        return found if isinstance(found, int) and not isinstance(found, bool) else None


def _steps(expr: ast.Expr, site: Site, value: Any) -> list[str]:
    """List an expression as written, with numbers for its names, and its value."""
    return list(dict.fromkeys([expression(expr), expression(_with_numbers(expr, site)), _short(value)]))


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else show(value)


def _with_numbers(expr: ast.Expr, site: Site) -> ast.Expr:
    match expr:
        case ast.Name() | ast.Ref() | ast.Field() | ast.Index():
            try:
                value = evaluate.value(expr, site)
            except Fault:  # a tensor that is not at hand any more
                return expr
            plain = isinstance(value, (int, float, Formula)) and not isinstance(value, bool)
            return ast.Number(expr.span, 0, _short(value)) if plain else expr
        case ast.Fold():
            rest = tuple((op, _with_numbers(operand, site)) for op, operand in expr.rest)
            return replace(expr, first=_with_numbers(expr.first, site), rest=rest)
        case ast.Unary():
            return replace(expr, operand=_with_numbers(expr.operand, site))
        case ast.Conditional():
            parts = (_with_numbers(part, site) for part in (expr.then, expr.condition, expr.otherwise))
            return ast.Conditional(expr.span, *parts)
        case ast.CallExpr():
            return replace(expr, args=tuple(replace(arg, value=_with_numbers(arg.value, site)) for arg in expr.args))
        case _:
            return expr


def _replaced(expr: ast.Expr, name: str, value: int) -> ast.Expr:
    """Replace a name by a number in an expression."""
    match expr:
        case ast.Name():
            return ast.Number(expr.span, value, str(value)) if expr.name == name else expr
        case ast.Fold():
            rest = tuple((op, _replaced(operand, name, value)) for op, operand in expr.rest)
            return replace(expr, first=_replaced(expr.first, name, value), rest=rest)
        case ast.Unary():
            return replace(expr, operand=_replaced(expr.operand, name, value))
        case ast.Conditional():
            return ast.Conditional(expr.span, *(_replaced(part, name, value) for part in (expr.then, expr.condition, expr.otherwise)))
        case ast.CallExpr():
            return replace(expr, args=tuple(replace(arg, value=_replaced(arg.value, name, value)) for arg in expr.args))
        case _:
            return expr
