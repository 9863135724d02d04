"""Rules of products of matrices: layers over the last axis, attention and its projections, and plain products."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np

from archc.compiler.frontends.attending import Core, Products, attended, multiplied, plain_product, product, summed
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.onnx.layers import linear, needed, turned
from archc.compiler.frontends.onnx.model import Node
from archc.compiler.frontends.onnx.pointwise import ENDS, LEADS, pattern, setting
from archc.compiler.frontends.onnx.reader import Reader, exact, rule
from archc.compiler.frontends.onnx.tensors import Fixed
from archc.compiler.frontends.onnx.windows import window_attention
from archc.compiler.frontends.views import View


@rule("MatMul")
def matmul(reader: Reader, node: Node) -> Any:
    """Read a product of matrices: with a weight, of queries and keys, of weights and values, or of any two."""
    one, two = reader.given(node, 0), reader.given(node, 1)
    if isinstance(one, Products):
        return summed(reader, one, reader.data(two))
    if isinstance(two, Fixed) and isinstance(one, View):
        return _projected(reader, one, turned(two) if len(two.shape) == 2 else two, None)
    if not isinstance(one, View) or not isinstance(two, View):
        raise CannotRead("it multiplies a weight by a value of the network")
    if reader.leads_to(node, ENDS, LEADS):
        return product(reader, one, two.with_dims((*two.dims[:-2], two.dims[-1], two.dims[-2])))
    return plain_product(reader, one, two)


@rule("Gemm")
def gemm(reader: Reader, node: Node) -> View:
    """Read a layer over all values, or over the last axis where samples and positions are one axis."""
    if node.attrs.get("transA", 0) or setting(node, "alpha", 1.0) != 1 or (setting(node, "beta", 1.0) != 1 and len(node.inputs) > 2):
        raise CannotRead("it scales or transposes its operand")
    weight, bias = needed(reader.fixed(node, 1)), reader.fixed(node, 2)
    return _projected(reader, reader.view(node), weight if node.attrs.get("transB", 0) else turned(weight), bias)


@rule("Einsum")
def einsum(reader: Reader, node: Node) -> Any:
    """Read a product of two tensors that is one of matrices."""
    one, *others = (reader.given(node, place) for place in range(len(node.inputs)))
    if len(others) != 1:
        raise CannotRead(f"einsum of {len(node.inputs)} tensors")
    return multiplied(reader, node.attrs["equation"], one, others[0], reader.leads_to(node, ENDS, LEADS))


@pattern("Add")
def with_bias(reader: Reader, node: Node) -> View | None:
    """Read a product with a weight, and the bias that is added to it."""
    for one, two in (node.inputs, node.inputs[::-1]) if len(node.inputs) == 2 else ():
        bias, before = reader.values.get(two), reader.made(one, "MatMul")
        if before is None or not isinstance(bias, Fixed) or (bias.scalar is not None and bias.shape == ()):
            continue
        x, weight = (reader.values.get(name) for name in before.inputs)
        if isinstance(x, View) and isinstance(weight, Fixed) and len(weight.shape) == 2 and bias.shape == (weight.shape[1],):
            return _projected(reader, x, turned(weight), bias)
    return None


def _projected(reader: Reader, view: View, weight: Fixed, bias: Fixed | None) -> View:
    """Append a layer over the last axis, or the whole attention that it is the last projection of."""
    if isinstance(reader.flat.items[view.item].data, Core):
        return window_attention(reader, view, weight, bias)
    if (done := _multihead(reader, view, weight, bias)) is not None:
        return done
    return linear(reader, view, weight, bias)


def _multihead(reader: Reader, view: View, weight: Fixed, bias: Fixed | None) -> View | None:
    """Return an attention with its projections, whose weights the file names as torch's `MultiheadAttention` does."""
    item = reader.flat.items[view.item]
    if item.op != "attention" or not weight.origin.endswith("out_proj.weight") or item.attrs["scale"] is not None:
        return None
    if len(item.operands) != 1 or view.axes[0] != view.dims[-1]:
        return None
    packed = reader.held.get(item.operands[0], {})
    if "weight" not in packed or ("bias" in packed) != (bias is not None):
        return None
    if not any(fixed.origin.endswith(("in_proj_weight", "in_proj_bias")) for fixed in packed.values()):  # turned weights lose their names
        return None
    held: dict[str, Fixed | None] = {"in_proj_weight": packed["weight"], "out_proj.weight": weight}
    if bias is not None:
        held |= {"in_proj_bias": packed["bias"], "out_proj.bias": bias}
    given = {"heads": item.attrs["heads"], "causal": item.attrs["causal"], "bias": bias is not None}
    number = reader.layer("multihead_attention", [reader.flat.items[item.operands[0]].operands[0]], given, held)
    return reader.rechanneled(view, number, -1)


@pattern("Add")
def causal(reader: Reader, node: Node) -> Products | None:
    """Read the constant that keeps queries from later keys."""
    for one, two in (node.inputs, node.inputs[::-1]) if len(node.inputs) == 2 else ():
        held, mask = reader.values.get(one), reader.values.get(two)
        if isinstance(held, Products) and isinstance(mask, Fixed) and is_causal(mask, held.shape[-1]):
            return replace(held, causal=True)
    return None


def is_causal(mask: Fixed, length: int) -> bool:
    """Return whether a tensor is 0 up to the diagonal and so small after it that nothing of it is left."""
    if not mask.is_constant or mask.shape[-2:] != (length, length) or any(count != 1 for count in mask.shape[:-2]) or length < 2:
        return False
    array = mask.array().reshape(length, length).astype(np.float64)
    return bool((array[np.tril_indices(length)] == 0).all() and (array[np.triu_indices(length, 1)] <= -1e4).all())


@rule("Attention")
def attention(reader: Reader, node: Node) -> list[Any]:
    """Read ONNX's attention."""
    views = [reader.view(node, place) for place in range(3)]
    if (len(node.inputs) > 3 and any(node.inputs[3:])) or len(node.outputs) > 1 or setting_is_given(node):
        raise CannotRead("its mask, its cache or its bounds are not known")
    if len(views[0].dims) == 3:
        heads, others = node.attrs.get("q_num_heads", 0), node.attrs.get("kv_num_heads", 0)
        if not heads or heads != others or any(view.shape[2] % heads for view in views):
            raise CannotRead("its keys are those of several heads")
        views = [_by_head(view, heads) for view in views]
    query, keys, values = views
    scale = exact(node.attrs["scale"]) if node.attrs.get("scale") else 1 / sqrt(query.shape[-1])
    products = product(reader, query, keys)
    products = replace(products, weights=True, scale=products.scale * scale)
    made = attended(reader, products, values, bool(node.attrs.get("is_causal", 0)))
    if len(reader.view(node).dims) == 3:
        made = made.with_dims((made.dims[0], made.dims[2], made.dims[1] + made.dims[3]))
    return [made]


def _by_head(view: View, heads: int) -> View:
    from archc.compiler.frontends.selecting import attempt

    apart = attempt(view, (*view.shape[:2], heads, view.shape[2] // heads))
    return apart.with_dims(apart.dims[place] for place in (0, 2, 1, 3))


def setting_is_given(node: Node) -> bool:
    """Return whether an attention has a setting that changes what it computes in a way that is not known."""
    return bool(node.attrs.get("softcap", 0.0)) or bool(node.attrs.get("qk_matmul_output_mode", 0))
