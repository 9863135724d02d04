"""What depends on no input, computed: shapes and other small tensors at once, weights when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np
from onnx import helper

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.onnx.model import MAX_SIZE, Node
from archc.compiler.frontends.onnx.tensors import SMALL, Fixed

Array = Any
Rule = Callable[[Node, Sequence[Array]], Array]


def _axes(node: Node, arrays: Sequence[Array], place: int = 1) -> list[int] | None:
    if "axes" in node.attrs:
        return list(node.attrs["axes"])
    return [int(axis) for axis in arrays[place].reshape(-1)] if len(arrays) > place and arrays[place] is not None else None


def _squeeze(node: Node, a: Sequence[Array]) -> Array:
    axes = _axes(node, a)
    return np.squeeze(a[0], None if axes is None else tuple(axes))


def _unsqueeze(node: Node, a: Sequence[Array]) -> Array:
    return np.expand_dims(a[0], tuple(_axes(node, a) or ()))


def _reshape(node: Node, a: Sequence[Array]) -> Array:
    return a[0].reshape(target(a[0].shape, [int(size) for size in a[1]], bool(node.attrs.get("allowzero"))))


def target(have: Sequence[int], wanted: Sequence[int], zero: bool = False) -> tuple[int, ...]:
    """Return the shape that a reshape asks for, with 0 and -1 as numbers. Raises CannotRead where it is not one of as many values."""
    if not zero and any(size == 0 and place >= len(have) for place, size in enumerate(wanted)):
        raise CannotRead(f"a reshape from {tuple(have)} to {tuple(wanted)} keeps an axis that there is none of")
    sizes = [have[place] if size == 0 and not zero else size for place, size in enumerate(wanted)]
    if sizes.count(-1) > 1 or any(size < -1 for size in sizes):
        raise CannotRead(f"a reshape to {tuple(wanted)} is none")
    total, known = prod(have), prod(size for size in sizes if size != -1)
    if -1 in sizes:
        if not known or total % known:
            raise CannotRead(f"a reshape from {tuple(have)} to {tuple(wanted)} does not keep all values")
        sizes[sizes.index(-1)] = total // known
    return tuple(sizes)


def _slice(node: Node, a: Sequence[Array]) -> Array:
    return a[0][tuple(slices(node, a, a[0].ndim))]


def slices(node: Node, a: Sequence[Array], rank: int) -> list[slice]:
    """Return the range of each axis that a Slice takes."""
    found = [slice(None)] * rank
    if "starts" in node.attrs:
        starts, ends = node.attrs["starts"], node.attrs["ends"]
        axes, steps = node.attrs.get("axes"), None
    else:
        starts, ends = ([int(number) for number in each.reshape(-1)] for each in a[1:3])
        axes, steps = (None if len(a) <= place or a[place] is None else [int(n) for n in a[place].reshape(-1)] for place in (3, 4))
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        axis, step = (axes[place] if axes else place), (steps[place] if steps else 1)
        if not -rank <= axis < rank or step == 0:
            raise CannotRead("a Slice of an axis that there is none of")
        stop = None if step < 0 and end < -(2**31) else end
        found[axis] = slice(start, stop, step)
    return found


def _gather(node: Node, a: Sequence[Array]) -> Array:
    return np.take(a[0], a[1].astype(np.int64), axis=node.attrs.get("axis", 0))


def _cast(node: Node, a: Sequence[Array]) -> Array:
    return a[0].astype(helper.tensor_dtype_to_np_dtype(node.attrs["to"]))


def _divide(node: Node, a: Sequence[Array]) -> Array:
    if a[0].dtype.kind in "iu":
        return (np.trunc(a[0] / a[1])).astype(a[0].dtype)
    return a[0] / a[1]


def _range(node: Node, a: Sequence[Array]) -> Array:
    first, last, step = (each.reshape(()).item() for each in a)
    if step == 0 or abs((last - first) / step) > SMALL:
        raise CannotRead("a Range of too many numbers")
    return np.arange(first, last, step, dtype=a[0].dtype)


def _expand(node: Node, a: Sequence[Array]) -> Array:
    return np.broadcast_to(a[0], np.broadcast_shapes(a[0].shape, tuple(int(size) for size in a[1])))


def _gather_rows(node: Node, a: Sequence[Array]) -> Array:
    if node.attrs.get("batch_dims", 0):
        raise CannotRead("it selects for each sample apart")
    return a[0][tuple(np.moveaxis(a[1].astype(np.int64), -1, 0))]


def _scatter(node: Node, a: Sequence[Array]) -> Array:
    if node.attrs.get("reduction", "none") != "none":
        raise CannotRead("it adds up what it puts in the same place")
    made = np.array(a[0])
    made[tuple(np.moveaxis(a[1].astype(np.int64), -1, 0))] = a[2]
    return made


def _reduce(function: Callable[..., Array]) -> Rule:
    def rule(node: Node, a: Sequence[Array]) -> Array:
        axes = _axes(node, a)
        return function(a[0], axis=None if axes is None else tuple(axes), keepdims=bool(node.attrs.get("keepdims", 1)))

    return rule


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _normal(node: Node, a: Sequence[Array]) -> Array:
    x, axes = a[0].astype(np.float64), tuple(range(2, a[0].ndim))
    shape = (-1, *(1,) * (x.ndim - 2))
    deviation = np.sqrt(x.var(axes, keepdims=True) + node.attrs.get("epsilon", 1e-5))
    return ((x - x.mean(axes, keepdims=True)) / deviation * a[1].reshape(shape) + a[2].reshape(shape)).astype(a[0].dtype)


def _plain(function: Callable[..., Array]) -> Rule:
    return lambda node, a: np.asarray(function(*a))


ELEMENTWISE: dict[str, Rule] = {
    **{"Add": _plain(np.add), "Sub": _plain(np.subtract), "Mul": _plain(np.multiply), "Div": _divide, "Pow": _plain(np.power)},
    **{"Neg": _plain(np.negative), "Abs": _plain(np.abs), "Sqrt": _plain(np.sqrt), "Exp": _plain(np.exp), "Log": _plain(np.log)},
    **{"Floor": _plain(np.floor), "Ceil": _plain(np.ceil), "Sigmoid": _plain(_sigmoid), "Relu": _plain(lambda x: np.maximum(x, 0))},
    **{"Sin": _plain(np.sin), "Cos": _plain(np.cos), "Mod": _plain(np.mod), "Reciprocal": _plain(np.reciprocal)},
    **{"Equal": _plain(np.equal), "Less": _plain(np.less), "Greater": _plain(np.greater), "Not": _plain(np.logical_not)},
    **{"LessOrEqual": _plain(np.less_equal), "GreaterOrEqual": _plain(np.greater_equal), "And": _plain(np.logical_and)},
    **{"Or": _plain(np.logical_or), "Where": _plain(np.where), "Max": _plain(np.maximum), "Min": _plain(np.minimum)},
    **{"Identity": lambda node, a: a[0], "Cast": _cast, "InstanceNormalization": _normal},
}
VIEWS: dict[str, Rule] = {  # computed of strides, without a copy
    "Transpose": lambda node, a: np.transpose(a[0], node.attrs.get("perm")),
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Slice": _slice,
    "Expand": _expand,
}
OTHERS: dict[str, Rule] = {
    "Reshape": _reshape,
    "Flatten": lambda node, a: a[0].reshape(prod(a[0].shape[: node.attrs.get("axis", 1)]), -1),
    "Concat": lambda node, a: np.concatenate(a, node.attrs["axis"]),
    "Gather": _gather,
    "GatherND": _gather_rows,
    "ScatterND": _scatter,
    "Range": _range,
    "MatMul": lambda node, a: np.matmul(*a),
    "Size": lambda node, a: np.asarray(a[0].size, np.int64),
    **{"ReduceProd": _reduce(np.prod), "ReduceSum": _reduce(np.sum), "ReduceMax": _reduce(np.max), "ReduceMin": _reduce(np.min)},
    **{"ReduceMean": _reduce(np.mean)},
}
FOLDS = {**ELEMENTWISE, **VIEWS, **OTHERS}
ORIGINS = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Flatten"})  # whose results have the values of one tensor


def folded(node: Node, given: Sequence[Fixed | None]) -> list[Fixed]:
    """Return what a node computes of tensors that depend on no input. Raises CannotRead where that is not known."""
    if node.op == "Split":
        return _split(node, given)
    if node.op == "ConstantOfShape":
        return [_constant(node, given[0])]
    rule = FOLDS.get(node.op)
    if rule is None:
        raise CannotRead("it computes something of weights that is not known")
    shape = _shape(node, rule, given)
    if prod(shape) > MAX_SIZE:
        raise CannotRead(f"it makes a tensor of {prod(shape):,} values")
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(node.attrs["to"])) if node.op == "Cast" else given[-1 if node.op == "Where" else 0].kind  # type: ignore[union-attr]
    origin = given[0].origin if node.op in ORIGINS and given[0] is not None else ""

    def array() -> Array:
        return applied(node, rule, [None if each is None else each.array() for each in given])

    small = None
    if prod(shape) <= SMALL and all(each is None or each.small is not None for each in given):
        small = applied(node, rule, [None if each is None else each.small for each in given])
        shape, kind = small.shape, small.dtype
    constant = all(each is None or each.is_constant for each in given)
    return [Fixed(tuple(shape), kind, array, small, "", origin, constant)]


def applied(node: Node, rule: Rule, arrays: Sequence[Array]) -> Array:
    """Return the result of a rule. Raises CannotRead where the arrays do not fit."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(rule(node, arrays))
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, ZeroDivisionError) as error:
        raise CannotRead(f"its operands do not fit: {str(error)[:120]}") from None


