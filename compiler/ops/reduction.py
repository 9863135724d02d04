"""Reductions over axes, matrix products, and normalizations."""

from __future__ import annotations

from dataclasses import replace
from itertools import product as product_of

from archc.compiler.ops.axes import AXES, along_axes, along_axes_field, axes_of
from archc.compiler.ops.elementwise import unequal
from archc.compiler.ops.faults import ShapeFault, Unmatched
from archc.compiler.ops.kinds import NONE, SMALLEST, Axes, Flag, Optional, Real
from archc.compiler.ops.memory import FRESH, Memory, always, channels_first, channels_last
from archc.compiler.ops.normalization import scale_and_shift
from archc.compiler.ops.receptive import EACH, ReceptiveFields
from archc.compiler.ops.record import REQUIRED, Attr, Call, LowerRule, Operator, Weights, axis_names
from archc.compiler.ops.targets import CallTarget, ModuleTarget, Operand
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says


def reduced_shape(call: Call) -> Shape:
    """Return the shape with size 1 along the axes, or without them. Raises Fault for an axis that is not there, or where none is left."""
    axes = axes_of(call)
    if call.attrs["keep"]:
        return tuple(1 if axis in axes else size for axis, size in enumerate(call.x))
    kept = tuple(size for axis, size in enumerate(call.x) if axis not in axes)
    if not kept:
        raise Fault(says.out_of_range("`keep`", "`no` for all axes", "`yes`: otherwise no axis is left", "keep"))
    return kept


def reduced_derivation(call: Call, out: Shape) -> list[str]:
    """Name the axes that are reduced."""
    done = "becomes 1" if call.attrs["keep"] else "is dropped"
    return [f"{axis_names(call.x)[axis]}: {call.x[axis]} {done}" for axis in axes_of(call)]


def reduced_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the whole of each reduced axis and one position of the others; the whole of all axes where some are dropped."""
    axes = axes_of(call) if call.attrs["keep"] else range(len(call.x))
    return [None if axis in axes else EACH for axis in range(1, len(call.x))]


def _lower_reduced(target: str, *before: object) -> LowerRule:
    """Return a rule that lowers to a function of the operand, fixed arguments, the axes, and `keep`."""

    def lower(call: Call) -> CallTarget:
        return CallTarget(target, (Operand(), *before, [1 + axis for axis in axes_of(call)], call.attrs["keep"]))

    return lower


def lower_variance(call: Call) -> CallTarget:
    """Lower to torch.var."""
    return CallTarget("torch.var", (Operand(), [1 + axis for axis in axes_of(call)], call.attrs["unbiased"], call.attrs["keep"]))


# ---- products of matrices


TRANSPOSES = ("transpose_a", "transpose_b")  # the options of `matmul`


def _matrix(shape: Shape, transposed: bool) -> tuple[Dim, Dim]:
    """Return the rows and columns of the last two axes."""
    rows, columns = shape[-2:]
    return (columns, rows) if transposed else (rows, columns)


def _matrices(call: Call) -> tuple[Dim, Dim, Dim, Dim]:
    first, second = (_matrix(shape, call.attrs[option]) for shape, option in zip(call.inputs, TRANSPOSES, strict=True))
    return (*first, *second)


def matmul_shape(call: Call) -> Shape:
    """Return rows of the first times columns of the second, for each index of the axes before. Raises Fault where they do not fit."""
    first, second = call.inputs
    for shape in call.inputs:
        if len(shape) < 2:
            raise Fault(says.wrong_rank("matmul", "matrices, as in `64x128`", show_shape(shape)))
    if len(first) != len(second) or not all(call.equal(a, b) for a, b in zip(first[:-2], second[:-2], strict=True)):
        raise unequal(call)
    rows, inner, other, columns = _matrices(call)
    if not call.equal(inner, other):
        raise ShapeFault(Unmatched(call.inputs, inner, other, _fitting(call)))
    return (*first[:-2], rows, columns)


def _fitting(call: Call) -> str:
    """Return how to write `matmul` so that the matrices fit; "" unless there is exactly one way."""
    fits = []
    for turned in product_of((False, True), repeat=2):
        attrs = dict(zip(TRANSPOSES, turned, strict=True))
        _, columns, rows, _ = _matrices(replace(call, attrs=attrs))
        if columns == rows:
            listed = ", ".join(f"{option}=yes" for option, on in attrs.items() if on)
            fits.append(f"matmul({listed})" if listed else "matmul")
    return fits[0] if len(fits) == 1 else ""


def matmul_derivation(call: Call, out: Shape) -> list[str]:
    """Name the rows and columns."""
    rows, inner, _, columns = _matrices(call)
    names = axis_names(out)
    return [
        f"{names[-2]}: {rows}, the rows of the first",
        f"{names[-1]}: {columns}, the columns of the second",
        f"summed over {inner}, the columns of the first and the rows of the second",
    ]


def matmul_macs(call: Call, out: Shape) -> Dim:
    """Count a product for every output value and every summand."""
    return product(out) * _matrices(call)[1]


def matmul_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the whole of every axis."""
    return [None] * call.axes


