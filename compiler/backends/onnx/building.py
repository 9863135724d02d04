"""What a rule is given: values with shapes, and a way to add nodes to the network that is being written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from onnx import NodeProto, TensorProto, helper

from archc.compiler.backends.onnx import schemas, shapes
from archc.compiler.backends.onnx.body import FLOATS, Body
from archc.compiler.backends.onnx.value import Number
from archc.compiler.backends.onnx.value import Value as Value
from archc.compiler.lowering.program import Step
from archc.compiler.shapes.dim import Dim, Shape
from archc.dsl.errors import ArchError
from archc.dsl.vocabulary import files


@dataclass
class Building:
    """The step that is being written. A rule returns the value that the step computes; the node of that value gets its label.

    `opset` is the version of ONNX's operators, `dtype` the element type of the network, as numpy names it.
    """

    step: Step
    body: Body
    opset: int
    dtype: str
    batch: Dim
    arrays: Mapping[str, Any]
    nodes: list[NodeProto] = field(default_factory=list)
    known: dict[str, tuple[Shape, int]] = field(default_factory=dict)  # the shape and the type of helper values
    _transposed: dict[str, tuple[Value, tuple[int, ...]]] = field(default_factory=dict)  # what a transpose is one of, and its order of axes

    # ---- values

    @property
    def float(self) -> int:
        """Return the element type of the network, as ONNX numbers it."""
        return FLOATS[self.dtype]

    @property
    def label(self) -> str:
        """Return the name of the step in its body."""
        return below(self.body.path, self.step.name)

    @property
    def out(self) -> Shape:
        """Return the shape of the step's result, with the batch."""
        return (self.batch, *self.step.shape)

    def const(self, value: Any) -> Value:
        """Return a constant: floats have the type of the network, whole numbers are int64, and truth values stay so."""
        array = np.asarray(value)
        if array.dtype.kind in "iu":
            array = array.astype(np.int64)
        elif array.dtype.kind != "b":
            array = array.astype(numpy_type(self.dtype))
        return self._constant(array)

    def floats(self, value: Any, dtype: str = "float32") -> Value:
        """Return a constant of a type that is not that of the network."""
        return self._constant(np.asarray(value).astype(numpy_type(dtype)))

    def _constant(self, array: np.ndarray[Any, Any]) -> Value:
        return Value(self.body.constant(array), helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, self)

    def weight(self, name: str = "") -> Value | None:
        """Return a weight or buffer of the step's part by its name; None where the part has none of this name."""
        part = self.step.part
        key = self.step.key
        full = f"{key}.{name}" if name else key
        if part is None or full not in self.arrays:
            return None
        array = self.arrays[full]
        inner = below(self.body.key, full)
        self.body.weights[inner] = full
        return Value(inner, helper.np_dtype_to_tensor_dtype(array.dtype), tuple(array.shape), self)

    def need(self, name: str = "") -> Value:
        """Return a weight or buffer that the part has."""
        value = self.weight(name)
        assert value is not None, f"{self.step.name} has no {name}"
        return value

    def numbers(self, sizes: Sequence[Dim]) -> list[int]:
        """Return sizes as numbers. Raises ArchError where one is open."""
        found = [size for size in sizes if isinstance(size, int)]
        if len(found) < len(sizes):
            self.refuse_open()
        return found

    # ---- nodes

    def op(self, kind: str, *operands: Value | None, shape: Sequence[Dim] | None = None, dtype: int | None = None, **attrs: Any) -> Value:
        """Add a node and return its value.

        None is an operand that is left out; attributes that are None are not written. `shape` is that of the value, where it does not
        follow from the operands (`shapes.of`); `dtype` the element type, where it is not that of the first operand. Raises ArchError
        where the opset has no such operator, attribute or type.
        """
        (value,) = self._node(kind, operands, [shape], dtype, attrs)
        return value

    def several(self, kind: str, *operands: Value | None, shape: Sequence[Sequence[Dim]], **attrs: Any) -> list[Value]:
        """Add a node with several values, of the given shapes, and return them."""
        return self._node(kind, operands, shape, None, attrs)

    def _node(
        self,
        kind: str,
        operands: Sequence[Value | None],
        sizes: Sequence[Sequence[Dim] | None],
        dtype: int | None,
        attrs: Mapping[str, Any],
    ) -> list[Value]:
        """Add a node with a value for each shape in `sizes`, as `op` does."""
        given = list(operands)
        while given and given[-1] is None:
            given.pop()
        attrs = {name: value for name, value in attrs.items() if value is not None}
        problem = schemas.problem(kind, self.opset, [None if v is None else v.dtype for v in given], attrs)
        if problem:
            self.refuse(f"{self.step.op} cannot be written: {problem}", schemas.HELP)
        name = self.body.node_name(f"{self.label}/{kind}")
        names = [self.body.value_name(name if len(sizes) == 1 else f"{name}:{i}") for i in range(len(sizes))]
        self.nodes.append(helper.make_node(kind, ["" if v is None else v.name for v in given], names, name, **attrs))
        first = given[0] if given else None
        if dtype is None:
            dtype = schemas.result(kind, self.float if first is None else first.dtype)
        values = []
        for one, size in zip(names, sizes, strict=True):
            known = shapes.of(kind, given, attrs) if size is None else tuple(size)
            values.append(Value(one, dtype, known, self))
            if known is not None:
                self.known[one] = known, dtype
        return values

    def refuse(self, problem: str, help: str = "") -> NoReturn:
        """Raise ArchError, at the place of the step, for what ONNX cannot say."""
        raise ArchError([files.cannot_say(problem, help).at(self.step.span)])

    def refuse_open(self) -> NoReturn:
        """Raise ArchError for a size that is open where a number is needed."""
        problem = f"{self.step.name} cannot be written as ONNX while its sizes are open"
        raise ArchError([files.cannot_lower(problem, "give the sizes with `--input`").at(self.step.span)])

    # ---- operators whose arguments need more than their operands

    def reshape(self, x: Value, sizes: Sequence[Dim], like: Value | None = None) -> Value:
        """Return the values in another shape. Several sizes that are open are taken from those of `x` or `like` while the network runs."""
        sizes = tuple(sizes)
        if sizes == x.known:
            return x
        changed = [i for i, size in enumerate(sizes) if not isinstance(size, int) and not (i < x.rank and x.shape[i] == size)]
        if len(changed) > 1:
            return self.op("Reshape", x, self._sizes(sizes, x, like), shape=sizes)
        copied = [i for i, size in enumerate(sizes) if not isinstance(size, int) and i not in changed]
        if not changed and len(copied) == 1:  # readers infer more from -1 than from 0
            changed, copied = copied, []
        numbers = [size if isinstance(size, int) else -1 if i in changed else 0 for i, size in enumerate(sizes)]
        return self.op("Reshape", x, self.const(numbers), shape=sizes)

    def _sizes(self, sizes: Shape, *sources: Value | None) -> Value:
        """Return a shape whose open sizes are read from the shapes of values."""
        parts: list[Value] = []
        for size in sizes:
            if isinstance(size, int):
                parts.append(self.const([size]))
                continue
            found = next(((one, one.shape.index(size)) for one in sources if one is not None and size in one.shape), None)
            if found is None:
                self.refuse_open()
            one, axis = found
            parts.append(self.op("Shape", one, start=axis, end=axis + 1, shape=(1,)))
        return self.concat(parts, 0)

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        """Return the values with their axes in this order. Within a step, transposes of transposes are one, or none where they cancel."""
        origin, order = self._transposed.get(x.name) or (x, tuple(range(x.rank)))
        order = tuple(order[axis] for axis in axes)
        if order == tuple(range(x.rank)):
            return origin
        result = self.op("Transpose", origin, perm=list(order))
        self._transposed[result.name] = origin, order
        return result

    def swap(self, x: Value, first: int, second: int) -> Value:
        """Return the values with two axes exchanged."""
        axes = list(range(x.rank))
        axes[first], axes[second] = axes[second], axes[first]
        return self.transpose(x, axes)

    def slice(self, x: Value, axis: int, start: int, stop: int | None = None, step: int = 1) -> Value:
        """Return positions `start` to `stop` (exclusive) along an axis, as Python counts them; without `stop`, to the end."""
        end = np.iinfo(np.int64).max if stop is None else stop
        arguments = [self.const([number]) for number in (start, end, axis % x.rank)]
        sizes: list[Dim] = list(x.shape)
        sizes[axis] = shapes.sliced(sizes[axis], start, stop, step)
        return self.op("Slice", x, *arguments, self.const([step]) if step != 1 else None, shape=sizes)

    def concat(self, parts: Sequence[Value], axis: int) -> Value:
        """Return the values one after the other along an axis."""
        return self.op("Concat", *parts, axis=axis % parts[0].rank) if len(parts) > 1 else parts[0]

    def split(self, x: Value, axis: int, sizes: Sequence[int]) -> list[Value]:
        """Return the parts of these sizes along an axis."""
        if len(sizes) == 1:
            return [x]
        axis %= x.rank
        return self.several(
            "Split", x, self.const(list(sizes)), axis=axis,
            shape=[(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes],
        )  # fmt: skip

    def unsqueeze(self, x: Value, axis: int) -> Value:
        """Return the values with an axis of size 1 inserted."""
        axis %= x.rank + 1
        return self.op("Unsqueeze", x, self.const([axis]), shape=(*x.shape[:axis], 1, *x.shape[axis:]))

    def squeeze(self, x: Value, axis: int) -> Value:
        """Return the values without an axis of size 1."""
        axis %= x.rank
        return self.op("Squeeze", x, self.const([axis]), shape=(*x.shape[:axis], *x.shape[axis + 1 :]))

    def gather(self, x: Value, axis: int, index: Any) -> Value:
        """Return the positions of a fixed index along an axis; an index without axes drops the axis."""
        index = np.asarray(index, np.int64)
        axis %= x.rank
        return self.op("Gather", x, self.const(index), axis=axis, shape=(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))

    def reduce(self, kind: str, x: Value, axes: Sequence[int], keep: bool = True) -> Value:
        """Return a reduction (`ReduceMean`, `ReduceMax`, ...) over axes, which stay with size 1 where they are kept."""
        axes = sorted(axis % x.rank for axis in axes)
        sizes = [1 if i in axes else size for i, size in enumerate(x.shape) if keep or i not in axes]
        if schemas.takes(kind, self.opset, "axes"):  # an attribute until opset 13 or 18
            return self.op(kind, x, axes=axes, keepdims=int(keep), shape=sizes)
        return self.op(kind, x, self.const(axes), keepdims=int(keep), shape=sizes)

    def softmax(self, x: Value, axis: int = -1) -> Value:
        """Return the softmax along an axis."""
        return self.op("Softmax", x, axis=axis % x.rank)

    def cast(self, x: Value, dtype: int) -> Value:
        """Return the values as another element type."""
        return x if x.dtype == dtype else self.op("Cast", x, to=dtype, dtype=dtype)

    def wide(self, x: Value) -> Value:
        """Return the values in float32, in which half precision is computed where sums would overflow or lose digits."""
        return self.cast(x, TensorProto.FLOAT)

    def pad(self, x: Value, before: Sequence[int], after: Sequence[int], value: Number = 0.0, mode: str = "constant") -> Value:
        """Return the values padded on all axes, the batch included: `before` and `after` have a number for each axis."""
        if not any(before) and not any(after):
            return x
        sizes = [size + a + b for size, a, b in zip(x.shape, before, after, strict=True)]
        fill = self.const(float(value)) if mode == "constant" and value else None
        return self.op("Pad", x, self.const([*before, *after]), fill, mode=None if mode == "constant" else mode, shape=sizes)

    # ---- channels

    def channels_last(self, x: Value) -> Value:
        """Return `(N, C, *sizes)` as `(N, *sizes, C)`."""
        return self.transpose(x, [0, *range(2, x.rank), 1])

    def channels_first(self, x: Value) -> Value:
        """Return `(N, *sizes, C)` as `(N, C, *sizes)`."""
        return self.transpose(x, [0, x.rank - 1, *range(1, x.rank - 1)])

    def per_channel(self, weight: Value, x: Value) -> Value:
        """Return a weight `(C,)` so that it is repeated over the sizes of `x`, `(N, C, *sizes)`."""
        axes = list(range(1, x.rank - 1))
        return self.op("Unsqueeze", weight, self.const(axes), shape=(*weight.shape, *(1,) * len(axes))) if axes else weight

    def affine(self, x: Value) -> Value:
        """Return `x` times the weight and plus the bias of the part, channel by channel, where it has them."""
        weight, bias = self.weight("weight"), self.weight("bias")
        if weight is not None:
            x = x * self.per_channel(weight, x)
        return x if bias is None else x + self.per_channel(bias, x)


def numpy_type(dtype: str) -> np.dtype[Any]:
    """Return the numpy type of a network's element type; bfloat16 is that of ml_dtypes."""
    return np.dtype(helper.tensor_dtype_to_np_dtype(FLOATS[dtype]))


def below(path: str, name: str) -> str:
    """Return a dotted name relative to a scope; a name outside of the scope as it is."""
    return name[len(path) + 1 :] if path and name.startswith(f"{path}.") else name
