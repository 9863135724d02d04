"""The operators of the language: one record each, one file per family. A new operator is one record in one file."""

from __future__ import annotations

from archc.compiler.ops import (
    activation,
    arithmetic,
    attention,
    classic,
    constant,
    convolution,
    distances,
    holes,
    joining,
    moving,
    noise,
    normalization,
    patches,
    pooled,
    pooling,
    rearranging,
    recurrent,
    reduction,
    responses,
    rotary,
    tokens,
    windowed,
)
from archc.compiler.ops.record import Operator
from archc.compiler.ops.source import INPUT as INPUT

FAMILIES = (
    *(convolution, pooling, activation, normalization, responses, joining, arithmetic, reduction, noise, moving, patches, rearranging),
    *(tokens, constant, attention, distances, rotary, pooled, windowed, recurrent, classic, holes),
)

OPERATORS: dict[str, Operator] = {operator.name: operator for family in FAMILIES for operator in family.OPERATORS}


def operator_of(name: str) -> Operator:
    """Return the record of a node's operator: one that a file can name, or that of an input. Raises KeyError for an unknown name."""
    return INPUT if name == INPUT.name else OPERATORS[name]
