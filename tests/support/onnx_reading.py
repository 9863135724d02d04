"""Graphs that were read from ONNX, held against those that were written, and what both compute."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper

from archc.compiler.backends.onnx.model import model_of
from archc.compiler.backends.onnx.write import OPSET
from archc.compiler.backends.torch.lower import lower
from archc.compiler.frontends.flat import FlatNetwork
from archc.compiler.frontends.onnx.sources import read
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.lowering import lowered
from archc.compiler.ops.kinds import Word
from archc.compiler.passes import run
from archc.compiler.passes.drop_identities import drop_identities
from archc.compiler.passes.drop_training import drop_training

UNSAID = {"momentum", "dropout", "init", "bias_init", "start", "when"}  # what only training has, which a file for inference does not say
onnxruntime.set_default_logger_severity(3)


def hollow(graph: ArchGraph, functions: bool) -> onnx.ModelProto:
    """A network as ONNX whose weights are said to be in a file that does not exist."""
    program = lowered(graph, "inference", 0)
    arrays = {}
    for part in program.parts.values():
        for name, shape in {**part.weights, **part.buffers}.items():
            kind = np.int64 if name in ("num_batches_tracked", "relative_position_index") else np.float32
            arrays[f"{part.key}.{name}" if name else part.key] = np.broadcast_to(np.zeros((), kind), shape)
    model, keys = model_of(program, arrays, "float32", OPSET, functions)
    for key in keys:
        tensor = TensorProto(name=key, dims=arrays[key].shape, data_location=TensorProto.EXTERNAL)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(arrays[key].dtype)
        for name, value in (("location", "net.data"), ("offset", 0), ("length", arrays[key].nbytes)):
            tensor.external_data.add(key=name, value=str(value))
        model.graph.initializer.append(tensor)
    return model


def reread(graph: ArchGraph, path: Path, functions: bool = False) -> list[str]:
    """The differences between a network, without what inference leaves out, and what is read of the file that it is written as."""
    plain = run(graph, (drop_training, drop_identities)).graph
    path.write_bytes(hollow(plain, functions).SerializeToString())
    return differences(plain, read(path).graph)


def differences(one: ArchGraph, two: ArchGraph) -> list[str]:
    """The differences of two graphs in names, keys, operators, options, operands, shapes and outputs."""
    others = {node.name: node for node in two}
    found = []
    for node in one:
        other = others.pop(node.name, None)
        if other is None:
            found.append(f"{node.name} ({node.op}) is missing")
            continue
        stored = {**node.operator.weights(node.call), **node.operator.buffers(node.call)}
        if (node.op, tuple(node.shape), node.key if stored else "") != (other.op, tuple(other.shape), other.key if stored else ""):
            found.append(f"{node.name}: {node.op} {node.shape} {node.key} is {other.op} {other.shape} {other.key}")
            continue
        ours, theirs = said(node), said(other)
        found.extend(f"{node.name}: {name} {ours[name]} is {theirs[name]}" for name in ours if not same(ours[name], theirs[name]))
        operands = [list(graph.operands(node.name)) for graph in (one, two)]
        if operands[0] != operands[1]:
            found.append(f"{node.name} of {operands[0]} is of {operands[1]}")
    found.extend(f"{name} is new" for name in others)
    outputs = [{name: each.node for name, each in graph.outputs.items() if not each.training_only} for graph in (one, two)]
    return found if outputs[0] == outputs[1] else [*found, f"outputs {outputs[0]} are {outputs[1]}"]


def said(node: Node) -> dict[str, Any]:
    """The options of a node that a file can say, of two ways to say the same always one."""
    attrs = {name: value for name, value in node.attrs.items() if name not in UNSAID}
    match node.op:
        case "maxpool" | "avgpool":
            del attrs["ceil"]  # the shape says how many windows there are
        case "upsample":
            attrs |= {"scale": None, "size": node.shape[1:]}
        case "lrn" if attrs["form"] == "sum":
            attrs |= {"form": "mean", "alpha": attrs["alpha"] * attrs["size"]}
        case "pooled_attention":
            attrs["out"] = node.shape[0]
        case "window_attention":  # what has no effect is not written
            whole = [-(-size // window) * window for size, window in zip(node.shape[1:], attrs["window"], strict=True)]
            attrs["pad"] = whole != list(node.shape[1:])
            attrs["shift"] = tuple(
                0 if window >= size else by for by, window, size in zip(attrs["shift"], attrs["window"], whole, strict=True)
            )
        case "rearrange":
            names: dict[str, str] = {}
            attrs["pattern"] = re.sub(r"[a-z_]+", lambda found: names.setdefault(found[0], f"v{len(names)}"), attrs["pattern"].text)
            attrs["sizes"] = tuple(sorted(size for _, size in attrs["sizes"].args))
    return attrs


def same(one: Any, two: Any) -> bool:
    """Whether two options are equal, as far as 32 bits say."""
    if isinstance(one, float) and isinstance(two, int | float):
        return abs(one - two) <= 1e-6 * max(1.0, abs(one))
    if isinstance(one, Word) and isinstance(two, Word):
        return one.text == two.text and same(tuple(value for _, value in one.args), tuple(value for _, value in two.args))
    if isinstance(one, tuple) and isinstance(two, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


# ---- values


def stir(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let every tensor of a model have an influence: those that nodes make of one value are stored, and all are drawn."""
    draw = np.random.default_rng(0)
    graph = model.graph
    sizes = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.data_type == TensorProto.INT64}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "ConstantOfShape"}
    held = {name: tuple(sizes[node.input[0]]) for name, node in makers.items()}
    stored = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT and tensor.dims]
    held |= {tensor.name: tuple(tensor.dims) for tensor in stored}
    spread = {node.input[place] for node in graph.node if node.op_type == "BatchNormalization" for place in (1, 4)}
    for tensor in stored:
        graph.initializer.remove(tensor)
    for node in makers.values():
        graph.node.remove(node)
    for name, shape in held.items():
        fan = max(1, int(np.prod(shape[1:])))
        array = draw.uniform(0.5, 1.5, shape) if name in spread else draw.normal(0, 1 / np.sqrt(fan) if len(shape) > 1 else 0.1, shape)
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    return model


def difference(path: Path, flat: FlatNetwork) -> float:
    """The largest difference of what a file and the network that was read of it compute, over the spread of the output."""
    assert flat.weights is not None
    net = lower(flat.graph).eval()
    net.load_state_dict({key: torch.tensor(np.asarray(value)) for key, value in flat.weights().items()}, strict=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = []
    for value, node in zip(session.get_inputs(), flat.graph.inputs, strict=True):
        batch = value.shape[0] if isinstance(value.shape[0], int) else 2
        inputs.append(torch.randn(batch, *node.shape, generator=torch.Generator().manual_seed(0)))  # type: ignore[call-overload]
    feed = {value.name: x.numpy() for value, x in zip(session.get_inputs(), inputs, strict=True)}
    theirs = session.run(None, feed)[0]
    with torch.no_grad():
        ours = net(*inputs)
    spread = float(np.ptp(theirs))
    assert spread > 0
    return float(np.abs(ours.numpy().reshape(theirs.shape) - theirs).max()) / spread
