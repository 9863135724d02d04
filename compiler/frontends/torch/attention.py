"""Attention: products of queries and keys, weights by softmax, and sums of values, as one operator with its projections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from torch import fx

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.torch.nodes import Fixed, rule
from archc.compiler.frontends.torch.reader import Reader
from archc.compiler.frontends.views import Atom, Axes, Axis, View, atoms_of, fresh, size


@dataclass(frozen=True)
class Products:
    """Products of queries and keys, `(..., queries, keys)`, and what was done to them.

    `queries` and `keys` are `(..., positions, channels of a head)`; `scale` is the factor of the products, `cosine` a trained one;
    `biases` are what was added. `weights` is whether they went through a softmax, and `dropout` what was dropped of these.
    """

    queries: View
    keys: View
    shape: tuple[int, ...]
    scale: float = 1.0
    cosine: Fixed | None = None
    biases: tuple[Fixed, ...] = ()
    weights: bool = False
    dropout: float = 0.0


@dataclass(frozen=True)
class Core:
    """An attention within parts of a map, whose projections are not yet known: what a pseudo operator notes."""

    products: Products
    heads: int
    positions: Axis


@dataclass(frozen=True)
class Length:
    """The length of vectors that are about to be divided by it."""

    view: View
    node: fx.Node
    dim: int
    eps: float = 0.0


KEYLESS = "a projection whose keys have no bias"

LEADS = frozenset(
    {"mul", "div", "add", "view", "reshape", "softmax", "_softmax", "clone", "contiguous", "alias", "unsqueeze", "squeeze", "masked_fill"}
)


def leads_to(node: fx.Node, ends: Sequence[str], through: frozenset[str]) -> bool:
    """Return whether every way from a node, through some operators, ends at one of `ends`."""
    users = list(node.users)
    if not users:
        return False
    for user in users:
        name = user.target._schema.name.rpartition("::")[2].rstrip("_") if hasattr(user.target, "_schema") else ""
        if name in ends:
            continue
        if name not in through or not leads_to(user, ends, through):
            return False
    return True


# ---- products


@rule("matmul", "bmm")
def matmul(reader: Reader, a: Any) -> Any:
    """Read a product of matrices: of queries and keys, of weights and values, or of any two."""
    one, two = a.x, a.other if a.other is not None else a.mat2
    if isinstance(one, Products):
        return summed(reader, one, reader.data(two))
    one, two = reader.data(one), reader.data(two)
    if leads_to(reader.node, ("softmax", "_softmax"), LEADS):
        keys = two.with_dims((*two.dims[:-2], two.dims[-1], two.dims[-2]))
        return product(reader, one, keys)
    return plain_product(reader, one, two)


def product(reader: Reader, queries: View, keys: View) -> Products:
    """Return the products of queries and keys. Factors of either are those of the products."""
    scale = queries.factor * keys.factor
    shape = (*queries.shape[:-1], keys.shape[-2])
    return Products(replace(queries, factor=1.0), replace(keys, factor=1.0), shape, scale)


def plain_product(reader: Reader, one: View, two: View) -> View:
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


@rule("einsum")
def einsum(reader: Reader, a: Any) -> Any:
    """Read a product of two tensors that is one of matrices."""
    left, out = a.equation.replace(" ", "").split("->")
    if len(a.tensors) != 2:
        raise CannotRead(f"einsum of {len(a.tensors)} tensors")
    names = left.split(",")
    one, two = a.tensors
    shared = [letter for letter in out if all(letter in each for each in names)]
    summed_over = [letter for letter in names[0] if letter in names[1] and letter not in out]
    rows = [letter for letter in out if letter in names[0] and letter not in names[1]]
    columns = [letter for letter in out if letter in names[1] and letter not in names[0]]
    if len(summed_over) != 1 or len(rows) != 1 or len(columns) != 1 or list(out) != [*shared, *rows, *columns]:
        raise CannotRead(f"einsum {a.equation} is no product of matrices")
    if isinstance(one, Products):
        if list(names[0]) != [*shared, *rows, *summed_over]:
            raise CannotRead(f"einsum {a.equation} of weights of an attention")
        values = _ordered(reader.data(two), names[1], [*shared, *summed_over, *columns])
        return summed(reader, one, values)
    queries = _ordered(reader.data(one), names[0], [*shared, *rows, *summed_over])
    keys = _ordered(reader.data(two), names[1], [*shared, *columns, *summed_over])
    if leads_to(reader.node, ("softmax", "_softmax"), LEADS):
        return product(reader, queries, keys)
    return plain_product(reader, queries, keys.with_dims((*keys.dims[:-2], keys.dims[-1], keys.dims[-2])))


def _ordered(view: View, names: str, order: list[str]) -> View:
    return view.with_dims(view.dims[names.index(letter)] for letter in order)


def reshaped(products: Products, sizes: tuple[int, ...]) -> Products:
    """Return products in another shape, in which something is added to them."""
    return replace(products, shape=sizes)


def scored(reader: Reader, products: Products, other: Any, name: str) -> Products:
    """Return products times a number or a trained scale, or with a bias."""
    if products.weights:
        raise CannotRead("it changes the weights of an attention")
    if name in ("mul", "div") and isinstance(other, int | float):
        return replace(products, scale=products.scale * other if name == "mul" else products.scale / other)
    if name == "mul" and isinstance(other, Fixed) and products.cosine is None:
        return replace(products, cosine=other)
    if name == "add" and isinstance(other, Fixed):
        return replace(products, biases=(*products.biases, other))
    raise CannotRead(f"{name} of products of queries and keys with something that depends on the input")


def weighted(reader: Reader, products: Products, dim: int) -> Products:
    """Return the softmax of products over the keys."""
    if dim % len(products.shape) != len(products.shape) - 1 or products.shape[-1] != products.keys.shape[-2]:
        raise CannotRead("the softmax of an attention is not over its keys")
    return replace(products, weights=True)


def dropped(products: Products, p: float) -> Products:
    """Return weights of which some are dropped."""
    return replace(products, dropout=p)


def summed(reader: Reader, products: Products, values: View) -> View:
    """Return the sums of values by the weights of products."""
    if not products.weights:
        raise CannotRead("products of queries and keys without a softmax")
    return attended(reader, products, values)


@rule("scaled_dot_product_attention")
def dot_product_attention(reader: Reader, a: Any) -> View:
    """Read torch's attention."""
    scale = a.scale if a.scale is not None else 1 / sqrt(a.query.shape[-1])
    if a.enable_gqa or not all(isinstance(each, View) for each in (a.query, a.key, a.value)):
        raise CannotRead("its keys are those of several heads, or depend on no input")
    products = replace(product(reader, a.query, a.key), weights=True, dropout=a.dropout_p or 0.0)
    products = replace(products, scale=products.scale * scale)
    if a.attn_mask is not None:
        if not isinstance(a.attn_mask, Fixed):
            raise CannotRead("its mask depends on the input")
        products = replace(products, biases=(a.attn_mask,))
    return attended(reader, products, a.value, bool(a.is_causal))


