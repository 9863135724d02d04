"""Steps of archc's own files: an operator is guessed and written again, and is the step if that makes the same nodes.

So nothing of a file is believed but its nodes: a guess that is wrong makes others. A step that no guess makes is read as any other nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, permutations
from math import prod
from typing import Any

import numpy as np
from onnx import TensorProto

from archc.compiler.backends.onnx.body import FLOATS
from archc.compiler.backends.onnx.model import model_of
from archc.compiler.frontends.flat import CannotRead, options
from archc.compiler.frontends.onnx.forms import Form, Forms
from archc.compiler.frontends.onnx.model import Node, attributes
from archc.compiler.frontends.onnx.reader import Reader
from archc.compiler.frontends.onnx.tensors import Fixed
from archc.compiler.frontends.views import View
from archc.compiler.graph import INPUT, ArchGraph, Output
from archc.compiler.graph import Node as GraphNode
from archc.compiler.lowering import lowered
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.record import Call
from archc.compiler.shapes.dim import Shape
from archc.dsl.diagnostics import Fault
from archc.dsl.errors import ArchError

MOST = 2**24  # values of an operand or a result of a step that is written again
NODES = 2000  # of such a step
TRIES = 256  # of a function, for one step
DRAFTS = 2000  # for one file
DEPTH = 16  # nodes of other steps between a weight and what this one takes of it
WRONG = (  # a guess is none
    *(CannotRead, Fault, ArchError, ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError),
    ValueError,
)
Guess = tuple[str, Mapping[str, Any]]  # an operator and its options


class Group:
    """The nodes of a step, the operators that it takes by their numbers, and its weights by their names in the file."""

    def __init__(self, reader: Reader, step: str) -> None:
        self.reader, self.step, self.nodes = reader, step, reader.within(step)
        self.ops = Counter(node.op for node in self.nodes)
        self.weights: dict[str, Fixed] = {}
        self.forms: dict[Any, dict[str, Form]] = {}
        taken: dict[int, None] = {}
        inside = {name for node in self.nodes for name in node.outputs}
        for name in (name for node in self.nodes for name in node.inputs if name not in inside):
            value = reader.values.get(name)
            if isinstance(value, View):
                taken[value.item] = None
            elif isinstance(value, Fixed):
                self._stored(name)
        self.operands = list(taken)

    def _stored(self, name: str, depth: int = 0) -> None:
        """Note the weights that a value is computed of."""
        maker = self.reader.makers.get(name)
        if name in self.reader.net.tensors:
            self.weights[name] = self.reader.values[name]
        elif maker is not None and depth < DEPTH:
            for each in maker.inputs:
                self._stored(each, depth + 1)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes of the operators that it takes."""
        return [tuple(map(int, self.reader.flat.items[number].shape)) for number in self.operands]  # type: ignore[arg-type]

    @property
    def label(self) -> str:
        """Return the label of the step without its number: the operator, where the file does not name it."""
        return self.step.rpartition(".")[2].rstrip("0123456789")

    def first(self, op: str) -> Node:
        """Return the first node of an operator. Raises LookupError."""
        return next(iter(self.every(op)))

    def every(self, op: str) -> list[Node]:
        """Return the nodes of an operator of ONNX."""
        return [node for node in self.nodes if node.op == op]

    def constant(self, name: str) -> Any:
        """Return a constant; None for any other value."""
        maker, value = self.reader.makers.get(name), self.reader.values.get(name)
        return value.array() if maker is not None and maker.op == "Constant" and isinstance(value, Fixed) else None

    def number(self, name: str) -> float | None:
        """Return a constant that is one number; None for any other value."""
        return self.reader.scalar(name) if self.constant(name) is not None else None

    def local(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of its weights by their names below the longest common scope."""
        parts = [name.split(".") for name in self.weights]
        shared = 0
        while parts and all(len(part) > shared + 1 and part[shared] == parts[0][shared] for part in parts):
            shared += 1
        return {".".join(part[shared:]): self.weights[name].shape for part, name in zip(parts, self.weights, strict=True)}


Guesser = Callable[[Group], Iterator[Guess]]
GUESSES: list[tuple[frozenset[str], Guesser]] = []  # with the operators of ONNX of which a step has one at least


def guess(*ops: str) -> Callable[[Guesser], Guesser]:
    """Register a function that yields what a step may be that has a node of one of these operators."""

    def register(function: Guesser) -> Guesser:
        GUESSES.append((frozenset(ops), function))
        return function

    return register


class Rewriter:
    """The forms of a file, and drafts of operators."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.forms = reader, Forms()
        self.drafts: dict[str, Form | None] = {}
        graph = reader.net.model.graph
        kinds = [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)]
        self.kind = next((name for kind in kinds for name, number in FLOATS.items() if number == kind), "float32")

    def step(self, name: str) -> None:
        """Read a step as one operator, where a guess is right. Its values are those of its nodes before."""
        ops = {node.op for node in self.reader.within(name)}
        wanted = [function for every, function in GUESSES if ops & every] if len(self.reader.within(name)) <= NODES else []
        group = Group(self.reader, name) if wanted else None
        if group is None or not group.operands or any(prod(shape) > MOST for shape in group.shapes):
            return
        for function in wanted:
            try:
                for op, given in islice(function(group), TRIES):
                    if self._is_right(group, op, given):
                        return
            except WRONG:
                continue

    def _is_right(self, group: Group, op: str, given: Mapping[str, Any]) -> bool:
        if len(self.drafts) > DRAFTS:
            return False
        for operands in _operands(group.operands, *OPERATORS[op].operands):
            try:
                if self._fits(group, op, given, operands):
                    return True
            except WRONG:
                continue
        return False

    def _fits(self, group: Group, op: str, given: Mapping[str, Any], operands: tuple[int, ...]) -> bool:
        record, reader = OPERATORS[op], self.reader
        shapes = tuple(reader.flat.items[number].shape for number in operands)
        call = Call(op, options(record, given, len(shapes[0]) - 1), shapes)
        shape = record.shape(call)
        if prod(map(int, shape)) > MOST:  # type: ignore[arg-type]
            return False
        weights, buffers = record.weights(call), record.buffers(call)
        wanted = {**weights, **buffers}
        key = _key(list(group.weights), list(wanted))
        if key is None or any(group.weights[_full(key, name)].shape != tuple(size) for name, size in wanted.items()):
            return False
        result = self._draft(call, shape, [operands.index(number) for number in operands])
        if result is None:
            return False
        if (operands, key) not in group.forms:
            group.forms[operands, key] = self._forms(group, operands, key)
        found = group.forms[operands, key]
        ends = [name for node in group.nodes for name in node.outputs if name and self._is_taken(name, group.step)]
        mine = [name for name in ends if found[name].number == result.number]
        if not mine or any(name not in mine and not isinstance(reader.values.get(name), View | Fixed) for name in ends):
            return False
        inside = {name for node in group.nodes for name in node.outputs}
        outside = {form.number for name, form in found.items() if name not in inside}  # of what it takes, which may be transposed here
        if any(name not in mine and found[name].number not in outside for name in ends):
            return False
        held = {name: group.weights[_full(key, name)] for name in weights}
        more = {name: group.weights[_full(key, name)] for name in buffers}
        item = reader.layer(op, operands, given, held, buffers=more) if wanted else reader.add(op, operands, given)
        whole = reader.mapped(item)
        for name in mine:
            order, own = result.order or tuple(range(len(whole.dims))), found[name].order or tuple(range(len(whole.dims)))
            reader.values[name] = whole.with_dims(whole.dims[order.index(axis)] for axis in own)
        return True

    def _is_taken(self, name: str, step: str) -> bool:
        return name in self.reader.results or any(user.step != step for user in self.reader.users.get(name, ()))

    # ---- forms of the file

    def _forms(self, group: Group, operands: Sequence[int], key: str) -> dict[str, Form]:
        """Return the forms of all values of a step. Raises CannotRead where an operand is none that a step of archc takes."""
        found: dict[str, Form] = {}
        for node in group.nodes:
            taken = [self._form(name, found, operands, key) if name else None for name in node.inputs]
            found.update(zip(node.outputs, self.forms.made(node, taken), strict=True))
        return found

    def _form(self, name: str, found: dict[str, Form], operands: Sequence[int], key: str, depth: int = 0) -> Form:
        if name not in found:
            found[name] = self._given(name, found, operands, key, depth)
        return found[name]

    def _given(self, name: str, found: dict[str, Form], operands: Sequence[int], key: str, depth: int) -> Form:
        """Return the form of a value that is made outside of the step."""
        reader = self.reader
        value, maker = reader.values.get(name), reader.makers.get(name)
        if isinstance(value, View):
            return self.forms.leaf("operand", operands.index(value.item), order=_order(value, reader.batch))
        if name in reader.net.tensors:
            return self.forms.leaf("weight", name.removeprefix(key).removeprefix("."))
        if maker is None or not isinstance(value, Fixed) or depth > DEPTH:
            raise CannotRead("a value that no step of archc takes")
        if maker.op == "Constant":
            return self.forms.constant(value.array())
        taken = [self._form(each, found, operands, key, depth + 1) if each else None for each in maker.inputs]
        return self.forms.made(maker, taken)[maker.outputs.index(name)]

    # ---- forms of drafts

    def _draft(self, call: Call, shape: Shape, operands: Sequence[int]) -> Form | None:
        """Return the form of the result of an operator as archc writes it; None where archc does not write it."""
        known = repr((call.operator, call.attrs, call.inputs, operands))
        if known not in self.drafts:
            try:
                self.drafts[known] = self._drafted(call, shape, operands)
            except WRONG:
                self.drafts[known] = None
        return self.drafts[known]

    def _drafted(self, call: Call, shape: Shape, operands: Sequence[int]) -> Form:
        span = self.reader.flat.span
        graph = ArchGraph("draft", "")
        for place in sorted(set(operands)):
            graph.add(GraphNode(f"x{place}", INPUT, {}, call.inputs[place], span, key=f"x{place}"), [])
        graph.add(GraphNode("y", call.operator, call.attrs, shape, span, key="y"), [f"x{place}" for place in operands])
        graph.outputs["result"] = Output("y")
        program = lowered(graph)
        whole = ("num_batches_tracked", "relative_position_index")
        arrays = {
            _full(part.key, name): np.broadcast_to(np.zeros((), np.int64 if name in whole else np.float32), size)
            for part in program.parts.values()
            for name, size in {**part.weights, **part.buffers}.items()
        }
        opset = self.reader.net.opset
        model, _ = model_of(program, arrays, self.kind, opset, False)
        found = {f"x{place}": self.forms.leaf("operand", place) for place in operands}
        found |= {name: self.forms.leaf("weight", name.removeprefix("y").removeprefix(".")) for name in arrays}
        for proto in model.graph.node:
            node = Node(proto.op_type, proto.name, tuple(proto.input), tuple(proto.output), attributes(proto, opset))
            if node.op == "Constant":
                found[node.outputs[0]] = self.forms.constant(_array(node.attrs["value"]))
            else:
                made = self.forms.made(node, [found[name] if name else None for name in node.inputs])
                found.update(zip(node.outputs, made, strict=True))
        return found["result"]


