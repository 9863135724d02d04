"""Attention within windows of a map as nodes of ONNX: roll, padding, projections, mask and bias of positions as one operator.

Exporters compute the bias of positions, the mask and the trained scale before they write a file. So the table of a bias is taken from the
bias itself, which must have one value for each distance, and a mask is compared, value by value, with that of the shift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log, prod
from typing import Any

import numpy as np

from archc.compiler.backends.onnx.rules.windowed import APART, SHARPEST
from archc.compiler.frontends.arranging import words
from archc.compiler.frontends.attending import Core, usual
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.onnx.folding import slices
from archc.compiler.frontends.onnx.model import Node
from archc.compiler.frontends.onnx.reader import Reader
from archc.compiler.frontends.onnx.tensors import Fixed
from archc.compiler.frontends.selecting import PADDED, ROLLED, owning
from archc.compiler.frontends.views import View, size
from archc.compiler.frontends.windowing import undone, windows

MERGES = {"qkv": "proj", "to_qkv": "merge"}


def window_attention(reader: Reader, view: View, weight: Fixed, bias: Fixed | None) -> View:
    """Append an attention within windows whose last projection is a layer. Raises CannotRead where it is another attention."""
    core: Core = reader.flat.items[view.item].data
    number = reader.flat.items[view.item].operands[0]
    layer, packed = reader.flat.items[number], reader.held.get(number, {})
    if view.axes[0] != view.dims[-1] or weight.shape != (size(view.axes[0]),) * 2:
        raise CannotRead("the projection after an attention is not over its channels")
    if layer.op != "channel_fc" or "weight" not in packed:
        raise CannotRead("what is before an attention within windows is no layer")
    base, shift, pad = undone(reader, layer.operands[0])
    window, grid = windows(core, view)
    if grid and any(shift.values()):
        raise CannotRead("a grid that is moved")
    if ("bias" in packed) != (bias is not None):
        raise CannotRead("one projection of an attention has a bias and the other has none")
    known, sizes = words(view.axes), [size(axis) for axis in view.axes[1:]]
    shifts = tuple(shift.get(known[axis], 0) for axis in range(1, len(view.axes)))
    products = core.products
    table, masks = _biases(reader, products.biases, window, core.heads)
    _check_mask(reader, masks, sizes, window, shifts)
    cosine = products.cosine is not None
    if cosine != (bool(products.queries.unit) and bool(products.keys.unit)):
        raise CannotRead("an attention with a trained scale and without cosines, or the reverse")
    names = (layer.path, *(fixed.origin.rpartition(".")[0] for fixed in packed.values()))  # turned weights lose theirs
    keys = "to_qkv" if any(name.rpartition(".")[2] == "to_qkv" for name in names) else "qkv"
    given = {
        "heads": core.heads, "window": window, "shift": shifts, "grid": grid, "pad": bool(pad),
        "position": "none" if table is None else "table", "similarity": "cosine" if cosine else "dot",
        "scale": None if cosine else usual(products.scale, size(view.axes[0]) // core.heads), "dropout": products.dropout,
        "keys": keys, "bias": bias is not None,
    }  # fmt: skip
    held: dict[str, Fixed | None] = {f"{keys}.weight": packed["weight"], f"{MERGES[keys]}.weight": weight}
    if bias is not None:
        held |= {f"{keys}.bias": _without_keys(reader, packed["bias"]) if cosine else packed["bias"], f"{MERGES[keys]}.bias": bias}
    buffers = {}
    if table is not None:
        held["relative_position_bias_table"] = table
        index = distances(window)
        index = index.reshape(-1) if keys == "qkv" and len(window) == 2 else index
        buffers["relative_position_index"] = Fixed(index.shape, index.dtype, lambda: index)
    if cosine:
        held["logit_scale"] = _sharpness(reader, products.cosine, core.heads)
    item = reader.layer("window_attention", [base], given, held, buffers=buffers)
    shape = (size(view.axes[0]), *sizes)
    if pad:
        item = reader.flat.add_pseudo(PADDED, [item], shape, dict(pad), reader.path)
    if any(shift.values()):
        item = reader.flat.add_pseudo(ROLLED, [item], shape, dict(shift), reader.path)
    return reader.rechanneled(view, item, -1)


def distances(window: Sequence[int]) -> Any:
    """Return the row of a table for each pair of positions of a window, by their distance along each axis."""
    places = np.stack(np.meshgrid(*map(np.arange, window), indexing="ij")).reshape(len(window), -1)
    rows = np.zeros((places.shape[1],) * 2, np.int64)
    for place, length in zip(places, window, strict=True):
        rows = rows * (2 * length - 1) + place[:, None] - place[None] + length - 1
    return rows


def _biases(reader: Reader, biases: Sequence[Any], window: Sequence[int], heads: int) -> tuple[Fixed | None, list[Fixed]]:
    """Return the table of positions, and the masks, among what is added to products. Raises CannotRead where a bias has no table."""
    table, masks = None, []
    for bias in biases:
        if not isinstance(bias, Fixed) or bias.shape[-2:] != (prod(window),) * 2:
            raise CannotRead("a bias of an attention that is not one for each pair of positions")
        outer = [count for count in bias.shape[:-2] if count != 1]
        if len(bias.shape) < 3 or (bias.shape[-3] == 1 and (heads != 1 or outer)):
            masks.append(bias)
        elif table is None and outer in ([heads], []) and bias.shape[-3] == heads:
            table = _table(reader, bias, window, heads)
        else:
            raise CannotRead("an attention with two biases of positions")
    return table, masks


def _table(reader: Reader, bias: Fixed, window: Sequence[int], heads: int) -> Fixed:
    """Return the table that a bias of positions has the rows of: the stored one, or, where the file has the bias, the one that follows."""
    index, rows = distances(window), prod(2 * length - 1 for length in window)
    first = np.zeros(rows, np.int64)
    first[index.reshape(-1)[::-1]] = np.arange(index.size)[::-1]

    def taken(array: Any) -> Any:
        return np.asarray(array).reshape(heads, -1)[:, first].T

    def check() -> None:
        array = np.asarray(bias.array())
        if not np.array_equal(taken(array)[index.reshape(-1)].T, array.reshape(heads, -1)):
            raise CannotRead("the bias of an attention is not one value for each distance")

    check()
    names = reader.sources(bias)
    own = [name for name in names if reader.stored[name].shape == (rows, heads)]
    if len(own) == 1 and len(names - reader.whole) == 1:
        stored = reader.stored[own[0]]
        reader.changed[own[0]] = np.arange(rows * heads, dtype=np.float32).reshape(rows, heads)
        try:
            check()
            if np.array_equal(taken(bias.array()), reader.changed[own[0]]):
                return stored
        finally:
            reader.changed.clear()
    reader.kept |= names
    return Fixed((rows, heads), bias.kind, lambda: taken(bias.array()))


def mask_of(sizes: Sequence[int], window: Sequence[int], shift: Sequence[int]) -> Any:
    """Return what is added to products `(windows, positions, positions)` in a map of the given sizes, after windows were moved by a shift.

    It is 0 where two positions were in the same region of the map before, which along each axis ends where a window was cut by its end.
    """
    region = np.zeros(tuple(sizes), np.int64)
    for axis, (length, inside, by) in enumerate(zip(sizes, window, shift, strict=True)):
        if by and inside < length:
            place = np.arange(length)
            part = (place >= length - inside).astype(np.int64) + (place >= length - by)
            region = 3 * region + part.reshape([length if at == axis else 1 for at in range(region.ndim)])
    parts = [part for length, inside in zip(sizes, window, strict=True) for part in (length // inside, inside)]
    order = [*range(0, len(parts), 2), *range(1, len(parts), 2)]
    regions = region.reshape(parts).transpose(order).reshape(-1, prod(window))
    return np.where(regions[:, :, None] == regions[:, None], 0.0, APART)


def _check_mask(reader: Reader, masks: Sequence[Fixed], sizes: Sequence[int], window: Sequence[int], shift: Sequence[int]) -> None:
    """Raise CannotRead where the constants that an attention adds to its products are not the mask of its shift."""
    is_shifted = any(by and inside < length for by, inside, length in zip(shift, window, sizes, strict=True))
    if len(masks) > 1 or is_shifted != bool(masks):
        raise CannotRead("an attention within windows adds constants that are not the mask of a shift, or has a shift without a mask")
    for mask in masks:
        expected = mask_of(sizes, window, shift)
        found = np.asarray(mask.array(), np.float64)
        if found.size != expected.size or not np.array_equal(found.reshape(expected.shape), expected):
            raise CannotRead("the mask of an attention within windows is not that of its shift")
        reader.kept |= reader.sources(mask)


def _sharpness(reader: Reader, scale: Any, heads: int) -> Fixed:
    """Return the logarithm of a trained scale of cosines, which is at most 100."""
    if not isinstance(scale, Fixed) or prod(scale.shape) != heads:
        raise CannotRead("the scale of cosines is not one for each head")
    array = np.asarray(scale.array(), np.float64)
    if not (array > 0).all() or not (array <= SHARPEST * (1 + 1e-6)).all():
        raise CannotRead("the scale of cosines is computed in a way that is not known")
    reader.kept |= reader.sources(scale)
    shape = (heads, 1, 1)
    return Fixed(
        shape, scale.kind, lambda: np.minimum(np.log(scale.array().astype(np.float64)), log(SHARPEST)).astype(scale.kind).reshape(shape)
    )


def _without_keys(reader: Reader, bias: Fixed) -> Fixed:
    """Return the bias of queries, keys and values. Raises CannotRead where the keys have one, which attention of cosines has not."""
    if np.asarray(bias.array()).reshape(3, -1)[1].any():
        raise CannotRead("keys with a bias in an attention between cosines")
    reader.kept |= reader.sources(bias)
    return bias


# ---- rolls


def rolled(reader: Reader, node: Node) -> View | None:
    """Read the end of an axis before its beginning: a roll, or what undoes that of windows; None for any other concatenation."""
    parts = [part for name in node.inputs if (part := reader.made(name, "Slice")) is not None]
    if len(parts) != 2 or len(node.inputs) != 2 or parts[0].inputs[0] != parts[1].inputs[0]:
        return None
    view = reader.values.get(parts[0].inputs[0])
    if not isinstance(view, View):
        return None
    dim = reader.axis(node, len(view.dims), 0)
    whole = view.shape[dim]
    ends = []
    for part in parts:
        given = [None, *(reader.numbers(part, place) for place in range(1, len(part.inputs)))]
        found = slices(part, [None if held is None else np.asarray(held) for held in given], len(view.dims))
        if any(each != slice(None) for place, each in enumerate(found) if place != dim):
            return None
        ends.append(found[dim].indices(whole))
    start = ends[0][0]
    if ends != [(start, whole, 1), (0, start, 1)] or not 0 < start < whole or reader.batch in view.dims[dim]:
        return None
    by = whole - start
    item = reader.flat.items[view.item]
    if item.op.endswith(ROLLED) and view.dims[dim] in view.axes:
        word = words(view.axes)[view.axes.index(view.dims[dim])]
        left = {other: distance for other, distance in item.data.items() if other != word and distance}
        if item.data.get(word) != by:
            raise CannotRead("windows are moved back by another distance than before")
        number = (
            reader.flat.add_pseudo(item.op.removeprefix("~"), item.operands, item.shape, left, reader.path) if left else item.operands[0]
        )
        return replace(view, item=number)
    view, axis = owning(reader, view, dim)
    return reader.on(view, "roll", {words(view.axes)[axis]: by if 2 * by <= whole else by - whole})
