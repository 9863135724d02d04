"""What a step of archc's own files may be: operators with options, read off its nodes and its weights.

A guess need not be right, as it is written again and compared (`rewriting.py`). What a file does not say, such as a shift of windows that
has no effect, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import isqrt, prod
from typing import Any

import numpy as np

from archc.compiler.frontends.arranging import words
from archc.compiler.frontends.onnx.model import Node
from archc.compiler.frontends.onnx.reader import exact
from archc.compiler.frontends.onnx.rewriting import Group, Guess, guess
from archc.compiler.frontends.views import fresh
from archc.compiler.ops.kinds import Word

LARGEST = 2**12  # positions along an axis, or in a window
MAPS = 2**20  # positions of a map with windows
KEYS = {"qkv": "proj", "to_qkv": "merge"}  # the projections of an attention within windows


def divisors(number: int) -> list[int]:
    """Return the divisors of a number, in order."""
    small = [each for each in range(1, isqrt(number) + 1) if number % each == 0]
    return [*small, *(number // each for each in reversed(small) if each * each != number)]


def target(group: Group, node: Node) -> list[int]:
    """Return the sizes that a Reshape asks for; nothing where they are computed."""
    held = group.constant(node.inputs[1])
    return [] if held is None else [int(size) for size in held]


def heads_of(group: Group, channels: int) -> list[int]:
    """Return the numbers of heads that an attention of so many channels may have."""
    stated = [node.attrs["q_num_heads"] for node in group.every("Attention") if node.attrs.get("q_num_heads")]
    apart = [sizes[2] for node in group.every("Reshape") if len(sizes := target(group, node)) == 4 and sizes[2] * sizes[3] == channels]
    return list(dict.fromkeys([*stated, *apart])) or divisors(channels)


# ---- attention


@guess("Attention", "Softmax")
def window_attention(group: Group) -> Iterator[Guess]:
    """Guess attention within windows: the positions of a window and the shift are those of the first Reshape or Gather."""
    local, (shape, *_) = group.local(), group.shapes
    name = next((name for name, last in KEYS.items() if f"{name}.weight" in local and f"{last}.weight" in local), "")
    if not name or len(shape) < 3 or prod(shape[1:]) > MAPS:
        return
    position = "table" if "relative_position_bias_table" in local else "continuous" if "cpb_mlp.0.weight" in local else "none"
    cosine = "logit_scale" in local
    table = local.get("relative_position_bias_table", local.get("logit_scale"))
    heads = [table[1] if position == "table" else table[0]] if table else heads_of(group, shape[0])
    index = local.get("relative_position_index")
    count = None if index is None else isqrt(prod(index))
    scales = [None] if cosine else [None, *_scales(group)]
    for window, shift, grid in _windows(group, shape, count):
        for head, scale, pad in product(heads, scales, (False, True)) if prod(window) <= LARGEST else ():
            yield "window_attention", {
                "heads": head, "window": window, "shift": shift, "grid": grid, "pad": pad, "position": position,
                "similarity": "cosine" if cosine else "dot", "scale": scale, "keys": name, "bias": f"{name}.bias" in local,
            }  # fmt: skip


def _scales(group: Group) -> list[float]:
    stated = [exact(node.attrs["scale"]) for node in group.every("Attention") if "scale" in node.attrs]
    return [*stated, *(number for node in group.every("Mul") for name in node.inputs if (number := group.number(name)) is not None)]


def _windows(group: Group, shape: tuple[int, ...], count: int | None) -> Iterator[tuple[Any, Any, bool]]:
    """Yield the sizes of a window, the shift and whether it is a grid, for a map; `count` is that of the positions, where it is known."""
    sizes = shape[1:]
    parts = next((found for node in group.every("Reshape") if len(found := target(group, node)) == 2 + 2 * len(sizes)), None)
    if parts is not None:
        yield tuple(parts[2:-1:2]), 0, False
        yield tuple(parts[1:-1:2]), 0, True
        return
    table = next((held for node in group.every("Gather") if (held := group.constant(node.inputs[1])) is not None), None)
    if table is None:
        return
    known = [count] if count is not None else divisors(len(table))
    for number in known:
        for window in _shapes(number, len(sizes)):
            shift = [int(place) for place in np.unravel_index(int(table[0]), sizes)] if table[0] < prod(sizes) else [0] * len(sizes)
            yield window, tuple(shift), False
            yield window, 0, True


def _shapes(count: int, axes: int) -> list[tuple[int, ...]]:
    """Return the shapes of so many positions, those with equal sizes first."""
    if axes == 1:
        return [(count,)]
    found = [(first, *rest) for first in divisors(count) for rest in _shapes(count // first, axes - 1)]
    return sorted(found, key=lambda shape: (max(shape) - min(shape), shape))


@guess("Attention", "Softmax")
def pooled_attention(group: Group) -> Iterator[Guess]:
    """Guess attention of pooled queries, keys and values."""
    local, (shape, *_) = group.local(), group.shapes
    if "project.0.weight" not in local or "qkv.weight" not in local:
        return
    out = local["qkv.weight"][0] // 3
    heads = next(
        (out // local[name][-1] for name in ("rel_pos_t", "pool_q.norm_act.0.weight", "pool_k.norm_act.0.weight") if name in local), 0
    )
    given: dict[str, Any] = {"out": None if out == shape[0] else out, "relative": "rel_pos_t" in local}
    for which, name in (("q", "q"), ("kv", "k")):
        conv = next((node for node in group.every("Conv") if node.inputs[1].endswith(f"pool_{name}.pool.weight")), None)
        given[f"kernel_{which}"] = 1 if conv is None else tuple(conv.attrs["kernel_shape"])
        given[f"stride_{which}"] = 1 if conv is None else tuple(conv.attrs["strides"])
    norms = group.every("LayerNormalization")
    if norms:
        given["eps"] = exact(norms[0].attrs["epsilon"])
    found = [wanted for node in group.every("Reshape") if len(wanted := target(group, node)) == 5]
    maps, rows = [tuple(wanted[2:]) for wanted in found if wanted[1] == out // max(heads, 1)], [tuple(wanted[1:4]) for wanted in found]
    every = [sizes for sizes in dict.fromkeys([*maps, *rows]) if max(sizes) <= LARGEST]
    for sizes, head, residual in product(every, [heads] if heads else heads_of(group, out), (True, False)):
        yield "pooled_attention", {**given, "sizes": sizes, "heads": head, "residual": residual}


# ---- recurrence


@guess("LSTM", "GRU")
def recurrent(group: Group) -> Iterator[Guess]:
    """Guess recurrent layers."""
    first = next(node for node in group.nodes if node.op in ("LSTM", "GRU"))
    layers = len(group.every(first.op))
    given = {
        "hidden": first.attrs["hidden_size"],
        "layers": layers,
        "bidirectional": first.attrs.get("direction", "forward") == "bidirectional",
        "bias": len(first.inputs) > 3 and bool(first.inputs[3]),
    }
    for last in (False, True):
        yield first.op.lower(), {**given, "last": last}


# ---- convolution


@guess("Conv", "ConvTranspose", "Gemm")
def computed(group: Group) -> Iterator[Guess]:
    """Guess a layer whose weights are computed, or are those of a connection table."""
    node = next(node for node in group.nodes if node.op in ("Conv", "ConvTranspose", "Gemm"))
    if len(group.nodes) == 1:
        return
    local = group.local()
    bias = len(node.inputs) > 2 and bool(node.inputs[2])
    given: dict[str, Any] = {"bias": bias, "weight": Word("spectral")}
    stored = local.get("parametrizations.weight.original", local.get("original"))
    if stored is not None and node.op == "Gemm":
        yield "fc", {**given, "out": stored[0]}
        return
    if node.op == "Gemm":
        return
    count = len(node.attrs["kernel_shape"])
    given |= {
        "kernel": tuple(node.attrs["kernel_shape"]), "stride": tuple(node.attrs["strides"]), "groups": node.attrs["group"],
        "pad": tuple(node.attrs["pads"][:count]), "dilation": tuple(node.attrs["dilations"]),
    }  # fmt: skip
    if node.op == "ConvTranspose":
        if stored is not None:
            yield "convt", {**given, "out": stored[1] * given["groups"], "out_pad": tuple(node.attrs["output_padding"])}
        return
    weight = stored or local.get("weight")
    if weight is None:
        return
    for pad, mode in _around(group, given["pad"], count):
        given |= {"pad": pad, "pad_mode": mode}
        if stored is not None:
            yield "conv", {**given, "out": stored[0]}
        elif group.ops["InstanceNormalization"]:
            eps = exact(group.first("InstanceNormalization").attrs["epsilon"])
            yield "conv", {**given, "out": weight[0], "weight": Word("standardized", (("eps", eps),))}
            for gain in [number for each in group.every("Mul") for name in each.inputs if (number := group.number(name)) is not None]:
                gamma = exact(gain * prod(weight[1:]) ** 0.5)
                yield "conv", {**given, "out": weight[0], "weight": Word("scaled", (("gamma", gamma), ("eps", eps)))}
        elif group.ops["Gather"] == 1 and (index := group.constant(group.first("Gather").inputs[1])) is not None and index.ndim == 2:
            table = tuple(tuple(int(channel) for channel in np.flatnonzero(row < weight[0])) for row in index)
            yield "conv", {**given, "out": len(table), "weight": "plain", "from": table}
        else:
            yield "conv", {**given, "out": weight[0], "weight": "plain"}


def _around(group: Group, pad: tuple[int, ...], axes: int) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield the padding of a convolution and what it consists of."""
    yield pad, "zeros"
    for node in group.every("Pad"):
        amounts = group.constant(node.inputs[1])
        if amounts is not None and "mode" in node.attrs:
            yield tuple(int(amount) for amount in amounts[2 : 2 + axes]), {"edge": "replicate"}.get(node.attrs["mode"], node.attrs["mode"])
    if group.ops["Concat"]:
        grown = [0] * axes
        for node in group.every("Concat"):
            first = group.reader.makers[node.inputs[0]]
            start = group.constant(first.inputs[1]) if first.op == "Slice" else None
            if start is not None and node.attrs["axis"] >= 2:
                grown[node.attrs["axis"] - 2] = -int(start[0])
        yield tuple(grown), "circular"


