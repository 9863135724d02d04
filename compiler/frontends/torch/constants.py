"""Tensors that depend neither on inputs nor on trained tensors: their values, and the operators that hold them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import product as combinations
from math import pi, prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx
from torch.export import ExportedProgram

from archc.compiler.backends.torch.modules.distances import distance_index
from archc.compiler.backends.torch.modules.tokens import sine_positions
from archc.compiler.backends.torch.modules.windowed import Windows
from archc.compiler.frontends.arranging import words
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.selecting import attempt, joined, owning
from archc.compiler.frontends.torch.nodes import CONSTANT, operator
from archc.compiler.frontends.views import Axes, Axis, View, atoms_of, fresh, size

if TYPE_CHECKING:
    from archc.compiler.frontends.attending import Bias, Products
    from archc.compiler.frontends.torch.reader import Reader

Array = np.ndarray[Any, Any]

TEMPERATURE = 10000.0  # of fixed positions
CLOSE = 1e-5  # how far sines may be from those of a source, whose angles may be rounded otherwise
FEW = 64  # numbers of a constant that need no other writing
MOST = 4096  # numbers of a constant that are written in a text
LARGEST = 2**26  # values of a constant that is computed here


def computed(
    program: ExportedProgram, keys: Mapping[fx.Node, str], trained: Collection[str], stored: Mapping[str, torch.Tensor]
) -> dict[fx.Node, torch.Tensor]:
    """Return the values of all nodes that depend neither on inputs nor on trained tensors.

    `stored` are the values of tensors that are not trained, by their keys. Nodes that write into others are executed in their order.
    """
    known: dict[fx.Node, Any] = {}
    for node in program.graph.nodes:
        if node in keys and keys[node] not in trained and keys[node] in stored and not stored[keys[node]].is_meta:
            held = stored[keys[node]]
            if keys[node] not in program.state_dict or not held.is_floating_point():  # stored ones are loaded with the weights
                known[node] = held.clone()
        if node.op != "call_function":
            continue
        made = node.meta.get("val")
        if isinstance(made, torch.Tensor) and made.numel() > LARGEST:
            continue
        options = {name: held for name, held in node.kwargs.items() if name not in ("device", "layout", "pin_memory")}
        try:
            if operator(node) in CONSTANT and isinstance(made, torch.Tensor):
                like = [torch.empty(tuple(made.shape), dtype=made.dtype)] if node.all_input_nodes else []
                known[node] = node.target(*like, *node.args[len(like) :], **options)
            elif node.all_input_nodes and all(each in known for each in node.all_input_nodes):
                arguments = fx.node.map_arg(node.args, known.__getitem__)
                held = node.target(*arguments, **fx.node.map_arg(options, known.__getitem__))
                if isinstance(held, torch.Tensor) and held.is_meta:  # a move to the device that the program was exported on
                    if operator(node) not in ("to", "_to_copy"):
                        continue
                    held = arguments[0].to(made.dtype)
                known[node] = held
        except (RuntimeError, TypeError, NotImplementedError):
            continue
    return {node: held for node, held in known.items() if isinstance(held, torch.Tensor)}


def constant(reader: Reader, values: Array, item: int) -> View:
    """Append fixed numbers. An axis along which they are the same has repeated atoms. Raises CannotRead for too many.

    Numbers of which there are many are written in fewer, where they depend on the distance of two positions, or where their parts
    along a short axis depend on fewer axes.
    """
    if values.dtype.kind not in "fiu":
        raise CannotRead("it takes a constant that holds no numbers")
    if not np.isfinite(values).all():
        raise CannotRead("it takes a constant that is not finite")
    if (positions := _sines(reader, values, item)) is not None:
        return positions
    small = _less(values)
    if values.ndim > 2 and values.shape[0] == reader.batch.size and small.shape[0] == 1:  # as `expand` makes it of one
        view = constant(reader, values[:1], item)
        return view.with_dims(((reader.batch,), *view.dims[1:]))
    if small.size > FEW:
        if (made := _of_distances(reader, values, item)) is not None:
            return made
        _, kind, axis, outer = _fewest(values, 3)
        if kind == "parts":
            views = [constant(reader, part, item) for part in np.moveaxis(values, axis, 0)]
            views = [view.with_dims((tuple(atoms_of(view.dims[:axis])), (), tuple(atoms_of(view.dims[axis:])))) for view in views]
            return attempt(joined(reader, views, 1), values.shape)
        if kind == "split":
            inner = values.shape[axis] // outer
            view = constant(reader, values.reshape(*values.shape[:axis], outer, inner, *values.shape[axis + 1 :]), item)
            return view.with_dims((*view.dims[:axis], view.dims[axis] + view.dims[axis + 1], *view.dims[axis + 2 :]))
    if small.size > MOST:
        raise CannotRead(f"it takes a constant of {small.size} numbers, and a text holds at most {MOST}")
    places = [axis for axis, count in enumerate(small.shape) if count > 1]
    if len(places) > 4:
        raise CannotRead(f"it takes a constant of {len(places)} axes")
    dims = fresh(values.shape)
    own = [dims[axis] for axis in places]
    while len(own) < min(2, len(reader.flat.items[item].shape)):  # flat values are for flat values
        own.insert(0, ())
    channels, *sizes = map(size, own or [()])
    given: dict[str, Any] = {"values": tuple(float(value) for value in small.reshape(-1)), "channels": channels}
    if sizes:
        given["sizes"] = tuple(sizes)
    elif len(reader.flat.items[item].shape) > 1:
        given["sizes"] = (1,)
        own.append(())
    number = reader.flat.add("fixed", [item], given, path=reader.path)
    return View(number, tuple(own or [()]), dims)


def _sines(reader: Reader, values: Array, item: int) -> View | None:
    """Return fixed positions, `(batch, channels, *sizes)`, as sines and cosines of coordinates; None for other numbers."""
    axes = values.ndim - 2
    if not 1 <= axes <= 2 or values.shape[0] not in (1, reader.batch.size) or values.shape[1] % (2 * axes) or (values != values[:1]).any():
        return None
    channels, sizes = values.shape[1] // axes, values.shape[2:]
    for scale in (None, 2 * pi):
        made = sine_positions(torch.empty(1, 1, *sizes), channels, TEMPERATURE, scale, None).numpy()
        if np.allclose(made, values[:1], rtol=0, atol=CLOSE):
            given: dict[str, Any] = {"channels": channels, "temperature": TEMPERATURE, "scale": scale}
            if tuple(reader.flat.items[item].shape[1:]) != tuple(sizes):
                given["sizes"] = tuple(sizes)
            return reader.mapped(reader.add("sine_positions", [item], given), batched=values.shape[0] > 1)
    return None


def _fewest(values: Array, depth: int) -> tuple[int, str, int, int]:
    """Return how few numbers values can be written in, and by which step: their parts along a short axis, or an axis split in two."""
    return _fewest_of(values.tobytes(), values.dtype.str, values.shape, depth)


@lru_cache(1024)
def _fewest_of(held: bytes, kind: str, shape: tuple[int, ...], depth: int) -> tuple[int, str, int, int]:
    small = _less(np.frombuffer(held, np.dtype(kind)).reshape(shape))
    best = (small.size, "", 0, 0)
    if not depth or small.size <= FEW:
        return best
    for axis, count in enumerate(small.shape):
        if 1 < count <= 4:
            cost = sum(_fewest(part, depth - 1)[0] for part in np.moveaxis(small, axis, 0))
            best = min(best, (cost + 1, "parts", axis, 0))
        for outer in {2, count // 2, round(count**0.5)} if count > 4 else ():
            if 1 < outer < count and count % outer == 0 and (outer * outer == count or outer != round(count**0.5)):
                split = small.reshape(*small.shape[:axis], outer, count // outer, *small.shape[axis + 1 :])
                best = min(best, (_fewest(split, depth - 1)[0] + 1, "split", axis, outer))
    return best


def _less(values: Array) -> Array:
    """Return values with one position along each axis along which they are the same."""
    for axis in range(values.ndim):
        first = values.take([0], axis)
        if values.shape[axis] > 1 and (values == first).all():
            values = first
    return values


def _of_distances(reader: Reader, values: Array, item: int) -> View | None:
    """Return numbers that depend on the distance of two positions, from a table of distances; None for others."""
    for axis, count in enumerate(values.shape):
        whole = values.ndim > axis + 1 and values.shape[axis + 1] == count
        keys = count if whole else round(count**0.5)
        if keys < 4 or (not whole and keys * keys != count):
            continue
        flat = values if whole else values.reshape(*values.shape[:axis], keys, keys, *values.shape[axis + 1 :])
        pairs = np.moveaxis(flat, (axis, axis + 1), (0, 1)).reshape(keys * keys, -1)
        for high in range(1, keys + 1):
            if keys % high or (high == 1 and any(keys % other == 0 for other in range(2, keys))):
                continue
            positions = (high, keys // high) if high > 1 else (keys,)
            number = distance_index(positions, (1,) * len(positions), False)
            table = np.zeros((int(number.max()) + 1, pairs.shape[1]), pairs.dtype)
            table[number.reshape(-1).numpy()] = pairs
            if not (table[number.reshape(-1).numpy()] == pairs).all():
                continue
            others = (*flat.shape[:axis], *flat.shape[axis + 2 :])
            sizes = tuple(2 * size - 1 for size in positions)
            view = constant(reader, np.moveaxis(table.reshape(*sizes, *others), range(len(sizes)), range(axis, axis + len(sizes))), item)
            joint = tuple(atom for each in view.dims[axis : axis + len(sizes)] for atom in each)
            view = view.with_dims((*view.dims[:axis], joint, *view.dims[axis + len(sizes) :]))
            return distances(reader, view, axis, number if whole else number.reshape(-1))
    return None


def shift_mask(reader: Reader, bias: Bias, values: Array, products: Products, outer: Axis) -> tuple[int, Axes] | None:
    """Append the mask of windows that were moved, and return its axes; return None where the values are none of it."""
    first = products.queries.dims[-2]
    axes = products.queries.axes[1:]
    inside = [tuple(atom for atom in axis if atom in first) for axis in axes]
    if not outer or tuple(atoms_of(inside)) != first or products.dims[-2:] != bias.dims[-2:]:
        return None
    sizes, window = tuple(map(size, axes)), tuple(map(size, inside))
    atoms = atoms_of(bias.dims)
    if values.ndim > len(bias.dims):
        return None
    try:
        values = np.broadcast_to(values, tuple(map(size, bias.dims))).reshape([atom.size for atom in atoms])
    except ValueError:
        return None
    kept = {*outer, *products.dims[-2], *products.dims[-1]}
    for place, atom in enumerate(atoms):
        if atom not in kept:
            part = values.take([0], place)
            if not (values == part).all():
                return None
            values = part
    if [atom for atom in atoms if atom in kept] != [*outer, *products.dims[-2], *products.dims[-1]]:
        return None
    found = torch.from_numpy(np.ascontiguousarray(values)).reshape(size(outer), size(first), -1)
    for shift in combinations(*((0, count // 2) for count in window)):
        wanted = Windows(window, shift, grid=False).mask(torch.empty(1, *sizes, 1))
        if wanted is not None and wanted.shape == found.shape and torch.equal(wanted, found.to(wanted.dtype)):
            item = reader.add("shift_mask", [products.queries.item], {"window": window, "shift": shift})
            return item, ((), outer, products.dims[-2], products.dims[-1])
    return None


def distances(reader: Reader, table: View, dim: int, index: torch.Tensor) -> View | None:
    """Append the values of a table for each two positions, which an index into its axis `dim` lists; None where it is no such index."""
    shape = tuple(index.shape)
    root = round(index.numel() ** 0.5)
    queries, keys = shape if len(shape) == 2 else (root, root)
    if queries * keys != index.numel():
        return None
    flat, rows = index.reshape(queries, keys), table.shape[dim]
    extra = 0
    found = _settings(flat, rows)
    if found is None and queries == keys and rows > 3:
        extra = 1
        found = _settings(flat[1:, 1:], rows - 3)
        corner = torch.tensor([rows - 1])
        if (
            found is None
            or not (flat[0, 1:] == rows - 3).all()
            or not (flat[1:, 0] == rows - 2).all()
            or not torch.equal(flat[0, :1], corner)
        ):
            return None
    if found is None:
        return None
    positions, step, absolute = found
    table = reader.settled(table)
    others = tuple(atom for place, axis in enumerate(table.dims) if place != dim for atom in axis if atom is not reader.batch)
    row = table.dims[dim]
    sizes = tuple(positions if absolute else (2 * count - 1 for count in positions))
    is_map = tuple(atom.size for atom in row) == sizes
    item = reader.as_axes(table, (others, *((atom,) for atom in row)) if is_map else (others, row))
    body = item
    if extra:
        body = reader.add("slice", [item], {"start": 0, "stop": rows - 3, "axis": "w"})
    if len(positions) > 1 and not is_map:
        body = reader.add("map", [body], {"sizes": sizes})
    body = reader.add("distances", [body], {"step": step, "absolute": absolute})
    if extra:
        body = _with_class_token(reader, item, body, rows, keys - 1)
    across, down = fresh([queries, keys])
    made = (across, down) if len(shape) == 2 else ((*across, *down),)
    return View(body, (others, across, down), (*table.dims[:dim], *made, *table.dims[dim + 1 :]))


def _with_class_token(reader: Reader, table: int, body: int, rows: int, count: int) -> int:
    """Append the row and the column of a class token, whose values are the last three of a table."""

    def one(at: int) -> int:
        cut = reader.add("slice", [table], {"start": at, "stop": at + 1, "axis": "w"})
        return reader.add("map", [cut], {"sizes": (1, 1)})

    to_tokens = reader.add("expand", [one(rows - 3)], {"w": count})
    of_tokens = reader.add("expand", [one(rows - 2)], {"h": count})
    first = reader.add("concat", [one(rows - 1), to_tokens], {"axis": "w"})
    others = reader.add("concat", [of_tokens, body], {"axis": "w"})
    return reader.add("concat", [first, others], {"axis": "h"})


def _settings(index: torch.Tensor, rows: int) -> tuple[tuple[int, ...], tuple[int, ...], bool] | None:
    """Return the positions, the step of queries and whether distances have no sign, of which `index` are the indices; None for others."""
    queries, keys = index.shape
    shapes: list[tuple[int, ...]] = [(keys,)] + [(high, keys // high) for high in range(1, keys + 1) if keys % high == 0]
    for absolute in (False, True):
        for positions in shapes:
            if prod(positions if absolute else (2 * count - 1 for count in positions)) != rows:
                continue
            for by in (1, 2, 3, 4):
                step = (by,) * len(positions)
                if prod(-(-count // by) for count in positions) != queries:
                    continue
                if torch.equal(distance_index(positions, step, absolute), index.long()):
                    return positions, step, absolute
    return None


def listed(reader: Reader, view: View, dim: int, index: torch.Tensor) -> View:
    """Append the positions of an axis that an index lists. Raises CannotRead for too many."""
    if index.numel() > MOST:
        raise CannotRead(f"it takes {index.numel()} positions by a list, and a text holds at most {MOST}")
    numbers = [int(place) % view.shape[dim] for place in index.reshape(-1)]
    view, axis = owning(reader, view, dim)
    (new,) = fresh([len(numbers)])
    item = reader.add("gather", [view.item], {"index": tuple(numbers), "axis": words(view.axes)[axis]})
    axes: Axes = (*view.axes[:axis], new, *view.axes[axis + 1 :])
    made = View(item, axes, (*view.dims[:dim], new, *view.dims[dim + 1 :]))
    return attempt(made, (*made.shape[:dim], *index.shape, *made.shape[dim + 1 :]))


def sequence(values: Sequence[Any]) -> int:
    """Return the place of the one index among those of an index expression; -1 where there are several."""
    places = [place for place, value in enumerate(values) if value is not None]
    return places[0] if len(places) == 1 else -1
