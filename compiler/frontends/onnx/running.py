"""Run an ONNX file with stirred weights, for what was read of it: in onnxruntime, or a small one in onnx's own evaluator.

Tensors are stirred in a copy of the message. Those that a network takes as numbers, of one value or of whole numbers, are not, and neither
are those whose values say what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.util import find_spec
from math import prod, sqrt
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper

from archc.compiler.frontends.item import CannotCompare, CannotRead, Sample
from archc.compiler.frontends.onnx.reader import Reader
from archc.compiler.frontends.onnx.tensors import Fixed

MOST = 2**31 - 2**20  # bytes of a message that protobuf writes
SMALL = 10**8  # products that onnx's evaluator does in some seconds
MISSING = "onnxruntime is not installed, and the network is too large for onnx's own evaluator"


def stirred(reader: Reader, spread: Collection[str]) -> dict[str, Any]:
    """Return the tensors of a file after a small random change; those named in `spread` are variances."""
    draw = np.random.default_rng(0)
    found = {}
    for name, fixed in reader.stored.items():
        if name in reader.kept or fixed.small is not None or fixed.kind.kind in "iub":
            continue
        array = np.asarray(fixed.array(), np.float32)
        made: Any
        if name in spread:
            made = draw.uniform(0.5, 1.5, array.shape)
        elif array.ndim > 1 and bool((array == array.reshape(-1)[:1]).all()):  # a weight of a file without values
            made = draw.standard_normal(array.shape, np.float32) / np.float32(sqrt(max(1, prod(array.shape[1:]))))
        else:
            is_flat = array.ndim < 2 or float(np.abs(array).max(initial=0)) < 1e-3
            made = array + draw.standard_normal(array.shape, np.float32) * np.float32(0.1 if is_flat else 0.01)
        found[name] = np.asarray(made).astype(fixed.kind, copy=False)
    return found


def sample(reader: Reader, weights: Callable[[], Mapping[str, Any]], products: int, inputs: Sequence[Any]) -> Sample:
    """Return what a file computes of inputs with stirred weights.

    `weights` returns the tensors of the graph by key, and `products` is their number of multiplications. Raises CannotCompare.
    """
    spread = {fixed.origin for parts in reader.held.values() for name, fixed in parts.items() if name == "running_var"}
    changed = stirred(reader, spread)
    model = _changed(reader.net.model, {name: changed.get(name, fixed) for name, fixed in reader.stored.items()})
    reader.changed.update(changed)
    try:
        held = dict(weights())
    finally:
        reader.changed.clear()
    feed = {
        name: np.asarray(array).astype(kind) for (name, kind), array in zip(_kinds(model, reader.net.inputs).items(), inputs, strict=True)
    }
    try:
        outputs, by = _run(model, feed, products)
    except (CannotCompare, MemoryError):
        raise
    except Exception as error:  # onnxruntime has a class of its own for each status, all children of Exception
        lines = str(error).splitlines() or [type(error).__name__]
        raise CannotCompare(f"the file does not run: {lines[0][:200]}") from error
    return Sample(held, outputs, by)


def _run(model: ModelProto, feed: Mapping[str, Any], products: int) -> tuple[list[Any], str]:
    if find_spec("onnxruntime") is not None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return list(session.run(None, dict(feed))), f"onnxruntime {onnxruntime.__version__}"
    if products * len(next(iter(feed.values()))) > SMALL:
        raise CannotCompare(MISSING)
    from onnx.reference import ReferenceEvaluator

    return list(ReferenceEvaluator(model).run(None, dict(feed))), f"the evaluator of onnx {onnx.__version__}"


def _changed(model: ModelProto, tensors: Mapping[str, Any]) -> ModelProto:
    """Return a copy of a message that holds all its tensors itself, with other values. Raises CannotCompare for one of 2 GiB."""
    arrays = {name: held.array() if isinstance(held, Fixed) else held for name, held in tensors.items()}
    if sum(array.nbytes for array in arrays.values()) > MOST - 2**26:
        raise CannotCompare("with all its weights the file is larger than 2 GiB")
    made = ModelProto()
    made.CopyFrom(model)
    del made.graph.initializer[:]
    whole = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
    made.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in whole.items())
    left = [node for node in made.graph.node if not (node.op_type == "ConstantOfShape" and node.output[0] in arrays)]
    del made.graph.node[:]
    made.graph.node.extend(left)
    for node in made.graph.node:
        node.name = ""  # onnxruntime refuses two of the same name
        if any(attribute.t.data_location == TensorProto.EXTERNAL for attribute in node.attribute):
            raise CannotCompare("a constant of the file is stored in another file")
    return made


def _kinds(model: ModelProto, names: Collection[str]) -> dict[str, Any]:
    """Return the numpy types of inputs. Raises CannotCompare for bfloat16, of which onnxruntime takes no arrays."""
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    if TensorProto.BFLOAT16 in (kinds[name] for name in names):
        raise CannotCompare("onnxruntime takes no arrays of bfloat16")
    try:
        return {name: helper.tensor_dtype_to_np_dtype(kinds[name]) for name in names}
    except KeyError:
        raise CannotRead("an input has a type that is not known") from None
