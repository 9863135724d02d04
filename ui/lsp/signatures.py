"""Signature help: the options of the call around a position, with the one that is being written."""

from __future__ import annotations

from lsprotocol import types

from archc.compiler.elaborate.options import Signature
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.kinds import exact
from archc.compiler.ops.record import Like, Operator, Required
from archc.ui.lsp.cursor import Cursor, cursor_at
from archc.ui.lsp.workspace import Workspace

TRIGGERS = ["(", ","]
Parameters = list[tuple[str, str]]  # how each is written, and what it means


def signature_help(space: Workspace, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
    """Return how the operator or the block around a position is called."""
    now = space.analysis(params.text_document.uri)
    if now is None:
        return None
    offset = now.lines.offset(params.position)
    cursor = cursor_at(now.lines.text, offset)
    if not cursor.callee:
        return None
    symbol = now.index.visible(offset).get(cursor.callee) if now.index is not None else None
    if symbol is None and now.index is not None:
        symbol = now.index.visible(offset).get(cursor.callee.rstrip("0123456789x"))
    if symbol is not None and symbol.parameters:
        rows = [(parameter.signature, "") for parameter in symbol.parameters.values()]
        return _help(symbol.name, rows, list(symbol.parameters), cursor, symbol.signature)
    name = cursor.callee.lower()
    operator = OPERATORS.get(name) or OPERATORS.get(name.rstrip("0123456789x"))
    if operator is None:
        return None
    return _help(operator.name, _rows(operator), Signature.of_operator(operator).order, cursor, operator.summary)


def _rows(operator: Operator) -> Parameters:
    rows = []
    for attr in operator.attrs:
        if isinstance(attr.default, Required):
            written = attr.name
        elif isinstance(attr.default, Like):
            written = f"{attr.name}={attr.default.option}"
        else:
            written = f"{attr.name}={exact(attr.default)}"
        rows.append((written, f"{attr.doc}: {attr.kind}"))
    if operator.followers:
        rows += [("norm=none", "a normalization after it"), ("act=none", "an activation after it")]
    return rows


def _help(name: str, rows: Parameters, order: list[str], cursor: Cursor, documentation: str) -> types.SignatureHelp:
    label = f"{name}({', '.join(written for written, _ in rows)})"
    at, parameters = len(name) + 1, []
    for written, meaning in rows:
        parameters.append(types.ParameterInformation((at, at + len(written)), meaning or None))
        at += len(written) + 2
    free = [each for each in order if each not in cursor.given]
    position = cursor.position - len(cursor.given)
    wanted = cursor.option or (free[position] if 0 <= position < len(free) else "")
    active = order.index(wanted) if wanted in order else None
    return types.SignatureHelp([types.SignatureInformation(label, documentation, parameters, active)], 0, active)
