"""A network lowered, run once, and written: what `compile` does, as data and as text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from archc.compiler.backends import BACKENDS, Backend, Compiled, Varied, backend_of, installed, listed
from archc.compiler.backends.comparison import Difference, difference, rounded
from archc.compiler.backends.errors import CannotVerify
from archc.compiler.errors import NotInstalled, UsageError, at_least, one_of, one_type
from archc.compiler.files import unwritable
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import input_shapes
from archc.compiler.results.benchmarks import DEVICES, DTYPES
from archc.compiler.results.summaries import in_bytes
from archc.compiler.tables import html_table

LEVELS = (0, 1, 2, 3)
WEIGHT_FILES = ".safetensors"  # what can be read without torch
Talk = Callable[[str], object]


@dataclass(frozen=True)
class Request:
    """What is asked of `compile`. Raises UsageError for wrong arguments and NotInstalled for missing modules, before any work is done."""

    paths: tuple[Path, ...] = ()
    level: int = 0
    device: str = "auto"
    dtype: str = "float32"
    batch: int = 1
    weights: str = ""
    allow_nan: bool = False
    run: bool = True
    verify: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        one_of("level", self.level, LEVELS)
        one_of("device", self.device, DEVICES)
        one_of("dtype", self.dtype, DTYPES)
        at_least("batch", self.batch, 1)
        one_type("weights", self.weights, (str,))
        targets = self.targets()
        for number, (path, row) in enumerate(targets):
            if path in self.paths[:number]:
                raise UsageError(f"{path} is to be written twice", given=str(path))
            if problem := unwritable(path):
                raise UsageError(problem, given=str(path))
            if self.level not in row.levels:
                suffix, levels = _suffix(path, row), " or ".join(map(str, row.levels))
                raise UsageError(f"a {suffix} holds the network of level {levels}; {row.beyond}", given=self.level)
        self._check_settings(row for _, row in targets)
        if self.verify and not targets:
            raise UsageError("compares what was written with the network: give a file to write", option="verify")
        for _, row in targets:
            if row.missing:
                raise NotInstalled(row.missing, row.extra)
            for module in row.verifying if self.verify else ():
                if not installed(module):
                    raise NotInstalled(module, wants="--verify", cure=f"pip install {module}")

    def targets(self) -> list[tuple[Path, Backend]]:
        """Return the backend for each file. Raises UsageError where there is none."""
        found = []
        for path in self.paths:
            row = backend_of(path)
            if row is None:
                raise UsageError(f"-o writes {listed(words=True)}, not {path.name}", given=path.name)
            found.append((path, row))
        return found

    def _check_settings(self, rows: Iterable[Backend]) -> None:
        taken = {name for row in rows for name in row.settings}
        for name, value in self.settings.items():
            by = [suffix for row in BACKENDS for suffix in row.suffixes if name in row.settings]
            if not by:
                raise UsageError(
                    f"no format has an option {name}", given=name, known=sorted({name for row in BACKENDS for name in row.settings})
                )
            if name not in taken:
                raise UsageError(f"is an option of {' and '.join(by)}, which is not written", option=name, given=value)

    def settings_of(self, row: Backend) -> dict[str, Any]:
        """Return the settings that the writer of a row takes."""
        return {name: value for name, value in self.settings.items() if name in row.settings}


@dataclass(frozen=True)
class Written:
    """A file: its size in bytes, the line of Python that loads it, and, where it was verified, its difference from the network."""

    path: str
    size: int
    load: str
    difference: Difference | None = None
    unverified: str = ""  # why it could not be run

    def __str__(self) -> str:
        return f"{self.path}, {in_bytes(self.size)}: {self.load}"

    @property
    def ok(self) -> bool:
        """Return whether it is as it should be, as far as that was verified."""
        return not self.unverified and (self.difference is None or self.difference.within)

    def verdict(self) -> str:
        """Return the result of the verification as text, or ""."""
        return self.unverified or ("" if self.difference is None else str(self.difference))

    def facts(self) -> dict[str, Any]:
        """Return the same as plain data."""
        data: dict[str, Any] = {"path": self.path, "bytes": self.size, "load": self.load}
        if self.difference is not None:
            found = self.difference
            data["difference"] = {"absolute": found.absolute, "relative": found.relative, "tolerance": found.tolerance}
        if self.unverified:
            data["unverified"] = self.unverified
        return data | ({"ok": self.ok} if self.verdict() else {})


@dataclass(frozen=True)
class Compilation:
    """A network that was lowered, the files that were written, and, where it has run, its outputs.

    `device` is a description, or "" where the network was not run, and `idle` is the reason then. `outputs` are the shapes without the
    batch, by name. `seconds` are those of each stage.
    """

    name: str
    level: int
    dtype: str
    batch: int
    device: str
    idle: str
    outputs: Mapping[str, tuple[int, ...]]
    seconds: Mapping[str, float]
    written: tuple[Written, ...]

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    @property
    def ok(self) -> bool:
        """Return whether every file is as it should be, as far as that was verified."""
        return all(file.ok for file in self.written)

    def text(self) -> str:
        """Return a line for the run, one for the seconds, and one or two for each file."""
        return "".join(f"  {head:<11} {text}\n" for head, text in [*self.ran(), *((head, text) for head, text in self._files())])

    def ran(self, before: Mapping[str, float] | None = None) -> list[tuple[str, str]]:
        """Return how the network was run, and the seconds of the stages, in pairs; `before` are those of earlier stages."""
        how = f"on {self.device}, {self.dtype}, batch {self.batch}" if self.device else f"not: {self.idle}"
        seconds = {**(before or {}), **self.seconds}
        level = f", level {self.level}" * bool(self.level)
        rows = [("ran", how + level)]
        return rows + [("seconds", ", ".join(f"{stage} {time:.3f}" for stage, time in seconds.items()))] * bool(seconds)

    def verified(self) -> list[tuple[str, str]]:
        """Return the result of each verification, in pairs."""
        return [("verified" if file.ok else "WRONG", f"{file.path}: {file.verdict()}") for file in self.written if file.verdict()]

    def _files(self) -> Iterator[tuple[str, str]]:
        yield from (("wrote", str(file)) for file in self.written)
        yield from self.verified()

    def facts(self) -> dict[str, Any]:
        """Return the same as plain data."""
        shapes = {name: list(shape) for name, shape in self.outputs.items()}
        data: dict[str, Any] = {"device": self.device, "dtype": self.dtype, "batch": self.batch, "seconds": dict(self.seconds)}
        data |= {"ran_outputs": shapes} if self.device else {"not_run": self.idle}
        return data | {"written": [file.facts() for file in self.written]}

    def _repr_html_(self) -> str:
        """Return the files as a table for a notebook."""
        rows = [[file.path, in_bytes(file.size), file.load, file.verdict()] for file in self.written]
        notes = [f"{self.name} {head} {text}" for head, text in self.ran()[:1]]
        return html_table(("file", ">size", "loaded by", "verified"), rows, notes=notes)


def compilation(
    graph: ArchGraph,
    request: Request,
    talk: Talk = lambda text: None,
    wrote: Talk = lambda text: None,
    varied: Varied | None = None,
) -> Compilation:
    """Do what is asked of a network: everything is checked before the first file is written.

    `talk` is called with a warning where memory may be short, `wrote` with a line for each file. `varied` returns the graph with other
    values of the parameters of its file, or None. Raises what `Network.compile` does.
    """
    targets = request.targets()
    _check_verifiable(graph, request, targets)
    if not all(row.open for _, row in targets):
        input_shapes(graph)  # raises ArchError where a size is open
    compiled, facts = _with_torch(graph, request, targets, talk) if _needs_torch(graph, request, targets) else _without(graph, request)
    by_row = [(path, row, compiled.having(request.settings_of(row), varied)) for path, row in targets]
    beside = [row.check(given) for _, row, given in by_row]
    for (path, _, _), suffix in zip(by_row, beside, strict=True):
        if suffix:
            talk(f"{path.name} is too large for one file: its weights are written to {path.name}{suffix}, which must stay beside it")
    files = []
    for (path, row, given), suffix in zip(by_row, beside, strict=True):
        row.write(given, path)
        size = _size(path) + (_size(path.with_name(path.name + suffix)) if suffix else 0)
        file = Written(str(path), size, row.loading(path))
        wrote(f"wrote {file}")
        files.append(file)
    if request.verify:
        files = [_verified(given, path, row, file) for (path, row, given), file in zip(by_row, files, strict=True)]
    return Compilation(graph.name, request.level, request.dtype, request.batch, written=tuple(files), **facts)


def _needs_torch(graph: ArchGraph, request: Request, targets: list[tuple[Path, Backend]]) -> bool:
    """Return whether torch is imported. Raises NotInstalled where it would have to be, and is missing."""
    has = installed("torch")
    drawn = [path for path, row in targets if row.takes == "weights"] if not request.weights else []
    given = bool(request.weights) and not request.weights.endswith(WEIGHT_FILES)
    needs = not targets or request.verify or request.device == "cuda" or given or any(row.takes == "module" for _, row in targets)
    if has and (needs or drawn or request.run or request.weights):
        return True
    if drawn and not needs:
        cure = f"pip install 'archc[torch]', or give weights with --weights FILE{WEIGHT_FILES}"
        raise NotInstalled("torch", wants=f"{drawn[0].name} holds weights, and to draw them", cure=cure)
    if needs:
        raise NotInstalled("torch", "torch")
    return False


def _with_torch(graph: ArchGraph, request: Request, targets: list[tuple[Path, Backend]], talk: Talk) -> tuple[Compiled, dict[str, Any]]:
    from archc.compiler.backends.torch import run as torch_run

    open_ = bool(targets) and not all(isinstance(dim, int) for node in graph.inputs for dim in node.shape)
    ran = torch_run.compile_and_run(
        graph, request.device, request.dtype, request.batch, request.weights, request.level, request.allow_nan, talk, run=not open_
    )
    compiled = Compiled(graph, request.level, ran.module, ran.inputs, request.dtype)
    outputs = {name: tuple(tensor.shape[1:]) for name, tensor in ran.outputs.items()}
    idle = "the sizes of its inputs are open" if open_ else ""
    return compiled, {"device": "" if open_ else ran.device, "idle": idle, "outputs": outputs, "seconds": ran.seconds}


def _without(graph: ArchGraph, request: Request) -> tuple[Compiled, dict[str, Any]]:
    arrays = None
    if request.weights:
        from archc.compiler.backends.weights import read_arrays

        arrays = read_arrays(graph, request.weights, request.dtype, request.allow_nan)
    idle = "nothing that is written needs it" if installed("torch") else "torch is not installed"
    return Compiled(graph, request.level, dtype=request.dtype, arrays=arrays), {"device": "", "idle": idle, "outputs": {}, "seconds": {}}


def _check_verifiable(graph: ArchGraph, request: Request, targets: list[tuple[Path, Backend]]) -> None:
    """Raise UsageError for files that cannot be compared with the network, and ArchError where sizes are open."""
    if not request.verify:
        return
    input_shapes(graph)
    drawing = next((node for node in graph if not node.training_only and node.operator.draws(node.call)), None)
    for path, row in targets:
        if drawing is not None and row.tolerance:
            problem = (
                f"cannot compare a {_suffix(path, row)}: {drawing.name} ({drawing.op}) draws random numbers, which differ in every run"
            )
            raise UsageError(problem, option="verify", given=str(path))


def _verified(compiled: Compiled, path: Path, row: Backend, file: Written) -> Written:
    """Run a file and the network on the same input. A file that cannot be run is a result too."""
    from archc.compiler.backends.torch import verify

    reference = verify.widened(compiled) if compiled.dtype in row.widened else compiled
    inputs = verify.stirred_inputs(reference)
    ours = verify.network(reference, inputs)
    try:
        theirs = row.run(compiled, path, inputs)
        tolerance = row.tolerance if reference is compiled else rounded(row.tolerance, compiled.dtype)  # of constants in the file
        found = difference(theirs, ours, tolerance, reference.dtype)
        how = f"run in {reference.dtype}" if reference is not compiled else ""
        return Written(file.path, file.size, file.load, replace(found, how=how))
    except CannotVerify as error:
        return Written(file.path, file.size, file.load, unverified=str(error))


def _suffix(path: Path, row: Backend) -> str:
    return max((suffix for suffix in row.suffixes if path.name.endswith(suffix)), key=len)


def _size(path: Path) -> int:
    """Return the bytes of a file; 0 for a device or a pipe."""
    return os.stat(path).st_size
