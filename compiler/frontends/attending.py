"""Attention as tensors: products of queries and keys, what is done to them, and sums of values, appended as one operator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from archc.compiler.frontends.flat import CannotRead, quoted
from archc.compiler.frontends.selecting import attempt, merged, named_alike
from archc.compiler.frontends.views import Atom, Axes, Axis, NotAligned, View, atoms_of, fresh, size
from archc.compiler.frontends.walk import Walk


@dataclass(frozen=True)
class Bias:
    """What is added to products: a value, and the axes of the products at that time, which it fits from the last on.

    Where it was added to a `region` alone, a range of queries and one of keys, it is 0 elsewhere.
    """

    value: Any
    dims: Axes
    region: Any = None


@dataclass(frozen=True)
class Products:
    """Products of queries and keys, `dims`, which are `(..., queries, keys)` at first, and what was done to them.

    `queries` and `keys` are `(..., positions, channels of a head)`; `scale` is the factor of the products, `cosine` a trained one;
    `added` is what was added. `weights` is whether they went through a softmax, `dropout` what was dropped of these, `causal` whether
    a query looks at no later key, and `turned` whether the axes of queries and keys have changed places. The axis of the keys has
    atoms of its own, also where queries and keys are of one tensor.
    """

    queries: View
    keys: View
    dims: Axes
    scale: float = 1.0
    cosine: Any = None
    added: tuple[Bias, ...] = ()
    weights: bool = False
    dropout: float = 0.0
    causal: bool = False
    turned: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the sizes of the products."""
        return tuple(map(size, self.dims))

    def dims_at_first(self, queries: View, keys: View) -> Axes:
        """Return the axes before those of queries and keys, as they were at first."""
        return tuple(one if size(one) >= size(two) else two for one, two in zip(queries.dims[:-2], keys.dims[:-2], strict=True))

    @property
    def biases(self) -> tuple[Any, ...]:
        """Return the values that were added."""
        return tuple(bias.value for bias in self.added)


@dataclass(frozen=True)
class Core:
    """An attention within parts of a map, whose projections are not yet known: what a pseudo operator notes."""

    products: Products
    values: View
    parts: Axis

    @property
    def heads(self) -> int:
        """Return the number of heads."""
        return size(self.parts)

    @property
    def positions(self) -> Axis:
        """Return the positions that attend to each other."""
        return self.products.queries.dims[-2]


def product(reader: Walk, queries: View, keys: View) -> Products:
    """Return the products of queries and keys. Factors of either are those of the products."""
    scale = queries.factor * keys.factor
    if len(queries.dims) != len(keys.dims) or len(queries.dims) < 3:
        raise CannotRead("its queries and keys have different axes")
    try:
        queries, keys, names = queries.matched(keys, _shared(queries, keys))
    except NotAligned:
        raise CannotRead("its queries and keys are split differently") from None
    keys = keys.substituted({theirs: (mine,) for theirs, mine in names.items() if theirs is not mine})
    outer = [one if size(one) >= size(two) else two for one, two in zip(queries.dims[:-2], keys.dims[:-2], strict=True)]
    columns = tuple(Atom(atom.size) for atom in keys.dims[-2])
    return Products(replace(queries, factor=1.0), replace(keys, factor=1.0), (*outer, queries.dims[-2], columns), scale)


def _shared(one: View, two: View) -> list[tuple[int, int]]:
    """Return the axes before the last two that both tensors have, and that of the channels."""
    rank = len(one.dims)
    return [(place, place) for place in (*range(rank - 2), rank - 1) if size(one.dims[place]) == size(two.dims[place]) > 1]


def plain_product(reader: Walk, one: View, two: View) -> View:
    """Append a product of matrices, for each sample and each index of the axes before; what lacks an axis is repeated along it."""
    rank = max(len(one.dims), len(two.dims))
    one, two = (reader.settled(view.with_dims(((),) * (rank - len(view.dims)) + view.dims)) for view in (one, two))
    try:
        one, two, names = one.matched(two, [pair for pair in _shared(one, two) if pair[0] < rank - 2])
    except NotAligned:
        raise CannotRead("its operands are split differently") from None
    two = two.substituted({theirs: (mine,) for theirs, mine in names.items() if theirs is not mine})
    pairs = list(zip(one.dims[:-2], two.dims[:-2], strict=True))
    around = tuple(a if size(a) >= size(b) else b for a, b in pairs)
    if any(size(a) not in (1, size(axis)) or size(b) not in (1, size(axis)) for axis, (a, b) in zip(around, pairs, strict=True)):
        raise CannotRead("its operands have different axes before the matrices")
    if reader.batch in one.dims[-2] and not any(reader.batch in axis for axis in (one.dims[-1], *two.dims[-2:])):
        if one.dims[-2] == (reader.batch,):
            raise CannotRead("its rows are the samples of a batch, as where kernels are mixed for each sample by itself")
        raise CannotRead("its rows are positions of all samples together, and here a product is that of one sample")
    if any(reader.batch in axis for view in (one, two) for axis in view.dims[-2:]):
        raise CannotRead("it mixes samples")
    outer = [axis for axis in (tuple(atom for atom in axis if atom is not reader.batch) for axis in around) if axis]
    if len(outer) > 2:
        outer = [tuple(atoms_of(outer))]
    rows, columns = fresh([one.shape[-2], two.shape[-1]])
    if size(one.dims[-1]) != size(two.dims[-2]):
        raise CannotRead("its operands do not fit")
    item = reader.add("matmul", [reader.as_axes(view, (*outer, *view.dims[-2:])) for view in (one, two)])
    return View(item, (*outer, rows, columns), (*around, rows, columns))


