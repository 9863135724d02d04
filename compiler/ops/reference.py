"""The operator reference, generated from the records: printed by `archc ops`, and stored as docs/operators.md."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any

from archc.compiler.ops import FAMILIES, OPERATORS
from archc.compiler.ops.kinds import exact
from archc.compiler.ops.record import Attr, Like, Operator, Required

FOLLOWERS = (
    "`norm` and `act` take an operator or a block (`bn`, `leaky_relu(0.1)`, `none`) that is applied after it: first `norm`, then `act`."
)
PLACE = "Every operator takes `place=0` or `place=[0, 1]`, the devices of the operator or of its groups; a backend may ignore it."


def page(operator: Operator) -> str:
    """Return the reference of one operator in Markdown."""
    parts = [f"### {operator.name}", operator.summary, f"Written {operator.signature}.", cleandoc(operator.doc)]
    if operator.attrs:
        rows = [f"| `{attr.name}` | {attr.kind} | {_default(attr)} | {attr.doc} |" for attr in operator.attrs]
        parts.append("\n".join(["| option | takes | default | meaning |", "|--|--|--|--|", *rows]))
    if operator.followers:
        parts.append(FOLLOWERS)
    parts.append("```arch\n" + operator.example.replace("; ", "\n", 1) + "\n```")
    parts.append(f"Source: {operator.source}.")
    return "\n\n".join(parts)


def manual() -> str:
    """Return the reference of all operators in Markdown, by family."""
    parts = [
        "# Operators",
        "Generated from the operator records by `archc ops --markdown`; `archc ops NAME` prints one of them.",
        "Options without a default must be given. " + PLACE,
    ]
    for family in FAMILIES:
        title = family.OPERATORS[0].family.capitalize()
        parts.append(f"## {title}\n\n{(family.__doc__ or '').strip()}")
        parts.extend(page(operator) for operator in family.OPERATORS)
    return "\n\n".join(parts) + "\n"


def facts(operator: Operator) -> dict[str, Any]:
    """Return one operator as plain data for JSON."""
    return {
        "name": operator.name,
        "family": operator.family,
        "summary": operator.summary,
        "doc": cleandoc(operator.doc),
        "source": operator.source,
        "example": operator.example,
        "followers": operator.followers,
        "options": [
            {
                "name": attr.name,
                "takes": str(attr.kind),
                "default": None if isinstance(attr.default, Required) else _default(attr),
                "doc": attr.doc,
            }
            for attr in operator.attrs
        ],
    }


def index() -> list[tuple[str, str]]:
    """Return the name and the one-line summary of every operator."""
    return [(name, operator.summary) for name, operator in OPERATORS.items()]


def _default(attr: Attr) -> str:
    if isinstance(attr.default, Required):
        return "required"
    if isinstance(attr.default, Like):
        return f"`{attr.default.option}`"
    return f"`{exact(attr.default)}`"
