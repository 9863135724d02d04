"""Read an ONNX file as a network."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from archc.compiler.frontends.flat import CannotRead, FlatNetwork
from archc.compiler.frontends.item import Sample
from archc.compiler.frontends.naming import name_of
from archc.compiler.frontends.onnx import attention, guesses, joining, layers, moving, patterns, pointwise  # noqa: F401  # they register their rules
from archc.compiler.frontends.onnx.keys import assign, label_at, zeros
from archc.compiler.frontends.onnx.model import Network, network, parse
from archc.compiler.frontends.onnx.opening import open_names, opened
from archc.compiler.frontends.onnx.places import located
from archc.compiler.frontends.onnx.reader import OPEN, Reader
from archc.compiler.frontends.onnx.rewriting import Rewriter
from archc.compiler.frontends.onnx.shapes import shapes_of
from archc.compiler.frontends.views import View, fresh
from archc.compiler.graph import ArchGraph
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.record import Call


def file(path: str, shape: Sequence[int] | None = None, partial: bool = False) -> FlatNetwork:
    """Read an ONNX file; `shape` is that of its one input, where the file leaves it open. Raises what `read` does."""
    return read(path, [shape] if shape else (), partial)


def read(path: Path | str, shapes: Sequence[Sequence[int]] = (), partial: bool = False) -> FlatNetwork:
    """Read an ONNX file. `shapes` are those of its inputs without the batch, where the file leaves them open.

    With `partial`, what cannot be read becomes holes.

    Raises CannotRead, with the operator, the node and the number of nodes of its kind; and OSError.
    """
    path = Path(path)
    net = network(parse(path), partial)
    names = open_names(net) if net.own and not shapes else ()
    at = functools.partial(_read, path, net, partial)
    return opened(net, names, at) if names else at(shapes)


def _read(path: Path, net: Network, partial: bool, shapes: Sequence[Sequence[int]]) -> FlatNetwork:
    """Read a file at the given sizes."""
    model = net.model
    producer = " ".join(part for part in (model.producer_name, model.producer_version) if part)
    title = f"{path.name}, ONNX opset {net.opset}" + (f", written by {producer}" if producer else "")
    sizes = _inputs(net, shapes)
    batches = {size[0] for size in sizes.values()}
    if len(batches) > 1:
        raise CannotRead("its inputs have batches of different sizes")
    net.nodes[:] = net.nodes if net.own else located(net.nodes)
    reader = Reader(net, path.parent, path.name, batches.pop() if batches else 1)
    names = {name: name_of(name, "input") for name in sizes}
    for name, size in sizes.items():
        axes = fresh(size[1:])
        number = reader.flat.add_input(name if net.own else "input" if len(sizes) == 1 else names[name], size[1:])
        reader.inputs.append(number)
        reader.values[name] = View(number, axes, ((reader.batch,), *axes))
    reader.flat.labeled = net.own
    if partial:
        reader.flat.partial, reader.shapes = True, shapes_of(model, sizes)
    if net.own:
        reader.rewrite = Rewriter(reader).step
    reader.read()
    outputs = _outputs(reader)
    numbers = reader.flat.reached(outputs.values())
    scoped = any(node.scopes for node in net.nodes)
    arrays = assign(reader.flat, numbers, reader.held, scoped)
    state = {}
    for number in numbers:
        item = reader.flat.items[number]
        if number not in reader.held:
            continue
        operands = tuple(reader.flat.items[operand].shape for operand in item.operands)
        call, record = Call(item.op, item.attrs, operands), OPERATORS[item.op]
        for name, shape in {**record.weights(call), **record.buffers(call)}.items():
            key = f"{item.key}.{name}".rstrip(".")
            state[key] = tuple(shape)
            if key not in arrays:
                if name != "num_batches_tracked":
                    raise CannotRead(f"the file does not store {name}", item.op, item.key)
                arrays[key] = zeros(tuple(shape))
    name = name_of(path.stem)
    graph, named = reader.flat.finished(model.graph.name if net.own else name, title, outputs, state)
    classes = {path: kind for node in net.nodes for path, kind in zip(node.scopes, _classes(node.classes), strict=False) if path and kind}
    batch = 2 if reader.batch.size == OPEN else reader.batch.size
    weights = functools.partial(_tensors, arrays, state)
    bare = not net.own and not scoped
    norms = {label_at(layer): label_at(norm) for layer, norm in reader.norms.items()}
    sampled = functools.partial(_sample, reader, weights, graph)
    return FlatNetwork(graph, title, classes, named, weights, sample=sampled, bare=bare, batch=batch, folded=norms)


def _sample(reader: Reader, weights: Callable[[], Mapping[str, Any]], graph: ArchGraph, inputs: Sequence[Any]) -> Sample:
    from archc.compiler.frontends.onnx.running import sample  # which only a comparison needs

    macs = sum(size for node in graph if not node.is_input and isinstance(size := node.operator.macs(node.call, node.shape), int))
    return sample(reader, weights, macs, inputs)


def _classes(names: Sequence[str]) -> list[str]:
    return [name.rpartition(".")[2] for name in names]


def _tensors(arrays: Mapping[str, Any], state: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    found = {}
    for key, shape in state.items():
        array = arrays[key]()
        if tuple(array.shape) != shape:
            raise CannotRead(f"{key} has the shape {tuple(array.shape)}, and {shape} is needed")
        found[key] = array
    return found


def _inputs(net: Network, shapes: Sequence[Sequence[int]]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of inputs, the batch included. Raises CannotRead for one that is open and not given."""
    if not net.inputs:
        raise CannotRead("the file has no input")
    if shapes and len(shapes) != len(net.inputs):
        raise CannotRead(f"it has {len(net.inputs)} inputs, and {len(shapes)} shapes are given")
    found: dict[str, tuple[int, ...]] = {}
    for place, (name, stated) in enumerate(net.inputs.items()):
        if len(stated) < 2:
            raise CannotRead(f"its input {name} has no batch and no other axis")
        if len(stated) > 5:
            raise CannotRead(f"its input {name} has {len(stated) - 1} axes for each sample; here there are at most 4")
        batch = stated[0] if isinstance(stated[0], int) and stated[0] > 0 else OPEN
        sizes = tuple(shapes[place]) if shapes else stated[1:]
        if len(sizes) != len(stated) - 1 or any(isinstance(b, int) and b != a for a, b in zip(sizes, stated[1:], strict=True)):
            raise CannotRead(f"its input {name} is {'x'.join(map(str, stated[1:]))}, and {'x'.join(map(str, sizes))} is given")
        for size in sizes:
            if not isinstance(size, int) or size < 1:
                raise CannotRead(f"the sizes of its input {name} are open ({'x'.join(map(str, stated[1:]))}): give them with --input")
            if size % OPEN == 0:
                raise CannotRead(f"its input {name} has an axis of {size}")
        found[name] = (batch, *sizes)  # type: ignore[arg-type]
    return found


def _outputs(reader: Reader) -> dict[str, int]:
    outputs: dict[str, int] = {}
    reader.path, reader.leaf = "", False
    for place, name in enumerate(reader.net.outputs, 1):
        held = reader.value(name)
        if not isinstance(held, View):
            raise CannotRead(f"its output {name} does not depend on the input")
        called = name if reader.net.own else "output" if len(reader.net.outputs) == 1 else f"output{place}"
        outputs[called] = reader.sample(held, 1 if len(held.dims) > 1 else 0)[0]
    if not outputs:
        raise CannotRead("the file has no output")
    return outputs
