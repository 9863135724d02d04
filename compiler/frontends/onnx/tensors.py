"""Tensors of an ONNX file as numpy arrays: stored in the message, or in a second file of its folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.onnx.model import check_dims

SMALL = 4096  # values of a tensor that is looked at while a file is read
KINDS = frozenset(
    {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.BOOL, TensorProto.INT8}
    | {TensorProto.INT16, TensorProto.INT32, TensorProto.INT64, TensorProto.UINT8}
)


@dataclass(frozen=True)
class Fixed:
    """A tensor that depends on no input: its shape, its numpy type, and a function that returns it.

    `small` is the array where it is known while the file is read: whole numbers and constants of few values. `name` is that of the
    stored tensor, "" for one that is computed; `origin` is the stored tensor that it has the values of, in another shape or order.
    """

    shape: tuple[int, ...]
    kind: Any
    array: Callable[[], Any]
    small: Any = None
    name: str = ""
    origin: str = ""
    is_constant: bool = False  # of a node, so no weight
    value: str = ""  # the name of the value that it is
    uniform: float | None = None

    @property
    def scalar(self) -> float | None:
        """Return the only value; None where there are several, or it is a weight."""
        return float(self.small.reshape(())) if self.small is not None and self.small.size == 1 else None


def stored(tensor: TensorProto, folder: Path, is_constant: bool, changed: Mapping[str, Any] | None = None) -> Fixed:
    """Return a tensor of the file; its array is that in `changed`, where there is one.

    Raises CannotRead where its type is not known or its data have another size.
    """
    shape = tuple(tensor.dims)
    check_dims(shape, tensor.name)
    if tensor.data_type not in KINDS:
        raise CannotRead(f"the tensor {tensor.name[:80]} has a type that is not known ({tensor.data_type})")
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    external = tensor.data_location == TensorProto.EXTERNAL
    if external:
        place(tensor, folder)
    else:
        _check_size(tensor, kind)
    array: Callable[[], Any] = (lambda: _external(tensor, folder)) if external else (lambda: _inside(tensor))
    is_small = prod(shape) <= SMALL and not external
    small: Any = array() if is_small and (is_constant or kind.kind in "iub" or prod(shape) == 1) else None
    name = "" if is_constant else tensor.name
    fixed = Fixed(shape, kind, array, small, name, name, is_constant)
    return fixed if changed is None else changeable(fixed, changed)


def changeable(fixed: Fixed, changed: Mapping[str, Any]) -> Fixed:
    """Return a tensor whose array is that in `changed`, where there is one of its name."""
    return replace(fixed, array=lambda: changed[fixed.name] if fixed.name in changed else fixed.array())


def _inside(tensor: TensorProto) -> Any:
    try:
        return numpy_helper.to_array(tensor)
    except (ValueError, TypeError, OverflowError) as error:
        raise CannotRead(f"the tensor {tensor.name[:80]} is damaged: {error}") from None


def _check_size(tensor: TensorProto, kind: Any) -> None:
    """Raise CannotRead where a tensor holds another number of values than its shape says."""
    count = prod(tensor.dims)
    if tensor.HasField("raw_data"):
        held, wanted = len(tensor.raw_data), count * kind.itemsize
    else:
        held, wanted = max(len(getattr(tensor, field)) for field in ("float_data", "int32_data", "int64_data", "double_data")), count
    if held != wanted:
        raise CannotRead(f"the tensor {tensor.name[:80]} has {'x'.join(map(str, tensor.dims)) or 'one'} values, and data for another shape")


# ---- tensors in other files


def place(tensor: TensorProto, folder: Path) -> tuple[Path, int, int]:
    """Return the file of a tensor, where it begins there, and its length in bytes.

    Raises CannotRead for a file outside of the folder of the model, by its name or by a link.
    """
    held = {entry.key: entry.value for entry in tensor.external_data}
    location = held.get("location", "")
    parts = PurePosixPath(location.replace("\\", "/"))
    outside = parts.is_absolute() or PureWindowsPath(location).drive or ".." in parts.parts or not parts.name or "\0" in location
    if outside:
        raise CannotRead(f"the tensor {tensor.name[:80]} is stored outside of the folder of the file ({location[:80]!r})")
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    size = prod(tensor.dims) * kind.itemsize
    try:
        offset, length = int(held.get("offset", "0")), int(held.get("length", str(size)))
    except ValueError:
        raise CannotRead(f"the tensor {tensor.name[:80]} does not say where it begins") from None
    if offset < 0 or length != size:
        raise CannotRead(f"the tensor {tensor.name[:80]} needs {size:,} bytes, and {length:,} are stored for it")
    return folder / Path(*parts.parts), offset, length


def _external(tensor: TensorProto, folder: Path) -> Any:
    """Return a tensor from its file. Raises CannotRead where the file is missing, too short, a link out of the folder or no file."""
    path, offset, length = place(tensor, folder)
    try:
        if not path.resolve(strict=True).is_relative_to(folder.resolve(strict=True)):
            raise CannotRead(f"{path.name} is a link to a file outside of the folder of the model")
        with path.open("rb") as file:
            held = os.fstat(file.fileno())
            if not stat.S_ISREG(held.st_mode):
                raise CannotRead(f"{path.name} is not a regular file")
            if held.st_size < offset + length:
                raise CannotRead(f"{path.name} is too short for the tensor {tensor.name[:80]}")
            file.seek(offset)
            data = file.read(length)
    except OSError as error:
        raise CannotRead(f"the tensors in {path.name} cannot be read: {error.strerror}") from None
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    return np.frombuffer(data, kind.newbyteorder("<")).reshape(tuple(tensor.dims))
