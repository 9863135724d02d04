"""Reductions over axes, and products of matrices."""

from __future__ import annotations

from collections.abc import Mapping

from archc.compiler.ops.elementwise import unequal
from archc.compiler.ops.faults import ShapeFault, Unmatched
from archc.compiler.ops.kinds import Axes, Choice, Flag, Word
from archc.compiler.ops.memory import FRESH, Memory, always, channels_first
from archc.compiler.ops.receptive import EACH, ReceptiveFields
from archc.compiler.ops.record import REQUIRED, Attr, Call, LowerRule, Operator, axis_names
from archc.compiler.ops.targets import CallTarget, Operand
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says


def _reduced(call: Call) -> list[int]:
    return [call.axis(word) for word in call.attrs["axis"]]


def reduced_shape(call: Call) -> Shape:
    """Return the shape with size 1 along the axes, or without them. Raises Fault for an axis that is not there, or where none is left."""
    axes = _reduced(call)
    if call.attrs["keep"]:
        return tuple(1 if axis in axes else size for axis, size in enumerate(call.x))
    kept = tuple(size for axis, size in enumerate(call.x) if axis not in axes)
    if not kept:
        raise Fault(says.out_of_range("`keep`", "`no` for every axis", "`yes` for at least one: a tensor has an axis", "keep"))
    return kept


def reduced_derivation(call: Call, out: Shape) -> list[str]:
    """Name the axes that are reduced."""
    done = "becomes 1" if call.attrs["keep"] else "is dropped"
    return [f"{axis_names(call.x)[axis]}: {call.x[axis]} {done}" for axis in _reduced(call)]


def reduced_field(call: Call, out: Shape) -> ReceptiveFields:
    """Return the whole of each axis that is reduced, one position of the others; the whole of all where the axes are others after it."""
    axes = _reduced(call) if call.attrs["keep"] else range(len(call.x))
    return [None if axis in axes else EACH for axis in range(1, len(call.x))]


def _lower_reduced(target: str, *before: object) -> LowerRule:
    """Return a rule that lowers to a function of the operand, fixed arguments, the axes and whether they stay."""

    def lower(call: Call) -> CallTarget:
        return CallTarget(target, (Operand(), *before, [1 + axis for axis in _reduced(call)], call.attrs["keep"]))

    return lower


# ---- products of matrices


TRANSPOSED: Mapping[str, tuple[bool, bool]] = {
    "none": (False, False),
    "first": (True, False),
    "second": (False, True),
    "both": (True, True),
}


def _matrix(shape: Shape, transposed: bool) -> tuple[Dim, Dim]:
    """Return the rows and columns of the last two axes."""
    rows, columns = shape[-2:]
    return (columns, rows) if transposed else (rows, columns)


def _matrices(call: Call) -> tuple[Dim, Dim, Dim, Dim]:
    first, second = TRANSPOSED[call.attrs["transpose"]]
    return (*_matrix(call.inputs[0], first), *_matrix(call.inputs[1], second))


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
    """Return a transposition with which the matrices fit; "" where there is not exactly one."""
    fits = [
        word
        for word, (first, second) in TRANSPOSED.items()
        if _matrix(call.inputs[0], first)[1] == _matrix(call.inputs[1], second)[0] and word != call.attrs["transpose"]
    ]
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
    """Lower to torch.matmul, of views whose last axes are exchanged."""
    operands = [
        CallTarget("torch.transpose", (Operand(index), -2, -1)) if transposed else Operand(index)
        for index, transposed in enumerate(TRANSPOSED[call.attrs["transpose"]])
    ]
    return CallTarget("torch.matmul", tuple(operands))


def _reduction(name: str, what: str, target: str, *before: object, saves: bool = False, note: str = "") -> Operator:
    """Return the record of a reduction; `saves`: its backward pass needs its input and its output."""
    return Operator(
        name=f"reduce_{name}",
        family="reduction",
        summary=f"{what} over one or several axes.",
        doc=f"""
        `axis=c` or `axis=[h, w]` names the axes. They stay, with size 1; `keep=no` drops them, and those that are left keep their order:
        of `64x28x28`, `axis=h` leaves `64x1x28`, or `64x28` without it.{f" {note}" if note else ""}
        """,
        source=f"torch.{target.partition('.')[2]}; ONNX's Reduce{name.title() if name != 'norm' else 'L2'}",
        example=f"input 64x28x28; reduce_{name}(axis=c) => 1x28x28",
        attrs=(
            Attr("axis", Axes(), REQUIRED, "the axes: channels, depth, height or width"),
            Attr("keep", Flag(), True, "whether the axes stay, with size 1"),
        ),
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
    Operator(
        name="matmul",
        family="reduction",
        summary="The product of two matrices, or of a matrix for each index of the axes before.",
        doc="""
        `MxK` times `KxN` is `MxN`: the last two axes are rows and columns, which of a 1-D map are its channels and positions. All axes
        before them must be equal: `8xMxK` times `8xKxN` is `8xMxN`. `transpose` exchanges rows and columns of the `first`, the `second` or
        `both` before the product. MACs: `M*K*N` for each index.
        """,
        source="torch.matmul",
        example="input 64x100; matmul(transpose=second)<. | .> => 64x64",
        attrs=(Attr("transpose", Choice(tuple(TRANSPOSED)), Word("none"), "which of the two is transposed first"),),
        shape=matmul_shape,
        derivation=matmul_derivation,
        macs=matmul_macs,
        receptive_field=matmul_field,
        memory=Memory(saves=always("factors"), order=channels_first),
        lower=lower_matmul,
        operands=(2, 2),
        sign=("·", "matrix product"),
    ),
)
