"""ONNX's checker, its shape inference, onnxruntime and the reference evaluator as oracles of the files that are written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto, inliner, shape_inference
from onnx.reference import ReferenceEvaluator

from archc.compiler.backends import Compiled
from archc.compiler.backends.onnx.write import write
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.graph import ArchGraph
from archc.tests.support.pytorch import stirred

Outputs = dict[str, np.ndarray[Any, Any]]
onnxruntime.set_default_logger_severity(3)


def compiled(graph: ArchGraph, level: int = 0, dtype: str = "float32", batch: int = 2, **settings: Any) -> Compiled:
    """A network with stirred weights, and inputs for it."""
    module = lower(graph).eval()
    module.load_state_dict(stirred(module))
    kind = getattr(torch, dtype)
    return Compiled(graph, level, module.to(kind), random_inputs(graph, batch, "cpu", kind), dtype, settings)


def written(network: Compiled, path: Path) -> ModelProto:
    """Write a network, and return the model that onnx's full check accepts."""
    write(network, path)
    onnx.checker.check_model(str(path), full_check=True)
    return onnx.load(str(path))


def expected(network: Compiled) -> Outputs:
    """What torch computes."""
    with torch.no_grad():
        result = network.module(*(x.clone() for x in network.inputs))
    names = [name for name, output in network.graph.outputs.items() if not output.training_only]
    return {name: value.detach().numpy() for name, value in (result if isinstance(result, dict) else {names[0]: result}).items()}


def feed(network: Compiled) -> dict[str, np.ndarray[Any, Any]]:
    """The inputs by name."""
    return {node.name: x.numpy() for node, x in zip(network.graph.inputs, network.inputs, strict=True)}


def ran(path: Path, inputs: Mapping[str, np.ndarray[Any, Any]], threads: int = 1) -> Outputs:
    """What onnxruntime computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, dict(inputs)), strict=True))


def evaluated(model: ModelProto, inputs: Mapping[str, np.ndarray[Any, Any]]) -> Outputs:
    """What ONNX's reference evaluator computes."""
    names = [output.name for output in model.graph.output]
    return dict(zip(names, ReferenceEvaluator(model).run(None, dict(inputs)), strict=True))


def difference(found: Outputs, wanted: Outputs) -> float:
    """The largest difference, over the spread of the output, its largest value minus its smallest; infinite where outputs are others."""
    if set(found) != set(wanted) or any(found[name].shape != value.shape for name, value in wanted.items()):
        return float("inf")
    return max(_difference(found[name], value) for name, value in wanted.items())


def _difference(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> float:
    a, b = (array.astype(np.float64).ravel() for array in (found, wanted))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    finite = np.isfinite(b)
    if not np.all(same | finite) or not np.all(np.isfinite(a[finite])):
        return float("inf")
    if np.all(same):
        return 0.0
    return float(np.max(np.abs(a - b)[finite]) / np.ptp(b[finite]))


def inlined(model: ModelProto) -> ModelProto:
    """The model without functions."""
    return inliner.inline_local_functions(model) if model.functions else model


def dims(value: Any) -> list[int | str]:
    """The sizes of a value: numbers, or texts."""
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in value.type.tensor_type.shape.dim]


def check_shapes(model: ModelProto, network: Compiled) -> None:
    """Every value outside of functions has a shape, and it is the one that ONNX infers from the inputs alone, in strict mode."""
    bare = inlined(model)
    bare = ModelProto.FromString(bare.SerializeToString()) if bare is model else bare
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = shape_inference.infer_shapes(bare, check_type=True, strict_mode=True, data_prop=True)
    ours = {value.name: value for value in (*model.graph.value_info, *model.graph.output)}
    theirs = {value.name: value for value in (*inferred.graph.value_info, *inferred.graph.output)}
    computed = {name: node.name for node in model.graph.node if node.op_type != "Constant" for name in node.output if name}
    assert set(computed) == set(ours)
    for name, value in ours.items():
        a, b = dims(value), dims(theirs[name])
        assert len(a) == len(b), (name, a, b)
        assert value.type.tensor_type.elem_type == theirs[name].type.tensor_type.elem_type, name
        for mine, other in zip(a, b, strict=True):
            assert isinstance(mine, str) or mine == other, (name, a, b)  # of formulas ONNX knows little
            assert isinstance(other, str) or mine == other, (name, a, b)
    if model.functions:
        return
    of_label = {label: name for name, label in computed.items()}
    for node in network.program().steps:
        if node.kind != "input":
            channels, *sizes = [size if isinstance(size, int) else str(size) for size in node.shape]
            assert dims(ours[of_label[node.name]])[1:] in ([channels, *sizes], [*sizes, channels])  # of a layer over the channels


def state_keys(network: Compiled) -> set[str]:
    """The keys of the state_dict."""
    return set(network.module.state_dict())
