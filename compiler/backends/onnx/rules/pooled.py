"""Attention whose queries, keys and values are pooled over the positions of a video, after a class token."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.building import Building, Value
from archc.compiler.backends.onnx.rules.attention import attend_by_head, by_head, joined, project, width
from archc.compiler.backends.onnx.rules.rule import Rule


def pooled_attention(
    b: Building,
    x: Value,
    out: int,
    heads: int,
    sizes: Sequence[int],
    kernel_q: Sequence[int],
    stride_q: Sequence[int],
    kernel_kv: Sequence[int],
    stride_kv: Sequence[int],
    tables: Sequence[int],
    residual: bool,
    eps: float,
    **unused: Any,
) -> Value:
    """Write attention of `(N, C, 1 + positions)`."""
    packed = project(b, b.swap(x, 1, 2), b.need("qkv.weight"), b.need("qkv.bias"))
    q, k, v = (by_head(b, part, heads) for part in b.split(packed, 2, [out] * 3))
    k, read = _pooled(b, "k", k, sizes, kernel_kv, stride_kv, eps)
    v, _ = _pooled(b, "v", v, sizes, kernel_kv, stride_kv, eps)
    q, asked = _pooled(b, "q", q, sizes, kernel_q, stride_q, eps)
    mask = _bias(b, q, asked, read) if tables else None
    result = attend_by_head(b, q, k, v, mask=mask)
    if residual:
        result = result + b.pad(b.slice(q, 2, 1), [0, 0, 1, 0], [0, 0, 0, 0])
    projected = project(b, joined(b, result), b.need("project.0.weight"), b.need("project.0.bias"))
    return b.swap(projected, 1, 2)


def _pooled(
    b: Building, name: str, x: Value, sizes: Sequence[int], kernel: Sequence[int], stride: Sequence[int], eps: float
) -> tuple[Value, Sequence[int]]:
    """Write a convolution of each channel of `(N, heads, 1 + positions, width)` over the positions, and a layer norm; and the sizes."""
    weight = b.weight(f"pool_{name}.pool.weight")
    if weight is None:
        return x, sizes
    batch, heads, _, channels = x.shape
    pads = [size // 2 for size in kernel]
    after = [(size + 2 * pad - window) // step + 1 for size, pad, window, step in zip(sizes, pads, kernel, stride, strict=True)]
    video = b.reshape(b.swap(b.slice(x, 2, 1), 2, 3), (batch * heads, channels, *sizes))
    pooled = b.op(
        "Conv", video, weight,
        kernel_shape=list(kernel), strides=list(stride), pads=[*pads, *pads], group=width(x), shape=(*video.shape[:2], *after),
    )  # fmt: skip
    rows = b.swap(b.reshape(pooled, (batch, heads, channels, prod(after))), 2, 3)
    tokens = b.concat([b.slice(x, 2, 0, 1), rows], 2)
    scale, shift = b.need(f"pool_{name}.norm_act.0.weight"), b.need(f"pool_{name}.norm_act.0.bias")
    return b.op("LayerNormalization", tokens, scale, shift, axis=-1, epsilon=float(eps)), after


def _bias(b: Building, q: Value, sizes: Sequence[int], read: Sequence[int]) -> Value:
    """Write what is added to the products: of each query and the rows of its distances to a key along each axis; nothing for tokens."""
    batch, heads, _, channels = q.shape
    (t, h, w), count = sizes, batch * heads
    positions = b.reshape(b.slice(q, 2, 1), (count, t, h, w, channels))
    over = []
    for axis, (name, queries, keys) in enumerate(zip("thw", sizes, read, strict=True), 1):
        first, second = (other for other in (1, 2, 3) if other != axis)
        order = [0, first, axis, second, 4]  # for each position along the axis, the product with a matrix (width, keys)
        table = b.swap(b.gather(b.need(f"rel_pos_{name}"), 0, distances(queries, keys)), 1, 2)
        products = b.transpose(b.transpose(positions, order) @ table, [order.index(at) for at in range(5)])
        over.append(b.reshape(products, (count, t, h, w, *(keys if at == axis else 1 for at in (1, 2, 3)))))
    total = over[0] + over[1] + over[2]
    whole = b.reshape(total, (batch, heads, prod(sizes), prod(read)))
    return b.pad(whole, [0, 0, 1, 1], [0, 0, 0, 0])


def distances(queries: int, keys: int) -> Any:
    """Return the row of a table for each query and key along an axis; the fewer positions are spread over the others."""
    query, key = np.float32(max(keys / queries, 1.0)), np.float32(max(queries / keys, 1.0))
    places = np.arange(queries)[:, None].astype(np.float32) * query
    return (places - (np.arange(keys)[None, :].astype(np.float32) + np.float32(1.0 - keys)) * key).astype(np.int64)


RULES: dict[str, Rule] = {"archc.PooledAttention": pooled_attention}
