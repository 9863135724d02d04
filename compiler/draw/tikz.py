"""TikZ output, for papers: a standalone picture with the positions computed by Graphviz."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from html import unescape
from typing import Any

from archc.compiler.draw.arcs import tikz as arcs_tikz
from archc.compiler.draw.dot import graph_dot, wrapped
from archc.compiler.draw.layout import render
from archc.compiler.draw.scene import Box, Scene
from archc.compiler.draw.style import Look
from archc.compiler.draw.titles import titled

_SPECIAL = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "{}_&%$#"},
    **{"^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}"},
    **{"\n": " ", "\ufffd": "?", "×": r"$\times$", "·": r"$\cdot$", "…": r"\ldots{}"},
    **{"÷": r"$\div$", "μ": r"$\mu$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "\u2013": "--"},
}
_FORMS = {
    "input": "rounded corners=4pt",
    "output": "rounded corners=4pt",
    "dense": "line width=1.2pt",
    "pooling": "trapezium, trapezium angle=-80, trapezium stretches",
    "activation": "ellipse, inner sep=0pt",
    "normalization": "chamfered rectangle, inner sep=0pt",
    "merge": "circle, inner sep=0pt",
    "unknown": "line width=0.8pt, dashed",
    "block": "rounded corners=4pt, double",
}


def tikz(scene: Scene, look: Look) -> str:
    """Return a standalone document; `\\input` uses its `tikzpicture` environment."""
    dot = graph_dot(replace(scene, caption=[], heading=[]), replace(look, legend=False))
    placed = json.loads(render(str(titled(dot).to_string()), "json", placed=True))
    boxes = {box.id: box for box in scene.every()}
    families = dict.fromkeys([box.status or box.family for box in scene.every()] + ["line", "frame", "room", "faint"])
    families |= dict.fromkeys(("skip", "merge", "convolution") if any(box.skips for box in scene.shown()) else ())
    objects = placed.get("objects", [])
    lines = [_frame(thing, boxes[thing["name"].removeprefix("cluster_")]) for thing in objects if "nodes" in thing or "subgraphs" in thing]
    lines += [_node(thing, boxes[thing["name"]]) for thing in objects if "pos" in thing]
    lines += [line for thing in placed.get("edges", []) for line in _edge(thing)]
    for thing in objects:
        if "pos" in thing:
            x, y = map(float, thing["pos"].split(","))
            wide, high = (72 * float(thing[side]) for side in ("width", "height"))
            lines += arcs_tikz(boxes[thing["name"]], (x, y), wide, high, look.figure.direction)
    return document(scene, [*lines, *heading(scene), *caption(scene)], {f"archc-{family}": look.colours[family] for family in families})


def document(scene: Scene, lines: Iterable[str], colours: Mapping[str, str], unit: float = 1.0) -> str:
    """Return a standalone document with one picture of these commands, and the definitions of its colors; `unit` is in points."""
    head = [
        "% " + " ".join(f"{scene.name}: {scene.title}".split()),
        r"\documentclass[tikz,border=4pt]{standalone}",
        r"\usetikzlibrary{shapes.geometric,shapes.misc,arrows.meta}",
        *(rf"\definecolor{{{name}}}{{HTML}}{{{colour[1:].upper()}}}" for name, colour in colours.items()),
        r"\begin{document}",
        rf"\begin{{tikzpicture}}[x={unit:.5g}pt, y={unit:.5g}pt, font=\sffamily\small, >={{Stealth[length=4pt]}}, "
        "every node/.style={align=center}]",
    ]
    return "\n".join([*head, *lines, r"\end{tikzpicture}", r"\end{document}"]) + "\n"


def heading(scene: Scene) -> Iterator[str]:
    """Yield the command that writes the title over the picture, if it has one."""
    if scene.heading:
        text = r"\\".join(
            [rf"\large\textbf{{{escaped(scene.heading[0])}}}", *(rf"\scriptsize {escaped(line)}" for line in scene.heading[1:])]
        )
        yield rf"\node[above=6pt] at (current bounding box.north) {{{text}}};"


def caption(scene: Scene) -> Iterator[str]:
    """Yield the command that writes the caption under the picture, if it has one."""
    if scene.caption:
        text = r"\\".join([rf"\textbf{{{escaped(scene.caption[0])}}}", *(escaped(line) for line in scene.caption[1:])])
        yield rf"\node[below=6pt, font=\sffamily\scriptsize] at (current bounding box.south) {{{text}}};"


def _node(thing: dict[str, Any], box: Box) -> str:
    wide, high = (72 * float(thing[side]) for side in ("width", "height"))
    options = [f"draw=archc-line, fill=archc-{box.status or box.family}", f"minimum width={wide:.1f}pt", f"minimum height={high:.1f}pt"]
    options += [form] if (form := _FORMS.get(box.family)) else ["rectangle"]
    options += ["dashed"] if box.training_only else []
    title = [rf"\textbf{{{escaped(line)}}}" for line in wrapped(f"{box.title} {box.times}".strip()) if line]
    name = [rf"{{\scriptsize\color{{archc-faint}}{escaped(box.name)}}}"] if box.name and box.family != "merge" else []
    details = [rf"{{\scriptsize {escaped(line)}}}" for detail in (*box.details, *box.changes, *box.numbers) for line in wrapped(detail)]
    details += [rf"{{\scriptsize {escaped(box.leaves)}}}"] if box.leaves else []
    text = r"\\[-2pt]".join([*name, *title, *details]) if box.family != "merge" else escaped(box.title)
    return rf"\node[{', '.join(options)}] at ({thing['pos']}) {{{text}}};"


def _frame(thing: dict[str, Any], box: Box) -> str:
    left, low, right, high = thing["bb"].split(",")
    dashed = ", dashed" if box.training_only else ""
    heading = rf"node[text=archc-faint, font=\sffamily\scriptsize] at ({thing['lp']}) {{{escaped(unescape(thing['label']))}}}"
    return rf"\draw[draw=archc-frame, fill=archc-room, rounded corners=4pt{dashed}] ({left},{low}) rectangle ({right},{high}) {heading};"


def _edge(thing: dict[str, Any]) -> Iterator[str]:
    """Yield the curve through its control points, and its label; the last segment leads into the arrowhead."""
    end, *points = thing["pos"].removeprefix("e,").split()
    steps = [f"({points[0]})"]
    steps += [f".. controls ({a}) and ({b}) .. ({c})" for a, b, c in zip(points[1::3], points[2::3], points[3::3], strict=True)]
    dashed = ", dashed" if thing.get("style") == "dashed" else ""
    yield rf"\draw[->, draw=archc-line{dashed}] {' '.join(steps)} -- ({end});"
    if thing.get("lp"):
        yield rf"\node[font=\sffamily\scriptsize, text=archc-faint] at ({thing['lp']}) {{{escaped(thing['label'].strip())}}};"


def escaped(text: str) -> str:
    """Return a text with what TeX would take for commands written out."""
    return "".join(_SPECIAL.get(character, character) for character in text)
