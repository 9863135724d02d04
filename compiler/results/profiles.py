"""What every layer and block of a network takes on this machine: time and memory, measured."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.compiler.analysis.cost import macs_of
from archc.compiler.analysis.parts import Part, parts
from archc.compiler.analysis.summary import Counts, Row
from archc.compiler.errors import UsageError, at_least, one_of
from archc.compiler.files import reason
from archc.compiler.graph import ArchGraph
from archc.compiler.results.benchmarks import DEVICES, DTYPES
from archc.compiler.results.flames import flames
from archc.compiler.results.summaries import View, in_bytes
from archc.compiler.results.timings import middle, milliseconds, quantile, thread_counts, threads_text
from archc.compiler.tables import Room, html_table, latex_table, markdown_table, text_table

if TYPE_CHECKING:
    from archc.compiler.backends.torch.profile import Layers

HEADS = ("name", "operator", ">ms", ">p95", ">share", ">GMAC/s", ">allocated", ">at the peak", ">of peak")
BUSY = 1.5  # how much longer runs of all layers take than the sum of their medians, where something else was running
SPARE = ("GMAC/s", "of peak", "p95", "allocated")  # columns that a narrow terminal leaves out, in this order


@dataclass(frozen=True)
class Setting:
    """How a network is run. Raises UsageError for what does not exist."""

    device: str = "auto"
    dtype: str = "float32"
    batch: int = 1
    threads: int | None = None
    level: int = 0
    runs: int = 20
    weights: str = ""

    def __post_init__(self) -> None:
        one_of("device", self.device, DEVICES)
        one_of("dtype", self.dtype, DTYPES)
        if self.level == 3:
            raise UsageError("is 0, 1 or 2: the code that torch.compile makes at 3 has no layers", option="level", given=self.level)
        one_of("level", self.level, (0, 1, 2))
        at_least("batch", self.batch, 1)
        at_least("runs", self.runs, 1)
        thread_counts(self.threads)


@dataclass(frozen=True)
class Timing:
    """A layer or a block, together with its copies: `seconds` is the sum of the medians of its layers, so that rows add up.

    `p95` is the time that 95 % of the runs do not exceed, for all of its layers together; both are None where nothing was run under its
    name: the level has removed it, or computes it in one call with the layer before it. `allocated` are the bytes that it allocates,
    `held` those of them that are alive at the peak of the network. `macs` are those of one sample, None where sizes are open.
    """

    name: str
    last: str  # the name of the last copy, where equal neighbours are one row
    written: str
    copies: int
    nodes: tuple[str, ...]
    seconds: float | None
    p95: float | None
    macs: int | None
    allocated: int
    held: int
    inside: tuple[Timing, ...] = ()

    @property
    def shown_name(self) -> str:
        """The name, or the names of the first and last copy: `layer3.1 .. 35`."""
        return self.name if self.copies == 1 else f"{self.name} .. {self.last.rpartition('.')[2]}"


@dataclass(frozen=True)
class Profile:
    """The time and the memory of every layer at inference, block by block, on one machine."""

    name: str  # of the network
    device: str  # its description
    setting: Setting
    threads: int
    whole: float  # the median of the runs of the whole network at once, in seconds
    whole_p95: float
    stepwise: float  # the median of the runs layer by layer, all layers together
    peak: int  # of live activations, in bytes
    rows: tuple[Timing, ...]  # outermost; an opened block holds the rows inside it
    leaves: tuple[Timing, ...]  # one for every node
    graph: ArchGraph = field(repr=False, compare=False)

    def __iter__(self) -> Iterator[Timing]:
        return (row for _, row in _flat(self.rows))

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    @cached_property
    def seconds(self) -> dict[str, float]:
        """The median of every node that was run, by name."""
        return {leaf.name: leaf.seconds for leaf in self.leaves if leaf.seconds is not None}

    @property
    def layers(self) -> float:
        """The sum of the medians of all nodes, in seconds."""
        return sum(self.seconds.values())

    def text(self, width: int | None = None) -> str:
        """Return the table between what was run and what the columns mean; with a `width`, no line is longer. Raises UsageError."""
        if width is not None:
            at_least("width", width, 1)
        room = Room(width, SPARE, "operator") if width is not None else None
        table = text_table(HEADS, self.cells(), self.totals(), room)
        above, *below = [textwrap.fill(note, width) if width is not None else note for note in (self._ran(), *self._notes())]
        return f"{above}\n{table}" + "".join(f"{note}\n" for note in below)

    def markdown(self) -> str:
        """Return the table in Markdown, between what was run and how its sum compares with a whole run."""
        return f"{self._ran()}\n\n{markdown_table(HEADS, [*self.cells(), self.totals()])}\n{self._compared()}\n"

    def latex(self) -> str:
        """Return the table in LaTeX, for the package booktabs."""
        return latex_table(HEADS, [*self.cells(), self.totals()])

    def csv(self) -> str:
        """Return the rows as comma-separated values: seconds, and bytes."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        times, sizes = ("median (s)", "p95 (s)", "share"), ("allocated (bytes)", "at the peak (bytes)")
        writer.writerow(["depth", "name", "operator", "copies", *times, "MACs", *sizes])
        for level, row in _flat(self.rows):
            known = [row.seconds, row.p95, row.seconds / self.layers] if row.seconds is not None and row.p95 is not None else [""] * 3
            macs = "" if row.macs is None else row.macs
            writer.writerow([level, row.name, row.written, row.copies, *known, macs, row.allocated, row.held])
        return out.getvalue()

    def facts(self) -> dict[str, Any]:
        """Return the profile as plain data; `nodes` are the seconds of every node that was run, as `draw --profile` takes them."""
        return {
            "name": self.name,
            "device": self.device,
            "dtype": self.setting.dtype,
            "batch": self.setting.batch,
            "threads": self.threads,
            "level": self.setting.level,
            "runs": self.setting.runs,
            "whole": {"seconds": self.whole, "p95": self.whole_p95},
            "stepwise": self.stepwise,
            "layers": self.layers,
            "peak": self.peak,
            "rows": [_facts(row) for row in self.rows],
            "nodes": dict(self.seconds),
        }

    def flames(self) -> dict[str, Any]:
        """Return flame graphs of time and of allocated memory, in the format of speedscope (https://www.speedscope.app), as plain data."""
        return flames(self.graph, self._ran(), self.seconds, {leaf.name: leaf.allocated for leaf in self.leaves if leaf.allocated})

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(HEADS, self.cells(), self.totals(), [self._ran(), *self._notes()])

    def cells(self) -> list[list[str]]:
        """Return the rows as text, blocks before the rows inside them."""
        cells = []
        for level, row in _flat(self.rows):
            written = row.written if len(row.written) <= 44 else row.written[:41] + "..."
            times = [""] * 4
            if row.seconds is not None and row.p95 is not None:
                rate = f"{row.macs * self.setting.batch / row.seconds / 1e9:.1f}" if row.macs and row.seconds else ""
                times = [milliseconds(row.seconds), milliseconds(row.p95), _percent(row.seconds, self.layers), rate]
            held = [in_bytes(row.held), _percent(row.held, self.peak)] if row.held else ["", ""]
            copies = f"  x{row.copies}" if row.copies > 1 else ""
            name = "  " * level + row.shown_name
            cells.append([name, written + copies, *times, in_bytes(row.allocated) if row.allocated else "", *held])
        return cells

    def totals(self) -> list[str]:
        """Return the last row of the table as text."""
        allocated, held = (sum(sizes) for sizes in zip(*((row.allocated, row.held) for row in self.rows), strict=True))
        sizes = [in_bytes(allocated), in_bytes(held), _percent(held, self.peak)]
        return ["all layers", "", milliseconds(self.layers), "", _percent(self.layers, self.layers), "", *sizes]

    def _ran(self) -> str:
        setting = self.setting
        level = f", optimized at level {setting.level}" if setting.level else ""
        return (
            f"{self.name} on {self.device}, {threads_text(self.threads)}, {setting.dtype}, batch {setting.batch}{level}; "
            f"medians of {setting.runs} runs, after runs that do not count"
        )

    def _compared(self) -> str:
        """Say how the sum of all layers compares with runs of the whole, and where the machine was too busy to trust either."""
        apart = 100 * (self.layers / self.whole - 1) if self.whole else 0.0
        sign = f"{abs(apart):.1f} % {'more' if apart >= 0 else 'less'}"
        whole = f"The whole network at once takes {milliseconds(self.whole)} ms (p95 {milliseconds(self.whole_p95)})"
        layers = f"run layer by layer, {milliseconds(self.stepwise)} ms"
        busy = "; runs differ so much that other programs must have used the processor: repeat it on an idle machine"
        note = f"{whole}; {layers}; the medians of the layers add up to {milliseconds(self.layers)} ms, {sign} than the whole"
        return f"{note}{busy if self.stepwise > BUSY * self.layers else ''}."

    def _notes(self) -> list[str]:
        fused = (
            "" if self.setting.level < 2 else " Layers without a time were removed, or are computed in one call with the layer before them."
        )
        return [
            self._compared(),
            f"ms: of a row with layers in it, the sum of their medians. p95: 95 % of the runs of the row take no longer.{fused}",
            f"Memory: what the operators of a row allocate, and how much of it is alive at the peak of {in_bytes(self.peak)}; "
            "inputs, weights and the workspace of a kernel are not counted.",
        ]


