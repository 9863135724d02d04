"""Attention over all positions, with and without projections.

At opsets 23 and 24 it is ONNX's own operator: in onnxruntime 1.32 one kernel, as fast as the parts or faster. Of a later opset onnxruntime
knows the operator only by its definition, and runs some sixty nodes for it, so there it is written in parts, as before opset 23. On one
core, the operator and its parts: a layer of ViT-B/16 8.6 and 8.5 ms; 64 rows of 49 tokens of width 96, 5.8 and 6.2 ms.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.rule import Rule

WHOLE = (23, 24)  # the opsets whose operator onnxruntime runs as one kernel

# ---- what all kinds of attention share


def project(b: Building, x: Value, weight: Value, bias: Value | None) -> Value:
    """Write a fully-connected layer over the last axis, with a weight `(out, in)`."""
    result = x @ b.swap(weight, 0, 1)
    return result if bias is None else result + bias


def attend(
    b: Building, q: Value, k: Value, v: Value, heads: int, scale: float | None = None, causal: bool = False, mask: Value | None = None
) -> Value:
    """Write the attention of `(N, L, C)`, each with the channels of all heads; `mask` is added to the products.

    The factor of the products is `1/sqrt(C/heads)` where `scale` is None.
    """
    if b.opset in WHOLE:
        value: Value = b.op(
            "Attention", q, k, v, mask,
            q_num_heads=heads, kv_num_heads=heads, is_causal=1 if causal else None, scale=scale, shape=(*q.shape[:2], v.shape[2]),
        )  # fmt: skip
        return value
    queries, keys, values = (by_head(b, x, heads) for x in (q, k, v))
    return joined(b, attend_by_head(b, queries, keys, values, scale, causal, mask))


def attend_by_head(
    b: Building, q: Value, k: Value, v: Value, scale: float | None = None, causal: bool = False, mask: Value | None = None
) -> Value:
    """Write the attention of `(N, heads, L, width)`, in that shape."""
    if b.opset in WHOLE:
        shape = (*q.shape[:3], v.shape[3])
        value: Value = b.op("Attention", q, k, v, mask, is_causal=1 if causal else None, scale=scale, shape=shape)
        return value
    products = q @ b.swap(k, 2, 3) * (1 / sqrt(width(q)) if scale is None else scale)
    if causal:
        products = _not_later(b, products)
    if mask is not None:
        products = products + mask
    return b.softmax(products) @ v


def width(x: Value) -> int:
    """Return the size of the last axis. Raises ArchError where it is open."""
    return x.b.numbers(x.shape[-1:])[0]


def by_head(b: Building, x: Value, heads: int) -> Value:
    """Write `(N, L, C)` as `(N, heads, L, C/heads)`."""
    return b.swap(b.reshape(x, (*x.shape[:2], heads, width(x) // heads)), 1, 2)


def joined(b: Building, x: Value) -> Value:
    """Write `(N, heads, L, width)` as `(N, L, heads*width)`."""
    x = b.swap(x, 1, 2)
    return b.reshape(x, (*x.shape[:2], width(x) * int(x.shape[2])))  # type: ignore[arg-type]


def _not_later(b: Building, products: Value) -> Value:
    """Write the products of queries with keys that are not after them, and -inf for the others."""
    length = products.shape[2]
    if isinstance(length, int):
        return products + b.const(np.triu(np.full((length, length), -np.inf), 1))
    value: Value = b.op("Trilu", b.op("Exp", products * 0.0), upper=0, shape=products.shape)  # 1 where it may look, 0 elsewhere
    return products + b.op("Log", value)


def as_rows(b: Building, x: Value) -> Value:
    """Write `(N, C, *sizes)` as rows `(N, L, C)`."""
    if x.rank > 3:
        length: Any = 1
        for size in x.shape[2:]:
            length = length * size
        x = b.reshape(x, (*x.shape[:2], length))
    return b.swap(x, 1, 2)


def maps(b: Building, x: Value, like: Value) -> Value:
    """Write rows `(N, L, C)` as `(N, C, *sizes)`, with the sizes of `like`."""
    first = b.swap(x, 1, 2)
    return first if like.rank == 3 else b.reshape(first, (*first.shape[:2], *like.shape[2:]), like=like)


# ---- the rules


def attention(
    b: Building, query: Value, *others: Value, heads: int, causal: bool, scale: float | None, dropout: float, rows: bool = False
) -> Value:
    """Write attention of queries, keys and values, or of one tensor that holds all three; the last operand may be a bias."""
    if rows:
        return attention_in_rows(b, query, *others, heads=heads, causal=causal, scale=scale)
    bias = others[-1] if len(others) in (1, 3) else None
    if len(others) > 1:
        q, k, v = (as_rows(b, x) for x in (query, *others[:2]))
    else:
        packed = as_rows(b, query)
        q, k, v = b.split(packed, 2, [width(packed) // 3] * 3)
    return maps(b, attend(b, q, k, v, heads, scale, causal, bias), query)


def attention_in_rows(b: Building, query: Value, *others: Value, heads: int, causal: bool, scale: float | None) -> Value:
    """Write the attention of each row of a map, `(N, C, *parts, L)`, to itself."""
    *read, bias = (*others, None) if len(others) in (0, 2) else others
    parts = tuple(query.shape[2:-1])
    count = b.numbers(parts)

    def folded(x: Value) -> Value:
        order = (0, *range(2, x.rank), 1)
        turned = b.transpose(x, order)
        return b.reshape(turned, (turned.shape[0] * prod(count), *turned.shape[-2:]))

    operands = [folded(x) for x in (query, *read) if x is not None]
    if bias is not None:
        each = b.swap(bias, 1, 2) if bias.rank == 5 else b.unsqueeze(bias, 1)
        if bias.rank == 4:
            each = b.concat([each] * prod(count), 1)
        bias = b.reshape(each, (each.shape[0] * prod(count), *each.shape[-3:]))
    q, k, v = operands if read else b.split(operands[0], 2, [width(operands[0]) // 3] * 3)
    result = attend(b, q, k, v, heads, scale, causal, bias)
    apart = b.reshape(result, (query.shape[0], *parts, *result.shape[-2:]))
    return b.transpose(apart, (0, apart.rank - 1, *range(1, apart.rank - 1)))


def distances(b: Building, x: Value, positions: Sequence[int], step: Sequence[int], absolute: bool) -> Value:
    """Write the value of each two positions in a table of distances."""
    number = np.zeros((1,) * 2 * len(positions), np.int64)
    for axis, (size, by) in enumerate(zip(positions, step, strict=True)):
        gap = np.arange(0, size, by)[:, None] - np.arange(size)[None, :]
        gap = np.abs(gap) if absolute else gap + size - 1
        shape = [1] * number.ndim
        shape[axis], shape[len(positions) + axis] = gap.shape
        number = number * (size if absolute else 2 * size - 1) + gap.reshape(shape)
    flat = b.reshape(x, (*x.shape[:2], prod(b.numbers(x.shape[2:]))))
    return b.gather(flat, 2, number.reshape(prod(number.shape[: len(positions)]), -1))


def multihead_attention(b: Building, query: Value, *others: Value, embed_dim: int, num_heads: int, causal: bool, **unused: Any) -> Value:
    """Write attention with projections, of a tensor to itself, to another, or to keys and values."""
    channels, x = embed_dim, as_rows(b, query)
    weight, bias = b.weight("in_proj_weight"), b.weight("in_proj_bias")
    if not others:
        q, k, v = b.split(project(b, x, b.need("in_proj_weight"), bias), 2, [channels] * 3)
    elif len(others) == 1 and weight is not None:  # one product for keys and values
        sizes = [channels, 2 * channels]
        weights = b.split(weight, 0, sizes)
        biases = [None, None] if bias is None else b.split(bias, 0, sizes)
        q = project(b, x, weights[0], biases[0])
        k, v = b.split(project(b, as_rows(b, others[0]), weights[1], biases[1]), 2, [channels] * 2)
    else:
        read = [x, as_rows(b, others[0])]
        read.append(as_rows(b, others[1]) if len(others) > 1 else read[1])
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        weights = [b.need(name) for name in names] if weight is None else b.split(weight, 0, [channels] * 3)
        biases = [None] * 3 if bias is None else b.split(bias, 0, [channels] * 3)
        q, k, v = (project(b, *part) for part in zip(read, weights, biases, strict=True))
    result = project(b, attend(b, q, k, v, num_heads, causal=causal), b.need("out_proj.weight"), b.weight("out_proj.bias"))
    return maps(b, result, query)


RULES: dict[str, Rule] = {
    "archc.Attention": attention,
    "archc.Distances": distances,
    "archc.MultiheadAttention": multihead_attention,
}