# ---- attention


def attended(reader: Reader, products: Products, values: View, causal: bool = False) -> View:
    """Append an attention; where it is within parts of a map, what stands for one until its last projection is read."""
    queries, keys = products.queries, products.keys
    if queries.unit or keys.unit or products.cosine is not None or products.biases or _outer(reader, queries):
        return _within(reader, products, values)
    heads = _heads(queries)
    count = prod_of(heads)
    head = size(queries.dims[-1])
    given = {"heads": count, "causal": causal, "dropout": products.dropout, "scale": _usual(products.scale, head)}
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


def _usual(scale: float, head: int) -> float | None:
    """Return the factor of products, None where it is the usual one."""
    return None if abs(scale * sqrt(head) - 1) < 1e-9 else scale


def _heads(view: View) -> Axis:
    """Return the atoms of the channels that are different heads."""
    return tuple(atom for atom in atoms_of(view.dims[:-2]) if atom in view.axes[0])


def _outer(reader: Reader, view: View) -> Axis:
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


def _single(reader: Reader, view: View) -> int:
    """Return an operator whose channels are the heads of a tensor and whose positions are its positions."""
    if _outer(reader, view):
        raise CannotRead("its keys are at parts of the positions")
    return reader.as_axes(view, ((*_heads(view), *view.dims[-1]), *_positions(view)))


def _within(reader: Reader, products: Products, values: View) -> View:
    queries, keys = products.queries, products.keys
    heads = _heads(queries)
    packed = _packed(replace(queries, unit=0.0), replace(keys, unit=0.0), values, heads)
    if packed is None or queries.axes[0] != packed:
        raise CannotRead("an attention with a bias or within parts of a map, whose queries, keys and values are not one layer")
    shape = (size(heads) * size(values.dims[-1]), *map(size, queries.axes[1:]))
    core = Core(products, size(heads), queries.dims[-2])
    item = reader.flat.add_pseudo("attention within parts of a map", [queries.item], shape, core, reader.path)
    return View(item, ((*heads, *values.dims[-1]), *queries.axes[1:]), queries.dims)


# ---- vectors divided by their length


def length(reader: Reader, view: View, a: Any) -> Length | None:
    """Return a length that vectors are divided by, as `torch.nn.functional.normalize` does; None for any other."""
    user = reader.node
    for name in ("clamp_min", "expand_as", "div"):
        if len(user.users) != 1:
            return None
        user = next(iter(user.users))
        if not str(getattr(user.target, "_schema", "")).startswith(f"aten::{name}"):
            return None
    source = reader.node.args[0]
    if user.args[0] is not source or not a.keepdim or len(a.dim or ()) != 1:
        return None
    return Length(view, user, a.dim[0] % len(view.dims))


def normalized(reader: Reader, view: View, by: Length) -> View:
    """Return vectors divided by their length."""
    if leads_to(reader.node, ("matmul", "bmm", "scaled_dot_product_attention"), frozenset({"transpose"})):
        return replace(view, unit=by.eps)
    view = reader.along(view, by.dim)
    return reader.on(view, "l2_norm", {"eps": by.eps})


# ---- the last projection


def projected(reader: Reader, view: View, a: Any) -> View | None:
    """Return an attention with its projections, where a layer is the last of them; None where it is another layer."""
    from archc.compiler.frontends.torch.windows import window_attention

    item = reader.flat.items[view.item]
    if isinstance(item.data, Core):
        return window_attention(reader, view, a)
    if item.op != "attention" or len(item.operands) != 1 or a.weight.node not in reader.keys:
        return None
    packed = reader.flat.items[item.operands[0]]
    if not packed.key.endswith(".in_proj~") and packed.key != "in_proj~":
        return None
    prefix = packed.key.removesuffix("in_proj~")
    if reader.keys[a.weight.node] != f"{prefix}out_proj.weight" or view.axes[0] != view.dims[-1] or item.attrs["scale"] is not None:
        return None
    held = {key.replace("in_proj~.", "in_proj_"): shape for key, shape in packed.weights.items()}
    given = {"heads": item.attrs["heads"], "causal": item.attrs["causal"], "dropout": item.attrs["dropout"], "bias": a.bias is not None}
    number = reader.add("multihead_attention", [packed.operands[0]], given, weights={**held, **reader.weights(a.weight, a.bias)})
    return reader.rechanneled(view, number, -1)
