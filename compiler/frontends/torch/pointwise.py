"""Rules of activations, of arithmetic value by value, and of dropout."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from torch import fx

from archc.compiler.frontends.attending import Products, dropped, scored, weighted
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.inside import Inside, inside_scored
from archc.compiler.frontends.responses import response_norm
from archc.compiler.frontends.selecting import merged
from archc.compiler.frontends.torch import attention
from archc.compiler.frontends.torch.nodes import Fixed, operator, rule, unchanged
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.frontends.views import View

# ---- functions of one tensor

PLAIN = {
    **{name: name for name in ("relu", "relu6", "sigmoid", "tanh", "silu", "hardswish", "hardsigmoid", "mish", "selu")},
    **{name: name for name in ("neg", "abs", "exp", "log", "sqrt", "square", "sin", "cos")},
    "log_sigmoid": "logsigmoid",
}


def _function(reader: Reader, a: Any, op: str) -> View:
    return reader.on(tensor(reader, a), op)


for _name, _op in PLAIN.items():
    rule(_name)(partial(_function, op=_op))


def tensor(reader: Reader, a: Any) -> View:
    """Return the first argument of an operator, as a view."""
    return reader.data(a.x)


@rule("gelu")
def gelu(reader: Reader, a: Any) -> View:
    """Read a GELU."""
    return reader.on(tensor(reader, a), "gelu", {"approximate": a.approximate})


@rule("leaky_relu")
def leaky_relu(reader: Reader, a: Any) -> View:
    """Read a leaky ReLU."""
    return reader.on(tensor(reader, a), "leaky_relu", {"slope": a.negative_slope})


@rule("elu")
def elu(reader: Reader, a: Any) -> View:
    """Read an ELU."""
    if (a.scale, a.input_scale) != (1, 1):
        raise CannotRead("it has scales of its own")
    return reader.on(tensor(reader, a), "elu", {"alpha": a.alpha})


@rule("celu")
def celu(reader: Reader, a: Any) -> View:
    """Read a CELU."""
    return reader.on(tensor(reader, a), "celu", {"alpha": a.alpha})


@rule("softplus")
def softplus(reader: Reader, a: Any) -> View:
    """Read a softplus."""
    if (a.beta, a.threshold) != (1, 20):
        raise CannotRead("its beta or its threshold is not the usual one")
    return reader.on(tensor(reader, a), "softplus")


@rule("hardtanh", "clamp", "clip")
def clamp(reader: Reader, a: Any) -> View:
    """Read a clamp: from 0 to 6 it is `relu6`."""
    low, high = (a.min_val, a.max_val) if a.min_val is not None else (a.min, a.max)
    is_hard = operator(reader.node).startswith("hardtanh")
    if (low, high) == (0, 6) and is_hard:
        return reader.on(tensor(reader, a), "relu6")
    return reader.on(tensor(reader, a), "hardtanh" if is_hard else "clamp", {"min": low, "max": high})


@rule("clamp_min")
def clamp_min(reader: Reader, a: Any) -> Any:
    """Read a lower bound."""
    if isinstance(held := a.x, attention.Length):
        return replace(held, eps=a.min)
    return reader.on(tensor(reader, a), "clamp", {"min": a.min})


@rule("prelu")
def prelu(reader: Reader, a: Any) -> View:
    """Read a PReLU."""
    view = reader.along(tensor(reader, a), 1)
    return reader.on(view, "prelu", {"slopes": a.weight.shape[0]}, weights=reader.weights(a.weight))


@rule("glu")
def glu(reader: Reader, a: Any) -> View:
    """Read a gated linear unit."""
    view = reader.along(tensor(reader, a), a.dim)
    return reader.rechanneled(view, reader.add("glu", [view.item]), a.dim)


@rule("pow")
def power(reader: Reader, a: Any) -> View:
    """Read a power with a fixed exponent."""
    if not isinstance(a.exponent, int | float):
        raise CannotRead("its exponent is a tensor")
    view = tensor(reader, a)
    return reader.on(view, "square") if a.exponent == 2 else reader.on(view, "pow", {"exponent": a.exponent})


@rule("rsqrt")
def reciprocal_root(reader: Reader, a: Any) -> View:
    """Read the reciprocal of a square root."""
    return reader.on(tensor(reader, a), "pow", {"exponent": -0.5})


@rule("softmax", "log_softmax", "_softmax")
def softmax(reader: Reader, a: Any) -> Any:
    """Read a softmax over an axis; that of products of queries and keys is part of an attention."""
    held = a.x
    if isinstance(held, Products):
        return weighted(reader, held, a.dim)
    view = reader.along(reader.data(held), a.dim)
    name = operator(reader.node).strip("_")
    return reader.on(view, name)


# ---- dropout


@rule("dropout")
def dropout(reader: Reader, a: Any) -> Any:
    """Read a dropout, or what stands for one that drops samples; none at a probability of 0."""
    if isinstance(a.x, Products):
        return dropped(a.x, a.p)
    if isinstance(a.x, Fixed):
        raise CannotRead("it drops weights")
    if a.p == 0:
        return a.x
    if reader.classes.get(reader.path) in SAMPLES:
        return reader.on(a.x, "stochastic_depth", {"p": a.p, "mode": reader.modes.get(reader.path, "row")})
    return reader.on(a.x, "dropout", {"p": a.p})


SAMPLES = frozenset({"StochasticDepth", "DropPath"})


@rule("alias", "contiguous", "clone", "detach", "lift_fresh_copy", "lift_fresh")
def same(reader: Reader, a: Any) -> Any:
    """Read what returns its input."""
    return a.x


@rule("to", "_to_copy", "type_as")
def converted(reader: Reader, a: Any) -> Any:
    """Read a conversion to the same type."""
    before: Any = reader.node.args[0]
    after = reader.node.meta["val"]
    if before.meta["val"].dtype != after.dtype:
        raise CannotRead(f"it converts {before.meta['val'].dtype} to {after.dtype}")
    return a.x


# ---- arithmetic


@rule("add", "sub", "rsub", "mul", "div", "maximum", "minimum")
def arithmetic(reader: Reader, a: Any) -> Any:
    """Read a merge value by value, or arithmetic with a number."""
    name = operator(reader.node).strip("_")
    one, two = a.x, a.other
    if a.alpha not in (None, 1) or a.rounding_mode is not None:
        raise CannotRead("it scales its second operand, or rounds")
    for first, second in ((one, two), (two, one)):
        if isinstance(first, Products):
            return scored(reader, first, second, name)
        if isinstance(first, Inside):
            return inside_scored(first, second, name)
    if isinstance(two, attention.Length):
        return attention.normalized(reader, one, two)
    if not isinstance(two, View | Fixed):
        return _with_number(reader, reader.data(one), two, name)
    if not isinstance(one, View | Fixed):
        return _with_number(reader, reader.data(two), one, name)
    for first, second in ((one, two), (two, one)):
        if name == "mul" and isinstance(first, View) and (done := scaled(reader, first, second)) is not None:
            return done
    if name == "add" and isinstance(one, View) and isinstance(two, View) and (done := response_norm(reader, one, two)) is not None:
        return done
    beside = one if isinstance(one, View) else two if isinstance(two, View) else None
    one, two = reader.data(one, beside), reader.data(two, beside)
    if name == "rsub":
        name, one, two = "sub", two, one
    return merged(reader, {"maximum": "max", "minimum": "min"}.get(name, name), one, two)


def _with_number(reader: Reader, view: View, number: float, name: str) -> View:
    match name:
        case "add":
            return reader.on(view, "shift", {"by": number})
        case "sub":
            return reader.on(view, "shift", {"by": -number})
        case "rsub":
            return reader.on(reader.on(view, "neg"), "shift", {"by": number})
        case "mul":
            if attention.leads_to(reader.node, SCORES, frozenset({"transpose", "permute", "mul"})):
                return replace(view, factor=view.factor * number)
            return reader.on(view, "scale", {"factor": number})
        case "div":
            return reader.on(view, "scale", {"factor": 1 / number})
    raise CannotRead(f"{name} with a number")


SCORES = ("matmul", "bmm", "einsum", "scaled_dot_product_attention")


def scaled(reader: Reader, view: View, weight: Any) -> View | None:
    """Return the product with a trained factor, or with one for each channel; None where it is neither."""
    if not isinstance(weight, Fixed):
        return None
    node, shape = unshaped(reader, weight.node), weight.shape
    if node not in reader.keys:
        return None
    stored = tuple(node.meta["val"].shape)
    if not stored and reader.keys[node] in reader.trained:
        return reader.on(view, "gain", weights={reader.key(node): stored})
    places = [len(view.dims) - len(shape) + place for place, count in enumerate(shape) if count != 1]
    if len(places) != 1 or places[0] < 1 or reader.batch in view.dims[places[0]]:
        return None
    view = reader.along(view, places[0])
    held = {reader.key(node): stored}
    if stored == (stored[0], *(1,) * (len(view.axes) - 1)):
        return reader.on(view, "layer_scale", weights=held)
    if len(stored) == 1:
        return reader.on(view, "layer_scale", {"flat": True}, weights=held)
    return None


RESHAPES = frozenset({"view", "reshape", "unsqueeze", "squeeze"})


def unshaped(reader: Reader, node: fx.Node) -> fx.Node:
    """Return the node whose values a node has in another shape; of a trained tensor that tensor."""
    while (node := unchanged(node)) not in reader.keys and len(node.all_input_nodes) == 1 and operator(node) in RESHAPES:
        node = node.all_input_nodes[0]
    return node
