"""LOWERED PROGRAM -> ONNX MODEL: the steps as nodes, the blocks as functions or inlined, without the values of the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from archc.compiler.backends.onnx.body import FLOATS, Body
from archc.compiler.backends.onnx.building import Building, Value, below
from archc.compiler.backends.onnx.rules import RULES
from archc.compiler.lowering import program as lowered
from archc.compiler.lowering.program import FunctionCall, LoweredProgram, Scope, Step, Trained
from archc.compiler.shapes.dim import Dim, Shape, unknown

DOMAIN = "archc"  # of the functions that blocks become
BATCH = "batch"
IR = 10  # the first version of the format with functions that have metadata

Values = dict[str, Value]  # by the name of the step


@dataclass
class Maker:
    """A program while it is made into a model: its weights as arrays by key, and the functions so far."""

    program: LoweredProgram
    arrays: Mapping[str, Any]
    dtype: str
    opset: int
    functions: bool
    batch: Dim
    made: dict[bytes, FunctionProto] = field(default_factory=dict)

    def model(self) -> tuple[ModelProto, list[str]]:
        """Return the model, without the values of the weights, and the keys of the weights that it needs, in order."""
        program, whole = self.program, self.program.body
        body = Body()
        finals = {step: name for name, step in reversed(list(program.outputs.items())) if step not in program.inputs}
        for name in (*program.inputs, *program.outputs, *self.arrays):
            body.value_name(name)
        values = self.within(whole, body, {}, finals)
        for name, step in program.outputs.items():
            if finals.get(step) != name:  # an output that is an input, or a second name of one
                body.nodes.append(helper.make_node("Identity", [values[step].name], [name], body.node_name(name)))
        inside = {name for node in body.nodes for name in node.output} - {*program.outputs}
        graph = helper.make_graph(
            body.nodes,
            program.name or "network",
            [self._info(step.name, (self.batch, *step.shape), values[step.name].dtype) for step in program.steps if step.kind == "input"],
            [self._info(name, values[step].shape, values[step].dtype) for name, step in program.outputs.items()],
            value_info=[self._info(name, *known) for name, known in body.known.items() if name in inside],
        )
        domains = [("", self.opset), *([(DOMAIN, 1)] if self.made else [])]
        model = helper.make_model(
            graph,
            producer_name="archc",
            ir_version=IR,
            opset_imports=[helper.make_opsetid(*domain) for domain in domains],
            functions=list(self.made.values()),
        )
        used = set(body.weights.values())
        return model, [key for key in self.arrays if key in used]

    # ---- bodies

    def within(self, scope: Scope, body: Body, values: Values, finals: Mapping[str, str]) -> Values:
        """Add the steps of a scope to a body; `values` are those of earlier steps, to which they are added, and `finals` given names."""
        for step in steps_of(scope):
            body.node_name(below(body.path, step.name))
        self._body(scope, body, values, finals)
        return values

    def _body(self, scope: Scope, body: Body, values: Values, finals: Mapping[str, str]) -> None:
        for item in scope.body:
            if isinstance(item, Step):
                values[item.name] = self._step(item, body, values, finals)
            elif self.functions and item.block:
                self._call(item, body, values, finals)
            else:
                self._body(item, body, values, finals)

    def _name(self, step: str, body: Body, finals: Mapping[str, str]) -> str:
        """Return the name of the value of a step: its label, or that of the output."""
        label = below(body.path, step)
        return finals[step] if step in finals else label if body.free(label) else body.value_name(f"{label}/value")

    # ---- steps

    def _step(self, step: Step, body: Body, values: Values, finals: Mapping[str, str]) -> Value:
        b = Building(step, body, self.opset, self.dtype, self.batch, self.arrays)
        if step.kind == "input":
            whole = self.program.graph.whole_numbers(step.name) is not None
            return Value(step.name, TensorProto.INT64 if whole else FLOATS[self.dtype], b.out, b)
        args = [argument(b, value, values) for value in step.args]
        settings = step.part.settings if step.kind == "module" and step.part is not None else step.kwargs
        result = call(b, step.target, args, settings)
        name = self._name(step.name, body, finals)
        finish(b, result, name)
        body.known[name] = b.out, result.dtype
        return replace(result, name=name, known=b.out)

    # ---- functions

    def _call(self, scope: Scope, body: Body, values: Values, finals: Mapping[str, str]) -> None:
        """Add the call of a function that computes a scope, made if there is none that is equal."""
        inner = Body(scope.path, scope.key)
        for inside in steps_of(scope):
            if inside.part is not None:
                for name in (*inside.part.weights, *inside.part.buffers):
                    inner.value_name(below(scope.key, f"{inside.key}.{name}" if name else inside.key))
        many = len(scope.takes) > 1
        taken = {step: inner.value_name(f"x{number}" if many else "x") for number, step in enumerate(scope.takes, 1)}
        known = self.within(scope, inner, {step: replace(values[step], name=name) for step, name in taken.items()}, {})
        returned = [known[step].name for step in scope.returns]
        function = helper.make_function(
            DOMAIN, scope.block, [*taken.values(), *inner.weights], returned, inner.nodes, [helper.make_opsetid("", self.opset)]
        )
        if any(node.domain for node in inner.nodes):
            function.opset_import.append(helper.make_opsetid(DOMAIN, 1))
        made = self._function(function)
        names = [self._name(step, body, finals) for step in scope.returns]
        label = below(body.path, scope.path)
        given = [values[step].name for step in scope.takes]
        for key in inner.weights.values():
            local = below(body.key, key)
            body.weights[local] = key
            given.append(local)
        node = helper.make_node(made, given, names, body.node_name(label), domain=DOMAIN)
        first = next(steps_of(scope))
        node.doc_string = place(first)
        body.nodes.append(node)
        for step, name in zip(scope.returns, names, strict=True):
            values[step] = replace(known[step], name=name)
            body.known[name] = known[step].shape, known[step].dtype

    def _function(self, function: FunctionProto) -> str:
        """Return the name of a function that is equal, or of this one, to whose name a number is added where it is taken."""
        content = function.SerializeToString(deterministic=True)
        if content not in self.made:
            name, number = function.name, 1
            taken = {one.name for one in self.made.values()}
            while function.name in taken:
                number += 1
                function.name = f"{name}_{number}"
            self.made[content] = function
        return self.made[content].name

    # ---- shapes

    def _info(self, name: str, shape: Shape, dtype: int) -> ValueInfoProto:
        return helper.make_tensor_value_info(name, dtype, [size if isinstance(size, int) else str(size) for size in shape])


def model_of(program: LoweredProgram, arrays: Mapping[str, Any], dtype: str, opset: int, functions: bool) -> tuple[ModelProto, list[str]]:
    """Return a program as a model without the values of its weights, and the keys of those that it needs.

    `arrays` are the weights of the program by key, `dtype` the element type, as numpy names it. Raises ArchError, at the operator, for
    what the opset cannot say.
    """
    taken = {name for step in program.steps for size in step.shape if not isinstance(size, int) for name in size.unknowns}
    batch = BATCH
    while batch in taken:
        batch += "_"
    return Maker(program, arrays, dtype, opset, functions, unknown(batch)).model()


def steps_of(scope: Scope) -> Iterator[Step]:
    """Yield the steps of a scope in order, those of inner scopes included."""
    for item in scope.body:
        if isinstance(item, Step):
            yield item
        else:
            yield from steps_of(item)


def argument(b: Building, value: Any, values: Mapping[str, Value]) -> Any:
    """Return an argument of a step as its rule takes it: a Value, a list of them, or a plain value."""
    match value:
        case lowered.Value(step):
            return replace(values[step], b=b)
        case Trained():
            return b.weight()
        case FunctionCall(target, args, kwargs):
            return call(b, target, [argument(b, arg, values) for arg in args], kwargs)
        case list():
            return [argument(b, item, values) for item in value]
    return value


def call(b: Building, target: str, args: Sequence[Any], settings: Mapping[str, Any]) -> Value:
    """Apply the rule of a target. Raises ArchError where there is none."""
    rule = RULES.get(target)
    if rule is None:
        b.refuse(f"{b.step.op} cannot be written as ONNX", "compile it to another format")
    return rule(b, *args, **settings)


def finish(b: Building, result: Value, name: str) -> None:
    """Add the nodes of a step to its body. The one that computes the result is named as the step, and its value gets the name."""
    if not any(result.name in node.output for node in b.nodes):  # the step is its operand
        result = b.op("Identity", result)
    nodes = needed(b.nodes, result.name)
    last = next(node for node in nodes if result.name in node.output)
    for node in nodes:
        _rename(node.input, result.name, name)
        _rename(node.output, result.name, name)
    last.name = b.label
    for node in nodes:
        node.doc_string = place(b.step)
    b.body.nodes.extend(nodes)
    b.body.known.update({key: known for key, known in b.known.items() if key != result.name})


def needed(nodes: Sequence[NodeProto], result: str) -> list[NodeProto]:
    """Return the nodes that a value depends on; runtimes would run the others, such as transposes that became one."""
    read, kept = {result}, []
    for node in reversed(nodes):
        if not read.isdisjoint(node.output):
            read.update(node.input)
            kept.append(node)
    return kept[::-1]


def place(step: Step) -> str:
    """Return the file and the line of a step."""
    return f"{step.span.source.label}:{step.span.line}"


def _rename(names: Any, old: str, new: str) -> None:
    for i, name in enumerate(names):
        if name == old:
            names[i] = new
