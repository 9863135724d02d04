"""Read a `.pt2` file, an exported program, as data: what would execute code when it is loaded is refused."""

from __future__ import annotations

import io
import json
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from archc.compiler.frontends.flat import CannotRead

MOST_BYTES = 2**36  # in all parts of a file
OPERATOR = re.compile(r"torch\.ops\.aten\.\w+\.\w+|_operator\.getitem")
SIZE = re.compile(r"(Symbol\('[su]\d+'(, (positive|integer|nonnegative)=True)*\)|Integer\(-?\d+\)|Mul|Add|Pow|FloorDiv|Mod|[(), ])+")
NAME = re.compile(r"[\w.@-]*")


def loaded(path: Path) -> torch.export.ExportedProgram:
    """Return the exported program in a file. Raises CannotRead for a file that is none, or that holds anything but data.

    torch executes pickles while it loads such a file. They are refused, or, where a graph does not need them, left out of a copy in
    memory; so are operators other than those of aten, and formulas that torch evaluates as Python.
    """
    try:
        if path.exists() and not path.is_file():
            raise CannotRead(f"{path.name} is no regular file")
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise CannotRead("its parts are larger than the file: they are compressed, or overlap")
            copy = _checked(archive)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program: torch.export.ExportedProgram = torch.export.load(copy)
    except CannotRead:
        raise
    except zipfile.BadZipFile:
        raise CannotRead(f"{path.name} is not an exported program: it is no zip archive") from None
    except OSError as error:
        raise CannotRead(f"cannot read {path.name}: {error.strerror or error}") from None
    except Exception as error:  # the parsers of torch raise whatever they meet
        line = str(error).strip().splitlines()
        reason = line[0] if line else repr(error)
        raise CannotRead(f"{path.name} is not an exported program that torch {torch.__version__} can load: {reason}") from None
    return program


def _checked(archive: zipfile.ZipFile) -> io.BytesIO:
    members = archive.infolist()
    if sum(member.file_size for member in members) > MOST_BYTES:
        raise CannotRead("its parts are larger than 64 GiB in all")
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as kept:
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED:
                raise CannotRead(f"{member.filename} is compressed, which torch's exported programs are not")
            name = member.filename.partition("/")[2]
            if name.endswith(".json"):
                _check_data(name, archive.read(member))
            elif name.startswith("data/constants/") and not re.fullmatch(r"data/constants/tensor_\d+", name):
                raise CannotRead(f"{member.filename} may hold code: a pickled object")
            kept.writestr(zipfile.ZipInfo(member.filename), b"" if name.startswith("data/sample_inputs/") else archive.read(member))
    copy.seek(0)
    return copy


def _check_data(name: str, text: bytes) -> None:
    stack: list[Any] = [json.loads(text)]
    while stack:
        held = stack.pop()
        if isinstance(held, list):
            stack.extend(held)
        elif isinstance(held, dict):
            stack.extend(held.values())
            named = (value for key, value in held.items() if key.endswith("name") and isinstance(value, str))
            if bad := next(
                (value for value in (*named, *(held if name.endswith("_config.json") else ())) if not NAME.fullmatch(value)), ""
            ):
                raise CannotRead(f"{name} has the name {bad!r}")
            if held.get("use_pickle"):
                raise CannotRead(f"{name} holds a pickled tensor, which may hold code")
            target, formula = held.get("target"), held.get("expr_str")
            if isinstance(target, str) and "inputs" in held and not OPERATOR.fullmatch(target):
                raise CannotRead("it is no operator of aten", target)
            if isinstance(formula, str) and not SIZE.fullmatch(formula):
                raise CannotRead(f"the size {formula} is no formula of sizes")
            if held.get("guards_code"):
                raise CannotRead("it holds conditions as code")


def fixed(program: torch.export.ExportedProgram, batch: int) -> torch.export.ExportedProgram:
    """Return a program with a batch of a fixed size. Raises CannotRead where another size is open."""
    inputs = []
    is_open = False
    for node in program.graph.nodes:
        held = node.meta.get("val")
        if node.op == "placeholder" and node.name in program.graph_signature.user_inputs and isinstance(held, torch.Tensor):
            if any(not isinstance(count, int) for count in held.shape[1:]):
                raise CannotRead(f"the input {node.name} has an open size besides the batch: export it with fixed sizes")
            is_open = is_open or not all(isinstance(count, int) for count in held.shape)
            inputs.append(torch.empty(batch, *map(int, held.shape[1:]), dtype=held.dtype, device="meta"))
    if not is_open:
        return program
    module = program.module(check_guards=False).to("meta")
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(module, tuple(inputs), strict=False)
