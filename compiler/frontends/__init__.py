"""SOURCE -> GRAPH: the table of what can be read as a network. Only the package of a front end imports its framework.

A front end is one file, or a package where it imports a framework, and one row of FRONTENDS. It returns a `flat.FlatNetwork`: a graph of
our operators without blocks, with the names of the source, the classes of its modules and its weights.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from archc.compiler.errors import NotInstalled, UsageError
from archc.compiler.files import reason
from archc.compiler.frontends.flat import CannotRead as CannotRead
from archc.compiler.frontends.flat import FlatNetwork as FlatNetwork


@dataclass(frozen=True)
class Frontend:
    """A row of the table: what a front end reads, and how a source is written.

    A source is `prefix:NAME`, with `?option=value` if it takes `options`, or a file with one of the `suffixes`; `runs` is whether
    reading it executes code that the source names, which must be asked for. `reader` is the dotted path of the function, which gets
    the name or the path, shapes of inputs and options, as the row says. `extra` is the extra of this package that installs the modules
    which it `needs`. A `partial` reader makes holes of operators that it does not know, since its sources state the shape of every
    result. `apart` is the suffix of the file that holds the weights of a source, where that is another file. `names`: those of
    a source are paths of scopes, or names of single layers, which say nothing of blocks, or there are none; blocks are then found in the
    graph alone.
    """

    name: str
    reads: str
    written: str
    reader: str
    prefix: str = ""
    suffixes: tuple[str, ...] = ()
    options: bool = False
    shapes: bool = False
    partial: bool = False
    runs: bool = False
    apart: str = ""
    names: Literal["scopes", "layers", "none"] = "scopes"
    extra: str = ""
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """Return the first needed module that is not installed; "" where all are installed."""
        return next((name for name in self.needs if find_spec(name) is None), "")


_TORCH = "archc.compiler.frontends.torch.sources"

FRONTENDS: tuple[Frontend, ...] = (
    Frontend(
        name="torchvision",
        reads="a network of torchvision, with options of its constructor",
        written="torchvision:NAME?aux_loss=True",
        reader=f"{_TORCH}.torchvision",
        partial=True,
        prefix="torchvision",
        options=True,
        shapes=True,
        extra="read",
        needs=("torch", "torchvision"),
    ),
    Frontend(
        name="timm",
        reads="a network of timm, with options of its constructor",
        written="timm:NAME?num_classes=10",
        reader=f"{_TORCH}.timm",
        partial=True,
        prefix="timm",
        options=True,
        shapes=True,
        extra="read",
        needs=("torch", "timm"),
    ),
    Frontend(
        name="export",
        reads="an exported program of torch",
        written="FILE.pt2",
        reader=f"{_TORCH}.exported_file",
        partial=True,
        suffixes=(".pt2",),
        extra="torch",
        needs=("torch",),
    ),
    Frontend(
        name="keras",
        reads="a model of Keras 3: its archive, or its JSON",
        written="FILE.keras",
        reader="archc.compiler.frontends.keras.read",
        suffixes=(".keras", ".json"),
        names="layers",
    ),
    Frontend(
        name="caffe",
        reads="a network of Caffe",
        written="FILE.prototxt",
        reader="archc.compiler.frontends.caffe.read",
        suffixes=(".prototxt",),
        apart=".caffemodel",
        names="layers",
    ),
    Frontend(
        name="darknet",
        reads="a network of Darknet",
        written="FILE.cfg",
        reader="archc.compiler.frontends.darknet.read",
        suffixes=(".cfg",),
        apart=".weights",
        names="none",
    ),
    Frontend(
        name="onnx",
        reads="a network as ONNX",
        written="FILE.onnx",
        reader="archc.compiler.frontends.onnx.sources.file",
        partial=True,
        suffixes=(".onnx",),
        shapes=True,
        extra="onnx",
        needs=("onnx",),
    ),
    Frontend(
        name="python",
        reads="what a function of a Python module returns, a module of torch; it is executed",
        written="MODULE:FUNCTION",
        reader=f"{_TORCH}.python_module",
        partial=True,
        shapes=True,
        runs=True,
        extra="torch",
        needs=("torch",),
    ),
)


def is_source(text: str) -> bool:
    """Return whether a text names a source: by the prefix of a front end, or as a file with one of its suffixes."""
    prefix, colon, _ = text.partition(":")
    return any((colon and row.prefix and prefix == row.prefix) or Path(text).suffix in row.suffixes for row in FRONTENDS)


def read(source: str, shapes: Sequence[Sequence[int]] = (), call: bool = False, weights: str = "", partial: bool = False) -> FlatNetwork:
    """Return the network that a source names.

    `shapes` are those of its inputs, where the source does not say; `call` permits code to run; `weights` is the file with its weights,
    for a source that has them in another file; `partial` makes holes of what cannot be read.

    Raises UsageError for a source that none of FRONTENDS reads, or that runs code without `call`; NotInstalled where a module that
    a front end needs is not installed; CannotRead for a network that cannot be read.
    """
    row, name, options = find(source)
    if row.runs and not call:
        raise UsageError(f"{source} is Python, which reading it executes: allow that with --call", given=source)
    if row.missing:
        raise NotInstalled(row.missing, row.extra, wants=row.written)
    given: dict[str, Any] = {}
    if row.runs:
        if not shapes:
            raise UsageError(f"{source} does not say what its inputs are: give their shapes with --input", option="input", given="")
        given = {"shapes": shapes}
    elif row.shapes and shapes:
        if len(shapes) > 1:
            raise UsageError(f"{source} has one input, and {len(shapes)} shapes are given", option="input", given=len(shapes))
        given = {"shape": shapes[0]}
    elif shapes:
        raise UsageError(f"{source} states the shapes of its inputs itself", option="input", given=len(shapes))
    if row.options:
        given["options"] = options
    if partial and not row.partial:
        raise UsageError(
            f"{row.written} does not state the shape of each result, so nothing in it can be a hole", option="partial", given=source
        )
    if partial:
        given["partial"] = True
    if weights and not row.apart:
        raise UsageError(f"{source} has its weights itself", option="weights", given=weights)
    if weights:
        given["weights"] = Path(weights)
    module, _, function = row.reader.rpartition(".")
    try:
        network: FlatNetwork = getattr(import_module(module), function)(name if row.prefix or row.runs else Path(name), **given)
    except OSError as error:
        raise CannotRead(f"{name}: {reason(error)}") from None
    return network


def read_module(module: Any, example: Any, partial: bool = False) -> FlatNetwork:
    """Return the network of a module of torch, with its weights, from an example of its inputs. Raises UsageError and CannotRead."""
    kinds = {kind.__module__.partition(".")[0] for kind in type(module).__mro__}
    if "torch" not in kinds or not callable(getattr(module, "named_modules", None)):
        raise UsageError(f"is text or a module of torch, not {type(module).__name__}", option="source", given=type(module).__name__)
    reader: Any = import_module(_TORCH)
    network: FlatNetwork = reader.module_object(module, example, partial)
    return network


def shape_of(text: str) -> tuple[int, ...]:
    """Return the sizes of a shape as it is written: `3x224x224`. Raises UsageError for open sizes, and for what is no shape."""
    parts = text.strip().split("x")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise UsageError(f"is a shape of numbers here, as 3x224x224, not {text}", option="input", given=text)
    return tuple(map(int, parts))


def find(source: str) -> tuple[Frontend, str, Mapping[str, Any]]:
    """Return the front end of a source, the name or the path in it, and its options. Raises UsageError."""
    prefix, colon, rest = source.partition(":")
    row = next((row for row in FRONTENDS if row.prefix and row.prefix == prefix), None) if colon else None
    if row is not None:
        name, question, query = rest.partition("?")
        if question and not row.options:
            raise UsageError(f"{row.written} takes no options, and {source} has some", given=source)
        return row, name, _options(query, source)
    row = next((row for row in FRONTENDS if Path(source).suffix in row.suffixes), None)
    if row is None and colon and all(part.isidentifier() for part in f"{prefix}.{rest}".split(".")):
        row = next(row for row in FRONTENDS if row.runs)
    if row is None:
        known = ", ".join(row.written for row in FRONTENDS)
        raise UsageError(f"{source} is nothing that can be read: a source is {known}", given=source)
    return row, source, {}


def _options(query: str, source: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for part in query.split("&") if query else ():
        name, equals, value = part.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"{source}: an option is written NAME=VALUE, not {part}", given=part)
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return options
