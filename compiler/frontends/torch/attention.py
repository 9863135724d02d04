"""Attention: products of queries and keys, weights by softmax, and sums of values, as one operator with its projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from torch import fx

from archc.compiler.frontends.attending import Bias, Core, Products, attended, multiplied, plain_product, product, summed
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.torch.nodes import operator, rule, storage
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.frontends.views import View


@dataclass(frozen=True)
class Length:
    """The length of vectors that are about to be divided by it."""

    view: View
    node: fx.Node
    dim: int
    eps: float = 0.0


KEYLESS = "a projection whose keys have no bias"

LEADS = frozenset(
    {"mul", "div", "add", "view", "reshape", "softmax", "_softmax", "clone", "contiguous", "alias", "unsqueeze", "squeeze", "masked_fill"}
    | {"slice", "copy"}
)


def leads_to(node: fx.Node, ends: Sequence[str], through: frozenset[str]) -> bool:
    """Return whether every way from a node, through some operators, ends at one of `ends`."""
    users = list(node.users)
    if not users:
        return False
    for user in users:
        name = user.target._schema.name.rpartition("::")[2].rstrip("_") if hasattr(user.target, "_schema") else ""
        if name in ends:
            continue
        if name == "copy" and name in through and not user.users and storage(user) is storage(node):
            continue  # it writes into what is followed anyway
        if name not in through or not leads_to(user, ends, through):
            return False
    return True


WEIGHTS = frozenset({"dropout", "clone", "contiguous", "alias", "transpose"})
MATRICES = ("matmul", "bmm", "einsum")


def is_scored(node: fx.Node) -> bool:
    """Return whether products of queries and keys become the weights of an attention, and nothing else is done to these."""
    ends: list[fx.Node] = []
    stack = [node]
    while stack:
        for user in stack.pop().users:
            name = operator(user)
            (ends if name in ("softmax", "_softmax") else stack).append(user)
            if name not in LEADS and name.rstrip("_") not in LEADS:
                return False
    return bool(ends) and leads_to(node, ("softmax", "_softmax"), LEADS) and all(leads_to(end, MATRICES, WEIGHTS) for end in ends)


# ---- products


@rule("matmul", "bmm")
def matmul(reader: Reader, a: Any) -> Any:
    """Read a product of matrices: of queries and keys, of weights and values, or of any two."""
    one, two = a.x, a.other if a.other is not None else a.mat2
    if isinstance(one, Products):
        return summed(reader, one, reader.data(two))
    if isinstance(two, Products) and two.turned:
        view = reader.data(one)
        made = summed(reader, replace(two, turned=False), view.with_dims((*view.dims[:-2], view.dims[-1], view.dims[-2])))
        return made.with_dims((*made.dims[:-2], made.dims[-1], made.dims[-2]))
    beside = one if isinstance(one, View) else two if isinstance(two, View) else None
    one, two = reader.data(one, beside), reader.data(two, beside)
    if is_scored(reader.node):
        keys = two.with_dims((*two.dims[:-2], two.dims[-1], two.dims[-2]))
        return product(reader, one, keys)
    return plain_product(reader, one, two)


@rule("einsum")
def einsum(reader: Reader, a: Any) -> Any:
    """Read a product of two tensors that is one of matrices."""
    one, *others = a.tensors
    if len(others) != 1:
        raise CannotRead(f"einsum of {len(a.tensors)} tensors")
    return multiplied(reader, a.equation, one, others[0], is_scored(reader.node))


@rule("scaled_dot_product_attention")
def dot_product_attention(reader: Reader, a: Any) -> View:
    """Read torch's attention."""
    scale = a.scale if a.scale is not None else 1 / sqrt(a.query.shape[-1])
    beside = next(each for each in (a.query, a.key, a.value) if isinstance(each, View))
    query, key, value = (reader.data(each, beside) for each in (a.query, a.key, a.value))
    if a.enable_gqa:
        raise CannotRead("its keys are those of several heads")
    products = replace(product(reader, query, key), weights=True, dropout=a.dropout_p or 0.0)
    products = replace(products, scale=products.scale * scale)
    if a.attn_mask is not None:
        products = replace(products, added=(Bias(a.attn_mask, products.dims),))
    return attended(reader, products, value, bool(a.is_causal))


# ---- vectors divided by their length


def length(reader: Reader, view: View, a: Any) -> Length | None:
    """Return a length that vectors are divided by, as `torch.nn.functional.normalize` does; None for any other."""
    user = reader.node
    for name in ("clamp_min", "expand_as", "div"):
        if len(user.users) != 1:
            return None
        user = next(iter(user.users))
        if not str(getattr(user.target, "_schema", "")).startswith(f"aten::{name}"):
            return None
    source = reader.node.args[0]
    if user.args[0] is not source or not a.keepdim or len(a.dim or ()) != 1:
        return None
    return Length(view, user, a.dim[0] % len(view.dims))


def normalized(reader: Reader, view: View, by: Length) -> View:
    """Return vectors divided by their length."""
    if leads_to(reader.node, ("matmul", "bmm", "scaled_dot_product_attention"), frozenset({"transpose"})):
        return replace(view, unit=by.eps)
    view = reader.along(view, by.dim)
    return reader.on(view, "l2_norm", {"eps": by.eps})


# ---- the last projection


def projected(reader: Reader, view: View, a: Any) -> View | None:
    """Return an attention with its projections, where a layer is the last of them; None where it is another layer."""
    from archc.compiler.frontends.torch.windows import window_attention

    item = reader.flat.items[view.item]
    if isinstance(item.data, Core):
        try:
            return window_attention(reader, view, a)
        except CannotRead:
            return None  # it is written with the attention and its projections apart
    if item.op != "attention" or len(item.operands) != 1 or a.weight.node not in reader.keys:
        return None
    packed = reader.flat.items[item.operands[0]]
    if not packed.key.endswith(".in_proj~") and packed.key != "in_proj~":
        return None
    prefix = packed.key.removesuffix("in_proj~")
    if reader.keys[a.weight.node] != f"{prefix}out_proj.weight" or view.axes[0] != view.dims[-1] or item.attrs["scale"] is not None:
        return None
    held = {key.replace("in_proj~.", "in_proj_"): shape for key, shape in packed.weights.items()}
    given = {"heads": item.attrs["heads"], "causal": item.attrs["causal"], "dropout": item.attrs["dropout"], "bias": a.bias is not None}
    number = reader.add("multihead_attention", [packed.operands[0]], given, weights={**held, **reader.weights(a.weight, a.bias)})
    return reader.rechanneled(view, number, -1)
