"""The part of numpy that the writer of ONNX uses for constants, in plain Python: a page has no numpy.

Values are Python numbers in a flat list, rounded as their type has them. What is not here raises AttributeError; nothing is approximated.
"""

from __future__ import annotations

import math
import operator
import sys
from array import array as packed
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

inf = math.inf
newaxis = None


@dataclass(frozen=True)
class DType:
    """The type of the elements of an array; called, it makes an array without axes."""

    name: str
    kind: str
    rank: int  # of two types, the result has the one of the higher rank
    code: str

    def __call__(self, value: Any) -> Array:
        """Return a number of this type."""
        return asarray(value, self)

    def rounded(self, values: Iterable[Any]) -> list[Any]:
        """Return values as this type holds them."""
        if self.code in "fd":
            return packed(self.code, values).tolist()
        return list(map(bool if self.kind == "b" else int, values))


bool_ = DType("bool", "b", 0, "?")
int64 = DType("int64", "i", 1, "q")
float32 = DType("float32", "f", 2, "f")
float64 = DType("float64", "f", 3, "d")
_TYPES = {each.name: each for each in (bool_, int64, float32, float64)}


def dtype(given: Any) -> DType:
    """Return a type by its name, or as it is. Raises KeyError for one that is not here."""
    return given if isinstance(given, DType) else _TYPES[given]


class iinfo:
    """The least and the greatest number of a type of whole numbers."""

    min, max = -(2**63), 2**63 - 1

    def __init__(self, of: DType) -> None:
        assert of is int64


