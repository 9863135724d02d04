"""The memory that a network needs, by purpose: predicted and, on request, measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from archc.compiler.analysis.memory import Usage
from archc.compiler.analysis.memory import usage as predict
from archc.compiler.errors import one_of
from archc.compiler.graph import ArchGraph
from archc.compiler.results.benchmarks import DTYPES
from archc.compiler.results.summaries import in_bytes
from archc.compiler.tables import html_table, text_table


@dataclass(frozen=True)
class Memory(Usage):
    """The memory of a network in bytes, for a dtype, a batch and an optimizer; the input is not counted."""

    dtype: str = "float32"
    batch: int = 1
    optimizer_name: str = "adam"
    padded: tuple[str, ...] = ()  # nodes that keep more for backward than is predicted
    measured: tuple[int, int] | None = None  # the peak at inference and what training keeps, in bytes, as torch allocates them

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def text(self) -> str:
        """Return the prediction as a table, with the measurement where there is one."""
        return f"{text_table(*self._table())}\n{self._note()}\n"

    def facts(self) -> dict[str, Any]:
        """Return the predicted bytes as plain data, and the node at which the peak is reached."""
        return {field.name: getattr(self, field.name) for field in fields(Usage)}

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(*self._table(), notes=[self._note()])

    def _note(self) -> str:
        note = f"{self.dtype}, batch {self.batch}; the input is not counted. The peak is at {self.peak_at}."
        if not self.padded:
            return note
        names = ", ".join(self.padded[:3]) + (f" and {len(self.padded) - 3} more" if len(self.padded) > 3 else "")
        return f"{note} Training keeps more than is predicted for {names}: of few channels, its workspace is padded."

    def _table(self) -> tuple[tuple[str, ...], list[list[str]]]:
        peak, saved = (in_bytes(size) for size in self.measured) if self.measured is not None else ("", "")
        rows = [
            ["parameters", in_bytes(self.parameters), ""],
            ["buffers", in_bytes(self.buffers), ""],
            ["activations at inference, peak", in_bytes(self.peak), peak],
            ["gradients", in_bytes(self.gradients), ""],
            [f"state of the optimizer ({self.optimizer_name})", in_bytes(self.optimizer), ""],
            ["activations kept for backward", in_bytes(self.saved), saved],
            ["a training step, after its forward pass", in_bytes(self.training), ""],
        ]
        heads = ("memory", ">predicted", ">measured") if self.measured is not None else ("memory", ">predicted")
        return heads, [row[: len(heads)] for row in rows]


def memory(graph: ArchGraph, dtype: str = "float32", batch: int = 1, optimizer: str = "adam", measure: bool = False) -> Memory:
    """Predict the memory of a network, and with `measure` run it under torch as well, on the GPU where there is one.

    Raises OpenSizes where sizes are open, UsageError for an unknown dtype or optimizer and for a batch below 1.
    """
    if measure:
        one_of("dtype", dtype, DTYPES)
    predicted = predict(graph, dtype, batch, optimizer)
    measured = None
    if measure:
        from archc.compiler.backends.torch.run import measured as run

        measured = run(graph, dtype, batch)
    padded = tuple(node.name for node in graph if node.operator.memory.padded(node.call))
    return Memory(**asdict(predicted), dtype=dtype, batch=batch, optimizer_name=optimizer, padded=padded, measured=measured)
