"""Records to walk: all of the language, and some of operators that it does not have, each of which is one record and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from archc.compiler.driver import check_text
from archc.compiler.graph import ArchGraph
from archc.compiler.ops import INPUT, OPERATORS
from archc.compiler.ops.kinds import Whole
from archc.compiler.ops.receptive import Positions, ReceptiveField, ReceptiveFields
from archc.compiler.ops.record import Attr, Call, Operator
from archc.compiler.ops.targets import CallTarget, ModuleTarget, Operand
from archc.compiler.shapes.dim import Shape
from archc.dsl.diagnostics import Fault
from archc.dsl.rendering import render_all
from archc.dsl.vocabulary import shapes as says

RECORDS = [*OPERATORS.values(), INPUT]
COMPUTED = [operator for operator in RECORDS if not operator.opaque]
Check = Callable[[Operator, ArchGraph], None]  # takes a record, and the graph of its example


def example(operator: Operator) -> str:
    return operator.example.replace("; ", "\n", 1)


def graph_of(operator: Operator) -> ArchGraph:
    """Check the example of a record, which must be right, and return its graph."""
    report = check_text(example(operator))
    assert report.ok, render_all(report.diagnostics)
    return report.graph


# ---- operators that the language does not have


def blocks_shape(call: Call) -> Shape:
    call.image()
    block = call.attrs["block"]
    for size in call.x[1:]:
        if not call.divisible(size, block):
            raise Fault(says.out_of_range("`block`", block, f"a divisor of {size}", "block"))
    return (call.x[0] * block**call.axes, *(size // block for size in call.x[1:]))


def blocks_seen(call: Call, out: Shape) -> ReceptiveFields:
    block = call.attrs["block"]
    return [ReceptiveField((Positions(0, block - 1),), block)] * call.axes


MY_BLOCKS = Operator(
    name="my_blocks",
    family="joining",
    summary="Moves blocks of positions into the channels.",
    doc="""
    `CxHxW` becomes `C*block^2 x H/block x W/block`.
    """,
    source="torch.nn.PixelUnshuffle; Shi et al. 2016, arXiv:1609.05158",
    example="input 16x32x32; my_blocks(block=2) => 64x16x16",
    attrs=(Attr("block", Whole(1), 2, "the positions of a block along each axis"),),
    shape=blocks_shape,
    receptive_field=blocks_seen,
    lower=lambda call: ModuleTarget("nn.PixelUnshuffle", {"downscale_factor": call.attrs["block"]}),
)


def equal_shapes(call: Call) -> Shape:
    first, second = call.inputs
    if len(first) != len(second) or not all(call.equal(a, b) for a, b in zip(first, second, strict=True)):
        raise Fault(says.sides_differ(call.operator, [], [], [len(first), len(second)], [first[0], second[0]]))
    return first


MY_MAXIMUM = Operator(
    name="my_maximum",
    family="joining",
    summary="The larger of two values, value by value.",
    doc="""
    Both shapes must be equal.
    """,
    source="torch.maximum; Goodfellow et al. 2013, arXiv:1302.4389",
    example="input 16x28x28; my_maximum<conv3-16(pad=1) | .> => 16x28x28",
    shape=equal_shapes,
    lower=lambda call: CallTarget("torch.maximum", (Operand(0), Operand(1))),
    operands=(2, 2),
)

MY_HALF = Operator(
    name="my_half",
    family="activation",
    summary="`x/2`, value by value.",
    doc="""
    `out = x/2`
    """,
    source="arithmetic",
    example="input 8x4x4; my_half => 8x4x4",
    lower=lambda call: CallTarget("operator.truediv", (Operand(), 2)),
)

NEW = (MY_BLOCKS, MY_MAXIMUM, MY_HALF)
