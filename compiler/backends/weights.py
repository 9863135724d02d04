"""Weights without torch: which tensors a network has, read as numpy arrays from safetensors, and written as such."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.compiler.backends.errors import Size, Unreadable, check_keys, empty, not_finite, other_kind, unreadable
from archc.compiler.errors import NotInstalled
from archc.compiler.files import CannotWrite, replacing
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered
from archc.compiler.lowering.program import LoweredProgram

if TYPE_CHECKING:
    from archc.compiler.backends import Compiled

SUFFIX = ".safetensors"  # of the files of weights that can be read without torch
WHOLE = "int64"


def tensors_of(graph: ArchGraph) -> dict[str, tuple[Size, bool]]:
    """Return the shape of each tensor of the state_dict of a network, in its order, and whether it holds whole numbers."""
    program = lowered(graph, "training")
    whole = {
        f"{step.key}.{name}"
        for step in program.steps
        if step.part is not None and step.part.buffers
        for name in program.graph[step.name].operator.numbers
    }
    return {key: (size, key in whole) for key, size in _sizes(program, "")}


def _sizes(program: LoweredProgram, scope: str) -> Iterator[tuple[str, Size]]:
    """Yield the tensors of a scope in the order of PyTorch: its own before those of its members."""
    members = program.members.get(scope, {}).values()
    parts = [program.parts[key] for key in members if key in program.parts]
    yield from ((part.key, part.weights[""]) for part in parts if part.kind == "tensor")
    for key in members:
        if key not in program.parts:
            yield from _sizes(program, key)
        elif program.parts[key].kind == "module":
            part = program.parts[key]
            tensors = sorted({**part.weights, **part.buffers}.items(), key=lambda found: "." in found[0])  # its own first
            yield from ((f"{key}.{name}", size) for name, size in tensors)


def read_arrays(graph: ArchGraph, source: str, dtype: str = "float32", any_value: bool = False) -> dict[str, Any]:
    """Read the state_dict of a network from a safetensors file, as numpy arrays of `dtype`, in the order of the network.

    Raises Unfit, with all keys that do not fit, and Unreadable, also for NaN and infinite values unless `any_value`.
    """
    wanted = tensors_of(graph)
    state = _read(Path(source))
    import numpy as np

    check_keys(source, {key: tuple(array.shape) for key, array in state.items()}, {key: size for key, (size, _) in wanted.items()})
    for key, array in state.items():
        is_real = _is_real(array)
        if not wanted[key][1] and not is_real:
            raise other_kind(source, key, f"torch.{array.dtype}", "torch.float32")
        if not any_value and is_real and not np.isfinite(array).all():
            raise not_finite(source, key, f"torch.{array.dtype}", bool(np.isnan(array).any()))
    found = {}
    for key, (size, whole) in wanted.items():
        array = state.get(key)
        if array is None:  # a counter that older files do not have
            array = np.zeros(size, WHOLE)
        # The network is made in float32, whatever it is converted to.
        found[key] = array.astype(WHOLE) if whole else array.astype("float32").astype(numpy_dtype(dtype))
    return found


def _read(path: Path) -> dict[str, Any]:
    for module in ("numpy", "safetensors"):
        if find_spec(module) is None:
            raise NotInstalled(module, wants=f"reading {path.name}", cure="pip install numpy safetensors")
    if path.is_file() and not path.stat().st_size:
        raise empty(path)
    try:
        from safetensors import deserialize
        from safetensors.numpy import load_file

        try:
            return load_file(path)
        except (AttributeError, KeyError, TypeError):  # numpy has no bfloat16; ml_dtypes has
            return {key: _view(found) for key, found in deserialize(path.read_bytes())}  # type: ignore[no-untyped-call]
    except (ImportError, Unreadable):
        raise
    except Exception as error:
        raise unreadable(path, error) from error


def _view(found: dict[str, Any]) -> Any:
    import numpy as np

    kinds = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool"}
    kind = kinds.get(found["dtype"], found["dtype"].lower().replace("i", "int").replace("u", "uint"))
    return np.frombuffer(found["data"], numpy_dtype(kind)).reshape(found["shape"])


def _is_real(array: Any) -> bool:
    return bool(array.dtype.kind == "f" or array.dtype.name == "bfloat16")


def numpy_dtype(name: str) -> Any:
    """Return a dtype of numpy; bfloat16 is that of ml_dtypes. Raises NotInstalled."""
    import numpy as np

    if name != "bfloat16":
        return np.dtype(name)
    if find_spec("ml_dtypes") is None:
        raise NotInstalled("ml_dtypes", wants="bfloat16 in numpy", cure="pip install ml_dtypes")
    from ml_dtypes import bfloat16

    return np.dtype(bfloat16)


def write(compiled: Compiled, path: Path) -> None:
    """Write the state_dict as safetensors, atomically. Raises CannotWrite."""
    if compiled.has_module:
        from archc.compiler.backends.torch.files import save_tensors

        save_tensors(compiled.module.state_dict(), path)
        return
    save_arrays(compiled.weights(), path)


def save_arrays(arrays: Mapping[str, Any], path: Path) -> None:
    """Write numpy arrays by name as safetensors, atomically. Raises CannotWrite, and NotInstalled without safetensors."""
    if find_spec("safetensors") is None:
        raise NotInstalled("safetensors", wants=f"writing {path.name}", cure="pip install safetensors")
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with replacing(path) as temporary:
        try:
            save_file(dict(arrays), temporary)
        except SafetensorError as error:  # raised, for example, when the disk is full
            raise CannotWrite(path, str(error)) from error