@guess("Gather")
def unfold(group: Group) -> Iterator[Guess]:
    """Guess patches as channels: the first positions of windows, and those of the first window."""
    (shape, *_) = group.shapes
    axes = len(shape) - 1
    tables = [held for node in group.every("Gather") if (held := group.constant(node.inputs[1])) is not None and held.ndim == 2]
    if len(tables) != axes or group.weights:
        return
    pad = next((group.constant(node.inputs[1])[2 : 2 + axes] for node in group.every("Pad")), [0] * axes)
    given: dict[str, Any] = {"kernel": tuple(len(table) for table in tables), "pad": tuple(int(amount) for amount in pad)}
    given["stride"] = tuple(int(table[0, 1] - table[0, 0]) if table.shape[1] > 1 else 1 for table in tables)
    given["dilation"] = tuple(int(table[1, 0] - table[0, 0]) if len(table) > 1 else 1 for table in tables)
    yield "unfold", given


@guess("MaxPool")
def wide_pool(group: Group) -> Iterator[Guess]:
    """Guess a maximum over windows of which the last reach so far past the map that it is padded before."""
    if group.ops["Pad"] == 1:
        node, amounts = group.first("MaxPool"), group.constant(group.first("Pad").inputs[1])
        count = len(node.attrs["kernel_shape"])
        given = {"kernel": tuple(node.attrs["kernel_shape"]), "stride": tuple(node.attrs["strides"]), "ceil": True}
        given["dilation"] = tuple(node.attrs.get("dilations", [1] * count))
        yield "maxpool", {**given, "pad": tuple(int(amount) for amount in amounts[2 : 2 + count])}


