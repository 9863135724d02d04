"""Read Keras 3: a `.keras` archive, or the JSON of `model.to_json()`. Both are data; no class is imported and no Lambda is run."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from archc.compiler.files import check_regular, read_regular
from archc.compiler.frontends.flat import CannotRead, FlatNetwork
from archc.compiler.frontends.keras.reader import Reader
from archc.compiler.frontends.keras.weights import DAMAGED, tensors
from archc.compiler.frontends.naming import name_of

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


def _configuration(path: Path) -> Any:
    if path.suffix == ".keras":
        check_regular(path)
        try:
            with zipfile.ZipFile(path) as archive:
                info = archive.getinfo("config.json")
                if info.file_size > MAX_BYTES:
                    raise CannotRead(f"config.json in {path.name} is larger than {MAX_BYTES // 2**20} MiB")
                with archive.open(info) as file:
                    data = file.read(MAX_BYTES + 1)  # the size that the head of an archive states may be wrong
        except (*DAMAGED, KeyError) as error:
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
