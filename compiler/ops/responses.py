"""Trained factors of whole responses: one for all values, or one for each channel by how strongly it responds."""

from __future__ import annotations

from archc.compiler.ops.kinds import Real, Word
from archc.compiler.ops.memory import KEEPS_INPUT, Memory, always
from archc.compiler.ops.receptive import ReceptiveFields
from archc.compiler.ops.record import Attr, Call, Operator, Weights
from archc.compiler.ops.targets import ModuleTarget, TensorTarget
from archc.compiler.shapes.dim import Dim, Shape, product


def gain_weights(call: Call) -> Weights:
    """Return the shape of the factor: one value, without axes."""
    return {"": ()}  # the label itself is the key


def lower_gain(call: Call) -> TensorTarget:
    """Lower to a product with a trained number."""
    return TensorTarget("operator.mul", (), Word("constant", (("value", call.attrs["start"]),)))


def grn_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault for flat values, or an open number of channels."""
    call.image()
    return (call.channels, *call.x[1:])


def grn_weights(call: Call) -> Weights:
    """Return one scale and one shift per channel."""
    return {"weight": (call.channels,), "bias": (call.channels,)}


def grn_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the whole of every axis, since a channel is scaled by its length over all positions."""
    return [None] * call.axes


def grn_work(call: Call, out: Shape) -> Dim:
    """Count the scaled values, and lengths and factors of channels."""
    return product(out) + 2 * call.channels


def grn_saved(call: Call, out: Shape) -> Dim:
    """Count the values times their factors, which the gradients of the scales need, and lengths and factors of channels."""
    return product(out) + 2 * call.channels + 1


def lower_grn(call: Call) -> ModuleTarget:
    """Lower to archc.GlobalResponseNorm."""
    return ModuleTarget("archc.GlobalResponseNorm", {"num_channels": call.channels, "eps": call.attrs["eps"]})


OPERATORS = (
    Operator(
        name="grn",
        family="normalization",
        summary="Global response normalization: channels scaled by how strongly they respond, compared with the others.",
        doc="""
        `out = weight*(x*n) + bias + x`, where `n = g/(mean(g) + eps)` for each channel: `g` is its length, the square root of the sum of
        `x^2` over all positions, and the mean is over the channels. It begins as the identity. Parameters: `2*channels`.
        """,
        source="Woo et al. 2023, arXiv:2301.00808, equations 1 to 3, with names of weights as in timm",
        example="input 384x14x14; grn => 384x14x14",
        attrs=(Attr("eps", Real(0, 1), 1e-6, "the constant added to the mean"),),
        shape=grn_shape,
        weights=grn_weights,
        receptive_field=grn_field,
        memory=Memory(saves=always("input"), saved=grn_saved, work=grn_work),
        lower=lower_grn,
    ),
    Operator(
        name="gain",
        family="normalization",
        summary="A trained factor, one for all values.",
        doc="""
        `out = weight*x`. It begins with 0, so that a residual block begins as its shortcut. Parameters: 1, stored as one value without
        axes, whose key is the label.
        """,
        source="SkipInit: De & Smith 2020, arXiv:2002.10444; ReZero: Bachlechner et al. 2021, arXiv:2003.04887",
        example="input 64x28x28; residual<conv3-64(pad=1); gain> => 64x28x28",
        attrs=(Attr("start", Real(), 0.0, "the initial value of the factor"),),
        weights=gain_weights,
        memory=KEEPS_INPUT,
        lower=lower_gain,
    ),
)
