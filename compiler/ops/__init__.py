"""The operators of the language: one record each, a file for every family. A new operator is one record in one file."""

from __future__ import annotations

from archc.compiler.ops import activation, classic, convolution, joining, normalisation, pooling
from archc.compiler.ops.record import Operator

FAMILIES = (convolution, pooling, activation, normalisation, joining, classic)

OPERATORS: dict[str, Operator] = {operator.name: operator for family in FAMILIES for operator in family.OPERATORS}
LINEAR = frozenset(operator.name for operator in convolution.OPERATORS)  # the layers that papers count
