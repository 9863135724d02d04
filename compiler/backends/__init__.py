"""LOWERED PROGRAM -> ARTIFACT: the table of what `archc compile -o` can write. Only the package of a backend imports its framework.

A backend is one file with a writer, and one row of BACKENDS. A writer is a function of a `Compiled` and a path; it writes the file
atomically (`files.replacing`), and raises CannotWrite where it cannot. Its input is `compiled.program()`, a
`lowering.program.LoweredProgram`: steps, parts, scopes, recipes of weights; and, where its row says so, `compiled.weights()` or
`compiled.module`.
"""

from __future__ import annotations

import ast
import json
import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import LEVELS, lowered
from archc.compiler.lowering.program import LoweredProgram, Mode

if TYPE_CHECKING:
    from archc.compiler.backends.torch.arch_module import ArchModule

RUN_PATH = 'runpy.run_path({path})["{name}"]'  # loads a file of Python whose name is no module's
Part = Literal["graph", "weights", "module"]  # what a writer takes of a network
Varied = Callable[[Mapping[str, bool | int | float]], ArchGraph | None]


class Compiled:
    """A network as a writer takes it: its graph, and what the row of the writer `takes`.

    `level` is the requested level of optimization, and `dtype` that of the weights. `settings` are the options of the format that the
    caller has set, such as `opset`, by name. `inputs` are the tensors `(N, *shape)` that the network has run on, in order; there are none
    where it has not run. `varied` returns the graph with other values of the parameters of its file, or None where it does not allow them.
    """

    def __init__(
        self,
        graph: ArchGraph,
        level: int = 0,
        module: ArchModule | None = None,
        inputs: Sequence[Any] = (),
        dtype: str = "float32",
        settings: Mapping[str, Any] | None = None,
        arrays: Mapping[str, Any] | None = None,
        varied: Varied | None = None,
    ) -> None:
        self.graph, self.level, self.inputs, self.dtype = graph, level, inputs, dtype
        self.settings: Mapping[str, Any] = settings or {}
        self.varied = varied
        self._module, self._arrays = module, arrays

    def having(self, settings: Mapping[str, Any], varied: Varied | None = None) -> Compiled:
        """Return the same network with the settings of a format, and what returns it with other values of its parameters."""
        return Compiled(self.graph, self.level, self._module, self.inputs, self.dtype, settings, self._arrays, varied or self.varied)

    @property
    def has_module(self) -> bool:
        """Return whether the network was lowered to a module of torch."""
        return self._module is not None

    @property
    def module(self) -> ArchModule:
        """The network with its weights, on the requested device and in the requested dtype, in evaluation mode.

        Raises LookupError where it was not lowered, which happens for no row that takes `module`.
        """
        if self._module is None:
            raise LookupError(f"{self.graph.name} was not lowered: the row of the backend does not take the module")
        return self._module

    def program(self, mode: Mode = "inference") -> LoweredProgram:
        """Return the lowered program of a mode at `level`, or at the highest level that the mode has."""
        return lowered(self.graph, mode, min(self.level, LEVELS[mode][-1]))

    def weights(self) -> Mapping[str, Any]:
        """Return the weights and buffers of the network as written, by key, in the order of the state_dict, as numpy arrays of `dtype`.

        What `program().recipes` compute is not among them. Raises LookupError for a row that takes only the graph.
        """
        if self._arrays is None:
            from archc.compiler.backends.torch.files import arrays

            self._arrays = arrays(self.module)
        return self._arrays


@dataclass(frozen=True)
class Backend:
    """A row of the table: the suffixes of the files that a backend writes, its writer, and how such a file is used.

    `writes` names the contents of the file. `takes` says what the writer takes of the network: its `graph` alone, its `weights` too, or
    the `module` of torch that has run; only the last needs torch, as weights can be given as a file. `open`: the file can hold a network
    whose input sizes are open, which is not run.

    `writer` is the dotted path of the function that writes, and `checker` that of a function of a Compiled that raises, before anything
    is written, what the writer would: CannotWrite, ArchError or UsageError. `extra` is the extra of this package that installs the modules
    which the writer `needs`. `levels` are the levels of optimization that the file format can represent; `beyond` is the reason why it
    represents no others. `settings` are the names of the options that the writer takes.

    `load` is the line of Python that loads the file, with `{path}` in quotes, or, for a file of Python, `{stem}` and `{name}`, its last
    class. `verifier` is the dotted path of a function of a Compiled, the path and inputs, which runs the file as its users do and returns
    numpy arrays by output; it needs the modules `verifying`. They may differ from those of the network by `tolerance`, relative to the
    spread of the output in float32. Files of the dtypes `widened` are run in float32, and held against the network with its weights in
    float32.
    """

    name: str
    suffixes: tuple[str, ...]
    writes: str
    writer: str
    extra: str = ""
    needs: tuple[str, ...] = ()
    levels: tuple[int, ...] = (0, 1, 2, 3)
    beyond: str = ""
    takes: Part = "module"
    open: bool = False
    settings: tuple[str, ...] = ()
    checker: str = ""
    load: str = ""
    verifier: str = ""
    verifying: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    tolerance: float = 0.0

    @property
    def missing(self) -> str:
        """Return the first needed module that is not installed; "" where all are installed."""
        return next((name for name in self.needs if not installed(name)), "")

    def check(self, compiled: Compiled) -> str:
        """Raise, before anything is written, what `write` would for a network that cannot be lowered, or that the format cannot say.

        Return the suffix of a second file that is written beside the first, `.data`, or "".
        """
        compiled.program()
        found: str | None = _function(self.checker)(compiled) if self.checker else None
        return found or ""

    def write(self, compiled: Compiled, path: Path) -> None:
        """Write a file atomically. Raises CannotWrite, and ModuleNotFoundError where a module is `missing`."""
        _function(self.writer)(compiled, path)

    def run(self, compiled: Compiled, path: Path, inputs: Sequence[Any]) -> Mapping[str, Any]:
        """Run a file that was written on tensors `(N, *shape)`; return numpy arrays by output. Raises CannotVerify, NotInstalled."""
        found: Mapping[str, Any] = _function(self.verifier)(compiled, path, inputs)
        return found

    def loading(self, path: Path) -> str:
        """Return the line of Python that loads a file, which was written."""
        quoted = json.dumps(str(path), ensure_ascii=False)
        if "{name}" not in self.load:
            return self.load.format(path=quoted)
        classes = [item.name for item in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(item, ast.ClassDef)]
        importable = path.stem.isidentifier() and not keyword.iskeyword(path.stem)
        return (self.load if importable else RUN_PATH).format(path=quoted, stem=path.stem, name=classes[-1])