def profile(graph: ArchGraph, setting: Setting, view: View) -> Profile:
    """Measure a network. Raises UsageError, also for an unknown part to expand, NoDevice, NoMemory, Unfit and Unreadable."""
    counts = Counts(graph)
    rows = view.rows(counts)
    from archc.compiler.backends.torch.profile import layers

    threads = thread_counts(setting.threads)
    found = layers(graph, setting.device, setting.dtype, setting.batch, threads, setting.level, setting.runs, setting.weights)
    table = _Table(graph, found)
    leaves = tuple(table.row(leaf, [leaf.name]) for leaf in counts.leaves())
    return Profile(
        name=graph.name,
        device=found.device,
        setting=setting,
        threads=found.threads,
        whole=middle(found.whole),
        whole_p95=quantile(found.whole, 0.95),
        stepwise=middle([sum(run) for run in zip(*found.seconds.values(), strict=True)]),
        peak=found.peak,
        rows=tuple(table.rows(rows)),
        leaves=leaves,
        graph=graph,
    )


def seconds_of(path: Path, graph: ArchGraph) -> dict[str, float]:
    """Read the seconds of every node from a profile in JSON. Raises UsageError for another file, or the profile of another network."""
    try:
        data = json.loads(path.read_bytes())
        found = {name: float(seconds) for name, seconds in data["nodes"].items()}
    except OSError as error:
        raise UsageError(f"{path}: {reason(error)}", option="profile") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        what = f"{path} is no profile: `archc profile FILE -o {path.stem}.json` writes one"
        raise UsageError(what, option="profile") from None
    if strange := [name for name in found if name not in graph]:
        raise UsageError(f"{path} is of another network: {graph.name} has no {strange[0]}", option="profile")
    return found


