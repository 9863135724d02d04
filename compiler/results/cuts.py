"""How a network is cut into stages: what each needs, what is sent between them, and why it is cut there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from archc.compiler.analysis.cuts import SLACK, Cutting, Setting, Stage, cut_in
from archc.compiler.graph import ArchGraph
from archc.compiler.results.summaries import in_bytes
from archc.compiler.shapes.dim import Shape, show_shape
from archc.compiler.tables import Room, html_table, text_table

HEADS = ("stage", "begins at", ">MACs", ">share", ">parameters", ">memory", ">for backward", ">held", "receives", ">bytes")
SPARE = ("held", "parameters", "for backward", "share")
WORDS = {"macs": "MACs", "memory": "bytes"}


@dataclass(frozen=True)
class Cuts:
    """A network in stages, for a dtype, the samples and the number of micro-batches of a step, and an optimizer."""

    name: str
    cutting: Cutting
    setting: Setting
    shapes: dict[str, Shape]  # of the values that are sent
    by_hand: bool

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages in order."""
        return self.cutting.stages

    def text(self, width: int | None = None) -> str:
        """Return the table, and below it why it is cut there; with a `width`, the table is no wider where that can be."""
        room = Room(width, SPARE, "receives") if width is not None else None
        table = text_table(HEADS, self._rows(), self._total(), room)
        return f"{table}\n" + "".join(f"{line}\n" for line in self.why())

    def facts(self) -> dict[str, Any]:
        """Return stages, cuts and why as plain data; bytes that are sent are those of one sample."""
        cutting = self.cutting
        return {
            "name": self.name,
            "by": cutting.by,
            "at": list(cutting.starts),
            "stages": [asdict(stage) for stage in cutting.stages],
            "largest": cutting.largest,
            "most_even": cutting.best,
            "even": cutting.even,
            "places": cutting.places,
            **asdict(self.setting),
            "why": self.why(),
        }

    def why(self) -> list[str]:
        """Return in sentences how even the stages are, and against which others they were chosen."""
        cutting, count = self.cutting, len(self.stages)
        if count == 1:
            return ["One stage: nothing is sent."]
        what, largest, best = WORDS[cutting.by], cutting.largest / cutting.even, cutting.best / cutting.even
        lines = [
            f"The largest stage has {largest:.3f} times an even share of the {what}. Of all ways to cut at {cutting.places} places into "
            f"{count} stages, the most even has {best:.3f}."
        ]
        if self.by_hand:
            lines.append("The cuts are those that were asked for.")
        else:
            lines.append(
                f"Of those up to {100 * (SLACK - 1):.0f} % above that, these send the fewest bytes: "
                f"{in_bytes(self._sent())} for a sample in all."
            )
        passes = self.setting.passes or count
        lines.append(
            f"Memory is that of training in {self.setting.dtype} with {self.setting.optimizer}, {passes} micro-batches of "
            f"{self.setting.batch} in the order 1F1B: a stage holds what backward needs of as many as there are stages from it to the last."
        )
        if passes < count:
            lines.append(f"With fewer micro-batches than stages, never more than {passes} stages are busy.")
        else:
            idle = 100 * (count - 1) / (passes + count - 1)
            lines.append(f"Stages wait in {idle:.0f} % of a step, if all are even: with more micro-batches, less.")
        return lines

    def _sent(self) -> int:
        return sum(stage.cut.sent for stage in self.stages if stage.cut)

    def _rows(self) -> list[list[str]]:
        macs = max(1, sum(stage.macs for stage in self.stages))
        rows = []
        for number, stage in enumerate(self.stages):
            cut = stage.cut
            received = ", ".join(f"{name} {show_shape(self.shapes[name])}" for name in cut.crossing) if cut else ""
            rows.append(
                [
                    str(number),
                    cut.label if cut else stage.first,
                    f"{stage.macs:,}",
                    f"{100 * stage.macs / macs:.1f} %",
                    f"{stage.params:,}",
                    in_bytes(stage.memory),
                    in_bytes(stage.activations),
                    str(stage.held),
                    received,
                    in_bytes(cut.sent) if cut else "",
                ]
            )
        return rows

    def _total(self) -> list[str]:
        macs, params = (sum(getattr(stage, name) for stage in self.stages) for name in ("macs", "params"))
        most = max(stage.memory for stage in self.stages)
        return ["total", "", f"{macs:,}", "", f"{params:,}", f"most {in_bytes(most)}", "", "", "", in_bytes(self._sent())]

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        return html_table(HEADS, [*self._rows(), self._total()], notes=self.why())


def cuts(
    graph: ArchGraph,
    stages: int,
    by: str = "macs",
    at: tuple[str, ...] = (),
    dtype: str = "float32",
    batch: int = 1,
    passes: int = 0,
    optimizer: str = "adam",
) -> Cuts:
    """Cut a network into stages. Raises OpenSizes, and UsageError where it cannot be cut so."""
    setting = Setting(dtype, batch, passes, optimizer)
    cutting = cut_in(graph, stages, by, setting, at)
    sent = {name for stage in cutting.stages if stage.cut for name in stage.cut.crossing}
    return Cuts(graph.name, cutting, setting, {name: graph[name].shape for name in sent}, bool(at))