def lower_matmul(call: Call) -> CallTarget:
    """Lower to torch.matmul, of transposed views where the options say so."""
    operands = [
        CallTarget("torch.transpose", (Operand(index), -2, -1)) if call.attrs[option] else Operand(index)
        for index, option in enumerate(TRANSPOSES)
    ]
    return CallTarget("torch.matmul", tuple(operands))


# ---- norms


def rms_norm_weights(call: Call) -> Weights:
    """Return one scale per channel; nothing without `affine`."""
    return {"weight": (call.channels,)} if call.attrs["affine"] else {}


def lower_rms_norm(call: Call) -> ModuleTarget:
    """Lower to archc.ChannelRMSNorm."""
    a = call.attrs
    return ModuleTarget("archc.ChannelRMSNorm", {"normalized_shape": call.channels, "eps": a["eps"], "elementwise_affine": a["affine"]})


def instance_norm_shape(call: Call) -> Shape:
    """Return the shape of the input. Raises Fault unless it has several positions."""
    call.image()
    if all(size == 1 for size in call.x[1:]):
        raise Fault(says.wrong_rank("instance_norm", "more than one position, as it subtracts their mean", show_shape(call.x)))
    return (call.channels, *call.x[1:])


def instance_statistics(call: Call, out: Shape) -> Dim:
    """Count mean and deviation of each channel of a sample, and its scale, which is repeated for each sample."""
    return call.channels * (3 if call.attrs["affine"] else 2)


def instance_work(call: Call, out: Shape) -> Dim:
    """Count mean and deviation of each channel of a sample, and its scale and shift, which are repeated for each sample."""
    return call.channels * (4 if call.attrs["affine"] else 2)


def lower_instance_norm(call: Call) -> ModuleTarget:
    """Lower to nn.InstanceNorm1d, InstanceNorm2d or InstanceNorm3d."""
    a = call.attrs
    return ModuleTarget(f"nn.InstanceNorm{call.axes}d", {"num_features": call.channels, "eps": a["eps"], "affine": a["affine"]})


def l2_norm_saved(call: Call, out: Shape) -> Dim:
    """Count the lengths, before and after their bound from below."""
    return 2 * l2_norm_work(call, out)


def l2_norm_work(call: Call, out: Shape) -> Dim:
    """Count the lengths."""
    axes = axes_of(call)
    return product(tuple(size for axis, size in enumerate(call.x) if axis not in axes))


def lower_l2_norm(call: Call) -> CallTarget:
    """Lower to F.normalize."""
    axes = [1 + axis for axis in axes_of(call)]
    return CallTarget("F.normalize", (Operand(),), {"p": 2.0, "dim": axes if len(axes) > 1 else axes[0], "eps": call.attrs["eps"]})


def rms_work(call: Call, out: Shape) -> Dim:
    """Count the normalized values, and the root mean square of each position of a sample."""
    return product(out) + product(call.x[1:])


def rms_saved(call: Call, out: Shape) -> Dim:
    """Count the root mean square of each position of a sample, and the normalized values, which the gradients of the scales need."""
    return product(call.x[1:]) + (product(out) if call.attrs["affine"] else 0)


# ---- records


AXIS = Attr("axis", Axes(), REQUIRED, "the axes: channels, depth, height or width")
KEEP = Attr("keep", Flag(), True, "whether the axes stay, with size 1")


def _reduction(name: str, what: str, target: str, *before: object, saves: bool = False, note: str = "") -> Operator:
    """Return the record of a reduction; `saves`: its backward pass needs its input and its output."""
    return Operator(
        name=f"reduce_{name}",
        family="reduction",
        summary=f"{what} over one or several axes.",
        doc=f"""
        `axis=c` or `axis=[h, w]` names the axes. They stay, with size 1; `keep=no` drops them, and the others keep their order:
        `axis=h` makes `64x28x28` into `64x1x28`, or `64x28` with `keep=no`.{f" {note}" if note else ""}
        """,
        source=f"torch.{target.partition('.')[2]}; ONNX's Reduce{name.title() if name != 'norm' else 'L2'}",
        example=f"input 64x28x28; reduce_{name}(axis=c) => 1x28x28",
        attrs=(AXIS, KEEP),
        shape=reduced_shape,
        derivation=reduced_derivation,
        receptive_field=reduced_field,
        memory=Memory(saves=always("input", "output")) if saves else FRESH,
        lower=_lower_reduced(target, *before),
    )