# ---- LeNet-5


@guess("AveragePool")
def subsample(group: Group) -> Iterator[Guess]:
    """Guess trained subsampling."""
    node = group.first("AveragePool")
    if set(group.local()) == {"weight", "bias"}:
        yield "subsample", {"kernel": tuple(node.attrs["kernel_shape"]), "stride": tuple(node.attrs["strides"])}


@guess("ReduceSumSquare")
def rbf(group: Group) -> Iterator[Guess]:
    """Guess squared distances to codes."""
    for shape in group.local().values():
        yield "rbf", {"out": shape[0]}


# ---- normalization over neighboring channels


@guess("AveragePool")
def response_norm(group: Group) -> Iterator[Guess]:
    """Guess LRN: a mean over neighboring channels or positions, and the numbers of `(mean*alpha + k)^beta`."""
    if group.weights or not group.ops["Pow"]:
        return
    size = group.first("AveragePool").attrs["kernel_shape"][0]
    operands = [[group.number(name) for node in group.every(op) for name in node.inputs] for op in ("Mul", "Add", "Pow")]
    for alpha, k, beta in product(*([number for number in found if number is not None] for found in operands)):
        yield "lrn", {"size": size, "alpha": alpha, "k": k, "beta": beta, "form": Word("mean" if group.ops["Pad"] else "spatial")}