def multiplied(reader: Walk, equation: str, one: Any, two: Any, compared: bool) -> View | Products:
    """Return a product of two tensors in Einstein's notation, or an attention's part; `compared` says that they may be queries and keys.

    Raises CannotRead where it is no product of matrices, or mixes samples.
    """
    left, _, out = equation.replace(" ", "").partition("->")
    names = left.split(",")
    shared = [letter for letter in out if all(letter in each for each in names)]
    summed_over = [letter for letter in names[0] if letter in names[-1] and letter not in out]
    rows = [letter for letter in out if letter in names[0] and letter not in names[-1]]
    columns = [letter for letter in out if letter in names[-1] and letter not in names[0]]
    lists = [*names, out]
    wanted = [{*shared, *rows, *summed_over}, {*shared, *columns, *summed_over}, {*shared, *rows, *columns}]
    if len(summed_over) != 1 or any(len(set(each)) != len(each) for each in lists) or list(map(set, lists)) != wanted:
        raise CannotRead(f"einsum {equation} is no product of matrices")
    is_ordered = len(rows) == 1 and list(out) == [*shared, *rows, *columns]
    if isinstance(one, Products):
        if list(names[0]) != [*shared, *rows, *summed_over] or not is_ordered:
            raise CannotRead(f"einsum {equation} of weights of an attention")
        return summed(reader, one, _ordered(reader.data(two), names[1], [*shared, *summed_over, *columns]))
    beside = one if isinstance(one, View) else two if isinstance(two, View) else None
    one, two = reader.data(one, beside), reader.data(two, beside)
    if compared and is_ordered and len(columns) == 1:
        queries = _ordered(one, names[0], [*shared, *rows, *summed_over])
        return product(reader, queries, _ordered(two, names[1], [*shared, *columns, *summed_over]))
    return _products_of_several(reader, one, two, names, (shared, rows, columns, summed_over), out)


def _products_of_several(reader: Walk, one: View, two: View, names: list[str], parts: tuple[list[str], ...], out: str) -> View:
    """Append a product of matrices, whose rows and columns may be several axes each, and samples rows of one of them."""
    shared, rows, columns, summed_over = parts

    def joint(view: View, letters: str, order: list[list[str]]) -> View:
        axes = {letter: tuple(atom for atom in axis if atom is not reader.batch) for letter, axis in zip(letters, view.dims, strict=True)}
        return view.with_dims(tuple(atom for letter in group for atom in axes[letter]) for group in order)

    one, two = (_ordered(view, letters, list(letters)) for view, letters in zip((one, two), names, strict=True))
    pairs = [
        (letter, axis) for letters, view in zip(names, (one, two), strict=True) for letter, axis in zip(letters, view.dims, strict=True)
    ]
    each, batches = dict(pairs), list(dict.fromkeys(letter for letter, axis in pairs if reader.batch in axis))
    if len(batches) > 1 or set(batches) & set(summed_over):
        raise CannotRead("it mixes samples")
    groups = [[letter] for letter in shared]
    whole = plain_product(reader, joint(one, names[0], [*groups, rows, summed_over]), joint(two, names[1], [*groups, summed_over, columns]))
    shape = [size(tuple(atom for atom in each[letter] if atom is not reader.batch)) for letter in (*shared, *rows, *columns)]
    apart = attempt(whole, shape)
    place = dict(zip((*shared, *rows, *columns), apart.dims, strict=True))
    return apart.with_dims((reader.batch, *place[letter]) if letter in batches else place[letter] for letter in out)


def _ordered(view: View, names: str, order: list[str]) -> View:
    if len(names) != len(view.dims):
        raise CannotRead(f"einsum with {names} of a tensor of {len(view.dims)} axes")
    return view.with_dims(view.dims[names.index(letter)] for letter in order)


