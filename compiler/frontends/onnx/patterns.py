"""Several nodes of ONNX that are one operator, found at the last of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt
from typing import Any

from archc.compiler.frontends.onnx.model import Node
from archc.compiler.frontends.onnx.pointwise import ENDS, LEADS, WAYS, pattern, shaped
from archc.compiler.frontends.onnx.reader import Reader, counted
from archc.compiler.frontends.onnx.tensors import Fixed
from archc.compiler.frontends.views import View


def pairs(node: Node) -> Iterator[tuple[str, str]]:
    """Yield the operands of a node of two, in both orders."""
    if len(node.inputs) == 2:
        one, two = node.inputs
        yield one, two
        yield two, one


def near(value: float | None, wanted: float) -> bool:
    """Return whether a number of 32 bits is the wanted one."""
    return value is not None and abs(value - wanted) <= 1e-6 * max(1.0, abs(wanted))


def operand(reader: Reader, name: str) -> View | None:
    """Return a value as a view; None where it is none."""
    held = reader.values.get(name)
    return held if isinstance(held, View) else None


def other(reader: Reader, node: Node | None, wanted: float) -> str:
    """Return the operand of a node of two beside a number; "" where there is none."""
    if node is None:
        return ""
    return next((one for one, two in pairs(node) if near(reader.scalar(two), wanted)), "")


@pattern("Mul")
def gated(reader: Reader, node: Node) -> View | None:
    """Read `x*sigmoid(x)`, `x*tanh(softplus(x))`, `x*hardsigmoid(x)`: SiLU, Mish and hard swish."""
    for x, gate in pairs(node):
        inner = reader.made(gate, "Sigmoid", "Tanh", "HardSigmoid")
        view = operand(reader, x)
        if inner is None or view is None:
            continue
        if inner.op == "Tanh":
            soft = reader.made(inner.inputs[0], "Softplus")
            if soft is not None and soft.inputs[0] == x:
                return reader.on(view, "mish")
        elif inner.inputs[0] == x and inner.op == "Sigmoid":
            return reader.on(view, "silu")
        elif inner.inputs[0] == x and near(inner.attrs.get("alpha", 0.2), 1 / 6) and near(inner.attrs.get("beta", 0.5), 0.5):
            return reader.on(view, "hardswish")
    return None


@pattern("Mul")
def glu(reader: Reader, node: Node) -> View | None:
    """Read the first half, times the sigmoid of the second."""
    for first, gate in pairs(node):
        inner, split = reader.made(gate, "Sigmoid"), reader.made(first, "Split")
        if inner is None or split is None or len(split.outputs) != 2 or (first, inner.inputs[0]) != tuple(split.outputs):
            continue
        view = operand(reader, split.inputs[0])
        halves = [value.shape for name in split.outputs if (value := operand(reader, name)) is not None]
        if view is not None and len(halves) == 2 and halves[0] == halves[1]:
            axis = reader.axis(split, len(view.dims), 0)
            view = reader.along(view, axis)
            return reader.rechanneled(view, reader.add("glu", [view.item]), axis)
    return None


@pattern("Mul", "Div")
def hard(reader: Reader, node: Node) -> View | None:
    """Read `x*clip(x + 3, 0, 6)/6` and `clip(x + 3, 0, 6)/6`: hard swish and hard sigmoid."""
    inner = other(reader, node, 6.0 if node.op == "Div" else 1 / 6) if node.op == "Mul" or near(reader.scalar(node.inputs[1]), 6.0) else ""
    x = _clipped(reader, inner)
    if x and (view := operand(reader, x)) is not None:
        return reader.on(view, "hardsigmoid")
    product = reader.made(inner, "Mul") if inner else None
    if product is not None:
        for one, two in pairs(product):
            if _clipped(reader, two) == one and (view := operand(reader, one)) is not None:
                return reader.on(view, "hardswish")
    if node.op == "Mul":
        for one, two in pairs(node):
            last = reader.made(two, "Div", "Mul")
            inside = other(reader, last, 6.0 if last is not None and last.op == "Div" else 1 / 6)
            if inside and _clipped(reader, inside) == one and (view := operand(reader, one)) is not None:
                return reader.on(view, "hardswish")
    return None


def _clipped(reader: Reader, name: str) -> str:
    """Return what is shifted by 3 and bounded by 0 and 6; "" where it is something else."""
    node = reader.made(name, "Clip") if name else None
    if node is None:
        return ""
    low, high = (
        node.attrs.get(word) if word in node.attrs else reader.scalar(node.inputs[place]) if len(node.inputs) > place else None
        for place, word in ((1, "min"), (2, "max"))
    )
    return other(reader, reader.made(node.inputs[0], "Add"), 3.0) if low == 0 and high == 6 else ""


@pattern("Mul")
def gelu(reader: Reader, node: Node) -> View | None:
    """Read `x*0.5*(erf(x/sqrt(2)) + 1)`, and the one by tanh, in any order of the factors."""
    factors = _factors(reader, node)
    halves = [name for name in factors if near(reader.scalar(name), 0.5)]
    rest = [name for name in factors if name not in halves]
    if len(halves) != 1 or len(rest) != 2:
        return None
    for x, gate in (rest, rest[::-1]):
        inner = other(reader, reader.made(gate, "Add"), 1.0)
        view = operand(reader, x)
        if not inner or view is None:
            continue
        erf = reader.made(inner, "Erf")
        if erf is not None and _scaled(reader, erf.inputs[0], 1 / sqrt(2)) == x:
            return reader.on(view, "gelu")
        tanh = reader.made(inner, "Tanh")
        if tanh is not None and _cubic(reader, tanh.inputs[0], x):
            return reader.on(view, "gelu", {"approximate": "tanh"})
    return None


def _factors(reader: Reader, node: Node, depth: int = 0) -> list[str]:
    """Return the values that a chain of products multiplies; that of a layer is one."""
    found: list[str] = []
    for name in node.inputs:
        inner = reader.made(name, "Mul")
        numbers = inner is not None and any(reader.scalar(each) is not None for each in inner.inputs)
        if inner is not None and depth < 2 and (numbers or depth == 0):
            found.extend(_factors(reader, inner, depth + 1))
        else:
            found.append(name)
    return found


def _scaled(reader: Reader, name: str, factor: float) -> str:
    """Return what a value is the product of with a number; "" where it is something else."""
    node = reader.made(name, "Mul", "Div")
    if node is None:
        return ""
    if node.op == "Div":
        return node.inputs[0] if near(reader.scalar(node.inputs[1]), 1 / factor) else ""
    return other(reader, node, factor)


def _cubic(reader: Reader, name: str, x: str) -> bool:
    """Return whether a value is `sqrt(2/pi)*(x + 0.044715*x^3)`."""
    from math import pi

    total = reader.made(_scaled(reader, name, sqrt(2 / pi)), "Add")
    if total is None:
        return False
    for one, two in pairs(total):
        cube = _scaled(reader, two, 0.044715)
        if one == x and cube:
            node = reader.made(cube, "Mul", "Pow")
            if node is not None and node.op == "Pow":
                return node.inputs[0] == x and near(reader.scalar(node.inputs[1]), 3.0)
            return node is not None and sorted(_factors(reader, node)) == [x, x, x]
    return False


@pattern("Neg")
def log_sigmoid(reader: Reader, node: Node) -> View | None:
    """Read `-softplus(-x)`."""
    soft = reader.made(node.inputs[0], "Softplus")
    negated = reader.made(soft.inputs[0], "Neg") if soft is not None else None
    view = operand(reader, negated.inputs[0]) if negated is not None else None
    return None if view is None else reader.on(view, "logsigmoid")


@pattern("Sub")
def tanhshrink(reader: Reader, node: Node) -> View | None:
    """Read `x - tanh(x)`."""
    inner = reader.made(node.inputs[1], "Tanh")
    view = operand(reader, node.inputs[0])
    return reader.on(view, "tanhshrink") if view is not None and inner is not None and inner.inputs[0] == node.inputs[0] else None


@pattern("Softmax")
def softmin(reader: Reader, node: Node) -> View | None:
    """Read the softmax of negated values."""
    negated = reader.made(node.inputs[0], "Neg")
    view = operand(reader, negated.inputs[0]) if negated is not None else None
    return None if view is None else reader.on(reader.along(view, reader.axis(node, len(view.dims), -1)), "softmin")


@pattern("Div")
def l2_norm(reader: Reader, node: Node) -> View | None:
    """Read vectors divided by their lengths, which are at least a small number; queries and keys are so before they are compared."""
    repeated = reader.made(node.inputs[1], "Expand")
    bound = reader.made(node.inputs[1] if repeated is None else repeated.inputs[0], "Max", "Clip")
    length = reader.made(bound.inputs[0], "ReduceL2") if bound is not None and len(bound.inputs) == 2 else None
    view = operand(reader, node.inputs[0])
    if bound is None or length is None or view is None or length.inputs[0] != node.inputs[0] or not length.attrs.get("keepdims", 1):
        return None
    eps, axes = reader.scalar(bound.inputs[1]), reader.numbers(length, 1, "axes")
    if eps is None or axes is None or len(axes) != 1:
        return None
    if not reader.net.own and counted(axes[0], len(view.dims)) == len(view.dims) - 1 and _is_compared(reader, node):
        return replace(view, unit=eps)
    return reader.on(reader.along(view, axes[0]), "l2_norm", {"eps": eps})


def _is_compared(reader: Reader, node: Node) -> bool:
    """Return whether a value is the queries or the keys of an attention."""
    for _ in range(4):
        users = [user for name in node.outputs for user in reader.users.get(name, ())]
        if len(users) != 1:
            return False
        node = users[0]
        if node.op == "MatMul":
            return reader.leads_to(node, ENDS, LEADS)
        if node.op not in WAYS:
            return False
    return False


@pattern("Mul")
def scaled_tanh(reader: Reader, node: Node) -> View | None:
    """Read `amplitude*tanh(slope*x)` of one step of archc."""
    for one, two in pairs(node) if reader.net.own else ():
        amplitude, inner = reader.scalar(two), reader.made(one, "Tanh")
        product = reader.made(inner.inputs[0], "Mul") if inner is not None else None
        if amplitude is None or product is None:
            continue
        for x, factor in pairs(product):
            slope, view = reader.scalar(factor), operand(reader, x)
            if slope is not None and view is not None:
                return reader.on(view, "scaled_tanh", {"amplitude": amplitude, "slope": slope})
    return None


# ---- normalization


@pattern("Add")
def affine(reader: Reader, node: Node) -> View | None:
    """Read a normalization without weights, a trained scale of each channel, and a shift: a normalization with weights."""
    for one, two in pairs(node):
        shift, product = reader.values.get(two), reader.made(one, "Mul")
        if product is None or not isinstance(shift, Fixed):
            continue
        for x, factor in pairs(product):
            scale, view = reader.values.get(factor), operand(reader, x)
            if view is None or not isinstance(scale, Fixed) or not scale.origin or not shift.origin:
                continue
            item = reader.flat.items[view.item]
            if item.op not in ("group_norm", "instance_norm", "layer_norm", "bn") or item.attrs["affine"]:
                continue
            place = channel_of(view, scale)
            if place is None or channel_of(view, shift) != place or view.dims[place] != view.axes[0]:
                continue
            count = (view.shape[place],)
            given = {**{name: value for name, value in item.attrs.items() if name in ("groups", "eps")}, "affine": True}
            buffers = {name: fixed for name, fixed in reader.held.get(view.item, {}).items() if name.startswith("running")}
            weights = {"weight": shaped(scale, count), "bias": shaped(shift, count)}
            number = reader.layer(item.op, item.operands, given, weights, buffers=buffers)
            return replace(view, item=number)
    return None


def channel_of(view: View, weight: Fixed) -> int | None:
    """Return the axis of a view along which a weight has its values; None where it has them along several."""
    wide = [len(view.dims) - len(weight.shape) + at for at, count in enumerate(weight.shape) if count != 1]
    if len(wide) != 1 or wide[0] < 1 or view.shape[wide[0]] != weight.shape[wide[0] - len(view.dims)]:
        return None
    return wide[0]


@pattern("Mul")
def layer_scale(reader: Reader, node: Node) -> View | None:
    """Read a trained factor for each channel."""
    for x, factor in pairs(node):
        view, scale = operand(reader, x), reader.values.get(factor)
        if view is None or not isinstance(scale, Fixed) or not scale.origin or scale.scalar is not None:
            continue
        place = channel_of(view, scale)
        if place is None or reader.batch in view.dims[place]:
            continue
        view = reader.along(view, place)
        full = (scale.shape[place - len(view.dims)], *(1,) * (len(view.axes) - 1))
        stored = reader.net.tensors.get(scale.origin)
        flat = stored is None or tuple(stored.dims) != full
        return reader.holds(view, "layer_scale", {"flat": flat}, {"": shaped(scale, full[:1] if flat else full)})
    return None


@pattern("Div")
def normalized(reader: Reader, node: Node) -> Any:
    """Read the layer norm that is written as means and differences: `(x - mean)/sqrt(mean((x - mean)^2) + eps)`."""
    root, difference = reader.made(node.inputs[1], "Sqrt"), reader.made(node.inputs[0], "Sub")
    total = reader.made(root.inputs[0], "Add") if root is not None else None
    if total is None or difference is None:
        return None
    mean = reader.made(difference.inputs[1], "ReduceMean")
    view = operand(reader, difference.inputs[0])
    if mean is None or view is None or mean.inputs[0] != difference.inputs[0]:
        return None
    for one, two in pairs(total):
        eps, spread = reader.scalar(two), reader.made(one, "ReduceMean")
        square = reader.made(spread.inputs[0], "Pow", "Mul") if spread is not None else None
        if eps is None or spread is None or square is None or square.inputs[0] != node.inputs[0]:
            continue
        if (square.op == "Pow" and not near(reader.scalar(square.inputs[1]), 2.0)) or (
            square.op == "Mul" and square.inputs[1] != node.inputs[0]
        ):
            continue
        axes = [reader.numbers(each, 1, "axes") for each in (mean, spread)]
        if axes[0] != axes[1] or axes[0] is None or len(axes[0]) != 1:
            continue
        return reader.on(reader.along(view, axes[0][0]), "layer_norm", {"eps": eps, "affine": False})
    return None
