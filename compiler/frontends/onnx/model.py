"""FILE -> NODES: parse an ONNX file, refuse what cannot be read of it, and put the bodies of functions in place of their calls.

Nothing in a file is executed. Tensors in other files are read from the folder of the model alone, and only when weights are asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError, Message
from onnx import AttributeProto, FunctionProto, ModelProto, NodeProto, TensorProto

from archc.compiler.files import read_regular
from archc.compiler.frontends.flat import CannotRead

MAX_BYTES = 2**31  # of one file: protobuf reads no larger message
MAX_NODES = 500_000  # after functions are put in place of their calls
MAX_DEPTH = 64  # of calls of functions within functions
MAX_SCOPES = 200  # of modules within modules, as their paths say
MAX_SIZE = 2**40  # of one axis
STANDARD = ("", "ai.onnx")  # names of the domain of ONNX's own operators
SCOPES, CLASSES = "pkg.torch.onnx.name_scopes", "pkg.torch.onnx.class_hierarchy"
CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})


@dataclass(frozen=True)
class Node:
    """One call of an operator of ONNX: its name, the values that it takes ("" for one that is left out) and makes, its attributes.

    `scopes` are the paths of the modules around it, the outermost first, and `classes` theirs, where the file states them. In a file
    that archc has written, `step` is the label of the operator that it is a part of, and `plain` whether its value has the channels first.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any]
    scopes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    step: str = ""
    plain: bool = False


@dataclass
class Network:
    """The nodes of a file in order, the tensors that it stores by name, and the shapes of its inputs and outputs: numbers, or names."""

    model: ModelProto
    opset: int
    own: bool
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, TensorProto] = field(default_factory=dict)
    inputs: dict[str, tuple[int | str, ...]] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    known: dict[str, tuple[int | str, ...]] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)  # inputs that hold whole numbers


def parse(path: Path) -> ModelProto:
    """Return the message of a file, without tensors from other files. Raises CannotRead and OSError."""
    try:
        model: ModelProto = ModelProto.FromString(read_regular(path, MAX_BYTES))
    except (DecodeError, ValueError) as error:
        raise CannotRead(f"{path.name} is no ONNX file, or one that is damaged: {error}") from None
    _check_texts(model, path.name)
    return model


def _check_texts(model: Message, name: str) -> None:
    """Raise CannotRead where a text of a message is none: protobuf returns its bytes."""
    stack: list[Message] = [model]
    while stack:
        for kind, value in stack.pop().ListFields():
            several = value if kind.is_repeated else (value,)
            if kind.type == kind.TYPE_MESSAGE:
                stack.extend(several)
            elif kind.type == kind.TYPE_STRING and not all(isinstance(text, str) for text in several):
                raise CannotRead(f"{name} is damaged: the {kind.name} of a {kind.containing_type.name} is not text")


def network(model: ModelProto, partial: bool = False) -> Network:
    """Return what a message describes. Raises CannotRead where it is not a network of known operators in a possible order.

    With `partial`, an operator may be of any domain, which its name then begins with.
    """
    if not model.HasField("graph"):
        raise CannotRead("the file holds no graph")
    if model.training_info:
        raise CannotRead("the file holds the training of a network; export the network itself")
    opsets = [entry.version for entry in model.opset_import if entry.domain in STANDARD]
    if not opsets:
        raise CannotRead("the file does not say which version of ONNX's operators it uses")
    if max(opsets) > onnx.defs.onnx_opset_version():
        raise CannotRead(f"it uses opset {max(opsets)}, and the installed onnx knows opset {onnx.defs.onnx_opset_version()}")
    graph = model.graph
    if graph.sparse_initializer:
        raise CannotRead("the file holds sparse tensors")
    net = Network(model, max(opsets), model.producer_name == "archc")
    for tensor in graph.initializer:
        if tensor.name in net.tensors:
            raise CannotRead(f"two tensors of the file have the name {tensor.name}")
        check_dims(tensor.dims, tensor.name)
        net.tensors[tensor.name] = tensor
    for value in graph.input:
        if value.name not in net.tensors:
            net.inputs[value.name] = _shape(value)
            if value.type.tensor_type.elem_type in (TensorProto.INT64, TensorProto.INT32):
                net.whole.add(value.name)
    net.outputs = [value.name for value in graph.output]
    net.known = {value.name: _shape(value) for value in graph.value_info if value.type.HasField("tensor_type")}
    functions = {(function.domain, function.name): function for function in model.functions}
    _known_kinds(graph.node, functions, partial)
    _check_calls(graph.node, functions)
    Inlining(net, functions).body(graph.node, {}, "", 0)
    net.nodes = _ordered(net)
    return net


def check_dims(dims: Sequence[int], name: str) -> None:
    """Raise CannotRead for a shape that no tensor has."""
    total = 1
    for size in dims:
        if not 0 <= size <= MAX_SIZE:
            raise CannotRead(f"the shape of {name} has an axis of {size}")
        total *= size
    if total > MAX_SIZE or len(dims) > 16:
        raise CannotRead(f"the shape of {name} has {total:,} values")


