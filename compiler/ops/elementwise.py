"""What merges that work value by value share: the shapes that they accept, their derivation, and their lowering."""

from __future__ import annotations

from dataclasses import replace

from archc.compiler.ops.faults import ShapeFault, Unequal
from archc.compiler.ops.record import Call, differences
from archc.compiler.ops.targets import CallTarget, Operand
from archc.compiler.shapes.dim import Dim, Shape, product, show_shape


def equal_shapes(call: Call) -> Shape:
    """Return the shape of all operands. Raises ShapeFault where they differ."""
    first = call.x
    for other in call.inputs[1:]:
        if len(other) != len(first) or not all(call.equal(a, b) for a, b in zip(first, other, strict=True)):
            raise unequal(call, _fit(replace(call, conditions=[])))
    return first


def broadcast_shape(call: Call) -> Shape:
    """Return the shape of the largest operand, which all others have, or are repeated to.

    Two forms are repeated: one value per channel, `Cx1x1`, and one map for all channels, `1xHxW`; `1x1x1` is both. Some operand must have
    the shape of the result: `Cx1x1` and `1xHxW` alone are not combined. Values without positions are not repeated. Raises ShapeFault.
    """
    if not _fit(call):
        raise unequal(call)
    return largest(call)


def _fit(call: Call) -> bool:
    """Return whether every operand has the shape of the largest, or is repeated to it."""
    whole = largest(call)
    for other in call.inputs:
        if len(other) != len(whole):
            return False
        if not (other[0] == 1 and len(whole) > 1) and not call.equal(other[0], whole[0]):
            return False
        if not _is_point(other) and not all(call.equal(a, b) for a, b in zip(other[1:], whole[1:], strict=True)):
            return False
    return True


def largest(call: Call) -> Shape:
    """Return the first shape with several positions, and of these the first with several channels."""
    return max(call.inputs, key=lambda shape: (not _is_point(shape), shape[0] != 1))


def _is_point(shape: Shape) -> bool:
    return all(size == 1 for size in shape[1:])


def unequal(call: Call, repeats: bool = False) -> ShapeFault:
    """Return the fault of operands whose shapes do not fit; `repeats`: they would, if the smaller ones were repeated."""
    return ShapeFault(Unequal(call.operator, call.inputs, tuple(differences(call.inputs)), repeats))


def merge_derivation(call: Call, out: Shape) -> list[str]:
    """Say whose shape the output has, and how the other operands are repeated."""
    lines = ["the shape of its input"] if all(shape == out for shape in call.inputs) else [f"the shape of its maps, {show_shape(out)}"]
    if any(shape[0] == out[0] and shape[1:] != out[1:] for shape in call.inputs):
        lines.append("a gate of one value per channel is repeated over the positions")
    if any(shape[0] != out[0] for shape in call.inputs):
        lines.append("one map is repeated over the channels")
    return lines


def chain(target: str, operands: int) -> CallTarget:
    """Return nested calls of a function of two arguments, applied to all operands from left to right."""
    result: CallTarget | Operand = Operand(0)
    for index in range(1, operands):
        result = CallTarget(target, (result, Operand(index)))
    assert isinstance(result, CallTarget)
    return result


def partials(call: Call, out: Shape) -> Dim:
    """Count the values of all partial results but the last."""
    return product(out) * (len(call.inputs) - 2)
