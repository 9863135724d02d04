"""Rules of what reorders, reshapes, selects and joins values. Most make no operator, but another view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from archc.compiler.frontends.arranging import words
from archc.compiler.frontends.attending import Products, reshaped
from archc.compiler.frontends.attending import turned as turned_weights
from archc.compiler.frontends.flat import LOWEST, CannotRead
from archc.compiler.frontends.inside import Inside, inside, inside_reshaped, written_part
from archc.compiler.frontends.selecting import attempt, divided, joined, owning, padded, part, rolled, trimmed
from archc.compiler.frontends.torch import attention, constants, layers
from archc.compiler.frontends.torch.nodes import Fixed, operator, rule
from archc.compiler.frontends.torch.pointwise import tensor
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.frontends.torch.writing import bounds
from archc.compiler.frontends.views import View, fresh, size

END = 2**63 - 1  # where a slice without an end ends


# ---- other shapes


@rule("view", "reshape", "_unsafe_view", "flatten", "unflatten", "unsqueeze", "squeeze", "view_as", "reshape_as")
def reshape(reader: Reader, a: Any) -> Any:
    """Read a reshape."""
    held = a.x
    sizes = tuple(reader.node.meta["val"].shape)
    if isinstance(held, Products):
        return reshaped(held, sizes)
    if isinstance(held, Inside):
        return inside_reshaped(held, sizes)
    return attempt(reader.data(held), sizes)


@rule("permute")
def permute(reader: Reader, a: Any) -> View:
    """Read a permutation of axes."""
    view = tensor(reader, a)
    return view.with_dims(view.dims[number] for number in a.dims)


@rule("transpose", "swapaxes", "swapdims")
def transpose(reader: Reader, a: Any) -> Any:
    """Read an exchange of two axes."""
    one, two = (a.dim0, a.dim1) if a.dim0 is not None else (a.axis0, a.axis1)
    if isinstance(a.x, Products):
        return turned_weights(a.x, one, two)
    view = tensor(reader, a)
    dims = list(view.dims)
    dims[one], dims[two] = dims[two], dims[one]
    return view.with_dims(dims)


@rule("t", "numpy_T", "mT")
def turned(reader: Reader, a: Any) -> View:
    """Read an exchange of the last two axes."""
    view = tensor(reader, a)
    return view.with_dims((*view.dims[:-2], view.dims[-1], view.dims[-2]))


@rule("movedim", "moveaxis")
def movedim(reader: Reader, a: Any) -> View:
    """Read an axis moved to another place."""
    view = tensor(reader, a)
    one, two = (each if isinstance(each, Sequence) else [each] for each in (a.source, a.destination))
    if len(one) != 1:
        raise CannotRead("it moves several axes")
    dims = list(view.dims)
    axis = dims.pop(one[0])
    dims.insert(two[0] % len(view.dims), axis)
    return view.with_dims(dims)


@rule("expand", "expand_as", "broadcast_to")
def expand(reader: Reader, a: Any) -> Any:
    """Read a repetition of axes of size 1."""
    if isinstance(held := a.x, attention.Length):
        return held
    view, sizes = tensor(reader, a), tuple(reader.node.meta["val"].shape)
    dims = ((),) * (len(sizes) - len(view.dims)) + view.dims
    made = []
    for place, (axis, count) in enumerate(zip(dims, sizes, strict=True)):
        if size(axis) == count:
            made.append(axis)
        else:
            made.append((reader.batch,) if place == 0 and count == reader.batch.size else fresh([count])[0])
    return view.with_dims(made)


@rule("repeat", "tile")
def repeat(reader: Reader, a: Any) -> Any:
    """Read a repetition of axes, one after another; that of an axis of size 1 in front is for the samples."""
    view = tensor(reader, a)
    repeats = tuple(a.repeats if a.repeats is not None else a.dims)
    repeats = (1,) * (len(view.dims) - len(repeats)) + repeats
    dims = ((),) * (len(repeats) - len(view.dims)) + view.dims
    made = []
    for place, (axis, count) in enumerate(zip(dims, repeats, strict=True)):
        if count != 1 and reader.batch in axis:
            raise CannotRead("it repeats the samples of the batch")
        is_batch = place == 0 and not axis and count == reader.batch.size
        made.append((reader.batch,) if is_batch else (*fresh([count])[0], *axis))
    return view.with_dims(made)


@rule("repeat_interleave")
def repeat_interleave(reader: Reader, a: Any) -> View:
    """Read a repetition of each position of an axis, a number of times."""
    view = tensor(reader, a)
    if not isinstance(a.repeats, int) or a.dim is None:
        raise CannotRead("it repeats positions by different numbers")
    dim = a.dim % len(view.dims)
    return view.with_dims((*view.dims[:dim], (*view.dims[dim], *fresh([a.repeats])[0]), *view.dims[dim + 1 :]))


# ---- selections


@rule("select")
def select(reader: Reader, a: Any) -> View:
    """Read one index of an axis."""
    view = tensor(reader, a)
    dim = a.dim % len(view.dims)
    if reader.batch in view.dims[dim]:
        raise CannotRead("it takes one sample of the batch")
    return view.picked(dim, a.index % size(view.dims[dim]))


@rule("unbind")
def unbind(reader: Reader, a: Any) -> list[View]:
    """Read all indices of an axis."""
    view = tensor(reader, a)
    dim = a.dim % len(view.dims)
    if reader.batch in view.dims[dim]:
        raise CannotRead("it takes the samples of the batch apart")
    return [view.picked(dim, index) for index in range(size(view.dims[dim]))]


@rule("chunk", "split", "split_with_sizes", "tensor_split")
def chunk(reader: Reader, a: Any) -> list[View]:
    """Read parts of an axis: of equal sizes as views, of others as slices."""
    view = tensor(reader, a)
    dim = (a.dim or 0) % len(view.dims)
    counts = [int(part.shape[dim]) for part in reader.node.meta["val"]]
    return divided(reader, view, dim, counts)


@dataclass(frozen=True)
class Nothing:
    """A part of a tensor without values, which a concatenation may take."""


@rule("slice")
def cut(reader: Reader, a: Any) -> Any:
    """Read a range of an axis."""
    if not reader.node.meta["val"].numel():
        return Nothing()
    if isinstance(a.x, Products | Inside):
        return inside(a.x, a.dim or 0, *bounds(a, a.x.shape), a.step or 1)
    view = tensor(reader, a)
    dim = (a.dim or 0) % len(view.dims)
    return written_part(reader, view, dim, *bounds(a, view.shape), a.step or 1)


@rule("narrow")
def narrow(reader: Reader, a: Any) -> View:
    """Read a range of an axis by its length."""
    return part(reader, tensor(reader, a), a.dim, a.start, a.start + a.length)


@rule("index_select")
def index_select(reader: Reader, a: Any) -> View:
    """Read a choice of positions, which is not known here."""
    raise CannotRead("its indices are not known")


@rule("index")
def index(reader: Reader, a: Any) -> View:
    """Read a choice of positions by a tensor of indices."""
    dim = constants.sequence(a.indices)
    held = a.indices[dim]
    found = reader.constant(held.node) if isinstance(held, Fixed) and dim >= 0 else None
    if found is None or found.is_floating_point() or found.dtype == torch.bool:
        raise CannotRead("it takes positions by a table, and the table is not known here")
    view = tensor(reader, a)
    if reader.batch in view.dims[dim]:
        raise CannotRead("it takes some samples of the batch")
    return constants.distances(reader, view, dim, found) or constants.listed(reader, view, dim, found)


@rule("flip")
def flip(reader: Reader, a: Any) -> View:
    """Read an axis in reverse."""
    view = tensor(reader, a)
    for dim in a.dims:
        view, axis = owning(reader, view, dim % len(view.dims))
        view = replace(view, item=reader.add("flip", [view.item], {"axis": words(view.axes)[axis]}))
    return view


@rule("roll")
def roll(reader: Reader, a: Any) -> View:
    """Read a roll."""
    view = tensor(reader, a)
    dims = [dim % len(view.dims) for dim in a.dims]
    if (done := rolled(reader, view, dict(zip(dims, a.shifts, strict=True)))) is not None:
        return done
    given = {}
    for dim, by in zip(dims, a.shifts, strict=True):
        view, axis = owning(reader, view, dim)
        given[words(view.axes)[axis]] = by
    return replace(view, item=reader.add("roll", [view.item], given))


@rule("pad", "constant_pad_nd")
def pad(reader: Reader, a: Any) -> View:
    """Read a padding with a constant, or with values of the map."""
    view = tensor(reader, a)
    pairs = {len(view.dims) - 1 - place: tuple(a.pad[2 * place : 2 * place + 2]) for place in range(len(a.pad) // 2)}
    pairs = {dim: pair for dim, pair in pairs.items() if pair != (0, 0)}
    if not pairs:
        if isinstance(view, View):
            reader.zero_pads.add(view.item)
        return view
    if a.mode not in (None, "constant", "reflect", "replicate"):
        raise CannotRead(f"it pads with values of the map (mode {a.mode})")
    view, pairs = trimmed(reader, view, pairs)
    if not pairs:
        return view
    given = {"value": _padding(reader, a, pairs), "mode": a.mode or "constant"}
    if given["mode"] != "constant":
        view = reader.plain(view)
    return padded(reader, view, pairs, given)


def _padding(reader: Reader, a: Any, pairs: Mapping[int, tuple[int, int]]) -> float:
    """Return the constant that is added. Before a maximum over windows, each of which has other values, -infinity is a very low number."""
    value = float(a.value or 0)
    if value != float("-inf"):
        return value
    rank = len(reader.node.meta["val"].shape)
    for user in reader.node.users:
        if operator(user) not in ("max_pool2d", "max_pool3d", "max_pool1d") or len(user.args) > 3:
            raise CannotRead("it pads by -infinity, but not before a maximum over windows")
        kernel = layers.each(user.args[1], rank - 2)
        if any(dim < 2 or max(pair) >= kernel[dim - 2] for dim, pair in pairs.items()):
            raise CannotRead("it pads by -infinity, and a window may have nothing else")
    return LOWEST


# ---- joins


@rule("cat", "concat", "concatenate")
def cat(reader: Reader, a: Any) -> View:
    """Read a concatenation along an axis."""
    return joined(reader, [tensor for tensor in a.tensors if not isinstance(tensor, Nothing)], a.dim or 0)


@rule("stack")
def stack(reader: Reader, a: Any) -> View:
    """Read a concatenation along a new axis."""
    dim = (a.dim or 0) % (len(a.tensors[0].shape) + 1)
    beside = next(held for held in a.tensors if isinstance(held, View))
    views = [reader.data(held, beside) for held in a.tensors]
    return joined(reader, [view.with_dims((*view.dims[:dim], (), *view.dims[dim:])) for view in views], dim)