def _shape(value: Any) -> tuple[int | str, ...]:
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        return ()
    sizes = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim]
    check_dims([size for size in sizes if isinstance(size, int)], value.name)
    return tuple(sizes)


def _known_kinds(nodes: Sequence[NodeProto], functions: Mapping[tuple[str, str], FunctionProto], partial: bool) -> None:
    """Raise CannotRead for operators that no front end can read: control flow, training, and other domains."""
    every = [*nodes, *(node for function in functions.values() for node in function.node)]
    kinds = Counter((node.domain, node.op_type) for node in every)
    for node in every:
        kind = (node.domain, node.op_type)
        reason = ""
        if node.op_type in CONTROL and node.domain in STANDARD:
            reason = "a network that depends on its values in which operators it runs cannot be read"
        elif node.domain == "ai.onnx.preview.training" or node.domain == "ai.onnx.training":
            reason = "it trains a network; export the network itself"
        elif node.domain not in STANDARD and kind not in functions and not partial:
            reason = f"the domain {node.domain[:60]} is not ONNX's, and the file does not define the operator"
        if reason:
            raise CannotRead(reason, node.op_type[:60], node.name[:120], kinds[kind])


def _check_calls(nodes: Sequence[NodeProto], functions: Mapping[tuple[str, str], FunctionProto]) -> None:
    """Raise CannotRead where functions call each other without an end, or the network has too many nodes without them."""
    counts: dict[tuple[str, str], int] = {}

    def count(body: Sequence[NodeProto], depth: int) -> int:
        if depth > MAX_DEPTH:
            raise CannotRead(f"its functions call each other more than {MAX_DEPTH} deep")
        total = 0
        for node in body:
            kind = (node.domain, node.op_type)
            if kind in functions and kind not in counts:
                counts[kind] = count(functions[kind].node, depth + 1)
            total += 1 + counts.get(kind, 0)
        return total

    if count(nodes, 0) > MAX_NODES:
        raise CannotRead(f"it has more than {MAX_NODES:,} nodes")


