"""Attention as tensors: products of queries and keys, what is done to them, and sums of values, appended as one operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from archc.compiler.frontends.arranging import words
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.selecting import merged, owning
from archc.compiler.frontends.views import Atom, Axes, Axis, View, atoms_of, fresh, size
from archc.compiler.frontends.walk import Deferred, Walk


@dataclass(frozen=True)
class Products:
    """Products of queries and keys, `(..., queries, keys)`, and what was done to them.

    `queries` and `keys` are `(..., positions, channels of a head)`; `scale` is the factor of the products, `cosine` a trained one;
    `biases` are what was added. `weights` is whether they went through a softmax, `dropout` what was dropped of these, and `causal`
    whether a query looks at no later key.
    """

    queries: View
    keys: View
    shape: tuple[int, ...]
    scale: float = 1.0
    cosine: Any = None
    biases: tuple[Any, ...] = ()
    weights: bool = False
    dropout: float = 0.0
    causal: bool = False


@dataclass(frozen=True)
class Core(Deferred):
    """An attention within parts of a map, whose projections are not yet known: what a pseudo operator notes.

    `values` are what it sums, and `axes` those of the pseudo operator.
    """

    products: Products
    heads: int
    positions: Axis
    values: View
    axes: Axes

    @property
    def is_plain(self) -> bool:
        """Return whether nothing is done to the products that `attention` does not do."""
        return _is_plain(self.products)

    def made(self, reader: Walk, view: View) -> View:
        """Return the view of an attention without projections."""
        if not self.is_plain:
            return view
        return replace(view, item=reader.as_axes(_by_heads(reader, self.products, self.values), self.axes))


def product(reader: Walk, queries: View, keys: View) -> Products:
    """Return the products of queries and keys. Factors of either are those of the products."""
    scale = queries.factor * keys.factor
    shape = (*queries.shape[:-1], keys.shape[-2])
    return Products(replace(queries, factor=1.0), replace(keys, factor=1.0), shape, scale)


def plain_product(reader: Walk, one: View, two: View) -> View:
    """Append a product of matrices for each sample."""
    items = []
    for view in (one, two):
        dims, batch = reader.sample_dims(view), reader.batch_dim(view)
        if batch is None or batch > len(dims) - 3:
            raise CannotRead("it multiplies by a matrix that is the same for every sample, or mixes samples")
        outer = [axis for place, axis in enumerate(dims[:-2]) if place != batch or axis]
        if len(outer) > 2:
            outer = [tuple(atoms_of(outer))]
        items.append((reader.as_axes(view, (*outer, *dims[-2:])), outer))
    item = reader.add("matmul", [number for number, _ in items])
    rows, columns = fresh([one.shape[-2], two.shape[-1]])
    return View(item, (*items[0][1], rows, columns), (*one.dims[:-2], rows, columns))


def reshaped(products: Products, sizes: tuple[int, ...]) -> Products:
    """Return products in another shape, in which something is added to them."""
    return replace(products, shape=sizes)


def scored(reader: Walk, products: Products, other: Any, name: str) -> Products:
    """Return products times a number or a trained scale, or with a bias."""
    if products.weights:
        raise CannotRead("it changes the weights of an attention")
    if products.biases and name != "add":
        raise CannotRead("it multiplies products of queries and keys after something was added to them")
    is_fixed = not isinstance(other, View | Products | int | float)
    if name in ("mul", "div") and isinstance(other, int | float):
        return replace(products, scale=products.scale * other if name == "mul" else products.scale / other)
    if name == "mul" and is_fixed and products.cosine is None:
        return replace(products, cosine=other)
    if name == "add" and is_fixed:
        return replace(products, biases=(*products.biases, other))
    raise CannotRead(f"{name} of products of queries and keys with something that depends on the input")


def weighted(reader: Walk, products: Products, dim: int) -> Products:
    """Return the softmax of products over the keys."""
    if dim % len(products.shape) != len(products.shape) - 1 or products.shape[-1] != products.keys.shape[-2]:
        raise CannotRead("the softmax of an attention is not over its keys")
    return replace(products, weights=True)


def dropped(products: Products, p: float) -> Products:
    """Return weights of which some are dropped."""
    return replace(products, dropout=p)


def summed(reader: Walk, products: Products, values: View) -> View:
    """Return the sums of values by the weights of products."""
    if not products.weights:
        raise CannotRead("products of queries and keys without a softmax")
    return attended(reader, products, values)


# ---- attention


def attended(reader: Walk, products: Products, values: View, causal: bool = False) -> View:
    """Append an attention; where it is within parts of a map, what stands for one until its last projection is read."""
    products = replace(products, causal=causal or products.causal)
    queries, keys = products.queries, products.keys
    if not _is_plain(products):
        between_channels = not set(queries.dims[-1]) <= set(queries.axes[0])
        return _in_steps(reader, products, values) if between_channels else _within(reader, products, values)
    heads = _heads(queries)
    packed = _packed(queries, keys, values, heads)
    if _outer(reader, queries):
        is_window = packed == queries.axes[0] and not products.causal
        return _within(reader, products, values) if is_window else _by_heads(reader, products, values)
    positions = _positions(queries)
    if packed is not None:
        operands = [reader.as_axes(replace(queries, picks=()), (packed, *positions))]
    else:
        operands = [_single(reader, view) for view in (queries, keys, values)]
    item = reader.add("attention", operands, _options(products, size(heads)))
    axes: Axes = ((*heads, *values.dims[-1]), *positions)
    return View(item, axes, (*queries.dims[:-1], values.dims[-1]))


def _is_plain(products: Products) -> bool:
    """Return whether nothing is done to products that `attention` does not do."""
    return not (products.queries.unit or products.keys.unit or products.cosine is not None or products.biases)


def _options(products: Products, heads: int) -> dict[str, Any]:
    scale = usual(products.scale, size(products.queries.dims[-1]))
    return {"heads": heads, "causal": products.causal, "dropout": products.dropout, "scale": scale}


def _by_heads(reader: Walk, products: Products, values: View) -> View:
    """Append an attention within parts of the positions: each part is in heads of its own."""
    queries, keys = products.queries, products.keys
    packed = _packed(queries, keys, values, _heads(queries))
    groups = _groups(reader, queries)
    if packed is not None:
        operands = [reader.as_axes(replace(queries, picks=()), ((packed[0], *groups, *queries.dims[-1]), queries.dims[-2]))]
    else:
        if keys.shape[:-2] != queries.shape[:-2] or values.shape[:-2] != queries.shape[:-2]:
            raise CannotRead("its queries and its keys are in other parts of the positions")
        views = (queries, keys, values)
        operands = [reader.as_axes(view, ((*_groups(reader, view), *view.dims[-1]), view.dims[-2])) for view in views]
    item = reader.add("attention", operands, _options(products, size(groups)))
    return View(item, ((*groups, *values.dims[-1]), queries.dims[-2]), (*queries.dims[:-1], values.dims[-1]))


def _in_steps(reader: Walk, products: Products, values: View) -> View:
    """Append an attention between channels, whose vectors are all positions of a channel: products, a softmax and sums."""
    queries, keys = (_unit(reader, view) for view in (products.queries, products.keys))
    view = plain_product(reader, queries, keys.with_dims((*keys.dims[:-2], keys.dims[-1], keys.dims[-2])))
    if products.scale != 1.0:
        view = reader.on(view, "scale", {"factor": products.scale})
    if products.cosine is not None:
        view = merged(reader, "mul", view, reader.data(products.cosine, view))
    for bias in products.biases:
        view = merged(reader, "add", view, reader.data(bias, view))
    if products.causal or products.dropout:
        raise CannotRead("an attention between channels that drops weights, or looks at some keys only")
    view, axis = owning(reader, view, len(view.dims) - 1)
    view = reader.on(view, "softmax", {"axis": words(view.axes)[axis]})
    return plain_product(reader, view, values)


def _unit(reader: Walk, view: View) -> View:
    """Return vectors along the last axis, divided by their length where they should be."""
    eps, view = view.unit, replace(view, unit=0.0)
    if not eps:
        return view
    view, axis = owning(reader, view, len(view.dims) - 1)
    return reader.on(view, "l2_norm", {"eps": eps, "axis": words(view.axes)[axis]})


def _groups(reader: Walk, view: View) -> Axis:
    """Return the atoms of heads and of parts of the positions, in their order."""
    if view.dims[0][:1] != (reader.batch,):
        raise CannotRead("the batch is not the first axis of an attention")
    return tuple(atom for atom in atoms_of(view.dims[:-2]) if atom is not reader.batch)


def prod_of(axis: Sequence[Atom]) -> int:
    """Return the number of positions of atoms."""
    return size(axis)


def usual(scale: float, head: int) -> float | None:
    """Return the factor of products, None where it is the usual one."""
    return None if abs(scale * sqrt(head) - 1) < 1e-6 else scale


def _heads(view: View) -> Axis:
    """Return the atoms of the channels that are different heads."""
    return tuple(atom for atom in atoms_of(view.dims[:-2]) if atom in view.axes[0])


def _outer(reader: Walk, view: View) -> Axis:
    """Return the atoms of positions that do not attend to each other."""
    return tuple(atom for atom in atoms_of(view.dims[:-2]) if atom not in view.axes[0] and atom is not reader.batch)


def _positions(view: View) -> Axes:
    """Return the axes of positions: those of the operator, or one of all positions in their order."""
    own = view.axes[1:]
    return own if tuple(atoms_of(own)) == view.dims[-2] and own else (view.dims[-2],)


def _packed(queries: View, keys: View, values: View, heads: Axis) -> Axis | None:
    """Return the channels of queries, keys and values in one tensor; None where they are several tensors."""
    views = (queries, keys, values)
    if any(view.item != queries.item or len(view.picks) != 1 or view.axes != queries.axes or view.dims != queries.dims for view in views):
        return None
    (part, _), *rest = queries.picks
    if rest or part.size != 3 or [dict(view.picks).get(part) for view in views] != [0, 1, 2]:
        return None
    return (part, *heads, *queries.dims[-1])


def _single(reader: Walk, view: View) -> int:
    """Return an operator whose channels are the heads of a tensor and whose positions are its positions."""
    if _outer(reader, view):
        raise CannotRead("its keys are at parts of the positions")
    return reader.as_axes(view, ((*_heads(view), *view.dims[-1]), *_positions(view)))


def _within(reader: Walk, products: Products, values: View) -> View:
    queries, keys = products.queries, products.keys
    heads = _heads(queries)
    packed = _packed(replace(queries, unit=0.0), replace(keys, unit=0.0), values, heads)
    if products.causal:
        raise CannotRead("a causal attention with a bias")
    if packed is None or queries.axes[0] != packed:
        raise CannotRead("an attention with a bias or within parts of a map, whose queries, keys and values are not one layer")
    shape = (size(heads) * size(values.dims[-1]), *map(size, queries.axes[1:]))
    axes: Axes = ((*heads, *values.dims[-1]), *queries.axes[1:])
    core = Core(products, size(heads), queries.dims[-2], values, axes)
    item = reader.flat.add_pseudo("attention within parts of a map", [queries.item], shape, core, reader.path)
    return View(item, axes, queries.dims)
