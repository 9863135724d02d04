"""Read Keras 3: a `.keras` archive, or the JSON of `model.to_json()`. Both are data; no class is imported and no Lambda is run."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from archc.compiler.files import read_regular
from archc.compiler.frontends.flat import CannotRead, FlatNetwork
from archc.compiler.frontends.keras.reader import Reader, inside
from archc.compiler.frontends.naming import label_of, name_of

MAX_BYTES = 2**26  # of a configuration: a hundred times that of the largest of keras.applications
MAX_DEPTH = 100  # of JSON


def read(path: Path) -> FlatNetwork:
    """Read a `.keras` archive, with its weights, or a JSON configuration. Raises CannotRead, with the layer, and OSError."""
    reader = Reader(name_of(path.stem))
    network = reader.read(_configuration(path))
    if path.suffix != ".keras":
        if reader.constants:
            reason = "a mean and a variance for each channel are weights here, which a JSON file does not have; save the model as `.keras`"
            raise CannotRead(reason, "Normalization", next(iter(reader.constants)).rpartition(".")[0])
        return network
    return replace(network, weights=partial(tensors, path, reader.stored, reader.state, reader.constants))


def tensors(
    path: Path,
    stored: Mapping[str, Sequence[tuple[str, str]]],
    state: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, Sequence[float]],
) -> dict[str, Any]:
    """Return the tensors of a `.keras` archive by key. Raises CannotRead where one is missing or has another size."""
    import numpy as np

    held = _variables(path)
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


def _variables(path: Path) -> dict[str, list[Any]]:
    """Return the variables of each layer of an archive, in order."""
    import h5py

    found: dict[str, list[Any]] = {}

    def walk(group: Any, place: str) -> None:
        for part in group.get("layers", {}).values():
            own = part.get("vars")
            name = own.attrs.get("name") if own is not None else None
            if name is None:
                raise CannotRead(f"{path.name} does not name its layers; save it again with Keras 3.5 or newer")
            here = inside(place, label_of(str(name)))
            found[here] = [own[str(number)][()] for number in range(len(own))]
            walk(part, here)

    try:
        with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as data, h5py.File(data, "r") as file:
            walk(file, "")
    except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
        raise CannotRead(f"the weights of {path.name} cannot be read: {error}") from None
    return found


def _configuration(path: Path) -> Any:
    if path.suffix == ".keras":
        try:
            with zipfile.ZipFile(path) as archive:
                info = archive.getinfo("config.json")
                if info.file_size > MAX_BYTES:
                    raise CannotRead(f"config.json in {path.name} is larger than {MAX_BYTES // 2**20} MiB")
                with archive.open(info) as file:
                    data = file.read(MAX_BYTES + 1)  # the size that the head of an archive states may be wrong
        except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError) as error:
            raise CannotRead(f"{path.name} is no `.keras` archive: {error}") from None
        if len(data) > MAX_BYTES:
            raise CannotRead(f"config.json in {path.name} is larger than {MAX_BYTES // 2**20} MiB")
    else:
        data = read_regular(path, MAX_BYTES)
    try:
        text = data.decode()
        if _depth(text) > MAX_DEPTH:
            raise CannotRead(f"the JSON is nested more than {MAX_DEPTH} deep")
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CannotRead(f"{path.name} holds no JSON: {error}") from None


def _depth(text: str) -> int:
    depth = most = 0
    for bracket in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        if bracket[0] in "[{":
            depth += 1
            most = max(most, depth)
        elif bracket[0] in "]}":
            depth -= 1
    return most
