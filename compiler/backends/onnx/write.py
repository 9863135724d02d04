"""Write a network as ONNX: one file, or, above what one file can hold, a file and its weights next to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, defs, helper, numpy_helper

from archc.compiler.backends import Compiled
from archc.compiler.backends.onnx.model import model_of
from archc.compiler.backends.onnx.weights import Arrays, applied
from archc.compiler.backends.weights import tensors_of
from archc.compiler.errors import one_of
from archc.compiler.files import replacing
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered

OPSET = min(28, defs.onnx_opset_version())  # the latest that onnxruntime runs
FUNCTIONS = False  # onnxruntime runs both equally fast, and loads a file without functions faster
OLDEST = 13  # whose operators take axes as the later ones do
MOST = 2**31 - 2**20  # bytes of one file: protobuf reads no message of 2 GiB
BESIDE = ".data"  # the suffix of the second file, after that of the first
ALIGNED = 64  # bytes, at which a tensor of external data begins


def write(compiled: Compiled, path: Path) -> None:
    """Write the network for inference as ONNX, atomically.

    Of `compiled.settings` it takes `opset`, the version of ONNX's operators; `functions`, whether blocks are functions; and `most`, the
    bytes above which the weights are written to a second file, `net.onnx.data`. Raises UsageError for an opset that does not exist,
    ArchError, before anything is written, for what the opset cannot say, and CannotWrite.
    """
    model, weights = _made(compiled)
    if _is_large(model, weights, compiled):
        _write_two(model, weights, path)
        return
    model.graph.initializer.extend(numpy_helper.from_array(array, key) for key, array in weights.items())
    with replacing(path) as temporary:
        temporary.write_bytes(model.SerializeToString(deterministic=True))


@dataclass(frozen=True)
class Unwritten:
    """A weight whose values are not written: its shape, and its type as numpy has it."""

    shape: tuple[int, ...]
    dtype: Any


def without_weights(graph: ArchGraph) -> bytes:
    """Return a network as ONNX whose weights are inputs, after its own inputs and under their keys: who runs it gives them.

    It is the network for inference as the file writes it, in float32. Raises ArchError for what ONNX cannot say.
    """
    arrays = {key: Unwritten(size, np.dtype("int64" if whole else "float32")) for key, (size, whole) in tensors_of(graph).items()}
    model, keys = model_of(lowered(graph, "inference", 0), arrays, "float32", OPSET, FUNCTIONS)
    for key in keys:
        kind = helper.np_dtype_to_tensor_dtype(arrays[key].dtype)
        model.graph.input.append(helper.make_tensor_value_info(key, kind, arrays[key].shape))
    made: bytes = model.SerializeToString(deterministic=True)
    return made


def check(compiled: Compiled) -> str:
    """Raise what `write` would, before it writes: UsageError, and ArchError for what the opset cannot say.

    Return the suffix of the second file, where the weights need one, or "".
    """
    return BESIDE if _is_large(*_made(compiled), compiled) else ""


def _made(compiled: Compiled) -> tuple[ModelProto, Arrays]:
    """Return the model without the values of its weights, and the weights that it needs."""
    settings = compiled.settings
    opset = settings.get("opset", OPSET)
    one_of("opset", opset, range(OLDEST, defs.onnx_opset_version() + 1))
    program = compiled.program()
    arrays = applied(program.recipes, compiled.weights())
    model, keys = model_of(program, arrays, compiled.dtype, opset, settings.get("functions", FUNCTIONS))
    return model, {key: arrays[key] for key in keys}


def _is_large(model: ModelProto, weights: Arrays, compiled: Compiled) -> bool:
    size: int = model.ByteSize() + sum(array.nbytes + len(key) + 64 for key, array in weights.items())
    return size > int(compiled.settings.get("most", MOST))


def _write_two(model: ModelProto, weights: Arrays, path: Path) -> None:
    """Write a model, and its weights into a second file."""
    beside = path.with_name(path.name + BESIDE)
    with replacing(beside) as data, replacing(path) as temporary:
        with data.open("wb") as file:
            for key, array in weights.items():
                file.write(b"\0" * (-file.tell() % ALIGNED))
                tensor = TensorProto(name=key, dims=array.shape, data_location=TensorProto.EXTERNAL)
                tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
                for name, value in (("location", beside.name), ("offset", file.tell()), ("length", array.nbytes)):
                    tensor.external_data.add(key=name, value=str(value))
                model.graph.initializer.append(tensor)
                array.tofile(file)
        temporary.write_bytes(model.SerializeToString(deterministic=True))