def _array(tensor: TensorProto) -> Any:
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)


def _full(key: str, name: str) -> str:
    return f"{key}.{name}" if key and name else key or name


def _key(stored: list[str], wanted: list[str]) -> str | None:
    """Return the key under which tensors are stored that an operator has; None where they are not just those."""
    if not wanted or not stored:
        return None if wanted or stored else ""
    name = wanted[0]
    keys = [full.removesuffix(f".{name}") if name else full for full in stored if not name or full.endswith(f".{name}")]
    keys += [""] if name in stored else []
    return next((key for key in keys if {_full(key, each) for each in wanted} == set(stored)), None)


def _operands(numbers: Sequence[int], least: int, most: int | None) -> Iterator[tuple[int, ...]]:
    """Yield what an operator may take of the operators that a step takes: all of them, in any order, or one several times."""
    if least <= len(numbers) <= (len(numbers) if most is None else most):
        yield from permutations(numbers) if len(numbers) <= 3 else (tuple(numbers),)
    if len(numbers) == 1:
        for count in range(max(2, least), 1 + min(4, 4 if most is None else most)):
            yield tuple(numbers) * count


def _order(view: View, batch: Any) -> tuple[int, ...]:
    """Return which axis of its operator, the batch first, each axis of a tensor is. Raises CannotRead where it is no reordering."""
    axes = ((batch,), *view.axes)
    left = list(range(len(axes)))
    order = []
    for axis in view.dims:
        place = next((number for number in left if axes[number] == axis), None)
        if place is None:
            raise CannotRead("a value that no step of archc takes")
        order.append(place)
        left.remove(place)
    if left or view.picks or view.factor != 1.0 or view.unit:
        raise CannotRead("a value that no step of archc takes")
    return tuple(order)