class Array:
    """An array: its values in the order of its axes, the last one fastest."""

    def __init__(self, values: list[Any], shape: Sequence[int], of: DType) -> None:
        self.values, self.shape, self.dtype = values, tuple(shape), of
        assert len(values) == math.prod(self.shape)

    # ---- what it is

    @property
    def ndim(self) -> int:
        """Return the number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Return the number of elements."""
        return len(self.values)

    @property
    def T(self) -> Array:
        """Return the array with its axes in reverse order."""
        return self.transpose(range(self.ndim)[::-1])

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __int__(self) -> int:
        (value,) = self.values
        return int(value)

    __index__ = __int__

    def tobytes(self) -> bytes:
        """Return the elements as bytes, the lowest first."""
        made = packed("b" if self.dtype.kind == "b" else self.dtype.code, self.values)
        if sys.byteorder == "big":
            made.byteswap()
        return made.tobytes()

    # ---- its values in other types and shapes

    def astype(self, of: Any) -> Array:
        """Return the array as another type; fractions of whole numbers are cut off."""
        of = dtype(of)
        return self if of is self.dtype else Array(of.rounded(self.values), self.shape, of)

    def reshape(self, *shape: Any) -> Array:
        """Return the array in another shape, of which one size may be -1."""
        sizes = list(shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape)
        if -1 in sizes:
            sizes[sizes.index(-1)] = self.size // math.prod(size for size in sizes if size != -1)
        return Array(self.values, sizes, self.dtype)

    def transpose(self, order: Iterable[int]) -> Array:
        """Return the array with its axes in this order."""
        order = list(order)
        steps = _steps(self.shape)
        return self._taken([range(0, self.shape[axis] * steps[axis], steps[axis] or 1) for axis in order], [self.shape[a] for a in order])

    def _taken(self, places: Sequence[Iterable[int]], shape: Sequence[int]) -> Array:
        """Return the values whose places are all sums of one offset for each axis."""
        return Array([self.values[sum(at)] for at in product(*places)], shape, self.dtype)

    # ---- parts

    def _places(self, key: Any) -> tuple[list[Sequence[int]], list[int]]:
        """Return the offsets along each axis that an index of numbers, slices and new axes selects, and the shape of the result."""
        rest = iter(zip(self.shape, _steps(self.shape), strict=True))
        places: list[Sequence[int]] = []
        shape: list[int] = []
        for one in key if isinstance(key, tuple) else (key,):
            if one is None:
                shape.append(1)
                continue
            size, step = next(rest)
            if isinstance(one, slice):
                found = range(*one.indices(size))
                shape.append(len(found))
            else:
                found = range(size)[operator.index(one) :][:1]
            places.append([at * step for at in found])
        for size, step in rest:
            places.append([at * step for at in range(size)])
            shape.append(size)
        return places, shape

    def __getitem__(self, key: Any) -> Array:
        return self._taken(*self._places(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        if all(isinstance(one, list) for one in key):  # a list of places for each axis
            steps = _steps(self.shape)
            at = [sum(map(operator.mul, place, steps)) for place in zip(*key, strict=True)]
            shape: Sequence[int] = [len(at)]
        else:
            places, shape = self._places(key)
            at = [sum(place) for place in product(*places)]
        for place, one in zip(at, self.dtype.rounded(broadcast_to(asarray(value), shape).values), strict=True):
            self.values[place] = one

    # ---- arithmetic

    def _with(self, other: Any, function: Callable[[Any, Any], Any], of: DType | None = None, swapped: bool = False) -> Array:
        """Apply a function of two numbers, value by value; axes of size 1 are repeated."""
        weak = not isinstance(other, Array)  # a Python number takes on the type of the array, where that can hold it
        right = asarray(other)
        common = max(self.dtype, right.dtype, key=lambda each: each.rank)
        if weak and self.dtype.kind == "f":
            common = self.dtype
        shape = _common(self.shape, right.shape)
        left, right = broadcast_to(self.astype(common), shape), broadcast_to(right.astype(common), shape)
        if swapped:
            left, right = right, left
        result = common if of is None else of
        return Array(result.rounded(map(function, left.values, right.values)), shape, result)

    def _divided(self, other: Any, swapped: bool = False) -> Array:
        left = self if self.dtype.kind == "f" else self.astype(float64)
        return left._with(other, operator.truediv, swapped=swapped)

    def __add__(self, other: Any) -> Array:
        return self._with(other, operator.add)

    def __sub__(self, other: Any) -> Array:
        return self._with(other, operator.sub)

    def __rsub__(self, other: Any) -> Array:
        return self._with(other, operator.sub, swapped=True)

    def __mul__(self, other: Any) -> Array:
        return self._with(other, operator.mul)

    def __truediv__(self, other: Any) -> Array:
        return self._divided(other)

    def __rtruediv__(self, other: Any) -> Array:
        return self._divided(other, swapped=True)

    def __pow__(self, other: Any) -> Array:
        return self._with(other, operator.pow)

    __radd__, __rmul__ = __add__, __mul__

    def __ge__(self, other: Any) -> Array:
        return self._with(other, operator.ge, bool_)

    def __ne__(self, other: object) -> Array:  # type: ignore[override]
        return self._with(other, operator.ne, bool_)

    __hash__ = None  # type: ignore[assignment]

    def _each(self, function: Callable[[Any], Any]) -> Array:
        return Array(self.dtype.rounded(map(function, self.values)), self.shape, self.dtype)


ndarray = Array


def _steps(shape: Sequence[int]) -> list[int]:
    """Return how far apart the values along each axis are."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _common(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    rank = max(len(first), len(second))
    one, two = ((1,) * (rank - len(shape)) + tuple(shape) for shape in (first, second))
    return tuple(b if a == 1 else a for a, b in zip(one, two, strict=True))


# ---- making arrays


def asarray(value: Any, of: Any = None) -> Array:
    """Return a number, a nested list, or an array as an array."""
    made = value if isinstance(value, Array) else _listed(value)
    return made if of is None else made.astype(of)


array = asarray


def _listed(value: Any) -> Array:
    if isinstance(value, bool | int | float):
        return Array([value], (), bool_ if isinstance(value, bool) else int64 if isinstance(value, int) else float64)
    parts = [asarray(each) for each in value]
    if not parts:
        return Array([], (0,), float64)
    assert len({part.shape for part in parts}) == 1, "rows of different lengths"
    of = max((part.dtype for part in parts), key=lambda each: each.rank)
    return Array(of.rounded(one for part in parts for one in part.values), (len(parts), *parts[0].shape), of)


def ascontiguousarray(value: Any) -> Array:
    """Return an array with one axis at least."""
    made = asarray(value)
    return made if made.shape else made.reshape(1)


def arange(*ends: int, dtype: Any = None) -> Array:
    """Return whole numbers from the first to the last, which is left out."""
    made = Array(list(range(*ends)), (len(range(*ends)),), int64)
    return made if dtype is None else made.astype(dtype)


def full(shape: int | Sequence[int], value: Any, of: Any = None) -> Array:
    """Return an array of equal values."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    one = asarray(value, of)
    return Array(one.values * math.prod(sizes), sizes, one.dtype)


def zeros(shape: int | Sequence[int], of: Any = float64) -> Array:
    """Return an array of zeros."""
    return full(shape, 0, of)


def ones(shape: int | Sequence[int], of: Any = float64) -> Array:
    """Return an array of ones."""
    return full(shape, 1, of)


def zeros_like(other: Array) -> Array:
    """Return zeros in the shape and type of another array."""
    return full(other.shape, 0, other.dtype)


# ---- functions of arrays


def broadcast_to(value: Any, shape: Sequence[int]) -> Array:
    """Return an array with axes of size 1 repeated, and missing axes in front."""
    made = asarray(value)
    shape = tuple(shape)
    if made.shape == shape:
        return made
    held = (1,) * (len(shape) - made.ndim) + made.shape
    assert all(a in (1, b) for a, b in zip(held, shape, strict=True)), f"{made.shape} does not fit {shape}"
    return made._taken(
        [[0] * b if a == 1 else range(0, a * step, step) for a, b, step in zip(held, shape, _steps(held), strict=True)], shape
    )


def concatenate(parts: Sequence[Array]) -> Array:
    """Return arrays one after the other along the first axis."""
    of = max((part.dtype for part in parts), key=lambda each: each.rank)
    values = [one for part in parts for one in part.astype(of).values]
    return Array(values, (sum(map(len, parts)), *parts[0].shape[1:]), of)


def stack(parts: Sequence[Array], axis: int) -> Array:
    """Return arrays of one shape along a new axis."""
    made = concatenate([part.reshape(1, *part.shape) for part in parts])
    return made.transpose([*range(1, axis + 1), 0, *range(axis + 1, made.ndim)])


def where(chosen: Array, first: float, second: float) -> Array:
    """Return one number where an array holds, and another elsewhere."""
    return Array([float(first if one else second) for one in chosen.values], chosen.shape, float64)


def minimum(value: Array, most: int) -> Array:
    """Return the values of an array, and a number for those above it."""
    return value._each(lambda one: min(one, most))


def floor(value: Array) -> Array:
    """Return the whole part of each value."""
    return value._each(math.floor)


def sin(value: Array) -> Array:
    """Return the sine of each value."""
    return value._each(math.sin)


def cos(value: Array) -> Array:
    """Return the cosine of each value."""
    return value._each(math.cos)


def abs(value: Array) -> Array:
    """Return each value without its sign."""
    return value._each(math.fabs)


def argsort(value: Any, kind: str = "stable") -> Array:
    """Return the places of the values of one axis in their order; equal ones keep theirs."""
    values = asarray(value).values
    return Array(sorted(range(len(values)), key=values.__getitem__), (len(values),), int64)


def triu(value: Array, k: int) -> Array:
    """Return a matrix with zeros below a diagonal."""
    columns = value.shape[1]
    kept = []
    for row in range(value.shape[0]):
        first = min(max(row + k, 0), columns)
        kept += value.dtype.rounded([0] * first) + value.values[row * columns + first : (row + 1) * columns]
    return Array(kept, value.shape, value.dtype)


def roll(value: Array, by: Sequence[int], axes: Iterable[int]) -> Array:
    """Return an array whose values have moved along axes; those that leave it come in at the other end."""
    amounts = dict(zip(axes, by, strict=True))
    steps = _steps(value.shape)
    places = [
        [(at - amounts.get(axis, 0)) % size * step for at in range(size)]
        for axis, (size, step) in enumerate(zip(value.shape, steps, strict=True))
    ]
    return value._taken(places, value.shape)


class multiply:
    """Products."""

    @staticmethod
    def outer(first: Array, second: Array) -> Array:
        """Return the product of each value of one array with each of another."""
        return first.reshape(*first.shape, *(1,) * second.ndim) * second
