"""Write the values of options as people do: `constant(0)`, `1e-6`, `axis=c`."""

from __future__ import annotations

import re
from typing import Any

from archc.compiler.analysis import written
from archc.compiler.analysis.written import NOWHERE
from archc.compiler.ops.initialization import INIT
from archc.compiler.ops.kinds import Axes, Kind, Word, exact
from archc.dsl import ast


def literal(value: Any, kind: Kind | None = None) -> ast.Expr:
    """Return a value as an expression that reads back as the same value."""
    if isinstance(value, Word):
        return _word(value)
    if isinstance(value, float) and value >= 0:
        return _number(value)
    if isinstance(value, tuple) and len(value) == 1 and isinstance(getattr(kind, "kind", kind), Axes):
        return ast.Name(NOWHERE, value[0])
    return written.literal(value, kind)


def _number(value: float) -> ast.Number:
    if value.is_integer() and value < 2**31:
        return ast.Number(NOWHERE, int(value), str(int(value)))
    return ast.Number(NOWHERE, value, re.sub(r"e([+-])0+(?=\d)", r"e\1", exact(value)))


def _word(word: Word) -> ast.Expr:
    """Return a word with the settings that are no defaults; the first one without its name."""
    usual = INIT.table.get(word.text, {})
    order = list(usual)
    args: list[ast.Arg] = []
    for name, value in word.args:
        if name in usual and usual[name] == value and type(usual[name]) is type(value) and word.text not in ("constant", "normal"):
            continue
        bare = bool(order) and name == order[0] and not args and not isinstance(value, Word)
        args.append(ast.Arg(NOWHERE, None if bare else name or None, literal(value)))
    return ast.CallExpr(NOWHERE, word.text, tuple(args)) if args else ast.Name(NOWHERE, word.text)
