"""Attention within windows of a map: the roll, the padding, the windows, the projections and the bias of positions as one operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from archc.compiler.backends.torch.modules.windowed import Windows
from archc.compiler.frontends.arranging import words
from archc.compiler.frontends.attending import Core, usual
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.selecting import PADDED, ROLLED
from archc.compiler.frontends.torch.attention import KEYLESS
from archc.compiler.frontends.torch.nodes import CONSTANT, Fixed, operator
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.frontends.views import View, size
from archc.compiler.frontends.windowing import undone, windows

TABLE = frozenset(["index", "view", "reshape", "permute", "contiguous", "unsqueeze", "clone", "alias", "flatten"])
CONTINUOUS = TABLE | frozenset(["linear", "relu", "relu_", "sigmoid", "mul"])
SHARPEST = ("clamp", "exp")


def window_attention(reader: Reader, view: View, a: Any) -> View:
    """Append an attention within windows whose last projection is a layer. Raises CannotRead where it is another attention."""
    core: Core = reader.flat.items[view.item].data
    number = reader.flat.items[view.item].operands[0]
    if view.axes[0] != view.dims[-1]:
        raise CannotRead("the projection after an attention is not over its channels")
    layer = reader.flat.items[number]
    if layer.op != "channel_fc" or not layer.key.endswith("qkv"):
        raise CannotRead("the layer before an attention within windows has another name than `qkv`")
    index = f"{layer.key.rpartition('.')[0]}.relative_position_index".lstrip(".")
    if core.products.biases and index not in reader.program.state_dict:
        raise CannotRead("the source does not store the numbers of the distances within a window")
    base, shift, pad = undone(reader, layer.operands[0])
    window, grid = windows(core, view)
    if grid and any(shift.values()):
        raise CannotRead("a grid that is moved")
    products = core.products
    position, held = _positions(reader, core)
    if products.cosine is not None:
        held |= _cosine(reader, products.cosine)
    cosine = products.cosine is not None
    if cosine != (bool(products.queries.unit) and bool(products.keys.unit)):
        raise CannotRead("an attention with a trained scale and without cosines, or the reverse")
    if (layer.incomplete == KEYLESS) != (cosine and a.bias is not None):
        raise CannotRead("keys with a bias in an attention between cosines, or without one in another")
    known = words(view.axes)
    shifts = tuple(shift.get(known[axis], 0) for axis in range(1, len(view.axes)))
    given = {
        "heads": core.heads,
        "window": window,
        "shift": shifts,
        "grid": grid,
        "pad": bool(pad) or base in reader.zero_pads,
        "position": position,
        "similarity": "cosine" if cosine else "dot",
        "scale": None if cosine else usual(products.scale, size(view.axes[0]) // core.heads),
        "dropout": products.dropout,
        "keys": "to_qkv" if layer.key.endswith("to_qkv") else "qkv",
        "bias": a.bias is not None,
    }
    if a.bias is not None and not layer.attrs["bias"] and f"{layer.key}.bias" not in layer.weights:
        raise CannotRead("one projection of an attention has a bias and the other has none")
    _check_mask(reader, products.biases, window, shifts, tuple(size(axis) for axis in view.axes[1:]))
    held |= {**layer.weights, **reader.weights(a.weight, a.bias)}
    item = reader.add("window_attention", [base], given, weights=held)
    sizes = [size(axis) for axis in view.axes[1:]]
    channels = size(view.axes[0])
    if pad:
        item = reader.flat.add_pseudo(PADDED, [item], (channels, *sizes), dict(pad), reader.path)
    if any(shift.values()):
        item = reader.flat.add_pseudo(ROLLED, [item], (channels, *sizes), dict(shift), reader.path)
    return reader.rechanneled(view, item, -1)


def _positions(reader: Reader, core: Core) -> tuple[str, dict[str, tuple[int, ...]]]:
    """Return how the bias of an attention is computed, and its weights. What is added beside is the mask of a shift."""
    held: dict[str, tuple[int, ...]] = {}
    position = "none"
    for bias in core.products.biases:
        nodes = sources(bias)
        trained = {reader.keys[node]: tuple(node.meta["val"].shape) for node in nodes if is_trained(reader, node)}
        if not trained:
            continue  # the mask, which `_check_mask` compares
        called = {operator(node) for node in nodes if hasattr(node.target, "_schema")}
        if position != "none":
            raise CannotRead("an attention with two biases of positions")
        if len(trained) == 1 and next(iter(trained)).endswith("relative_position_bias_table") and called <= TABLE | MASKS:
            position = "table"
        elif called <= CONTINUOUS | MASKS and all("cpb_mlp." in key for key in trained):
            position = "continuous"
        else:
            raise CannotRead(f"the bias of an attention is computed of {', '.join(trained)} in a way that is not known")
        held |= trained
    return position, held


def _check_mask(reader: Reader, biases: tuple[Fixed, ...], window: Sequence[int], shift: Sequence[int], sizes: Sequence[int]) -> None:
    """Raise CannotRead where the constants that an attention adds to its products are not the mask of its shift."""
    masks = [bias for bias in biases if not any(is_trained(reader, node) for node in sources(bias))]
    wanted = Windows(tuple(window), tuple(shift), grid=False).mask(torch.empty(1, *sizes, 1))
    if (wanted is None) != (not masks) or len(masks) > 1:
        raise CannotRead("an attention within windows adds constants that are not the mask of a shift, or has a shift without a mask")
    if wanted is not None:
        found = reader.constant(masks[0].node)
        if found is None:
            raise CannotRead("the mask of an attention within windows is a stored tensor, whose values are not known here")
        if found.numel() != wanted.numel() or not torch.equal(found.reshape(wanted.shape), wanted):
            raise CannotRead("the mask of an attention within windows is not that of its shift")


MASKS = frozenset(["add", "expand", "new_zeros", "sub", "ne", "eq", "masked_fill", "copy_", "slice", "scalar_tensor"])


def _cosine(reader: Reader, scale: Fixed) -> dict[str, tuple[int, ...]]:
    nodes = sources(scale)
    names = {operator(node) for node in nodes if hasattr(node.target, "_schema")}
    trained = {reader.keys[node]: tuple(node.meta["val"].shape) for node in nodes if node in reader.keys}
    if names != {"clamp", "exp"} or len(trained) != 1:
        raise CannotRead("the scale of cosines is computed in a way that is not known")
    return trained


def sources(value: Fixed) -> list[fx.Node]:
    """Return the nodes that a value is computed of, itself included."""
    seen: dict[fx.Node, None] = {}
    stack = [value.node]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen[node] = None
            stack.extend(() if operator(node) in CONSTANT else node.all_input_nodes)
    return list(seen)


def is_trained(reader: Reader, node: fx.Node) -> bool:
    """Return whether a node is a trained tensor of the source."""
    return node in reader.keys and reader.keys[node] in reader.trained
