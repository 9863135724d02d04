"""Timings of the levels of optimization, side by side, on one machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from archc.compiler.errors import at_least, one_of
from archc.compiler.graph import ArchGraph
from archc.compiler.tables import html_table, text_table

if TYPE_CHECKING:
    from archc.compiler.backends.torch.bench import Timed

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("float32", "bfloat16", "float16")  # in which a network can run
HEADS = ("level", ">ms", ">times as fast", ">difference", ">peak MiB")


@dataclass(frozen=True)
class Benchmark:
    """Medians over several runs of every level, run in turn with the same weights and the same input."""

    name: str  # of the network
    device: str  # its description
    dtype: str
    batch: int
    runs: int
    levels: tuple[Timed, ...]  # seconds of a forward pass, and the peak of live activations in bytes

    def __iter__(self) -> Iterator[Timed]:
        return iter(self.levels)

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def text(self) -> str:
        """Return the table after a line that says what was run."""
        return f"{self._note()}\n{text_table(HEADS, self._rows())}"

    def facts(self) -> dict[str, Any]:
        """Return the same as plain data."""
        levels = [asdict(level) for level in self.levels]
        return {"name": self.name, "device": self.device, "dtype": self.dtype, "batch": self.batch, "levels": levels}

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(HEADS, self._rows(), notes=[self._note()])

    def _note(self) -> str:
        return f"{self.name} on {self.device}, {self.dtype}, batch {self.batch}; medians of {self.runs} runs in turn"

    def _rows(self) -> list[list[str]]:
        rows = []
        for row in self.levels:
            peak = "" if row.peak is None else f"{row.peak / 2**20:.1f}"
            rows.append([str(row.level), _milliseconds(row.seconds), f"{row.ratio:.2f}", f"{row.difference:.0e}", peak])
        return rows


def benchmark(graph: ArchGraph, device: str, dtype: str, batch: int, runs: int, upto: int) -> Benchmark:
    """Time every level up to `upto`. Raises UsageError for unknown values, NoDevice and NoMemory."""
    one_of("device", device, DEVICES)
    one_of("dtype", dtype, DTYPES)
    one_of("upto", upto, (0, 1, 2, 3))
    at_least("batch", batch, 1)
    at_least("runs", runs, 1)
    from archc.compiler.backends.torch.bench import levels

    where, rows = levels(graph, device, dtype, batch, runs, upto)
    return Benchmark(graph.name, where, dtype, batch, runs, tuple(rows))


def _milliseconds(seconds: float) -> str:
    """Write four digits, so that the quotient of two shown times is the shown ratio."""
    return f"{1e3 * seconds:#.4g}".rstrip(".") if seconds < 9.9995 else f"{1e3 * seconds:.0f}"
