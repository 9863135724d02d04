"""Walk over the nodes of an exported program, and append an operator of the language for each, or for several together.

The value of a node is a `View` of an operator, or `Fixed` where it depends on no input: a weight, or what is computed of weights. Rules
for the operators of aten are functions in the other files of this package, registered by name (`rule`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from archc.compiler.frontends.attending import Bias, Products
from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.naming import outer
from archc.compiler.frontends.selecting import held_by_learned
from archc.compiler.frontends.torch import constants, rotary
from archc.compiler.frontends.torch.nodes import CONSTANT, NOTHING, RULES, Arguments, Fixed, operator, output_names, unchanged
from archc.compiler.frontends.torch.writing import check_overwritten, note_written
from archc.compiler.frontends.views import Axes, Axis, View, atoms_of, fresh, size
from archc.compiler.frontends.walk import Walk

WEIGHTS = frozenset({"weight", "bias", "running_mean", "running_var", "indices"})  # arguments that are no data


class Reader(Walk):
    """The state of the walk: the operators so far, and the value of each node."""

    def __init__(self, program: ExportedProgram, source: str, batch: int, training: bool = False, partial: bool = False) -> None:
        super().__init__(source, batch)
        self.flat.partial = partial
        self.training, self.program = training, program
        self.values: dict[fx.Node, Any] = {}
        self.keys: dict[fx.Node, str] = {}
        self.node: fx.Node = next(iter(program.graph.nodes))
        self.classes: dict[str, str] = {}
        self.inner: set[str] = set()
        self.order = {each: place for place, each in enumerate(program.graph.nodes)}
        self.learnt: dict[fx.Node, View] = {}
        self.inputs: list[int] = []
        self.outputs: dict[str, int] = {}
        self.zero_pads: set[int] = set()  # what is padded, but by nothing at this size
        self.trained = set(program.graph_signature.parameters)
        self.paths: dict[str, list[str]] = {}  # of modules that have several: all, by each of them
        self.modes: dict[str, str] = {}  # of modules that drop samples, by path
        self.stored: Callable[[], Mapping[str, torch.Tensor]] = dict  # returns tensors that are not trained, by key, with their values
        self.known: dict[fx.Node, torch.Tensor] | None = None
        self.rotations: dict[fx.Node, rotary.Rotation] = {}
        self.within: set[fx.Node] = set()  # nodes that a pattern of several has read
        self.tables: dict[Any, int] = {}

    # ---- the walk

    def read(self) -> None:
        """Read all nodes. Raises CannotRead, at the node, with the number of nodes of its kind."""
        self._survey()
        self._inputs()
        self.rotations, self.within = rotary.rotations(self)
        for node in self.program.graph.nodes:
            if node.op == "call_function":
                self.at(node)
                try:
                    self.values[node] = self._called(node)
                    self._check(node)
                except CannotRead as refusal:
                    if not refusal.operator:
                        refusal.operator = operator(node)
                        refusal.path = refusal.path or self.path
                        refusal.count = sum(operator(other) == refusal.operator for other in self.program.graph.nodes)
                    if not self.flat.partial:
                        raise
                    self._hole(node, refusal)
            elif node.op == "output":
                self._outputs(node)

    def _hole(self, node: fx.Node, refusal: CannotRead) -> None:
        """Make holes of the results of a node. Raises CannotRead, with the first reason too, where their shapes do not allow it."""
        held = node.meta.get("val")
        results = held if isinstance(held, list | tuple) else [held]
        given = [self.values.get(each) for each in node.all_input_nodes]
        tensors = [result for result in results if isinstance(result, torch.Tensor)]
        if len(tensors) < len(results):
            raise refusal
        try:
            shapes = [tuple(int(count) for count in tensor.shape) for tensor in tensors]
            views = self.holes(operator(node), [value for value in given if isinstance(value, View)], shapes)
        except CannotRead as second:
            raise CannotRead(
                f"{refusal.reason}; no hole either, as {second.reason}", refusal.operator, refusal.path, refusal.count
            ) from None
        self.flat.spared |= self._tensors(node)
        self.values[node] = views if isinstance(held, list | tuple) else views[0]
        if operator(node).endswith("_") and isinstance(node.args[0], fx.Node):
            self.values[node.args[0]] = self.values[node]

    def _tensors(self, node: fx.Node) -> set[str]:
        """Return the keys of the tensors that a node takes, or that are computed to what it takes."""
        found, stack = set[str](), list(node.all_input_nodes)
        while stack:
            taken = stack.pop()
            if isinstance(self.values.get(taken), Fixed):
                found |= {self.keys[taken]} if taken in self.keys else set()
                stack.extend(taken.all_input_nodes)
        return found

    def at(self, node: fx.Node) -> None:
        """Take the place of a node for what is appended next."""
        self.node = node
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        self.path = _path(stack[-1][0]) if stack else ""
        self.leaf = bool(self.path) and self.path not in self.inner

    def _survey(self) -> None:
        for node in self.program.graph.nodes:
            for path, kind in (node.meta.get("nn_module_stack") or {}).values():
                name = kind if isinstance(kind, str) else kind.__name__
                self.classes.setdefault(_path(path), name.rpartition(".")[2])
        for path in self.classes:
            while path:
                path = path.rpartition(".")[0]
                self.inner.add(path)

    def _inputs(self) -> None:
        specs = {spec.arg.name: spec for spec in self.program.graph_signature.input_specs}
        users = [spec for spec in specs.values() if spec.kind is InputKind.USER_INPUT]
        for node in self.program.graph.nodes:
            if node.op != "placeholder":
                continue
            spec = specs[node.name]
            if spec.kind is not InputKind.USER_INPUT:
                self.keys[node] = str(spec.target)
                self.values[node] = Fixed(node)
                continue
            tensor = node.meta.get("val")
            if not isinstance(tensor, torch.Tensor):
                raise CannotRead(f"its input {node.name} is not a tensor")
            if tensor.dim() < 2 or tensor.shape[0] != self.batch.size:
                raise CannotRead(f"the first axis of its input {node.name} is not the batch")
            sizes = tuple(int(count) for count in tensor.shape[1:])
            if len(sizes) > 4:
                raise CannotRead(f"its input {node.name} has {len(sizes)} axes for each sample; here there are at most 4")
            number = self.flat.add_input("input" if len(users) == 1 else node.name, sizes)
            axes = fresh(sizes)
            self.inputs.append(number)
            self.values[node] = View(number, axes, ((self.batch,), *axes))

    def _outputs(self, node: fx.Node) -> None:
        names = output_names(self.program)
        values: Any = node.args[0]
        self.path, self.leaf = "", False
        for name, value in zip(names, values[-len(names) :], strict=True):
            held = self.value(value)
            if not isinstance(held, View):
                raise CannotRead(f"its output {name} does not depend on the input")
            self.outputs[name] = self.sample(held, 1)[0]

    def _called(self, node: fx.Node) -> Any:
        name = operator(node)
        if node in self.rotations:
            rotation = self.rotations.pop(node)
            try:
                return rotary.rotated(self, rotation)
            except CannotRead:
                self._in_parts(rotation.inner)
        if node in self.within:
            return None
        if name == "getitem":
            held = self.value(node.args[0])
            return Fixed(node) if isinstance(held, Fixed) else held[node.args[1]]
        values = [self.value(each) for each in node.all_input_nodes]
        if name in CONSTANT or (all(isinstance(value, Fixed) for value in values)):
            return Fixed(node)
        if name in NOTHING:
            return None
        plain = name.removesuffix("_") if name.endswith("_") and not name.startswith("_") else name
        known = RULES.get(plain)
        if known is None:
            raise CannotRead("no operator here computes it")
        if plain != name:
            check_overwritten(self, node)
        result = known(self, self.arguments(node))
        if plain != name and isinstance(node.args[0], fx.Node):
            note_written(self, node.args[0], result)
        return result

    def _in_parts(self, inner: Iterable[fx.Node]) -> None:
        """Read the nodes that a pattern would have read together one by one, before the present one."""
        node, left = self.node, sorted(self.within & set(inner), key=self.order.__getitem__)
        self.within -= set(left)
        for each in left:
            self.at(each)
            self.values[each] = self._called(each)
        self.at(node)

    def arguments(self, node: fx.Node) -> Arguments:
        """Return the arguments of a node, with the values of other nodes in place of them."""
        given: dict[str, Any] = {}
        for place, argument in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
            if place < len(node.args) and not argument.kwarg_only:
                held = node.args[place]
            elif argument.name in node.kwargs:
                held = node.kwargs[argument.name]
            else:
                held = argument.default_value if argument.has_default_value() else None
            given[argument.name] = fx.node.map_arg(held, self.value)
        return Arguments(given)

    def value(self, node: Any) -> Any:
        """Return the value of a node."""
        return self.values[node] if isinstance(node, fx.Node) else node

    def _check(self, node: fx.Node) -> None:
        """Hold the value of a node against the shape that the program states. Raises CannotRead."""
        held, stated = self.values[node], node.meta.get("val")
        if not isinstance(held, View) or not isinstance(stated, torch.Tensor):
            return
        item = self.flat.items[held.item]
        picked = {atom for atom, _ in held.picks}
        if held.shape != tuple(stated.shape) or tuple(map(size, held.axes)) != tuple(item.shape):
            raise CannotRead(f"it was read as {held.shape} and is {tuple(stated.shape)}")
        if not set(atoms_of(held.axes)) <= set(atoms_of(held.dims)) | picked:
            raise CannotRead("an axis was lost")

    def weights(self, *tensors: Any) -> dict[str, tuple[int, ...]]:
        """Return the shapes of weights by their keys; None is no weight. Raises CannotRead for computed ones."""
        held = {}
        for tensor in tensors:
            if tensor is None:
                continue
            node = unchanged(tensor.node) if isinstance(tensor, Fixed) else None
            if node not in self.keys:
                raise CannotRead("its weights are computed in the network")
            held[self.key(node)] = tensor.shape
        return held

    def key(self, node: fx.Node) -> str:
        """Return the key of a tensor: of a module that has several paths, that in the module which computes now."""
        key = self.keys[node]
        for part in (key, *outer(key)):
            if part in self.paths:
                own = next((path for path in self.paths[part] if f"{self.path}.".startswith(f"{path}.")), part)
                return own + key[len(part) :]
        return key

    def share(self, several: Iterable[Sequence[str]]) -> None:
        """Let each module that has several paths have its weights under one of them: the only one that computes, or the outermost."""
        used = {item.key for item in self.flat.items if item.key}
        for paths in several:
            calls = [path for path in paths if any(f"{key}.".startswith(f"{path}.") for key in used)]
            kept = calls[0] if len(calls) == 1 else min(paths, key=lambda path: path.count("."))
            self.flat.changes.parts |= {path: kept for path in paths if path != kept}
            self.flat.changes.called |= {kept} if len(calls) > 1 and kept in calls else set()

    # ---- values without input

    def data(self, value: Any, beside: View | None = None) -> View:
        """Return a value as a view: what depends on no input as trained tensors, and operators of these."""
        if isinstance(value, View):
            return value
        if not isinstance(value, Fixed):
            raise CannotRead("it takes something that is no tensor")
        if value.node not in self.learnt:
            item = self.inputs[0] if beside is None else beside.item
            self.learnt[value.node] = self._learnt(value.node, item)
        return self.learnt[value.node]

    def constant(self, node: fx.Node) -> torch.Tensor | None:
        """Return the values of a node that depends neither on inputs nor on trained tensors; None for any other."""
        if self.known is None:
            self.known = constants.computed(self.program, self.keys, self.trained, self.stored())
        return self.known.get(node)

    def stated(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values of those tensors of whole numbers which the program uses and the text states: tables of indices."""
        nodes = {key: node for node, key in self.keys.items() if node.users and key not in self.trained}
        known = {key: self.constant(nodes[key]) for key in keys if key in nodes}
        return {
            key: held.numpy() for key, held in known.items() if held is not None and not held.is_floating_point() and not held.is_complex()
        }

    def mask(self, bias: Bias, products: Products, outer: Axis) -> tuple[int, Axes] | None:
        """Append a constant that is the mask of windows that were moved, and return its axes; None where it is none."""
        if not isinstance(bias.value, Fixed) or (held := self.constant(bias.value.node)) is None:
            return None
        return constants.shift_mask(self, bias, np.asarray(held), products, outer)

    def addends(self, value: Any) -> list[Any]:
        """Return the values whose sum a trained value is."""
        if not isinstance(value, Fixed) or operator(value.node) != "add" or self.constant(value.node) is not None:
            return [value]
        one, two = (self.value(each) for each in value.node.args[:2])
        plain = isinstance(one, Fixed) and isinstance(two, Fixed) and not value.node.kwargs
        return [*self.addends(one), *self.addends(two)] if plain else [value]

    def _learnt(self, node: fx.Node, item: int) -> View:
        if node in self.keys and self.keys[node] in self.trained:
            return self._parameter(node, item)
        saved = self.node, self.path, self.leaf
        try:
            if node.op != "placeholder":
                self.at(node)
            if (values := self.constant(node)) is not None:
                return constants.constant(self, np.asarray(values), item)
            name = operator(node)
            plain = name.removesuffix("_")
            if node.op == "placeholder":
                raise CannotRead(f"it takes the constant {self.keys[node]}")
            if plain != name and not name.startswith("_") and isinstance(node.args[0], fx.Node) and len(node.args[0].users) == 1:
                name = plain  # what it overwrites is read by nothing else
            if plain not in RULES or not node.all_input_nodes or plain != name:
                raise CannotRead(f"it takes what {name} computes of weights, or a constant")
            given = self.arguments(node).given
            beside = View(item, (), ())
            held = {key: value if key in WEIGHTS else self._all_data(value, beside) for key, value in given.items()}
            result = RULES[plain](self, Arguments(held))
        finally:
            self.node, self.path, self.leaf = saved
        if not isinstance(result, View):
            raise CannotRead(f"it takes what {name} computes of weights")
        if result.shape != tuple(node.meta["val"].shape):
            raise CannotRead(f"what {name} computes of weights was read as {result.shape} and is {tuple(node.meta['val'].shape)}")
        return result

    def _all_data(self, value: Any, beside: View) -> Any:
        if isinstance(value, list | tuple):
            return type(value)(self._all_data(part, beside) for part in value)
        return self.data(value, beside) if isinstance(value, Fixed) else value

    def _parameter(self, node: fx.Node, item: int) -> View:
        key, stored = self.key(node), tuple(node.meta["val"].shape)
        if self.keys[node] not in self.trained:
            raise CannotRead(f"it takes the constant {key}")
        if not 1 <= len(stored) <= 5 or (len(stored) == 5 and stored[0] != 1):
            raise CannotRead(f"it takes the weight {key} of {len(stored)} axes")
        given, axes, dims = held_by_learned(stored)
        if "sizes" not in given and len(self.flat.items[item].shape) > 1:
            own = fresh([int(count) for count in self.flat.items[item].shape])  # type: ignore[arg-type]
            item = self.as_axes(View(item, own, own), (tuple(atoms_of(own)),))
        number = self.flat.add("learned", [item], given, path=key, leaf=True, weights={key: stored})
        return View(number, axes, dims)


def _path(path: str) -> str:
    """Return the path of a module as the language writes it: the second call of `head` is `head@1` in a program."""
    return path.removeprefix("L['self'].").removeprefix("L['self']").replace("@", "-")
