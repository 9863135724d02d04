"""A self-contained HTML page of a figure of style `paper`: pan and zoom, facts under the pointer, and a click shows what is in a block."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from archc.compiler.analysis.parts import Part, parts
from archc.compiler.draw.fold import body
from archc.compiler.draw.labels import hide
from archc.compiler.draw.layout import render
from archc.compiler.draw.page import as_json
from archc.compiler.draw.scene import Scene, clean
from archc.compiler.draw.style import Look
from archc.compiler.draw.svg import finished, variables
from archc.compiler.draw.volumes import paper_dot
from archc.compiler.graph import ArchGraph

TEMPLATE = Path(__file__).with_name("figure.html")


def figure_page(scene: Scene, look: Look) -> str:
    """Return the page of a scene that shows a whole network, with a figure of every block that is closed in another one."""
    graph = scene.graph
    assert graph is not None
    by_name = _parts(graph)
    drawings: dict[str, str] = {}
    waiting: list[tuple[str, Scene]] = [("", scene)]
    while waiting:
        name, shown = waiting.pop()
        drawings[name] = _svg(shown, look)
        for box in shown.shown():
            if box.family == "block" and box.id in by_name and box.id not in drawings:
                drawings[box.id] = ""
                inner = body(graph, by_name[box.id])
                inner.clean()
                hide(inner, look.hide)
                waiting.append((box.id, inner))
    text = TEMPLATE.read_text(encoding="utf-8")
    fields = {"name": escape(clean(graph.name)), "title": escape(clean(graph.title)), "themes": variables(look.theme)}
    fields |= {"drawings": as_json(drawings)}
    return re.sub(r"\{\{(\w+)\}\}", lambda field: fields[field[1]], text)  # in one pass: a title may look like a field


def _parts(graph: ArchGraph) -> dict[str, Part]:
    """Return all blocks by name."""
    found: dict[str, Part] = {}
    waiting = list(parts(graph).parts.values())
    while waiting:
        part = waiting.pop()
        if part.parts:
            found[part.name] = part
            waiting.extend(part.parts.values())
    return found


def _svg(scene: Scene, look: Look) -> str:
    svg = finished(render(paper_dot(scene, look), "svg", placed=True), scene, look.theme).decode()
    return svg[svg.index("<svg") :]
