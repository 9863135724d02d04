"""Parts of tensors that a source writes into: products of queries and keys without those of a class token, and ranges of other tensors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from archc.compiler.frontends.attending import Bias, Products
from archc.compiler.frontends.item import CannotRead
from archc.compiler.frontends.selecting import attempt, joined, padded, part
from archc.compiler.frontends.views import Axes, View, fresh, size
from archc.compiler.frontends.walk import Walk

Range = tuple[int, int]


@dataclass(frozen=True)
class Inside:
    """Products of a range of queries and a range of keys, in the shape `dims`, and what was `added` to them alone."""

    products: Products
    queries: Range
    keys: Range
    dims: Axes
    added: tuple[Bias, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the sizes of the tensor."""
        return tuple(map(size, self.dims))

    @property
    def region(self) -> tuple[Range, Range]:
        """Return the ranges of queries and keys."""
        return self.queries, self.keys


def inside(held: Products | Inside, dim: int, start: int, stop: int, step: int) -> Products | Inside:
    """Return a range of the queries or of the keys of products. Raises CannotRead for a range of something else."""
    rank = len(held.dims)
    dim %= rank
    if (start, stop, step) == (0, held.shape[dim], 1):
        return held
    if isinstance(held, Products):
        whole = held.queries.shape[-2], held.keys.shape[-2]
        if held.weights or held.turned or held.shape[-2:] != whole:
            raise CannotRead("it takes a part of the weights of an attention")
        held = Inside(held, (0, whole[0]), (0, whole[1]), held.dims)
    before = held.queries if dim == rank - 2 else held.keys
    if dim < rank - 2 or step != 1 or held.added or before != (0, held.shape[dim]):
        raise CannotRead("it takes a part of products of queries and keys that is no range of queries or keys")
    dims = (*held.dims[:dim], fresh([stop - start])[0], *held.dims[dim + 1 :])
    return replace(held, dims=dims, queries=(start, stop)) if dim == rank - 2 else replace(held, dims=dims, keys=(start, stop))


def inside_reshaped(held: Inside, sizes: tuple[int, ...]) -> Inside:
    """Return products of ranges in another shape, in which something is added to them."""
    return replace(held, dims=attempt(View(0, (), held.dims), sizes).dims)


def inside_scored(held: Inside, other: Any, name: str) -> Inside:
    """Return products of ranges with a bias."""
    if name != "add" or isinstance(other, Inside | Products | int | float):
        raise CannotRead(f"{name} of a part of products of queries and keys")
    return replace(held, added=(*held.added, Bias(other, held.dims)))


def put_back(reader: Walk, whole: Any, dim: int, start: int, stop: int, new: Any) -> Any:
    """Return a tensor in which a range of an axis was written. Raises CannotRead where that is not known."""
    if isinstance(new, Inside) and isinstance(whole, Inside):
        return new  # which knows both of its ranges
    if isinstance(new, Inside) and isinstance(whole, Products):
        return _with_biases(reader, whole, new)
    if not isinstance(whole, View) or not isinstance(new, View):
        raise CannotRead("it writes into a part of what is no tensor here")
    dim %= len(whole.dims)
    count = size(whole.dims[dim])
    first = [written_part(reader, whole, dim, 0, start)] if start else []
    last = [written_part(reader, whole, dim, stop, count)] if stop < count else []
    made = joined(reader, [*first, new, *last], dim) if first or last else new
    reader.written[made.item] = {(dim, start, stop): new}
    if first:
        reader.written[made.item][dim, 0, start] = first[0]
    if last:
        reader.written[made.item][dim, stop, count] = last[0]
    return made


def written_part(reader: Walk, view: View, dim: int, start: int, stop: int, step: int = 1) -> View:
    """Return a range of an axis: what was written there, or a slice."""
    held = reader.written.get(view.item, {}).get((dim, start, stop))
    is_whole = not view.picks and view.factor == 1.0 and not view.unit and step == 1
    if held is not None and is_whole and held.dims[:dim] + held.dims[dim + 1 :] == view.dims[:dim] + view.dims[dim + 1 :]:
        return held
    return part(reader, view, dim, start, stop, step)


def _with_biases(reader: Walk, whole: Products, new: Inside) -> Products:
    """Return products with what was added to ranges of them, 0 elsewhere."""
    before = new.products
    since = whole.added[len(before.added) :]
    is_same = replace(whole, added=before.added) == before and whole.added[: len(before.added)] == before.added
    if not is_same or any(bias.region != new.region for bias in since):
        raise CannotRead("it writes products of queries and keys into others")
    rank = len(before.dims)
    counts = before.queries.shape[-2], before.keys.shape[-2]
    made = []
    for bias in new.added:
        view = reader.settled(reader.data(bias.value, before.queries))
        dims = ((),) * (len(bias.dims) - len(view.dims)) + view.dims
        sizes = tuple(map(size, bias.dims))
        grown = [axis if size(axis) == count else fresh([count])[0] for axis, count in zip(dims, sizes, strict=True)]
        if any(size(axis) not in (1, count) for axis, count in zip(dims, sizes, strict=True)):
            raise CannotRead("it adds something else than one value to each product of a query and a key")
        around = tuple(map(size, before.dims[:-2]))
        apart = [stop - start for start, stop in new.region]
        view = attempt(view.with_dims(_for_samples(reader, grown)), (*around, *apart))
        pairs = {
            rank - 2 + place: (start, count - stop)
            for place, ((start, stop), count) in enumerate(zip(new.region, counts, strict=True))
            if (start, stop) != (0, count)
        }
        view = padded(reader, view, pairs, {"value": 0.0, "mode": "constant"})
        made.append(Bias(view, before.dims, new.region))
    return replace(before, added=(*before.added, *made))


def _for_samples(reader: Walk, dims: list[Any]) -> Axes:
    """Return axes whose first is the batch, where nothing else of them is."""
    if any(reader.batch in axis for axis in dims):
        return tuple(dims)
    return ((reader.batch,), *dims[1:])