@dataclass
class Inlining:
    """The nodes of a model so far, with the bodies of functions in place of their calls."""

    net: Network
    functions: Mapping[tuple[str, str], FunctionProto]
    calls: int = 0

    def body(self, nodes: Sequence[NodeProto], names: dict[str, str], path: str, depth: int, prefix: str = "") -> None:
        """Append nodes; `names` are those of values outside by their names in the body, `path` is the scope that is the body."""
        for node in nodes:
            function = self.functions.get((node.domain, node.op_type))
            given = tuple(names.get(name, f"{prefix}{name}" if name else "") for name in node.input)
            made = tuple(names.get(name, f"{prefix}{name}" if name else "") for name in node.output)
            label = _below(path, node.name)
            if function is not None:
                self._call(function, node, given, made, label, depth)
                continue
            scopes, classes = _scopes(node)
            if node.domain not in STANDARD:
                self.net.nodes.append(Node(f"{node.domain[:60]}.{node.op_type[:60]}", label, given, made, {}, scopes, classes))
                continue
            _check_form(node, self.net.opset)
            step = _below(path, node.name.partition("/")[0]) if self.net.own and node.op_type != "Constant" else ""
            if step.count(".") > MAX_SCOPES:
                raise CannotRead(f"its label has more than {MAX_SCOPES} parts", node.op_type, node.name[:120])
            plain = self.net.own and bool(node.output) and node.output[0] in (node.name, *(() if path else self.net.outputs))
            self.net.nodes.append(Node(node.op_type, label, given, made, attributes(node, self.net.opset), scopes, classes, step, plain))

    def _call(self, function: FunctionProto, node: NodeProto, given: Sequence[str], made: Sequence[str], label: str, depth: int) -> None:
        if len(given) > len(function.input) or len(made) > len(function.output):
            raise CannotRead("a call has more operands or results than its function", node.op_type, node.name)
        self.calls += 1
        inner = dict.fromkeys(function.input, "") | dict(zip(function.input, given, strict=False))
        inner |= dict(zip(function.output, made, strict=False))
        if function.attribute or function.attribute_proto:
            raise CannotRead("a function with attributes is not known", node.op_type, node.name)
        self.body(function.node, inner, label, depth + 1, f"{label}\n{self.calls}\n")


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def _scopes(node: NodeProto) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the paths and the classes of the modules around a node, as torch's exporter writes them; the last entry is the node's own."""
    held = {entry.key: entry.value for entry in node.metadata_props}
    scopes, classes = _texts(held.get(SCOPES, "")), _texts(held.get(CLASSES, ""))
    if any(path.count(".") > MAX_SCOPES for path in scopes):
        return (), ()
    return (scopes[:-1], classes[:-1]) if len(scopes) == len(classes) else (scopes[:-1], ())


def _texts(value: str) -> tuple[str, ...]:
    """Return the texts of a list as Python writes it; nothing for anything else."""
    import ast

    if not value.startswith("[") or len(value) > 10_000:
        return ()
    try:
        found = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    return tuple(map(str, found)) if isinstance(found, list) else ()


@cache
def _schema(op: str, opset: int) -> Any:
    """Return what ONNX says of an operator at an opset; None where it has none."""
    try:
        return onnx.defs.get_schema(op, opset, "")
    except onnx.defs.SchemaError:
        return None


@cache
def _form(op: str, opset: int) -> tuple[int, int, int, tuple[str, ...]] | None:
    """Return the least and the most operands of an operator, its most results, and the attributes that it must have."""
    schema = _schema(op, opset)
    if schema is None:
        return None
    required = tuple(name for name, attribute in schema.attributes.items() if attribute.required)
    return schema.min_input, schema.max_input, schema.max_output, required


@cache
def _kinds(op: str, opset: int) -> dict[str, int]:
    """Return the kinds of the attributes of an operator, as ONNX numbers them."""
    schema = _schema(op, opset)
    return {} if schema is None else {name: int(attribute.type.value) for name, attribute in schema.attributes.items()}


def _check_form(node: NodeProto, opset: int) -> None:
    """Raise CannotRead for a node that has another number of operands than its operator, or lacks an attribute."""
    form = _form(node.op_type, opset)
    if form is None:
        return
    least, most, results, required = form
    if not least <= len(node.input) <= most or not 1 <= len(node.output) <= results:
        raise CannotRead("it has another number of operands or results than ONNX says", node.op_type, node.name[:120])
    held = {attribute.name for attribute in node.attribute} if required else set()
    if missing := [name for name in required if name not in held]:
        raise CannotRead(f"it lacks the attribute {missing[0]}", node.op_type, node.name[:120])


def attributes(node: NodeProto, opset: int) -> dict[str, Any]:
    """Return the attributes of a node as plain values; a tensor stays a message.

    Raises CannotRead for a graph, and for a kind that the operator does not have.
    """
    found: dict[str, Any] = {}
    kinds = _kinds(node.op_type, opset)
    for attribute in node.attribute:
        match attribute.type:
            case AttributeProto.FLOAT:
                found[attribute.name] = attribute.f
            case AttributeProto.INT:
                found[attribute.name] = attribute.i
            case AttributeProto.STRING:
                found[attribute.name] = attribute.s.decode(errors="replace")
            case AttributeProto.FLOATS:
                found[attribute.name] = list(attribute.floats)
            case AttributeProto.INTS:
                found[attribute.name] = list(attribute.ints)
            case AttributeProto.STRINGS:
                found[attribute.name] = [text.decode(errors="replace") for text in attribute.strings]
            case AttributeProto.TENSOR:
                check_dims(attribute.t.dims, node.name)
                found[attribute.name] = attribute.t
            case _:
                raise CannotRead(f"its attribute {attribute.name[:60]} is of a kind that is not known", node.op_type, node.name)
        wanted = kinds.get(attribute.name)
        if wanted is not None and wanted != attribute.type:
            raise CannotRead(f"its attribute {attribute.name[:60]} is of another kind than ONNX says", node.op_type, node.name)
    return found


def _ordered(net: Network) -> list[Node]:
    """Return the nodes in an order in which each value is made before it is taken. Raises CannotRead where there is none."""
    maker: dict[str, int] = {}
    for number, node in enumerate(net.nodes):
        for name in node.outputs:
            if name and (name in maker or name in net.tensors or name in net.inputs):
                raise CannotRead(f"the value {_shown(name)} is made twice", node.op, node.name)
            maker[name] = number
    waits = [0] * len(net.nodes)
    after: list[list[int]] = [[] for _ in net.nodes]
    for number, node in enumerate(net.nodes):
        for name in set(node.inputs) - {""}:
            if name in maker:
                waits[number] += 1
                after[maker[name]].append(number)
            elif name not in net.tensors and name not in net.inputs:
                raise CannotRead(f"nothing makes the value {_shown(name)} that it takes", node.op, node.name)
    if all(maker.get(name, -1) < number for number, node in enumerate(net.nodes) for name in node.inputs if name):
        return net.nodes
    ready = [number for number, count in enumerate(waits) if not count][::-1]
    order = []
    while ready:
        number = ready.pop()
        order.append(net.nodes[number])
        for user in reversed(after[number]):
            waits[user] -= 1
            if not waits[user]:
                ready.append(user)
    if len(order) < len(net.nodes):
        stuck = next(net.nodes[number] for number, count in enumerate(waits) if count)
        raise CannotRead("its nodes take each other's results in a circle", stuck.op, stuck.name)
    return order


def _shown(name: str) -> str:
    return name.rpartition("\n")[2][:80]
