"""LOWERED PROGRAM -> ARTIFACT: the table of what `archc compile -o` can write. Only the package of a backend imports its framework.

A backend is one file with a writer, and one row of BACKENDS. A writer is a function of a `Compiled` and a path; it writes the file
atomically (`files.replacing`), and raises CannotWrite where it cannot. Its input is `compiled.program()`, a
`lowering.program.LoweredProgram`: steps, parts, scopes, recipes of weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import LEVELS, lowered
from archc.compiler.lowering.program import LoweredProgram, Mode

if TYPE_CHECKING:
    from archc.compiler.backends.torch.arch_module import ArchModule


@dataclass(frozen=True)
class Compiled:
    """A network that was lowered and has run once: the input of a writer.

    `module` holds the weights of the network, on the requested device and in the requested dtype, in evaluation mode; `inputs` are the
    tensors `(N, *shape)` that it has run on, in order. `level` is the requested level of optimization. `settings` are the options of
    the format that the caller has set, such as `opset`, by name.
    """

    graph: ArchGraph
    level: int
    module: ArchModule
    inputs: Sequence[Any]
    dtype: str = "float32"
    settings: Mapping[str, Any] = field(default_factory=dict)

    def program(self, mode: Mode = "inference") -> LoweredProgram:
        """Return the lowered program of a mode at `level`, or at the highest level that the mode has."""
        return lowered(self.graph, mode, min(self.level, LEVELS[mode][-1]))

    def weights(self) -> dict[str, Any]:
        """Return the weights and buffers of the network as written, by key, in the order of the state_dict, as numpy arrays of `dtype`.

        What `program().recipes` compute is not among them.
        """
        from archc.compiler.backends.torch.files import arrays

        return arrays(self.module)


@dataclass(frozen=True)
class Backend:
    """A row of the table: the suffixes of the files that a backend writes, and its writer.

    `writes` names the contents of the file. `writer` is the dotted path of the function. `extra` is the extra of this package that
    installs the modules which the writer `needs`. `levels` are the levels of optimization that the file format can represent; `beyond` is
    the reason why it represents no others.
    """

    name: str
    suffixes: tuple[str, ...]
    writes: str
    writer: str
    extra: str = ""
    needs: tuple[str, ...] = ()
    levels: tuple[int, ...] = (0, 1, 2, 3)
    beyond: str = ""

    @property
    def missing(self) -> str:
        """Return the first needed module that is not installed; "" where all are installed."""
        return next((name for name in self.needs if find_spec(name) is None), "")

    def write(self, compiled: Compiled, path: Path) -> None:
        """Write a file atomically. Raises CannotWrite, and ModuleNotFoundError where a module is `missing`."""
        module, _, name = self.writer.rpartition(".")
        getattr(import_module(module), name)(compiled, path)


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
    ),
    Backend(
        name="weights",
        suffixes=(".safetensors",),
        writes="weights",
        writer="archc.compiler.backends.torch.files.write_weights",
        extra="torch",
        needs=("torch", "safetensors"),
    ),
    Backend(
        name="source",
        suffixes=(".py",),
        writes="PyTorch source",
        writer="archc.compiler.backends.source.write",
        levels=(0,),
        beyond="source is the network as the file writes it",
    ),
    Backend(name="graph", suffixes=(".json",), writes="graph", writer="archc.compiler.backends.graph_json.write"),
)


def backend_of(path: Path) -> Backend | None:
    """Return the backend that writes files with the suffix of a path; None where there is none."""
    return next((backend for backend in BACKENDS if path.suffix in backend.suffixes), None)


def listed(words: bool = False) -> str:
    """Return the suffixes of all backends as part of a sentence; `words` adds the contents of the files."""
    items = [f"{suffix} ({backend.writes})" if words else suffix for backend in BACKENDS for suffix in backend.suffixes]
    return " or ".join([", ".join(items[:-1]), items[-1]] if items[1:] else items)
