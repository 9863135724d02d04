"""Timings of the levels of optimization, side by side, on one machine."""

from __future__ import annotations

import csv
import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any

from archc.compiler.errors import at_least, one_of
from archc.compiler.graph import ArchGraph
from archc.compiler.results.timings import middle, milliseconds, quantile, thread_counts, threads_text, whole_numbers
from archc.compiler.tables import html_table, latex_table, markdown_table, text_table

DEVICES = ("auto", "cpu", "cuda")
DTYPES = ("float32", "bfloat16", "float16")  # in which a network can run
BUSY = 1.5  # how far apart quartiles are where something else was running
HEADS = ("level", ">ms", ">times as fast", ">quartiles", ">p95", ">samples/s", ">difference", ">peak MiB")


@dataclass(frozen=True)
class Timed:
    """The measurements of one level with a number of samples and of threads.

    `seconds`: the median time of a forward pass, to four digits; `lower`, `upper` and `p95`: the times that a quarter, three quarters and
    95 % of the runs do not exceed. `ratio`: the speed relative to level 0 of the same batch and threads, as quotient of the medians.
    `difference`: the largest difference from level 0, relative to its largest value. `peak`: the peak of live activations in bytes, None
    where it is not known.
    """

    level: int
    batch: int
    threads: int
    seconds: float
    lower: float
    upper: float
    p95: float
    ratio: float
    difference: float
    peak: int | None


@dataclass(frozen=True)
class Benchmark:
    """Medians and spread over several runs of every level, run in turn with the same weights and the same input."""

    name: str  # of the network
    device: str  # its description
    dtype: str
    batches: tuple[int, ...]
    threads: tuple[int, ...]
    runs: int
    levels: tuple[Timed, ...]  # by number of threads, of samples, and level

    def __iter__(self) -> Iterator[Timed]:
        return iter(self.levels)

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def text(self, width: int | None = None) -> str:
        """Return the table after a line that says what was run, and before what is to be known of it. Raises UsageError."""
        if width is not None:
            at_least("width", width, 1)
        above, *below = [note if width is None else textwrap.fill(note, width) for note in (self._ran(), *self._notes())]
        return f"{above}\n{text_table(self._heads(), self._rows())}" + "".join(f"{note}\n" for note in below)

    def markdown(self) -> str:
        """Return the table in Markdown, between what was run and what is to be known of it."""
        return f"{self._ran()}\n\n{markdown_table(self._heads(), self._rows())}" + "".join(f"\n{note}\n" for note in self._notes())

    def latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs."""
        return latex_table(self._heads(), self._rows())

    def csv(self) -> str:
        """Return the measurements as comma-separated values: times in seconds, memory in bytes."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(field.name for field in fields(Timed))
        for level in self.levels:
            writer.writerow("" if value is None else value for value in astuple(level))
        return out.getvalue()

    def facts(self) -> dict[str, Any]:
        """Return the same as plain data."""
        return {
            "name": self.name,
            "device": self.device,
            "dtype": self.dtype,
            "batches": list(self.batches),
            "threads": list(self.threads),
            "runs": self.runs,
            "levels": [asdict(level) for level in self.levels],
        }

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(self._heads(), self._rows(), notes=[self._ran(), *self._notes()])

    def _ran(self) -> str:
        only = [f"batch {self.batches[0]}"] * (len(self.batches) == 1) + [threads_text(self.threads[0])] * (len(self.threads) == 1)
        where = ", ".join([f"{self.name} on {self.device}", self.dtype, *only])
        return f"{where}; medians of {self.runs} runs in turn, after runs that do not count"

    def _notes(self) -> list[str]:
        """Say what the columns mean, and which rows were disturbed."""
        notes = [
            "times as fast: as level 0 of the same batch and threads. quartiles: half of the runs take a time between them. "
            "p95: 95 % of the runs take no longer. difference: from the output of level 0, by its largest value."
        ]
        wide = [row for row in self.levels if row.upper > BUSY * row.lower]
        if wide:
            said = "one row" if len(wide) == 1 else f"{len(wide)} of {len(self.levels)} rows"
            busy = "other programs must have used the processor: repeat it on an idle machine, or with more --runs"
            notes.append(f"In {said} the quartiles differ by more than a factor of {BUSY}; {busy}.")
        return notes

    def _heads(self) -> tuple[str, ...]:
        return (*([">threads"] if len(self.threads) > 1 else []), *([">batch"] if len(self.batches) > 1 else []), *HEADS)

    def _rows(self) -> list[list[str]]:
        rows = []
        for row in self.levels:
            peak = "" if row.peak is None else f"{row.peak / 2**20:.1f}"
            varied = [str(row.threads)] * (len(self.threads) > 1) + [str(row.batch)] * (len(self.batches) > 1)
            spread = f"{milliseconds(row.lower)} .. {milliseconds(row.upper)}"
            speed = f"{row.batch / row.seconds:#.4g}".rstrip(".") if row.batch / row.seconds < 9999.5 else f"{row.batch / row.seconds:.0f}"
            rows.append(
                [
                    *(*varied, str(row.level), milliseconds(row.seconds), f"{row.ratio:.2f}", spread, milliseconds(row.p95), speed),
                    *(f"{row.difference:.0e}" if row.difference else "0", peak),
                ]
            )
        return rows


def benchmark(
    graph: ArchGraph,
    device: str,
    dtype: str,
    batch: int | Sequence[int],
    threads: int | Sequence[int] | None,
    runs: int,
    upto: int,
) -> Benchmark:
    """Time every level up to `upto`, with each number of samples and of threads. Raises UsageError, NoDevice and NoMemory."""
    one_of("device", device, DEVICES)
    one_of("dtype", dtype, DTYPES)
    one_of("upto", upto, (0, 1, 2, 3))
    batches, counts = whole_numbers("batch", batch), thread_counts(threads)
    at_least("runs", runs, 1)
    from archc.compiler.backends.torch.bench import levels

    where, measured = levels(graph, device, dtype, batches, counts, runs, upto)
    rows: list[Timed] = []
    for row in measured:
        seconds = middle(row.seconds)
        first = next((found.seconds for found in rows if (found.batch, found.threads) == (row.batch, row.threads)), seconds)
        lower, upper, slow = (quantile(row.seconds, share) for share in (0.25, 0.75, 0.95))
        ratio = first / seconds
        rows.append(Timed(row.level, row.batch, row.threads, seconds, lower, upper, slow, ratio, row.difference, row.peak))
    counts = tuple(dict.fromkeys(row.threads for row in rows))
    return Benchmark(graph.name, where, dtype, batches, counts, runs, tuple(rows))
