"""Rules of what reorders, reshapes and selects values. Most make no operator, but another view."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import Any

import numpy as np

from archc.compiler.frontends.arranging import words
from archc.compiler.frontends.attending import Products, reshaped
from archc.compiler.frontends.flat import LOWEST, CannotRead
from archc.compiler.frontends.onnx import folding
from archc.compiler.frontends.onnx.model import Node
from archc.compiler.frontends.onnx.reader import Reader, counted, rule, settled
from archc.compiler.frontends.onnx.tensors import Fixed
from archc.compiler.frontends.selecting import divided, owning, padded, part, trimmed
from archc.compiler.frontends.views import View, atoms_of, fresh, size

# ---- other shapes


@rule("Reshape")
def reshape(reader: Reader, node: Node) -> Any:
    """Read a reshape."""
    held = reader.given(node, 0)
    wanted = reader.numbers(node, 1, "shape") or []
    if isinstance(held, Products):
        return reshaped(held, tuple(folding.target(held.shape, wanted, bool(node.attrs.get("allowzero")))))
    view = reader.view(node)
    target = folding.target(view.shape, wanted, bool(node.attrs.get("allowzero")))
    return settled(reader, node, reader.reshaped(view, target))


@rule("Flatten")
def flatten(reader: Reader, node: Node) -> View:
    """Read all axes before one, and all from it on, as one each."""
    view = reader.view(node)
    shape = view.shape
    axis = node.attrs.get("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise CannotRead(f"it asks for axis {axis} of {len(shape)}")
    axis += len(shape) if axis < 0 else 0
    outer = folding.target(shape, [-1])[0] if axis == len(shape) else int(np.prod(shape[:axis]))
    return settled(reader, node, reader.reshaped(view, (outer, int(np.prod(shape[axis:])))))


@rule("Transpose")
def transpose(reader: Reader, node: Node) -> Any:
    """Read a permutation of axes."""
    held = reader.given(node, 0)
    if isinstance(held, Products):
        raise CannotRead("it reorders products of queries and keys")
    view = reader.view(node)
    order = node.attrs.get("perm", list(range(len(view.dims)))[::-1])
    if sorted(order) != list(range(len(view.dims))):
        raise CannotRead("its order of axes is none")
    return settled(reader, node, view.with_dims(view.dims[axis] for axis in order))


@rule("Squeeze")
def squeeze(reader: Reader, node: Node) -> View:
    """Read axes of size 1 left out."""
    view = reader.view(node)
    axes = reader.numbers(node, 1, "axes")
    gone = [axis for axis, count in enumerate(view.shape) if count == 1 and reader.batch not in view.dims[axis]]
    if axes is not None:
        gone = [counted(axis, len(view.dims)) for axis in axes]
    if any(view.shape[axis] != 1 or reader.batch in view.dims[axis] for axis in gone):
        raise CannotRead("it leaves out an axis that is not of size 1, or the batch")
    return settled(reader, node, view.with_dims(axis for place, axis in enumerate(view.dims) if place not in gone))


@rule("Unsqueeze")
def unsqueeze(reader: Reader, node: Node) -> Any:
    """Read axes of size 1 inserted."""
    held = reader.given(node, 0)
    axes = reader.numbers(node, 1, "axes") or []
    before = held if isinstance(held, Products) else reader.view(node)
    rank = len(before.dims) + len(axes)
    places = {counted(axis, rank) for axis in axes}
    if len(places) < len(axes):
        raise CannotRead("it inserts an axis twice")
    if isinstance(before, Products):
        sizes = iter(before.shape)
        return reshaped(before, tuple(1 if place in places else next(sizes) for place in range(rank)))
    left = iter(before.dims)
    return settled(reader, node, before.with_dims([() if place in places else next(left) for place in range(rank)]))


@rule("Expand")
def expand(reader: Reader, node: Node) -> View:
    """Read axes of size 1 repeated."""
    wanted = [int(count) for count in reader.numbers(node, 1) or []]
    view = reader.view(node)
    sizes = tuple(np.broadcast_shapes(view.shape, tuple(wanted)))
    dims = ((),) * (len(sizes) - len(view.dims)) + view.dims
    made = []
    for place, (axis, count) in enumerate(zip(dims, sizes, strict=True)):
        if size(axis) == count and not (place == 0 and count == 1 == reader.batch.size and not axis):
            made.append(axis)
        else:
            made.append((reader.batch,) if place == 0 and count == reader.batch.size else fresh([count])[0])
    return _all_arranged(reader, node, view.with_dims(made))


def _all_arranged(reader: Reader, node: Node, view: View) -> View:
    """Return a view of an operator that repeats values, where there are more of them in the tensor."""
    held = {*atoms_of(view.axes), reader.batch}
    if all(atom in held for atom in atoms_of(view.dims)):
        return view
    return reader.plain(view) if view.dims[:1] == ((reader.batch,),) else view


# ---- selections


@rule("Slice")
def cut(reader: Reader, node: Node) -> View:
    """Read ranges of axes."""
    if (done := _center(reader, node)) is not None:
        return done
    view = reader.view(node)
    given: list[Any] = [None] * 5
    for place in range(1, len(node.inputs)):
        numbers = reader.numbers(node, place)
        given[place] = None if numbers is None else np.asarray(numbers)
    for dim, taken in enumerate(folding.slices(node, given, len(view.dims))):
        whole = size(view.dims[dim])
        start, stop, step = taken.indices(whole)
        if (start, stop, step) == (whole - 1, -1, -1):
            view, axis = owning(reader, view, dim)
            view = replace(view, item=reader.add("flip", [view.item], {"axis": words(view.axes)[axis]}))
        elif step < 1 or start >= stop:
            raise CannotRead("it takes values backwards, or none")
        else:
            view = part(reader, view, dim, start, stop, step)
    return view


def _center(reader: Reader, node: Node) -> View | None:
    """Return a crop, of which archc writes each axis as a node of one step; None where it is something else."""
    first = reader.made(node.inputs[0], "Slice")
    before = reader.values.get(first.inputs[0]) if first is not None else None
    whole = reader.values.get(node.inputs[0])
    if not isinstance(before, View) or not isinstance(whole, View) or len(reader.within(node.step)) != len(before.dims) - 2:
        return None
    sizes = list(whole.shape)
    steps = [reader.numbers(node, place) for place in (1, 2, 3)]
    start, stop, axis = (int(numbers[0]) for numbers in steps if numbers)
    full = before.shape[axis]
    sizes[axis] = stop - start
    if start != (full - sizes[axis]) // 2:
        return None
    view = reader.plain(before)
    return reader.mapped(reader.add("crop", [view.item], {"size": tuple(sizes[2:])}))


@rule("Split")
def split(reader: Reader, node: Node) -> list[Any]:
    """Read parts of an axis: of equal sizes as views, of others as slices."""
    view = reader.view(node)
    dim = reader.axis(node, len(view.dims), 0)
    if reader.batch in view.dims[dim]:
        raise CannotRead("it takes the samples of the batch apart")
    given = reader.numbers(node, 1, "split")
    counts = folding.parts(node, view.shape[dim], None if given is None else np.asarray(given))
    return divided(reader, view, dim, counts)


@rule("Gather")
def gather(reader: Reader, node: Node) -> View:
    """Read fixed positions of an axis, or rows of a table by an input."""
    held, index = reader.given(node, 0), reader.given(node, 1)
    if isinstance(held, Fixed) and isinstance(index, View):
        return _rows(reader, node, held, index)
    if not isinstance(index, Fixed) or index.small is None:
        raise CannotRead("its positions depend on the input, or are too many")
    view = reader.view(node)
    dim = reader.axis(node, len(view.dims), 0)
    if index.small.size == size(view.dims[dim]) > 1 and (index.small.reshape(-1) == np.arange(index.small.size)).all():
        return reader.reshaped(view, (*view.shape[:dim], *index.small.shape, *view.shape[dim + 1 :]))
    if reader.batch in view.dims[dim]:
        raise CannotRead("it takes samples of the batch")
    whole = size(view.dims[dim])
    places = index.small.astype(np.int64)
    if places.size and (places.min() < -whole or places.max() >= whole):
        raise CannotRead("it takes positions that there are none of")
    places = np.where(places < 0, places + whole, places)
    if places.ndim == 0:
        picked = view.picked(dim, int(places))
        alone = reader.net.own and len(reader.within(node.step)) == 1
        return reader.settled(picked) if alone else picked
    if places.ndim > 1:
        raise CannotRead("it takes positions by a table")
    numbers = [int(place) for place in places]
    if numbers and numbers == list(range(numbers[0], numbers[0] + len(numbers))) and not reader.net.own:
        return part(reader, view, dim, numbers[0], numbers[-1] + 1)
    view, axis = owning(reader, view, dim)
    item = reader.add("gather", [view.item], {"index": tuple(numbers), "axis": words(view.axes)[axis]})
    (new,) = fresh([len(numbers)])
    return View(item, (*view.axes[:axis], new, *view.axes[axis + 1 :]), (*view.dims[:dim], new, *view.dims[dim + 1 :]))


def _rows(reader: Reader, node: Node, table: Fixed, index: View) -> View:
    if node.attrs.get("axis", 0) != 0 or len(table.shape) != 2 or len(index.dims) != 2:
        raise CannotRead("it reads a table in another way than row by row")
    count, width = table.shape
    reader.tables.add(table.origin)
    item = reader.layer("embedding", [reader.as_axes(index, (index.dims[1],))], {"count": count, "width": width}, {"weight": table})
    made = reader.mapped(item)
    return made.with_dims((made.dims[0], made.dims[2], made.dims[1]))


# ---- padding, blocks


@rule("Pad")
def pad(reader: Reader, node: Node) -> View:
    """Read a padding by a constant."""
    view = reader.view(node)
    amounts = [int(amount) for amount in reader.numbers(node, 1, "pads") or []]
    axes = reader.numbers(node, 3)
    value = reader.numbers(node, 2, "value")
    places = [counted(axis, len(view.dims)) for axis in axes] if axes else list(range(len(view.dims)))
    if len(amounts) != 2 * len(places):
        raise CannotRead("its padding is not that of its axes")
    if node.attrs.get("mode", "constant") != "constant":
        raise CannotRead(f"it pads with values of the map (mode {node.attrs['mode']})")
    pairs = {dim: (amounts[at], amounts[at + len(places)]) for at, dim in enumerate(places)}
    given: dict[str, Any] = {"value": float(value[0]) if value else 0.0}
    if given["value"] == -inf and reader.leads_to(node, frozenset({"MaxPool"}), frozenset({"Identity"})):
        given["value"] = LOWEST
    view, pairs = trimmed(reader, view, pairs)
    return padded(reader, view, pairs, given) if pairs else view


@rule("DepthToSpace")
def depth_to_space(reader: Reader, node: Node) -> View:
    """Read blocks of channels as positions."""
    if node.attrs.get("mode", "DCR") != "CRD":
        raise CannotRead("its channels are in another order than PyTorch's")
    view = reader.plain(reader.view(node))
    return reader.mapped(reader.add("pixel_shuffle", [view.item], {"block": node.attrs["blocksize"]}))
