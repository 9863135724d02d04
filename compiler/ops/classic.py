"""Operators that only the first convolutional networks use: LeNet-5's subsampling and its output units."""

from __future__ import annotations

from math import prod

from archc.compiler.ops import receptive
from archc.compiler.ops.kinds import PerAxis, Whole
from archc.compiler.ops.memory import Memory, always, one_each
from archc.compiler.ops.record import REQUIRED, Attr, Call, Like, Operator, Weights, units
from archc.compiler.ops.targets import ModuleTarget
from archc.compiler.ops.windows import slide
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.compiler.shapes.window import Window
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says


def subsample_shape(call: Call) -> Shape:
    """Return the shape after the window. Raises Fault unless the input has two sizes."""
    if call.image() != 2:
        raise Fault(says.wrong_rank("subsample", "channels with two sizes", show_shape(call.x)))
    return (call.x[0], *slide(call))


def subsample_weights(call: Call) -> Weights:
    """Return one coefficient and one bias per channel."""
    return {"weight": (call.channels,), "bias": (call.channels,)}


def subsample_connections(call: Call, out: Shape) -> Dim:
    """Count the connections of all units, biases included."""
    # Every unit is connected to the values of its window and to a bias; all of them share one coefficient.
    window: int = prod(call.attrs["kernel"])
    return product(out) * (window + 1)


def subsample_work(call: Call, out: Shape) -> Dim:
    """Count temporary values per sample."""
    # The means, and their products with the coefficients.
    return 2 * product(out)


def subsample_scale(call: Call, out: Shape) -> Dim:
    """Count temporary values per batch."""
    # The coefficients times the area of a window.
    return call.channels


def lower_subsample(call: Call) -> ModuleTarget:
    """Lower to archc.Subsample."""
    return ModuleTarget(
        "archc.Subsample",
        {"channels": call.channels, "kernel_size": call.attrs["kernel"], "stride": call.attrs["stride"]},
    )


def rbf_shape(call: Call) -> Shape:
    """Return the number of units. Raises Fault unless the input is flat."""
    if len(call.x) != 1:
        raise Fault(says.wrong_rank("rbf", "a flat input", show_shape(call.x)))
    return (call.attrs["out"],)


def rbf_buffers(call: Call) -> Weights:
    """Return the shape of the codes, `(out, in)`."""
    return {"codes": (call.attrs["out"], call.channels)}


def rbf_macs(call: Call, out: Shape) -> Dim:
    """Count one multiply-accumulate per pair of an input and a unit."""
    # One difference, squared and added, for every pair of an input and a unit.
    return prod(rbf_buffers(call)["codes"])


def rbf_work(call: Call, out: Shape) -> Dim:
    """Count temporary values per sample."""
    # All differences, and their squares.
    return 2 * rbf_macs(call, out)


def lower_rbf(call: Call) -> ModuleTarget:
    """Lower to archc.RBF."""
    return ModuleTarget("archc.RBF", {"in_features": call.channels, "out_features": call.attrs["out"]})


OPERATORS = (
    Operator(
        name="subsample",
        family="classic",
        summary="LeNet-5's pooling: the sum of each window, times a trained coefficient, plus a trained bias.",
        doc="""
        `out = weight[c]*(sum of the window) + bias[c]`; the squashing function is written after it. Parameters: `2*channels`.
        """,
        source="LeCun et al. 1998, section II.B, layers S2 and S4",
        example="input 6x28x28; subsample2 => 6x14x14",
        attrs=(
            Attr("kernel", PerAxis(1), 2, "the size of the window"),
            Attr("stride", PerAxis(1), Like("kernel"), "the step of the window"),
        ),
        shape=subsample_shape,
        weights=subsample_weights,
        connections=subsample_connections,
        window=Window.of,
        receptive_field=receptive.window,
        picture="pooling",
        memory=Memory(saves=always("input"), work=subsample_work, saved=one_each, work_once=subsample_scale, saved_once=subsample_scale),
        lower=lower_subsample,
        short=("kernel", "", "stride"),
    ),
    Operator(
        name="rbf",
        family="classic",
        summary="LeNet-5's output: the squared distance between the input and a fixed code for each class.",
        doc="""
        `out[i] = sum over j of (in[j] - codes[i, j])^2`. The codes are not trained. In the paper they are 7x12 bitmaps of the
        characters; here they are random values of -1 and +1 until loaded, which the paper names as the alternative. MACs: `out*in`.
        """,
        source="LeCun et al. 1998, section II.B, equation 7",
        example="input 84; rbf-10 => 10",
        attrs=(Attr("out", Whole(1), REQUIRED, "the number of units"),),
        shape=rbf_shape,
        buffers=rbf_buffers,
        macs=rbf_macs,
        connections=rbf_macs,
        derivation=units,
        picture="dense",
        memory=Memory(work=rbf_work, saved=rbf_macs),
        lower=lower_rbf,
        short=("", "out", ""),
    ),
)