def _shape(node: Node, rule: Rule, given: Sequence[Fixed | None]) -> tuple[int, ...]:
    """Return the shape of a result without computing it."""
    shapes = [() if each is None else each.shape for each in given]
    smalls = [None if each is None else each.small for each in given]
    try:
        match node.op:
            case "InstanceNormalization" | "Cast" | "Identity" | "ScatterND":
                return shapes[0]
            case "Reshape":
                if smalls[1] is None:
                    raise CannotRead("a reshape to sizes that are not known")
                return target(shapes[0], [int(size) for size in smalls[1]], bool(node.attrs.get("allowzero")))
            case "Concat":
                axis = node.attrs["axis"] % len(shapes[0])
                return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])
            case "Gather":
                axis = node.attrs.get("axis", 0) % len(shapes[0])
                return (*shapes[0][:axis], *shapes[1], *shapes[0][axis + 1 :])
            case "GatherND":
                return (*shapes[1][:-1], *shapes[0][shapes[1][-1] :])
            case "MatMul":
                if min(map(len, shapes)) == 1:
                    return tuple(size for shape in (shapes[0][:-1], shapes[1][1:]) for size in shape)
                return (*np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2]), shapes[0][-2], shapes[1][-1])
        if node.op in ELEMENTWISE:
            return tuple(np.broadcast_shapes(*shapes))
        if node.op in VIEWS or node.op.startswith("Reduce") or node.op in ("Flatten", "Size", "Range"):
            if node.op not in VIEWS and prod(shapes[0]) > SMALL:
                raise CannotRead("it computes something of weights that is not known")
            hollow = [np.broadcast_to(np.zeros((), given[0].kind), shapes[0]), *smalls[1:]]  # type: ignore[union-attr]
            return tuple(applied(node, rule, smalls if node.op == "Range" else hollow).shape)
    except (ValueError, IndexError, KeyError, TypeError, ZeroDivisionError) as error:
        raise CannotRead(f"its operands do not fit: {str(error)[:120]}") from None
    raise CannotRead("it computes something of weights that is not known")


