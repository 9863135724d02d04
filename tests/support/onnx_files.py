"""ONNX's checker, its shape inference, onnxruntime and the reference evaluator as oracles of the files that are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import ModelProto, inliner, shape_inference
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from archc.compiler.backends import Compiled
from archc.compiler.backends.onnx.write import write
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.graph import ArchGraph
from archc.tests.support.pytorch import stirred

Outputs = dict[str, np.ndarray[Any, Any]]
onnxruntime.set_default_logger_severity(3)


def compiled(graph: ArchGraph, level: int = 0, dtype: str = "float32", batch: int = 2, **settings: Any) -> Compiled:
    """A network with stirred weights, none of them 0 throughout, and inputs for it."""
    torch.manual_seed(0)
    module = lower(graph).eval()
    module.load_state_dict(stirred(module))
    kind = getattr(torch, dtype)
    inputs = random_inputs(graph, batch, "cpu", torch.float32)
    with torch.no_grad():
        for tensor in module.parameters():
            if not tensor.any():  # as heads begin, which hides all that is before them
                tensor.normal_(0, 0.02)
        result = module(*inputs)
        if not all(value.isfinite().all() for value in (result.values() if isinstance(result, dict) else [result])):
            _settle(module, inputs)
    return Compiled(graph, level, module.to(kind), random_inputs(graph, batch, "cpu", kind), dtype, settings)


def _settle(module: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Let every batch norm take the statistics of what it sees: in a thousand layers other ones overflow."""
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None  # the plain mean over the passes
        norm.reset_running_stats()
        norm.train()
    module(*inputs)
    module.eval()


def written(network: Compiled, path: Path, apart: bool = True) -> ModelProto:
    """Write a network, and return the model that onnx's full check accepts; with `apart`, also the weights that are in a second file."""
    write(network, path)
    onnx.checker.check_model(str(path), full_check=True)
    return onnx.load(str(path), load_external_data=apart)


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
    """The largest difference above one unit in the last place, over the spread of the output, its standard deviation.

    It is infinite where the outputs are others.
    """
    if set(found) != set(wanted) or any(found[name].shape != value.shape for name, value in wanted.items()):
        return float("inf")
    return max(_difference(found[name], value) for name, value in wanted.items())


def _difference(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]) -> float:
    a, b = (array.astype(np.float64).ravel() for array in (found, wanted))
    finite = np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.all(np.isfinite(a[finite])) or not finite.any():
        return float("inf")  # a logarithm has no value everywhere, and an output somewhere
    a, b = a[finite], b[finite]
    spread = float(b.std()) or float(np.abs(b).max()) or 1.0  # the values, where there is one or they are all the same
    return max(0.0, float(np.abs(a - b).max()) - float(np.finfo(wanted.dtype).eps * np.abs(b).max())) / spread


def has_spread(outputs: Outputs) -> bool:
    """Whether each output has several values; a comparison of others shows nothing."""
    return all(np.ptp(value[np.isfinite(value)]) > 0 or value.size <= 2 for value in outputs.values())


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
    of_label = {label: name for name, label in computed.items()}
    labelled = [node for node in network.program().steps if node.kind != "input" and (node.name in of_label or not model.functions)]
    assert labelled or model.functions
    for node in labelled:
        value = ours[of_label[node.name]]
        assert dims(value)[1:] == [size if isinstance(size, int) else str(size) for size in node.shape], node.name


def state_keys(network: Compiled) -> set[str]:
    """The keys of the state_dict."""
    return set(network.module.state_dict())
