"""Read the tensors of a `.keras` archive: an HDF5 file in it, of which nothing outside is opened."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from archc.compiler.frontends.flat import CannotRead
from archc.compiler.frontends.keras.reader import inside
from archc.compiler.frontends.naming import label_of

MAX_DEPTH = 100  # of models within models
DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError)  # what a damaged archive raises


def tensors(
    path: Path,
    stored: Mapping[str, Sequence[tuple[str, str]]],
    state: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """Return the tensors of a `.keras` archive by key. Raises CannotRead where one is missing or has another size."""
    import numpy as np

    held = _variables(path, stored, sum(prod(shape) for shape in state.values()))
    found: dict[str, Any] = {key: np.asarray(values, np.float32) for key, values in constants.items()}
    for layer, variables in stored.items():
        values = held.get(layer, [])
        if len(values) != len(variables):
            raise CannotRead(f"{path.name} has {len(values)} variables of it, and the network takes {len(variables)}", path=layer)
        for (key, layout), value in zip(variables, values, strict=True):
            if layout == "left out":
                continue
            ours = LAYOUTS[layout](value)
            if layout == "learned":
                ours = ours.reshape(state[key])
            if tuple(ours.shape) != tuple(state[key]):
                raise CannotRead(f"{path.name} has {ours.shape} for {key}, and the network {state[key]}")
            found[key] = np.ascontiguousarray(ours)
    return found | {key: np.zeros((), np.int64) for key in state if key.endswith(".num_batches_tracked")}


# How a variable of Keras becomes a tensor of ours.
LAYOUTS: Mapping[str, Callable[[Any], Any]] = {
    "same": lambda value: value,
    "learned": lambda value: value,
    "dense": lambda value: value.T,
    "conv": lambda value: value.transpose(value.ndim - 1, value.ndim - 2, *range(value.ndim - 2)),
    "depthwise": lambda value: value.transpose(value.ndim - 2, value.ndim - 1, *range(value.ndim - 2)).reshape(-1, 1, *value.shape[:-2]),
}


def _variables(path: Path, stored: Collection[str], most: int) -> dict[str, list[Any]]:
    """Return the variables of the layers `stored` of an archive, in order; none has more than `most` values.

    HDF5 can keep data in other files, and groups within themselves: what is not in the archive itself is refused.
    """
    import h5py

    found: dict[str, list[Any]] = {}

    def inner(group: Any, name: str) -> Any:
        if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
            raise CannotRead(f"the weights of {path.name} have a link to another place, {name[:60]}")
        return group[name]

    def values(group: Any, number: int, here: str) -> Any:
        data = inner(group, str(number))
        if not isinstance(data, h5py.Dataset) or data.external is not None or data.is_virtual:
            raise CannotRead(f"a variable in {path.name} is in another file, or no tensor", path=here)
        if data.size is None or data.size > most + 1 or data.dtype.kind not in "fiu":
            raise CannotRead(f"a variable in {path.name} has {data.size or 0:,} values of the type {data.dtype}", path=here)
        return data[()]

    def walk(group: Any, place: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise CannotRead(f"the layers in {path.name} are nested more than {MAX_DEPTH} deep")
        layers = inner(group, "layers") if "layers" in group else {}
        for label in layers:
            part = inner(layers, label)
            own = inner(part, "vars") if "vars" in part else None
            name = own.attrs.get("name") if own is not None else None
            if own is None or name is None:
                raise CannotRead(f"{path.name} does not name its layers; save it again with Keras 3.5 or newer")
            here = inside(place, label_of(str(name)))
            if here in stored:
                found[here] = [values(own, number, here) for number in range(len(own))]
            walk(part, here, depth + 1)

    try:
        with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as data, h5py.File(data, "r") as file:
            walk(file, "", 0)
    except (*DAMAGED, KeyError, TypeError, AttributeError, ValueError) as error:
        raise CannotRead(f"the weights of {path.name} cannot be read: {str(error)[:200]}") from None
    return found
