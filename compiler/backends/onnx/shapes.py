"""The shapes of helper values, where they follow from the operands of a node alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from archc.compiler.shapes.dim import Dim, Shape

if TYPE_CHECKING:
    from archc.compiler.backends.onnx.value import Value

Operands = Sequence["Value | None"]


def of(kind: str, operands: Operands, attrs: Mapping[str, Any]) -> Shape | None:
    """Return the shape of the value of a node; None where it is not known."""
    if any(operand is not None and operand.known is None for operand in operands):
        return None
    rule = RULES.get(kind)
    shapes = [() if operand is None else operand.shape for operand in operands]
    return None if rule is None else rule(shapes, attrs)


def _same(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    return shapes[0]


def broadcast(shapes: Sequence[Shape], attrs: Mapping[str, Any] | None = None) -> Shape | None:
    """Return the common shape of operands that are repeated along axes of size 1."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    sizes: list[Dim] = []
    for column in zip(*padded, strict=True):
        others = {size for size in column if size != 1}
        if len(others) > 1:
            return None
        sizes.append(others.pop() if others else 1)
    return tuple(sizes)


def _transposed(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    return tuple(shapes[0][axis] for axis in attrs["perm"])


def _multiplied(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape | None:
    left, right = shapes
    if len(left) < 2 or len(right) < 2:
        return None
    batch = broadcast([left[:-2], right[:-2]])
    return None if batch is None else (*batch, left[-2], right[-1])


def _joined(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    axis = attrs["axis"]
    total: Dim = 0
    for shape in shapes:
        total = total + shape[axis]
    return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


def _multiplied_flat(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    left, right = shapes[:2]
    return (left[1 if attrs.get("transA") else 0], right[0 if attrs.get("transB") else 1])


def sliced(size: Dim, start: int, stop: int | None, step: int) -> Dim:
    """Return the number of positions of a slice, as Python counts them."""
    if isinstance(size, int):
        return len(range(size)[slice(start, stop, step)])
    if start < 0 and stop is None and step == 1:
        return -start
    end = size if stop is None else stop if stop >= 0 else size + stop
    begin = start if start >= 0 else size + start
    return (end - begin + step - 1) // step


SAME = (
    "Relu Sigmoid Tanh Exp Log Sqrt Abs Neg Erf Sin Cos Reciprocal Softmax LogSoftmax Softplus Softsign Elu Celu Selu Gelu Mish HardSwish "
    "HardSigmoid LeakyRelu Clip Shrink Identity Cast Floor Ceil Round Sign ThresholdedRelu BatchNormalization InstanceNormalization "
    "LayerNormalization GroupNormalization RMSNormalization LpNormalization LRN Not PRelu Swish CumSum"
)
BROADCAST = "Add Sub Mul Div Pow Max Min Sum Mean Where Less LessOrEqual Greater GreaterOrEqual Equal And Or Mod"
RULES: dict[str, Callable[[Sequence[Shape], Mapping[str, Any]], Shape | None]] = {
    **dict.fromkeys(SAME.split(), _same),
    **dict.fromkeys(BROADCAST.split(), broadcast),
    "Transpose": _transposed,
    "MatMul": _multiplied,
    "Concat": _joined,
    "Gemm": _multiplied_flat,
}
