"""Walk over the nodes of an ONNX file, and append an operator of the language for each, or for several together.

The value of a node is a `View` of an operator, or `Fixed` where it depends on no input. Rules are functions in the other files of this
package, by the operator of ONNX (`rule`). A pattern of several nodes is found at its last one; the operators that were appended for the
others are dropped, as nothing takes them. So a node that no rule reads is refused only where its value is needed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.onnx import folding, tensors
from archc.compiler.frontends.onnx.model import Network, Node
from archc.compiler.frontends.onnx.tensors import Fixed
from archc.compiler.frontends.selecting import attempt, held_by_learned
from archc.compiler.frontends.views import View, atoms_of, size
from archc.compiler.frontends.walk import OPEN as OPEN
from archc.compiler.frontends.walk import Walk

Rule = Callable[["Reader", Node], Any]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a function for operators of ONNX. It gets the reader and the node, and returns the value of the node, or several."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def exact(value: float) -> float:
    """Return a number of a file, which has 32 bits, as the shortest one that it is the nearest to."""
    return float(str(np.float32(value)))


def counted(axis: int, rank: int) -> int:
    """Return an axis, counted from the first. Raises CannotRead where there is no such axis."""
    if not -rank <= axis < rank:
        raise CannotRead(f"it asks for axis {axis} of {rank}")
    return axis % rank


ARRANGING = frozenset({"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})


def settled(reader: Reader, node: Node, view: View) -> View:
    """Return a view; in a file of archc, that of the operator that the step is, where it only arranges values."""
    if not node.plain or node.name != node.step:
        return view
    if any(other.op not in ARRANGING for other in reader.within(node.step)) or view.dims[:1] != ((reader.batch,),):
        return view
    if view.picks or set(atoms_of(view.dims)) - {reader.batch} != set(atoms_of(view.axes)):
        return view
    return reader.plain(view)


class Reader(Walk):
    """The state of the walk: the operators so far, the value of each name, and the tensors that each operator holds."""

    def __init__(self, net: Network, folder: Path, source: str, batch: int) -> None:
        super().__init__(source, batch)
        self.net, self.folder = net, folder
        self.values: dict[str, Any] = {}
        self.makers = {name: node for node in net.nodes for name in node.outputs if name}
        self.users: dict[str, list[Node]] = {}
        for node in net.nodes:
            for name in dict.fromkeys(node.inputs):
                self.users.setdefault(name, []).append(node)
        self.results = set(net.outputs)
        self.kinds = Counter(node.op for node in net.nodes)
        self.inner = {path for node in net.nodes for path in node.scopes[:-1]}
        self.steps: dict[str, list[Node]] = {}
        for node in net.nodes:
            if node.op != "Constant":
                self.steps.setdefault(node.step, []).append(node)
        self.held: dict[int, dict[str, Fixed]] = {}
        self.stored: dict[str, Fixed] = {}
        self.changed: dict[str, Any] = {}  # what stored tensors are instead, by their names
        self.kept: set[str] = set()  # stored tensors whose values are part of what is read
        self.zero_pads: set[int] = set()
        self.tables: set[str] = set()  # stored tensors of which an input takes rows
        self.inputs: list[int] = []
        self.norms: dict[str, str] = {}  # paths of batch norms that a writer has folded away, by those of their layers
        self.node: Node = Node("", "", (), (), {})
        self.shapes: Mapping[str, tuple[int, ...]] = {}  # of results, where holes are made
        self.refused: dict[str, Node] = {}  # by result, the nodes that cannot be read
        self.rewrite: Callable[[str], None] = lambda step: None  # reads a step of a file of archc again, as one operator

    # ---- the walk

    def read(self) -> None:
        """Read all nodes."""
        for name, tensor in self.net.tensors.items():
            self.values[name] = self.stored[name] = replace(tensors.stored(tensor, self.folder, False, self.changed), value=name)
        last = {step: nodes[-1] for step, nodes in self.steps.items()}
        for node in self.net.nodes:
            self.at(node)
            try:
                made = self._called(node)
            except CannotRead as refusal:
                self._place(refusal, node)
                made = [refusal] * len(node.outputs)
                self.refused.update(dict.fromkeys(node.outputs, node))
            for name, value in zip(node.outputs, made, strict=False):
                if name:
                    self.values[name] = replace(value, value=name) if isinstance(value, Fixed) else value
            if self.net.own and last.get(node.step) is node:
                self.rewrite(node.step)
                self._replaced(node)

    def at(self, node: Node) -> None:
        """Take the place of a node for what is appended next."""
        self.node = node
        if self.net.own:
            self.path, self.leaf = node.step, True
        else:
            self.path = node.scopes[-1] if node.scopes else ""
            self.leaf = bool(self.path) and self.path not in self.inner

    def at_layer(self, weight: str) -> None:
        """Take the place of the layer that a weight is named after, where the node says that of the batch norm that was folded into it."""
        layer, _, part = weight.rpartition(".")
        beside = layer != self.path and layer.rpartition(".")[0] == self.path.rpartition(".")[0]
        if part == "weight" and beside and self.leaf and not self.net.own and len(self.users[weight]) == 1:
            self.norms[layer] = self.path
            self.path = layer

    def _replaced(self, node: Node) -> None:
        """Let later nodes take a transpose that nothing takes, and not its operand: elementwise nodes were written before it."""
        if node.op != "Transpose" or node.name != node.step or self.results & set(node.outputs) or self.users.get(node.outputs[0]):
            return
        view, before = (self.values.get(name) for name in (node.outputs[0], node.inputs[0]))
        if isinstance(view, View) and isinstance(before, View) and view.item != before.item:
            order = node.attrs.get("perm", [])
            self.values[node.inputs[0]] = view.with_dims(view.dims[order.index(axis)] for axis in range(len(order)))

    def _place(self, refusal: CannotRead, node: Node) -> None:
        if not refusal.operator:
            refusal.operator, refusal.path, refusal.count = node.op[:60], refusal.path or node.name[:120], self.kinds[node.op]

    def _called(self, node: Node) -> list[Any]:
        if node.op == "Constant":
            return [self._constant(node)]
        given = [self.values.get(name) if name else None for name in node.inputs]
        if node.op in ("Shape", "Size") and not isinstance(given[0], CannotRead):
            return [self._shape(node, given[0])]
        if node.op == "Expand" and (beside := self.beside(node)) is not None:
            return [self.repeated(node, beside)]
        if all(value is None or isinstance(value, Fixed) for value in given) and not node.op.startswith("Random"):
            made = list(folding.folded(node, given))
            if node.op == "ConstantOfShape" and made[0].name:
                made = [self.stored.setdefault(made[0].name, tensors.changeable(made[0], self.changed))]
            return made
        known = RULES.get(node.op)
        if known is None:
            raise CannotRead("no operator here computes it")
        made = known(self, node)
        made = made if isinstance(made, list) else [made]
        for name, value in zip(node.outputs, made, strict=False):
            if isinstance(value, View):
                self._check(name, value)
        return made

    def _constant(self, node: Node) -> Fixed:
        held = node.attrs
        if "value" in held:
            return tensors.stored(held["value"], self.folder, True)
        name = next((name for name in ("value_float", "value_floats", "value_int", "value_ints") if name in held), None)
        if name is None:
            raise CannotRead("a constant that is no tensor of numbers")
        array = np.asarray(held[name], np.int64 if "int" in name else np.float32)
        return Fixed(array.shape, array.dtype, lambda: array, array, is_constant=True)

    def _shape(self, node: Node, value: Any) -> Fixed:
        shape = np.asarray(value.shape, np.int64)
        shape = shape[node.attrs.get("start", 0) : node.attrs.get("end")] if node.op == "Shape" else np.asarray(np.prod(shape))
        return Fixed(shape.shape, shape.dtype, lambda: shape, shape, is_constant=True)

    def _check(self, name: str, view: View) -> None:
        """Hold a view against the shape that the file states. Raises CannotRead."""
        item = self.flat.items[view.item]
        if tuple(map(size, view.axes)) != tuple(item.shape):
            raise CannotRead(f"it was read as {tuple(map(size, view.axes))} and is {item.shape}")
        if not set(atoms_of(view.axes)) <= set(atoms_of(view.dims)) | {atom for atom, _ in view.picks}:
            raise CannotRead("an axis was lost")
        stated = self.net.known.get(name, ())
        if stated and (
            len(stated) != len(view.shape) or any(isinstance(a, int) and a != b for a, b in zip(stated, view.shape, strict=True))
        ):
            raise CannotRead(f"it was read as {view.shape}, and the file states {stated}")

    def placed(self, view: View) -> View:
        """Return a view in which a batch of one sample is an axis of its own: the first of size 1, where there is one."""
        if self.batch.size != 1:
            return view
        bare = [tuple(atom for atom in axis if atom is not self.batch) for axis in view.dims]
        empty = next((place for place, axis in enumerate(bare) if not axis), None)
        if empty is None or bare == list(view.dims):
            return view
        bare[empty] = (self.batch,)
        return view.with_dims(bare)

    def reshaped(self, view: View, shape: Sequence[int]) -> View:
        """Return a view in another shape. Raises CannotRead where the axes do not allow it."""
        return self.placed(attempt(view, shape))

    # ---- what a rule asks

    def value(self, name: str) -> Any:
        """Return the value of a name. Raises the refusal of the node that makes it."""
        held = self.values.get(name)
        if isinstance(held, CannotRead):
            if self.flat.partial:
                return self._hole(name, held)
            raise held
        return held

    def _hole(self, name: str, refusal: CannotRead) -> View:
        """Make holes of the results of the node that makes a value. Raises CannotRead, with the first reason too, where that fails."""
        node, saved = self.refused[name], (self.node, self.path, self.leaf)
        self.at(node)
        try:
            given = [self.value(operand) for operand in node.inputs if operand]
            known = [output for output in node.outputs if output in self.shapes]
            if name not in known:
                raise CannotRead("its shape is neither in the file nor inferred")
            views = self.holes(node.op, [value for value in given if isinstance(value, View)], [self.shapes[output] for output in known])
        except CannotRead as second:
            reason = second.reason if second is refusal else f"{refusal.reason}; no hole either, as {second.reason}"
            raise CannotRead(reason, refusal.operator, refusal.path, refusal.count) from None
        finally:
            self.node, self.path, self.leaf = saved
        self.values.update(zip(known, views, strict=True))
        return views[known.index(name)]

    def given(self, node: Node, place: int) -> Any:
        """Return an operand; None where it is left out."""
        name = node.inputs[place] if place < len(node.inputs) else ""
        return self.value(name) if name else None

    def view(self, node: Node, place: int = 0) -> View:
        """Return an operand as a view."""
        held = self.given(node, place)
        if held is None:
            raise CannotRead("an operand is missing")
        beside = next((value for name in node.inputs if isinstance(value := self.values.get(name), View)), None)
        return self.data(held, beside)

    def fixed(self, node: Node, place: int) -> Fixed | None:
        """Return an operand that depends on no input; None where it is left out. Raises CannotRead for any other."""
        held = self.given(node, place)
        if held is not None and not isinstance(held, Fixed):
            raise CannotRead("its weights are computed of the input")
        return held

    def numbers(self, node: Node, place: int, name: str = "") -> list[Any] | None:
        """Return an operand, or before that existed the attribute `name`, as numbers; None where there is neither."""
        if name in node.attrs:
            held = node.attrs[name]
            return list(held) if isinstance(held, list) else [held]
        fixed = self.fixed(node, place)
        if fixed is None:
            return None
        if fixed.small is None:
            raise CannotRead("an operand that must be known is a weight")
        return [part.item() for part in fixed.small.reshape(-1)]

    def scalar(self, name: str) -> float | None:
        """Return a value that is one number; None for any other."""
        held = self.values.get(name)
        found = held.scalar if isinstance(held, Fixed) else None
        return None if found is None else exact(found) if held.kind.kind != "i" else found  # type: ignore[union-attr]

    def made(self, name: str, *ops: str) -> Node | None:
        """Return the node that makes a value, if it is one of some operators and, in a file of archc, of the same step."""
        node = self.makers.get(name)
        if node is None or node.op not in ops or (self.net.own and node.step != self.node.step):
            return None
        return node

    def axis(self, node: Node, rank: int, default: int) -> int:
        """Return the attribute `axis`, counted from the first. Raises CannotRead where there is no such axis."""
        return counted(node.attrs.get("axis", default), rank)

    def within(self, step: str) -> list[Node]:
        """Return the nodes of a step of archc."""
        return self.steps[step]

    def sources(self, fixed: Fixed) -> set[str]:
        """Return the names of the stored tensors that a tensor is computed of."""
        seen, stack = set[str](), [fixed.value]
        while stack:
            name = stack.pop()
            if name and name not in seen:
                seen.add(name)
                stack.extend(self.makers[name].inputs if name in self.makers else ())
        return seen & self.stored.keys()

    @property
    def whole(self) -> set[str]:
        """Return the names of the stored tensors of whole numbers."""
        return {name for name, fixed in self.stored.items() if fixed.kind.kind in "iub"}

    def leads_to(self, node: Node, ends: frozenset[str], through: frozenset[str]) -> bool:
        """Return whether every way from a node, through some operators, ends at one of `ends`."""
        for _ in range(16):
            users = [user for name in node.outputs for user in self.users.get(name, ())]
            if not users or self.results & set(node.outputs):
                return False
            if all(user.op in ends for user in users):
                return True
            if len({user.op for user in users}) > 1 or len(users) > 1 or users[0].op not in through:
                return False
            node = users[0]
        return False

    # ---- appending

    def layer(self, op: str, operands: Sequence[int], given: Mapping[str, Any], weights: Mapping[str, Fixed | None], **more: Any) -> int:
        """Append an operator with weights by name, and `buffers`. Keys are given at the end."""
        key = f"~{len(self.flat.items)}"
        buffers = more.pop("buffers", {})
        own = {name: fixed for name, fixed in weights.items() if fixed is not None}
        held = {f"{key}.{name}".rstrip("."): fixed.shape for name, fixed in own.items()}
        number = self.add(op, operands, given, weights=held, holder=key, **more)
        self.held[number] = {**own, **buffers}
        return number

    def holds(self, view: View, op: str, given: Mapping[str, Any], weights: Mapping[str, Fixed | None]) -> View:
        """Append an operator with weights that keeps the axes of its operand."""
        return replace(view, item=self.layer(op, [view.item], given, weights))

    def data(self, value: Any, beside: View | None = None) -> View:
        """Return a value as a view; a tensor that is stored as a trained one."""
        if isinstance(value, View):
            return value
        if not isinstance(value, Fixed):
            raise CannotRead("it takes something that is no tensor")
        return self.learned(value, self.inputs[0] if beside is None else beside.item)

    def beside(self, node: Node) -> View | None:
        """Return the operator for whose samples a tensor is repeated; None where what is repeated depends on the input."""
        held = self.values.get(node.inputs[0])
        if not isinstance(held, Fixed) or not held.origin:
            return None
        name = node.inputs[1]
        for _ in range(4):  # the sizes begin with the batch, which is read of a shape
            maker = self.makers.get(name)
            if maker is None or not maker.inputs:
                return None
            name = maker.inputs[0]
            if maker.op == "Shape":
                found = self.values.get(name)
                return found if isinstance(found, View) else None
        return None

    def repeated(self, node: Node, beside: View) -> View:
        """Return a trained tensor for each sample, whose axes may be in another order than those that are stored."""
        held = self.values[node.inputs[0]]
        tensor = self.values.get(held.origin)
        if not isinstance(tensor, Fixed):
            raise CannotRead("it repeats what is computed of weights")
        view = self.learned(tensor, self.plain(beside).item)
        if held.shape != tensor.shape:
            if held.shape != (*tensor.shape[:-2], tensor.shape[-1], tensor.shape[-2]):
                raise CannotRead("it repeats a weight whose axes are in another order")
            view = view.with_dims((*view.dims[:-2], view.dims[-1], view.dims[-2]))
        dims = view.dims[len(view.dims) - len(self.flat.items[view.item].shape) :]
        return view.with_dims(((self.batch,), *dims))

    def learned(self, fixed: Fixed, item: int) -> View:
        """Return a trained tensor, for each sample of an operator. Raises CannotRead for a constant."""
        if fixed.is_constant:
            raise CannotRead("it takes a constant tensor, and here tensors are trained")
        if not fixed.origin:
            raise CannotRead("it takes what is computed of weights")
        stored = fixed.shape
        if not 1 <= len(stored) <= 5 or (len(stored) == 5 and stored[0] != 1):
            raise CannotRead(f"it takes a weight of {len(stored)} axes")
        given, axes, dims = held_by_learned(stored)
        if "sizes" not in given and len(self.flat.items[item].shape) > 1 and not self.net.own:
            item = self.flat.add("flatten", [item])
        channels, *positions = self.flat.items[item].shape
        if self.net.own:  # which states no sizes that are those of the operand
            if given["channels"] == channels:
                del given["channels"]
            if tuple(given.get("sizes", ())) == tuple(positions):
                given.pop("sizes", None)
        number = self.layer("learned", [item], given, {"": fixed})
        return View(number, axes, dims)
