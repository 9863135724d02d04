"""Read Caffe's `.prototxt`, and the weights of its `.caffemodel`, as data."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from archc.compiler.files import read_regular
from archc.compiler.frontends.caffe.prototext import parse
from archc.compiler.frontends.caffe.reader import Reader
from archc.compiler.frontends.caffe.weights import tensors
from archc.compiler.frontends.flat import FlatNetwork
from archc.compiler.frontends.naming import name_of

MAX_BYTES = 2**24


def read(path: Path, weights: Path | None = None) -> FlatNetwork:
    """Read a `.prototxt` file, with the `.caffemodel` that belongs to it. Raises CannotRead, with the layer and its line, and OSError."""
    reader = Reader(name_of(path.stem), parse(read_regular(path, MAX_BYTES).decode(errors="replace")))
    network = reader.read()
    return network if weights is None else replace(network, weights=partial(tensors, weights, reader.stored, reader.state))