def _split(node: Node, given: Sequence[Fixed | None]) -> list[Fixed]:
    whole = given[0]
    assert whole is not None
    axis = node.attrs.get("axis", 0)
    if not -len(whole.shape) <= axis < len(whole.shape):
        raise CannotRead(f"it asks for axis {axis} of {len(whole.shape)}")
    counts = parts(node, whole.shape[axis], given[1].small if len(given) > 1 and given[1] is not None else None)
    found, start = [], 0
    for count in counts:
        place = [slice(None)] * len(whole.shape)
        place[axis] = slice(start, start + count)
        shape = list(whole.shape)
        shape[axis] = count
        small = None if whole.small is None else whole.small[tuple(place)]
        found.append(Fixed(tuple(shape), whole.kind, partial(_taken, whole, tuple(place)), small))
        start += count
    return found


def _taken(whole: Fixed, place: tuple[slice, ...]) -> Array:
    return whole.array()[place]


def parts(node: Node, size: int, given: Array | None) -> list[int]:
    """Return the sizes of the parts of a Split."""
    if given is not None or "split" in node.attrs:
        counts = [int(count) for count in (given.reshape(-1) if given is not None else node.attrs["split"])]
    else:
        each = -(-size // len(node.outputs))
        counts = [each] * (len(node.outputs) - 1) + [size - each * (len(node.outputs) - 1)]
    if sum(counts) != size or min(counts) < 0 or len(counts) != len(node.outputs):
        raise CannotRead(f"it cuts {size} into {counts[:8]}")
    return counts


def _constant(node: Node, sizes: Fixed | None) -> Fixed:
    if sizes is None or sizes.small is None:
        raise CannotRead("it makes a tensor of sizes that are not known")
    shape = tuple(int(size) for size in sizes.small.reshape(-1))
    if any(size < 0 for size in shape) or prod(shape) > MAX_SIZE:
        raise CannotRead(f"it makes a tensor of the shape {shape}")
    from onnx import numpy_helper

    held = node.attrs.get("value")
    value = np.zeros((1,), np.float32) if held is None else numpy_helper.to_array(held)
    if value.size != 1:
        raise CannotRead("its value is not one number")
    one = value.reshape(())
    small = np.full(shape, one) if prod(shape) <= SMALL and value.dtype.kind in "iub" else None
    name = "" if small is not None else node.outputs[0]
    return Fixed(shape, value.dtype, lambda: np.full(shape, one), small, name, name, small is not None)
