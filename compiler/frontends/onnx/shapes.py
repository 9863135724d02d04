"""The shapes of all results of an ONNX file, as it states them and as onnx infers them; holes need them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import prod

from onnx import ModelProto, shape_inference

SMALL = 4096  # values of a tensor that may say something of shapes


def shapes_of(model: ModelProto, inputs: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of results that are known, given those of the inputs, with the batch."""
    copy = ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if prod(tensor.dims) > SMALL:
            for field in ("raw_data", "float_data", "double_data", "int32_data", "int64_data", "uint64_data", "external_data"):
                tensor.ClearField(field)
    names: dict[str, int] = {}
    for value in copy.graph.input:
        for dim, size in zip(value.type.tensor_type.shape.dim, inputs.get(value.name, ()), strict=False):
            if dim.dim_param:
                names[dim.dim_param] = size
            dim.dim_value = size
    with suppress(Exception):  # onnx raises errors of several kinds; what the file states is known without it
        copy = shape_inference.infer_shapes(copy, data_prop=True)
    found = {}
    for value in (*copy.graph.value_info, *copy.graph.output):
        dims = value.type.tensor_type.shape.dim
        sizes = [dim.dim_value if dim.HasField("dim_value") else names.get(dim.dim_param, 0) for dim in dims]
        if sizes and all(size > 0 for size in sizes):
            found[value.name] = tuple(sizes)
    return found
