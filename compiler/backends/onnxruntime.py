"""Run a file of ONNX in onnxruntime."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archc.compiler.backends import Compiled
from archc.compiler.backends.errors import CannotVerify


def run(compiled: Compiled, path: Path, inputs: Sequence[Any]) -> Mapping[str, Any]:
    """Run a file on tensors `(N, *shape)`, on the CPU; return numpy arrays by output. Raises CannotVerify.

    Of bfloat16 onnxruntime has no operators on a CPU, and numpy no arrays: such a file is run with its weights in float32, on inputs of
    float32.
    """
    if compiled.dtype != "bfloat16":
        return _run(path, inputs)
    from archc.compiler.backends.onnx.widening import widen

    with tempfile.TemporaryDirectory(prefix="archc-") as folder:
        return _run(widen(path, Path(folder)), inputs)


def _run(path: Path, inputs: Sequence[Any]) -> Mapping[str, Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        takes = [given.name for given in session.get_inputs()]
        if len(takes) != len(inputs):
            raise CannotVerify(f"it takes {', '.join(takes) or 'nothing'}, and the network has {len(inputs)} inputs")
        found = session.run(None, dict(zip(takes, (x.cpu().numpy() for x in inputs), strict=True)))
    except CannotVerify:
        raise
    except Exception as error:  # onnxruntime has a class of its own for each status, all children of Exception
        raise CannotVerify(f"onnxruntime does not run it: {str(error).splitlines()[0]}") from error
    return {given.name: array for given, array in zip(session.get_outputs(), found, strict=True)}
