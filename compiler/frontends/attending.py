"""Attention as tensors: products of queries and keys, what is done to them, and sums of values, appended as one operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.views import Atom, Axes, Axis, View, atoms_of, fresh, size
from archc.compiler.frontends.walk import Walk


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
class Core:
    """An attention within parts of a map, whose projections are not yet known: what a pseudo operator notes."""

    products: Products
    heads: int
    positions: Axis


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


def multiplied(reader: Walk, equation: str, one: Any, two: Any, compared: bool) -> View | Products:
    """Return a product of two tensors in Einstein's notation; `compared` are queries and keys.

    Raises CannotRead where it is no product of matrices.
    """
    left, _, out = equation.replace(" ", "").partition("->")
    names = left.split(",")
    shared = [letter for letter in out if all(letter in each for each in names)]
    summed_over = [letter for letter in names[0] if letter in names[-1] and letter not in out]
    rows = [letter for letter in out if letter in names[0] and letter not in names[-1]]
    columns = [letter for letter in out if letter in names[-1] and letter not in names[0]]
    matrices = len(names) == 2 and len(summed_over) == len(rows) == len(columns) == 1
    if not matrices or list(out) != [*shared, *rows, *columns] or any(len(set(each)) != len(each) for each in names):
        raise CannotRead(f"einsum {equation} is no product of matrices")
    if isinstance(one, Products):
        if list(names[0]) != [*shared, *rows, *summed_over]:
            raise CannotRead(f"einsum {equation} of weights of an attention")
        return summed(reader, one, _ordered(reader.data(two), names[1], [*shared, *summed_over, *columns]))
    queries = _ordered(reader.data(one), names[0], [*shared, *rows, *summed_over])
    keys = _ordered(reader.data(two), names[1], [*shared, *columns, *summed_over])
    if compared:
        return product(reader, queries, keys)
    return plain_product(reader, queries, keys.with_dims((*keys.dims[:-2], keys.dims[-1], keys.dims[-2])))


def _ordered(view: View, names: str, order: list[str]) -> View:
    if len(names) != len(view.dims) or set(names) != set(order):
        raise CannotRead(f"einsum with {names} of a tensor of {len(view.dims)} axes")
    return view.with_dims(view.dims[names.index(letter)] for letter in order)


def reshaped(products: Products, sizes: tuple[int, ...]) -> Products:
    """Return products in another shape, in which something is added to them."""
    return replace(products, shape=sizes)


def scored(reader: Walk, products: Products, other: Any, name: str) -> Products:
    """Return products times a number or a trained scale, or with a bias."""
    if products.weights:
        raise CannotRead("it changes the weights of an attention")
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
    queries, keys = products.queries, products.keys
    if queries.unit or keys.unit or products.cosine is not None or products.biases or _outer(reader, queries):
        return _within(reader, products, values)
    heads = _heads(queries)
    count = prod_of(heads)
    head = size(queries.dims[-1])
    given = {"heads": count, "causal": causal or products.causal, "dropout": products.dropout, "scale": usual(products.scale, head)}
    positions = _positions(queries)
    packed = _packed(queries, keys, values, heads)
    if packed is not None:
        operands = [reader.as_axes(replace(queries, picks=()), (packed, *positions))]
    else:
        operands = [_single(reader, view) for view in (queries, keys, values)]
    item = reader.add("attention", operands, given)
    axes: Axes = ((*heads, *values.dims[-1]), *positions)
    return View(item, axes, (*queries.dims[:-1], values.dims[-1]))


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
    if packed is None or queries.axes[0] != packed:
        raise CannotRead("an attention with a bias or within parts of a map, whose queries, keys and values are not one layer")
    shape = (size(heads) * size(values.dims[-1]), *map(size, queries.axes[1:]))
    core = Core(products, size(heads), queries.dims[-2])
    item = reader.flat.add_pseudo("attention within parts of a map", [queries.item], shape, core, reader.path)
    return View(item, ((*heads, *values.dims[-1]), *queries.axes[1:]), queries.dims)