class _Table:
    """Makes rows of measurements. A row of folded copies stands for all of them, and so do the rows inside it."""

    def __init__(self, graph: ArchGraph, found: Layers) -> None:
        self._graph, self._found = graph, found
        self._parts: dict[str, Part] = {}
        waiting = [parts(graph)]
        while waiting:
            part = waiting.pop()
            self._parts[part.name] = part
            waiting.extend(part.parts.values())

    def rows(self, rows: Sequence[Row], around: Row | None = None, copies: Sequence[str] = ("",)) -> Iterator[Timing]:
        """Yield measurements for rows of a summary, which are inside one row and stand for some copies of it."""
        cut = len(around.name) if around is not None else 0
        for row in rows:
            names = [copy + name[cut:] for copy in copies for name in self._neighbours(row)]
            yield self.row(row, names, tuple(self.rows(row.inside, row, names)))

    def _neighbours(self, row: Row) -> list[str]:
        """Return the names of the first to the last copy."""
        if row.copies == 1:
            return [row.name]
        names = [part.name for part in self._parts[row.name.rpartition(".")[0]].parts.values()]
        first = names.index(row.name)
        return names[first : first + row.copies]

    def row(self, row: Row, names: Sequence[str], inside: tuple[Timing, ...] = ()) -> Timing:
        """Return the measurement of all nodes of some parts."""
        found = self._found
        nodes = [node for name in names for node in self._parts[name].nodes()]
        run = [node.name for node in nodes if node.name in found.seconds]
        macs = macs_of(self._graph, nodes)
        return Timing(
            name=row.name,
            last=row.last,
            written=row.written,
            copies=row.copies,
            nodes=tuple(node.name for node in nodes),
            seconds=sum(middle(found.seconds[name]) for name in run) if run else None,
            p95=quantile([sum(together) for together in zip(*(found.seconds[name] for name in run), strict=True)], 0.95) if run else None,
            macs=macs if isinstance(macs, int) else None,
            allocated=sum(found.allocated.get(node.name, 0) for node in nodes),
            held=sum(found.held.get(node.name, 0) for node in nodes),
            inside=inside,
        )


def _flat(rows: Sequence[Timing], level: int = 0) -> Iterator[tuple[int, Timing]]:
    for row in rows:
        yield level, row
        yield from _flat(row.inside, level + 1)


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}%" if whole else ""


def _facts(row: Timing) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": row.name,
        "operator": row.written,
        "copies": row.copies,
        "nodes": len(row.nodes),
        "seconds": row.seconds,
        "p95": row.p95,
        "macs": row.macs,
        "allocated": row.allocated,
        "held": row.held,
    }
    return plain | ({"inside": [_facts(inner) for inner in row.inside]} if row.inside else {})