BACKENDS: tuple[Backend, ...] = (
    Backend(
        name="export",
        suffixes=(".pt2",),
        writes="torch.export",
        writer="archc.compiler.backends.torch.files.write_exported",
        extra="torch",
        needs=("torch",),
        levels=(0, 1),
        beyond="the result of level 2 is specific to the machine that it was computed on",
        load="torch.export.load({path}).module()",
        verifier="archc.compiler.backends.torch.verify.exported",
    ),
    Backend(
        name="package",
        suffixes=(".aoti.pt2",),
        writes="compiled by AOTInductor",
        writer="archc.compiler.backends.torch.packages.write",
        extra="torch",
        needs=("torch",),
        levels=(2, 3),
        beyond="its code is optimized in any case: give --optimize 2 or 3",
        checker="archc.compiler.backends.torch.packages.check",
        load="torch._inductor.aoti_load_package({path})",
        verifier="archc.compiler.backends.torch.verify.packaged",
        tolerance=1e-4,
    ),
    Backend(
        name="weights",
        suffixes=(".safetensors",),
        writes="weights",
        writer="archc.compiler.backends.weights.write",
        extra="torch",
        needs=("numpy", "safetensors"),
        takes="weights",
        open=True,
        load="safetensors.torch.load_file({path})",
        verifier="archc.compiler.backends.torch.verify.weights",
    ),
    Backend(
        name="graph",
        suffixes=(".json",),
        writes="graph",
        writer="archc.compiler.backends.graph_json.write",
        takes="graph",
        open=True,
        load="archc.compiler.graph.ArchGraph.from_json(json.load(open({path})))",
        verifier="archc.compiler.backends.torch.verify.graph",
    ),
    Backend(
        name="onnx",
        suffixes=(".onnx",),
        writes="ONNX",
        writer="archc.compiler.backends.onnx.write.write",
        extra="onnx",
        needs=("onnx",),
        levels=(0, 1, 2),
        beyond="the result of level 3 is specific to the machine that it was computed on",
        takes="weights",
        open=True,
        settings=("opset", "functions"),
        checker="archc.compiler.backends.onnx.write.check",
        load="onnxruntime.InferenceSession({path})",
        verifier="archc.compiler.backends.onnxruntime.run",
        verifying=("onnxruntime",),
        widened=("bfloat16",),
        tolerance=1e-5,
    ),
    Backend(
        name="source",
        suffixes=(".py",),
        writes="PyTorch source",
        writer="archc.compiler.backends.source.write",
        levels=(0,),
        beyond="source is the network as the file writes it",
        takes="graph",
        open=True,
        load="from {stem} import {name}",
        verifier="archc.compiler.backends.torch.verify.source",
    ),
)


def backend_of(path: Path) -> Backend | None:
    """Return the backend that writes files with the suffix of a path, the longest that fits; None where there is none."""
    fits = [(suffix, row) for row in BACKENDS for suffix in row.suffixes if path.name.endswith(suffix) and path.name != suffix]
    return max(fits, key=lambda found: len(found[0]))[1] if fits else None


def listed(words: bool = False) -> str:
    """Return the suffixes of all backends as part of a sentence; `words` adds the contents of the files."""
    items = [f"{suffix} ({backend.writes})" if words else suffix for backend in BACKENDS for suffix in backend.suffixes]
    return " or ".join([", ".join(items[:-1]), items[-1]] if items[1:] else items)


def installed(module: str) -> bool:
    """Return whether a module can be imported, without importing it."""
    return find_spec(module) is not None


def _function(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)
