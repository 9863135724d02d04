"""The input of a network, as an operator without operands. It has a record so that every node of a graph has one.

It is written as a statement, `input 3x224x224`, and never as an item, so it is not among the operators that a file can name.
"""

from __future__ import annotations

from archc.compiler.ops.call import Call
from archc.compiler.ops.record import Operator
from archc.compiler.ops.targets import Target
from archc.compiler.shapes.dim import Shape


def stated(call: Call) -> Shape:
    """Raise TypeError: the file states the shape of an input."""
    raise TypeError("the shape of an input is stated, not inferred")


def not_lowered(call: Call) -> Target:
    """Raise TypeError: in a backend an input is an argument."""
    raise TypeError("an input is not computed")


def no_derivation(call: Call, out: Shape) -> list[str]:
    """Return no lines: the shape of an input is stated."""
    return []


INPUT = Operator(
    name="input",
    family="input",
    summary="An input of the network.",
    doc="""
    `input 3x224x224` or `input left: 3x224x224`. The batch comes before these sizes and is not written.
    """,
    source="the file",
    example="input 3x224x224; relu => 3x224x224",
    operands=(0, 0),
    shape=stated,
    lower=not_lowered,
    derivation=no_derivation,
    picture="input",
)
