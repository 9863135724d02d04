"""Run a file of ONNX in onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from archc.compiler.backends import Compiled
from archc.compiler.backends.errors import CannotVerify


def run(compiled: Compiled, path: Path, inputs: Sequence[Any]) -> Mapping[str, Any]:
    """Run a file on tensors `(N, *shape)`, on the CPU; return numpy arrays by output. Raises CannotVerify."""
    import onnxruntime

    if compiled.dtype == "bfloat16":
        raise CannotVerify("onnxruntime takes no numpy arrays of bfloat16: verify it in float32")
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