OPERATORS = (
    _reduction("mean", "The mean", "torch.mean"),
    _reduction("sum", "The sum", "torch.sum"),
    _reduction("max", "The largest value", "torch.amax", saves=True, note="Equal values share the gradient."),
    _reduction("min", "The smallest value", "torch.amin", saves=True, note="Equal values share the gradient."),
    _reduction("norm", "The square root of the sum of squares", "torch.norm", 2.0, saves=True),
    replace(
        _reduction(
            "var", "The variance", "torch.var", note="The squared deviations from the mean are summed up and divided by their number."
        ),
        source="torch.var",
        attrs=(AXIS, KEEP, Attr("unbiased", Flag(), False, "whether it divides by one less than their number")),
        memory=Memory(saves=always("input")),
        lower=lower_variance,
    ),
    Operator(
        name="matmul",
        family="reduction",
        summary="The product of two matrices, or of a matrix for each index of the axes before.",
        doc="""
        `MxK` times `KxN` is `MxN`: the last two axes are rows and columns; those of a 1-D map are its channels and positions. All axes
        before them must be equal: `8xMxK` times `8xKxN` is `8xMxN`. `transpose_a` and `transpose_b` exchange rows and columns of the first
        and of the second before the product. MACs: `M*K*N` for each index.
        """,
        source="torch.matmul",
        example="input 64x100; matmul(transpose_b=yes)<. | .> => 64x64",
        attrs=(
            Attr("transpose_a", Flag(), False, "whether the first is transposed"),
            Attr("transpose_b", Flag(), False, "whether the second is transposed"),
        ),
        shape=matmul_shape,
        derivation=matmul_derivation,
        macs=matmul_macs,
        receptive_field=matmul_field,
        memory=Memory(saves=always("factors"), order=channels_first),
        lower=lower_matmul,
        operands=(2, 2),
        sign=("·", "matrix product"),
    ),
    Operator(
        name="rms_norm",
        family="normalization",
        summary="Root mean square normalization: over the channels, at each position separately.",
        doc="""
        `out = weight*x/sqrt(mean(x^2) + eps)`, with the mean over the channels of one position. It subtracts nothing and has no bias.
        """,
        source="torch.nn.RMSNorm, channels last; Zhang & Sennrich 2019, arXiv:1910.07467",
        example="input 96x56x56; rms_norm(1e-6) => 96x56x56",
        attrs=(
            Attr("eps", Optional(Real(0, 1)), NONE, "the constant added to the mean; `none`: the distance from 1 to the next number"),
            Attr("affine", Flag(), True, "whether a trained scale of each channel follows"),
        ),
        weights=rms_norm_weights,
        normalizes=True,
        memory=Memory(saves=always("differentiated"), saved=rms_saved, work=rms_work, order=channels_last),
        lower=lower_rms_norm,
    ),
    Operator(
        name="instance_norm",
        family="normalization",
        summary="Instance normalization: like `bn`, but over the positions of one sample, in training and evaluation.",
        doc="""
        `out = weight*(x - mean)/sqrt(var + eps) + bias`, with mean and variance over all positions of one channel of one sample. There
        are no running statistics, and no weights unless `affine=yes`. The receptive field is one position: it does not count mean and
        variance, as Araujo, Norris & Sim 2019 do not.
        """,
        source="torch.nn.InstanceNorm1d, InstanceNorm2d, InstanceNorm3d; Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022",
        example="input 64x56x56; instance_norm => 64x56x56",
        attrs=(
            Attr("eps", Real(SMALLEST, 1), 1e-5, "the constant added to the variance"),
            Attr("affine", Flag(), False, "whether a trained scale and shift of each channel follows"),
        ),
        shape=instance_norm_shape,
        weights=scale_and_shift,
        normalizes=True,
        surveys=True,
        removes_bias=True,
        memory=Memory(saves=always("input"), saved=instance_statistics, work=instance_work, reads="first", order=channels_first),
        lower=lower_instance_norm,
    ),
    Operator(
        name="l2_norm",
        family="normalization",
        summary="Vectors along an axis, or several, divided by their length.",
        doc="""
        `out = x/max(length, eps)`, with the length sqrt(sum of x^2) over the channels of one position, or over other axes.
        """,
        source="torch.nn.functional.normalize; Liu, Rabinovich & Berg 2016, arXiv:1506.04579, section 3.3",
        example="input 128x7x7; l2_norm => 128x7x7",
        attrs=(
            AXES,
            Attr("eps", Real(0), 1e-12, "the smallest length to divide by"),
        ),
        shape=along_axes,
        receptive_field=along_axes_field,
        memory=Memory(saves=always("input"), saved=l2_norm_saved, work=l2_norm_work),
        lower=lower_l2_norm,
    ),
)
