"""LOWERED PROGRAM -> ARTIFACT: what `archc compile -o` can write, as a table. Only the package of a backend imports its framework.

A backend is one file with a writer, and one row of BACKENDS. A writer is a function of a `Compiled` and a path; it writes the file whole
or not at all (`files.replacing`), and raises CannotWrite where it cannot. What it writes it takes from `compiled.program()`, a
`lowering.program.LoweredProgram`: steps, parts, scopes, recipes of weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    """A network that was lowered and has run once: what a writer gets.

    `module` holds the weights of the network, on the device and in the dtype that were asked for, in evaluation mode; `inputs` are the
    tensors `(N, *shape)` that it has run on, in order. `level` is the level of optimization that was asked for.
    """

    graph: ArchGraph
    level: int
    module: ArchModule
    inputs: Sequence[Any]

    def program(self, mode: Mode = "inference") -> LoweredProgram:
        """The steps of the network at its level, or at the nearest that the mode has."""
        return lowered(self.graph, mode, min(self.level, LEVELS[mode][-1]))


@dataclass(frozen=True)
class Backend:
    """A row: what is written into files of some suffixes, and by what.

    `writes` says in words what is in the file. `writer` is the dotted path of the function. `extra` is the extra of pip that brings the
    modules which it `needs`. `levels` are the levels of optimization that such a file can hold; `beyond` says why it holds no others.
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
        """The first module that it needs and that is not installed; nothing if all are there."""
        return next((name for name in self.needs if find_spec(name) is None), "")

    def write(self, compiled: Compiled, path: Path) -> None:
        """Write a file, whole or not at all. Raises CannotWrite, and ModuleNotFoundError where a module is `missing`."""
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
        beyond="what level 2 makes is for the machine that it was made on",
    ),
    Backend(
        name="weights",
        suffixes=(".safetensors",),
        writes="weights",
        writer="archc.compiler.backends.torch.files.write_weights",
        extra="torch",
        needs=("torch", "safetensors"),
    ),
    Backend(name="graph", suffixes=(".json",), writes="graph", writer="archc.compiler.backends.graph_json.write"),
)


def backend_of(path: Path) -> Backend | None:
    """The backend that writes files of a suffix; None where there is none."""
    return next((backend for backend in BACKENDS if path.suffix in backend.suffixes), None)


def listed(words: bool = False) -> str:
    """The suffixes of all backends, as a sentence has them; with `words` also what is in the files."""
    found = [f"{suffix} ({backend.writes})" if words else suffix for backend in BACKENDS for suffix in backend.suffixes]
    return " or ".join([", ".join(found[:-1]), found[-1]] if found[1:] else found)
