"""A file of half precision as one of float32, which every processor runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

HALF = (TensorProto.BFLOAT16, TensorProto.FLOAT16)
KINDS = ("to", "dtype")  # the attributes that name an element type


def widen(path: Path, folder: Path) -> Path:
    """Write the model of a file, with the same weights, constants and operators in float32, into a folder; return its path."""
    target = folder / "wide.onnx"
    onnx.save_model(widened(onnx.load(str(path))), str(target), save_as_external_data=True, location="wide.data")
    return target


def widened(model: ModelProto) -> ModelProto:
    """Change a model of half precision to float32, and return it."""
    graph = model.graph
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for value in (*graph.input, *graph.output, *graph.value_info):
        _widen_value(value)
    for nodes in (graph.node, *(function.node for function in model.functions)):
        _widen_nodes(nodes)
    return model


def _widen_tensor(tensor: TensorProto) -> None:
    if tensor.data_type in HALF:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))


def _widen_value(value: ValueInfoProto) -> None:
    if value.type.tensor_type.elem_type in HALF:
        value.type.tensor_type.elem_type = TensorProto.FLOAT


def _widen_nodes(nodes: Iterable[NodeProto]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _widen_tensor(attribute.t)
            elif attribute.name in KINDS and attribute.i in HALF:
                attribute.i = TensorProto.FLOAT