def reshaped(products: Products, sizes: tuple[int, ...]) -> Products:
    """Return products in another shape, in which something is added to them."""
    if products.turned:
        raise CannotRead("it changes the axes of products of queries and keys")
    return replace(products, dims=attempt(View(0, (), products.dims), sizes).dims)


def scored(reader: Walk, products: Products, other: Any, name: str) -> Products:
    """Return products times a number or a trained scale, or with a bias."""
    if products.weights or products.turned:
        raise CannotRead("it changes the weights of an attention")
    if isinstance(other, Products):
        raise CannotRead(f"{name} of products of queries and keys with others")
    if products.added and name != "add":
        raise CannotRead("it multiplies products of queries and keys after something was added to them")
    is_fixed = not isinstance(other, View | int | float)
    if name in ("mul", "div") and isinstance(other, int | float):
        return replace(products, scale=products.scale * other if name == "mul" else products.scale / other)
    if name == "mul" and is_fixed and products.cosine is None:
        return replace(products, cosine=other)
    if name == "add" and not isinstance(other, int | float):
        return replace(products, added=(*products.added, Bias(other, products.dims)))
    raise CannotRead(f"{name} of products of queries and keys with something that depends on the input")


def weighted(reader: Walk, products: Products, dim: int) -> Products:
    """Return the softmax of products over the keys."""
    if dim % len(products.dims) != len(products.dims) - 1 or products.shape[-1] != products.keys.shape[-2]:
        raise CannotRead("the softmax of an attention is not over its keys")
    return replace(products, weights=True)


def dropped(products: Products, p: float) -> Products:
    """Return weights of which some are dropped."""
    return replace(products, dropout=p)


def turned(products: Products, one: int, two: int) -> Products:
    """Return weights whose queries and keys have changed places."""
    rank = len(products.dims)
    if {one % rank, two % rank} != {rank - 2, rank - 1} or not products.weights:
        raise CannotRead("it changes the axes of products of queries and keys")
    return replace(products, turned=not products.turned)


def summed(reader: Walk, products: Products, values: View) -> View:
    """Return the sums of values by the weights of products."""
    if not products.weights or products.turned:
        raise CannotRead("products of queries and keys without a softmax, or turned")
    return attended(reader, products, values)


# ---- attention


def attended(reader: Walk, products: Products, values: View, causal: bool = False) -> View:
    """Append an attention; where it may be one within windows of a map, what stands for it until its last projection is read."""
    products = replace(products, causal=causal or products.causal)
    queries, keys = products.queries, products.keys
    heads = _heads(queries)
    packed = _packed(replace(queries, unit=0.0), replace(keys, unit=0.0), values, heads)
    is_plain = not (queries.unit or keys.unit or products.cosine is not None or products.biases or _outer(reader, queries, heads))
    is_fixed = not any(isinstance(bias, View) for bias in products.biases)
    if is_plain or packed is None or queries.axes[0] != packed or len(queries.axes) < 3 or not is_fixed or products.causal:
        return explicit(reader, products, values)
    shape = (size(heads) * size(values.dims[-1]), *map(size, queries.axes[1:]))
    core = Core(products, values, heads)
    item = reader.flat.add_pseudo("attention within parts of a map", [queries.item], shape, core, reader.path)
    axes: Axes = ((*heads, *values.dims[-1]), *queries.axes[1:])
    place = reader.path, reader.leaf

    def whole() -> int:
        saved = reader.path, reader.leaf
        try:
            reader.path, reader.leaf = place
            return reader.as_axes(explicit(reader, products, values), axes)
        finally:
            reader.path, reader.leaf = saved

    reader.waiting[item] = whole
    return View(item, axes, (*queries.dims[:-1], values.dims[-1]))


