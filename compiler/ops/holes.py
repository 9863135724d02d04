"""`hole`, in place of an operator that could not be read: its shape is known, and nothing computes it."""

from __future__ import annotations

from archc.compiler.ops.kinds import Extents, Quoted
from archc.compiler.ops.receptive import ReceptiveFields
from archc.compiler.ops.record import REQUIRED, Attr, Call, Operator
from archc.compiler.ops.targets import Target
from archc.compiler.shapes.dim import Shape, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import files


def stated_shape(call: Call) -> Shape:
    """Return the shape that the option states, whatever the operands are."""
    shape: Shape = call.attrs["shape"]
    return shape


def stated_derivation(call: Call, out: Shape) -> list[str]:
    """Say that the shape is stated."""
    return [f"{show_shape(out)}, as `shape` says; nothing computes it"]


def all_seen(call: Call, out: Shape) -> ReceptiveFields:
    """Return the whole of every axis: each value may depend on all others."""
    return [None] * call.axes


def lower_hole(call: Call) -> Target:
    """Raise Fault: there is nothing to lower to."""
    raise Fault(files.not_computed(call.attrs["what"].text))


OPERATORS = (
    Operator(
        name="hole",
        family="holes",
        summary="Stands for an operator that could not be read; its shape is known, and nothing computes it.",
        doc="""
        The text says what the source calls the operator, and `shape` the shape of its result. Its operands are those of the source, of
        any shapes: with several, they are branches. `archc read --partial` writes holes where it would otherwise refuse a network.

        A network with holes checks, and is drawn and summarized. A hole counts no parameters and no multiply-accumulates, so the totals
        are lower bounds, and `expect` takes only `>` and `>=` of them. It cannot be lowered, so `compile`, `run` and `bench` refuse it.
        """,
        source="typed holes, as in Agda and Haskell",
        example='input 64x56x56; hole("aten.unfold", shape=576x3136) => 576x3136',
        attrs=(
            Attr("what", Quoted(), REQUIRED, "what the source calls the operator"),
            Attr("shape", Extents(), REQUIRED, "the shape of the result"),
        ),
        operands=(1, None),
        plain=True,
        shape=stated_shape,
        derivation=stated_derivation,
        receptive_field=all_seen,
        picture="unknown",
        opaque=True,
        lower=lower_hole,
    ),
)