# ---- what merges and moves


@guess("Unsqueeze")
def stack(group: Group) -> Iterator[Guess]:
    """Guess tensors one after the other along a new axis."""
    if group.ops["Concat"] and not group.weights:
        axes = len(group.shapes[0]) + 1
        number = group.first("Concat").attrs["axis"] - 1
        yield "stack", {"axis": words(fresh([2] * axes)).get(number, "")}


@guess("Add")
def mean(group: Group) -> Iterator[Guess]:
    """Guess the mean of operands: their sum, divided by their number."""
    if not group.weights and (group.ops["Div"] or group.ops["Mul"]):
        yield "mean", {}


@guess("MatMul")
def matmul(group: Group) -> Iterator[Guess]:
    """Guess a product of two matrices, either transposed."""
    if not group.weights and len(group.nodes) > 1:
        for a, b in product((False, True), (False, True)):
            yield "matmul", {"transpose_a": a, "transpose_b": b}


@guess("Concat")
def roll(group: Group) -> Iterator[Guess]:
    """Guess positions moved around the end of an axis."""
    if set(group.ops) != {"Slice", "Concat"}:
        return
    shape = group.shapes[0]
    known = words(fresh([2] * len(shape)))
    given = {}
    for node in group.every("Concat"):
        first = group.reader.makers[node.inputs[0]]
        axis, start = node.attrs["axis"] - 1, group.constant(first.inputs[1])
        by = -int(start[0])
        given[known[axis]] = by if 2 * by <= shape[axis] else by - shape[axis]
    yield "roll", given


@guess("Gather")
def token(group: Group) -> Iterator[Guess]:
    """Guess one token of a row."""
    at = group.constant(group.first("Gather").inputs[1])
    if len(group.nodes) == 1 and at is not None and at.ndim == 0:
        yield "token", {"at": int(at)}


# ---- values


@guess("Expand")
def noise(group: Group) -> Iterator[Guess]:
    """Guess noise, which in inference is zeros: standard normal, unless the label says otherwise."""
    if not group.weights:
        if group.label == "bernoulli":
            yield "bernoulli", {"p": 0.5}
        yield "normal_noise", {}


@guess("Exp")
def celu(group: Group) -> Iterator[Guess]:
    """Guess a CELU, which is written in parts."""
    if group.ops["Min"] and group.ops["Relu"]:
        for node in group.every("Div"):
            if (alpha := group.number(node.inputs[1])) is not None:
                yield "celu", {"alpha": alpha}


@guess("Where")
def threshold(group: Group) -> Iterator[Guess]:
    """Guess values above a threshold, and another one elsewhere."""
    where, larger = group.first("Where"), group.first("Greater")
    yield "threshold", {"above": group.number(larger.inputs[1]), "value": group.number(where.inputs[2])}


@guess("LeakyRelu", "Clip")
def labeled(group: Group) -> Iterator[Guess]:
    """Guess, of several operators that compute the same, the one that the label says."""
    if group.label == "rrelu":
        yield "rrelu", {}
    if group.label == "clamp":
        low, high = (group.number(name) if name else None for name in (*group.first("Clip").inputs, "", "")[1:3])
        yield "clamp", {"min": low, "max": high}