def explicit(reader: Walk, products: Products, values: View) -> View:
    """Append an attention without its projections, and what computes its queries, keys and biases."""
    queries, keys = products.queries, products.keys
    try:
        pairs = [pair for pair in _shared(queries, values) if pair[0] < len(queries.dims) - 2]
        queries, values, names = queries.matched(values, pairs)
    except (NotAligned, IndexError):
        raise CannotRead("its queries and values are split differently") from None
    values = values.substituted({theirs: (mine,) for theirs, mine in names.items() if theirs is not mine})
    around = atoms_of(products.dims_at_first(queries, keys))
    channels = {atom for view in (queries, keys, values) for atom in view.axes[0]}
    heads = tuple(atom for atom in around if atom in channels)
    outer = tuple(atom for atom in around if atom not in channels and atom is not reader.batch)
    if not heads and (own := products.dims_at_first(queries, keys)[-1]) and set(own) <= set(outer):
        heads, outer = own, tuple(atom for atom in outer if atom not in own)  # kernels have moved over each of them
    packed = _packed(queries, keys, values, heads) if products.cosine is None and not queries.unit and not keys.unit else None
    scale, head = products.scale, size(queries.dims[-1])
    if products.cosine is not None:
        queries = merged(reader, "mul", reader.unit(queries), reader.data(products.cosine, queries))
    given = {"heads": size(heads), "causal": products.causal, "dropout": products.dropout, "scale": usual(scale, head)}
    if outer:
        given["rows"] = True
    positions = (outer, queries.dims[-2]) if outer else _positions(queries)
    if packed is not None:
        operands = [reader.as_axes(replace(queries, picks=()), (packed, *positions))]
    else:
        views = [reader.unit(queries), reader.unit(keys), values]
        places = [positions, *((outer, view.dims[-2]) if outer else _positions(view) for view in views[1:])]
        if list(map(size, places[1])) != list(map(size, places[2])):
            places[1:] = [(view.dims[-2],) for view in views[1:]]
        operands = [reader.as_axes(view, ((*heads, *view.dims[-1]), *place)) for view, place in zip(views, places, strict=True)]
    if products.added:
        operands.append(_bias(reader, products, heads, outer))
    item = reader.add("attention", operands, given)
    return View(item, ((*heads, *values.dims[-1]), *positions), (*products.dims_at_first(queries, keys), queries.dims[-2], values.dims[-1]))


def _bias(reader: Walk, products: Products, heads: Axis, outer: Axis) -> int:
    """Return the sum of what is added to products: heads, rows unless it is the same for all, queries, keys."""
    first = (*products.dims_at_first(products.queries, products.keys), *products.dims[-2:])
    made: list[tuple[int, Axes]] = []
    for bias in [replace(each, value=part) for each in products.added for part in reader.addends(each.value)]:
        if (found := reader.mask(bias, products, outer)) is not None:
            made.append(found)
            continue
        view = reader.data(bias.value, products.queries)
        view = reader.settled(view.with_dims(((),) * (len(bias.dims) - len(view.dims)) + view.dims))
        frame, view = named_alike(View(0, (), bias.dims), view)
        parts = _refined(first, frame.dims)
        held = {atom for axis in view.axes for atom in axis}
        if not parts.keys() >= {*heads, *outer, *first[-2], *first[-1]}:
            raise CannotRead("the axes of an attention and of its bias are split differently")
        head, rows, queries, keys = (tuple(part for atom in axis for part in parts[atom]) for axis in (heads, outer, *first[-2:]))
        head = head if held & set(head) else ()
        want: Axes = (head, rows, queries, keys) if held & set(rows) else (head, queries, keys)
        made.append((reader.as_axes(view, want), want))
    return _sum(reader, made, size(outer))


def _sum(reader: Walk, made: list[tuple[int, Axes]], rows: int) -> int:
    """Return the sum of biases, each repeated as far as another needs it."""
    if len(made) == 1:
        return made[0][0]
    most, heads, items = max(len(want) for _, want in made), max(size(want[0]) for _, want in made), []
    for item, want in made:
        whole = _with_rows(reader, item, rows) if len(want) < most else item
        items.append(whole if size(want[0]) == heads else reader.add("expand", [whole], {"c": heads}))
    return reader.add("add", items)


def _with_rows(reader: Walk, item: int, rows: int) -> int:
    """Return a bias of queries and keys for each of several rows."""
    one = reader.add("rearrange", [item], {"pattern": quoted("c q k -> c 1 q k")})
    return reader.add("expand", [one], {"d": rows})


def _refined(first: Axes, after: Axes) -> dict[Atom, Axis]:
    """Return the atoms of axes as parts of other axes, which are the same values in another shape."""
    left = atoms_of(after)
    parts: dict[Atom, Axis] = {}
    for atom in atoms_of(first):
        taken: list[Atom] = []
        while size(taken) < atom.size and left:
            taken.append(left.pop(0))
        if size(taken) != atom.size:
            raise CannotRead("the axes of an attention and of its bias are split differently")
        parts[atom] = tuple(taken)
    return parts


def usual(scale: float, head: int) -> float | None:
    """Return the factor of products, None where it is the usual one."""
    return None if abs(scale * sqrt(head) - 1) < 1e-6 else scale


def _heads(view: View) -> Axis:
    """Return the atoms of the channels that are different heads."""
    return tuple(atom for atom in atoms_of(view.dims[:-2]) if atom in view.axes[0])


def _outer(reader: Walk, view: View, heads: Axis) -> Axis:
    """Return the atoms of positions that do not attend to each other."""
    return tuple(atom for atom in atoms_of(view.dims[:-2]) if atom not in heads and atom is not reader.batch)


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
