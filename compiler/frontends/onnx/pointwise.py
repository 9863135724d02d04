"""Rules of what is computed value by value: activations, arithmetic, merges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from archc.compiler.frontends.attending import Products, scored, weighted
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.onnx.model import Node
from archc.compiler.frontends.onnx.reader import Reader, exact, rule, settled
from archc.compiler.frontends.onnx.tensors import Fixed
from archc.compiler.frontends.selecting import merged
from archc.compiler.frontends.views import View

# ---- functions of one tensor

PLAIN = {
    **{"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus", "Softsign": "softsign", "HardSwish": "hardswish"},
    **{"Mish": "mish", "Neg": "neg", "Abs": "abs", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Sin": "sin", "Cos": "cos"},
}
Pattern = Callable[[Reader, Node], Any]
PATTERNS: dict[str, list[Pattern]] = {}  # by the last operator of the pattern


def pattern(*ops: str) -> Callable[[Pattern], Pattern]:
    """Register a function that reads several nodes at the last of them; it returns None where they are not there."""

    def register(function: Pattern) -> Pattern:
        for op in ops:
            PATTERNS.setdefault(op, []).append(function)
        return function

    return register


def found(reader: Reader, node: Node) -> Any:
    """Return what the first pattern reads that ends at a node; None where there is none."""
    for each in PATTERNS.get(node.op, ()):
        if (made := each(reader, node)) is not None:
            return made
    return None


@rule(*PLAIN)
def plain(reader: Reader, node: Node) -> Any:
    """Read a function without options."""
    if (made := found(reader, node)) is not None:
        return made
    return reader.on(reader.view(node), PLAIN[node.op])


def setting(node: Node, name: str, default: float) -> float:
    """Return an attribute that is a number."""
    return exact(node.attrs.get(name, default))


@rule("LeakyRelu")
def leaky_relu(reader: Reader, node: Node) -> View:
    """Read a leaky ReLU."""
    return reader.on(reader.view(node), "leaky_relu", {"slope": setting(node, "alpha", 0.01)})


@rule("Elu")
def elu(reader: Reader, node: Node) -> View:
    """Read an ELU."""
    return reader.on(reader.view(node), "elu", {"alpha": setting(node, "alpha", 1.0)})


@rule("Celu")
def celu(reader: Reader, node: Node) -> View:
    """Read a CELU."""
    return reader.on(reader.view(node), "celu", {"alpha": setting(node, "alpha", 1.0)})


@rule("Selu")
def selu(reader: Reader, node: Node) -> View:
    """Read a SELU with its usual constants."""
    if abs(setting(node, "alpha", 1.67326319) - 1.67326319) > 1e-6 or abs(setting(node, "gamma", 1.05070102) - 1.05070102) > 1e-6:
        raise CannotRead("its constants are not the usual ones")
    return reader.on(reader.view(node), "selu")


@rule("Gelu")
def gelu(reader: Reader, node: Node) -> View:
    """Read a GELU."""
    return reader.on(reader.view(node), "gelu", {"approximate": node.attrs.get("approximate", "none")})


@rule("HardSigmoid")
def hardsigmoid(reader: Reader, node: Node) -> View:
    """Read a hard sigmoid with the slope 1/6."""
    if abs(setting(node, "alpha", 0.2) - 1 / 6) > 1e-6 or setting(node, "beta", 0.5) != 0.5:
        raise CannotRead("its slope is not 1/6")
    return reader.on(reader.view(node), "hardsigmoid")


@rule("Shrink")
def shrink(reader: Reader, node: Node) -> View:
    """Read a soft or a hard shrink."""
    bias, bound = setting(node, "bias", 0.0), setting(node, "lambd", 0.5)
    if bias not in (0, bound):
        raise CannotRead("it shrinks by another amount than its bound")
    return reader.on(reader.view(node), "hardshrink" if bias == 0 else "softshrink", {"bound": bound})


@rule("ThresholdedRelu")
def threshold(reader: Reader, node: Node) -> View:
    """Read values above a threshold."""
    return reader.on(reader.view(node), "threshold", {"above": setting(node, "alpha", 1.0), "value": 0.0})


@rule("Reciprocal")
def reciprocal(reader: Reader, node: Node) -> View:
    """Read a reciprocal."""
    return reader.on(reader.view(node), "pow", {"exponent": -1.0})


@rule("Clip")
def clip(reader: Reader, node: Node) -> View:
    """Read bounds: from 0 to 6 they are `relu6`."""
    low, high = (_bound(reader, node, place, name) for place, name in ((1, "min"), (2, "max")))
    view = reader.view(node)
    if (low, high) == (0, 6):
        return reader.on(view, "relu6")
    if low is None or high is None or (low, high) != (-1, 1):
        return reader.on(view, "clamp", {"min": low, "max": high})
    return reader.on(view, "hardtanh", {"min": low, "max": high})


def _bound(reader: Reader, node: Node, place: int, name: str) -> float | None:
    held = reader.numbers(node, place, name)
    return None if held is None or abs(held[0]) > 3e38 else exact(held[0])


@rule("PRelu")
def prelu(reader: Reader, node: Node) -> View:
    """Read a PReLU with one slope, or one for each channel."""
    slope, view = reader.fixed(node, 1), reader.view(node)
    if slope is None:
        raise CannotRead("its slopes are missing")
    count = max((*slope.shape, 1))
    if slope.shape.count(1) < len(slope.shape) - (count > 1):
        raise CannotRead("it has a slope for each position")
    if count > 1:
        view = reader.along(view, len(view.dims) - len(slope.shape) + slope.shape.index(count))
    return reader.holds(view, "prelu", {"slopes": count}, {"weight": shaped(slope, (count,))})


def shaped(fixed: Fixed, shape: tuple[int, ...]) -> Fixed:
    """Return a tensor in another shape of as many values."""
    return fixed if fixed.shape == shape else replace(fixed, shape=shape, array=lambda: fixed.array().reshape(shape), small=None)


@rule("Softmax", "LogSoftmax")
def softmax(reader: Reader, node: Node) -> Any:
    """Read a softmax over an axis; that of products of queries and keys is part of an attention."""
    held = reader.given(node, 0)
    default = -1 if reader.net.opset >= 13 else 1
    if isinstance(held, Products):
        if node.op != "Softmax" or held.weights:
            raise CannotRead("the softmax of an attention is not over its keys")
        return weighted(reader, held, reader.axis(node, len(held.shape), default))
    view = reader.view(node)
    axis = reader.axis(node, len(view.dims), default)
    if reader.net.opset < 13 and any(count != 1 for count in view.shape[axis + 1 :]):
        raise CannotRead("before opset 13 it is over all axes from one on, and here it is over one")
    if (made := found(reader, node)) is not None:
        return made
    view = reader.along(view, axis)
    return reader.on(view, "softmax" if node.op == "Softmax" else "log_softmax")


# ---- nothing


@rule("Identity", "Cast", "CastLike")
def same(reader: Reader, node: Node) -> Any:
    """Read what returns its operand, or converts it to another type of floating-point numbers."""
    if node.op == "Cast" and node.attrs.get("to") not in (1, 10, 11, 16, 7, 6):
        raise CannotRead("it converts values to a type that is not known here")
    held = reader.given(node, 0)
    return settled(reader, node, held) if isinstance(held, View) else held


@rule("Dropout")
def dropout(reader: Reader, node: Node) -> list[Any]:
    """Read a dropout."""
    ratio = reader.numbers(node, 1, "ratio")
    training = reader.fixed(node, 2)
    if training is not None and training.small is not None and bool(training.small.any()):
        raise CannotRead("it drops values in inference, too")
    p = exact(ratio[0]) if ratio else 0.5
    view = reader.view(node)
    return [reader.on(view, "dropout", {"p": p}) if p else view]


# ---- arithmetic

MERGES = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Max": "max", "Min": "min", "Sum": "add", "Mean": "mean"}
SCORES = frozenset({"MatMul", "Einsum"})
ENDS = frozenset({"Softmax"})
LEADS = frozenset({"Mul", "Div", "Add", "Reshape", "Unsqueeze", "Squeeze", "Identity"})
WAYS = frozenset({"Transpose", "Reshape", "Mul", "Div", "Identity"})


@rule("Pow")
def power(reader: Reader, node: Node) -> Any:
    """Read a power with a fixed exponent."""
    if (made := found(reader, node)) is not None:
        return made
    exponent = reader.scalar(node.inputs[1])
    if exponent is None:
        raise CannotRead("its exponent is a tensor")
    view = reader.view(node)
    return reader.on(view, "square") if exponent == 2 and not reader.net.own else reader.on(view, "pow", {"exponent": exponent})


@rule(*MERGES)
def arithmetic(reader: Reader, node: Node) -> Any:
    """Read a merge value by value, or arithmetic with a number."""
    if (made := found(reader, node)) is not None:
        return made
    if len(node.inputs) == 1:
        return reader.given(node, 0)
    chain = _chain(reader, node)
    if len(chain) > 2 or node.op in ("Sum", "Mean"):
        return _several(reader, chain, MERGES[node.op])
    one, two = reader.given(node, 0), reader.given(node, 1)
    numbers = reader.scalar(node.inputs[0]), reader.scalar(node.inputs[1])
    for place, other in ((0, two), (1, one)):
        held = (one, two)[place]
        if isinstance(held, Products):
            number = numbers[1 - place]
            if place == 1 and node.op in ("Sub", "Div"):
                raise CannotRead(f"{node.op} of a value and products of queries and keys")
            return scored(reader, held, other if number is None else number, node.op.lower())
    if numbers[1] is not None and isinstance(one, View):
        return _with_number(reader, node, one, numbers[1], False)
    if numbers[0] is not None and isinstance(two, View):
        return _with_number(reader, node, two, numbers[0], True)
    one, two = reader.view(node, 0), reader.view(node, 1)
    if node.op == "Mul" and node.inputs[0] == node.inputs[1]:
        return reader.on(one, "square")
    return merged(reader, MERGES[node.op], one, two)


def _chain(reader: Reader, node: Node) -> list[tuple[str, Node | None]]:
    """Return the values that a step of archc merges, which it writes as a chain of nodes, each with the transpose after it."""
    if not reader.net.own or node.op not in ("Add", "Mul", "Max", "Min"):
        return [(name, None) for name in node.inputs]
    found: list[tuple[str, Node | None]] = []
    for name in node.inputs:
        turn = reader.made(name, "Transpose")
        inner = reader.made(name if turn is None else turn.inputs[0], node.op)
        if inner is None:
            found.append((name, None))
        elif turn is None:
            found.extend(_chain(reader, inner))
        else:
            found.extend((each, turn) for each, other in _chain(reader, inner) if other is None)
    return found


def _several(reader: Reader, names: list[tuple[str, Node | None]], op: str) -> View:
    first = next((held for name, _ in names if isinstance(held := reader.value(name), View)), None)
    views = []
    for name, turn in names:
        view = reader.data(reader.value(name), first)
        views.append(view if turn is None else view.with_dims(view.dims[axis] for axis in turn.attrs["perm"]))
    frame = reader.settled(views[0])
    items = [frame.item]
    for view in views[1:]:
        pair = merged(reader, "add", frame, view)  # dropped: it finds out how the operand is arranged
        items.append(reader.flat.items[pair.item].operands[1])
        if pair.axes != frame.axes or reader.flat.items[pair.item].operands[0] != frame.item:
            raise CannotRead("its operands are arranged in several ways")
    return replace(frame, item=reader.add(op, items))


def _with_number(reader: Reader, node: Node, view: View, number: float, first: bool) -> View:
    """Read arithmetic with a number, which is the `first` operand or the second."""
    match node.op:
        case "Add":
            return reader.on(view, "shift", {"by": number})
        case "Sub":
            return reader.on(reader.on(view, "neg"), "shift", {"by": number}) if first else reader.on(view, "shift", {"by": -number})
        case "Mul" | "Div":
            if first and node.op == "Div":
                view = reader.on(view, "pow", {"exponent": -1.0})
            factor = number if node.op == "Mul" or first else 1 / number
            if reader.leads_to(node, SCORES, WAYS) and not reader.net.own:
                return replace(view, factor=view.factor * factor)
            return reader.on(view, "scale", {"factor": factor})
        case "Max":
            return reader.on(view, "clamp", {"min": number})
        case "Min":
            return reader.on(view, "clamp", {"max": number})
    raise CannotRead(f"{node.op} with a number")
