"""Pictures for the page: which box is where in the text, and which block is open; and what can be saved as a file."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from archc.compiler.draw.fold import blocks, scene
from archc.compiler.draw.partial import partial
from archc.compiler.draw.picture import picture
from archc.compiler.draw.request import folding, request
from archc.compiler.draw.scene import Box, Scene
from archc.compiler.errors import UsageError
from archc.compiler.graph import ArchGraph
from archc.compiler.network import Network
from archc.ui.playground.checks import Checked, sound
from archc.ui.playground.onnx_parts import install

MOST_BOXES = 1_500  # of a picture: a page shows it in a second, and does not hold up typing
_STYLE = re.compile(r"<style>.*?</style>\s*", re.DOTALL)  # the page has these rules already


def answer(now: Checked, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Draw a text; one with errors as far as its shapes are known. Blocks that do not exist any more are ignored."""
    graph = now.report.graph
    if not len(graph):
        raise UsageError("there is nothing to draw: no network, or none whose shapes are known")
    expand, collapse = _named(graph, asked)
    shown = folding(asked.get("depth"), expand, collapse, asked.get("flat", False))
    made = scene(graph, shown) if now.report.ok else partial(graph, now.report.failures, now.report.diagnostics, shown)
    if (count := sum(1 for _ in made.shown())) > MOST_BOXES:
        raise UsageError(f"the picture has {count:,} boxes, and a page shows at most {MOST_BOXES:,}: close blocks, or choose fewer levels")
    style = request("svg", asked.get("style", "graph") if now.report.ok else "graph", "auto", asked.get("heat", ""))
    svg = picture(made, "svg", style.style, style.look).decode()
    return {"svg": _STYLE.sub("", svg, count=1), "boxes": _boxes(now, made), "whole": now.report.ok, "table": _table(made)}


def _named(graph: ArchGraph, asked: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the blocks to open and those to close, without names that no block has."""
    opened, closed = asked.get("expand", ()), asked.get("collapse", ())
    known = set(blocks(graph)) if opened or closed else set()
    return [name for name in opened if name in known], [name for name in closed if name in known]


def _boxes(now: Checked, made: Scene) -> dict[str, Any]:
    """Return, by the name of a box, where it is in the text, and whether it opens or closes."""
    found = {}
    for box in made.every():
        state = "open" if box.opened else "closed" if box.family == "block" else ""
        found[box.id] = {"at": _place(now, box), "state": state, "label": box.tooltip.replace("\n", ", ")}
    return found


def _place(now: Checked, box: Box) -> list[int] | None:
    """Return the place of a box in this text: that of its item, or of the call in this text that leads to it."""
    spans = [box.span] if box.span is not None else []
    if box.nodes:
        frame = box.nodes[0].frame
        spans += [each.span for each in (frame.chain() if frame is not None else [])]
    return next(filter(None, (now.place(span) for span in spans)), None)


def _table(made: Scene) -> list[list[str]]:
    """Return the picture as rows, for those who do not see it: each box with its operator, its shape, and what follows it."""
    after: dict[str, list[str]] = {}
    for edge in made.edges:
        after.setdefault(edge.source, []).append(edge.target)
    return [
        [
            box.id + (f" {box.times}" if box.times else ""),
            " ".join([box.title, *box.details]),
            _shape(box),
            ", ".join(after.get(box.id, [])),
        ]
        for box in made.shown()
    ]


def _shape(box: Box) -> str:
    from archc.compiler.shapes.dim import show_shape

    return show_shape(box.shape) if box.nodes else ""


def _source(net: Network) -> str:
    """Write the network as PyTorch source. Where PyTorch is missing, as in a page, it has not been run."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{net.name}.py"
        net.compile(path, run=False)
        return path.read_text(encoding="utf-8")


SUMMARIES = {"csv": "csv", "md": "markdown", "summary.tex": "latex"}


def exported(now: Checked, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the text of a file, or, as `base64`, its bytes.

    A picture is `svg`, `dot`, `mermaid`, `tex` or `html`, source `py`, the expanded text `arch`, a summary `csv`, `md` or `summary.tex`;
    and `onnx`, bytes, is the network whose weights are inputs.
    """
    net = Network(sound(now))
    form = asked["form"]
    if form in SUMMARIES:
        return {"text": getattr(net.summary(depth=asked.get("levels", 2)), SUMMARIES[form])()}
    if form == "py":
        return {"text": _source(net)}
    if form == "onnx":
        install()
        return {"base64": b64encode(net.onnx_without_weights()).decode()}
    if form == "arch":
        return {"text": net.expand()}
    expand, collapse = _named(net.graph, asked)
    style = asked.get("style", "graph") if form in ("svg", "dot") else "graph"
    drawn = net.draw(form, style=style, theme=asked.get("theme", "auto"), depth=asked.get("depth"), expand=expand, collapse=collapse)
    return {"text": drawn.decode()}
