"""A self-contained HTML page: pan, zoom, blocks that open on a click, search, facts under the pointer.

Graphviz lays out every block separately, with the blocks inside it closed. When a block is opened, the page makes room for it
by stretching the drawing around it, and inserts the drawing of the block.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from archc.compiler.analysis.parts import parts
from archc.compiler.draw.arcs import markup
from archc.compiler.draw.dot import graph_dot
from archc.compiler.draw.fold import body
from archc.compiler.draw.labels import hide, on_boxes
from archc.compiler.draw.layout import render
from archc.compiler.draw.scene import Scene, clean
from archc.compiler.draw.style import Look
from archc.compiler.draw.svg import SVG, data, stylesheet, variables
from archc.compiler.graph import ArchGraph

TEMPLATE = Path(__file__).with_name("page.html")


def page(graph: ArchGraph, look: Look, opened: Sequence[str] = ()) -> str:
    """Return the page of a network, with some blocks open at first."""
    drawings: dict[str, Any] = {}
    waiting = [parts(graph)]
    while waiting:
        part = waiting.pop()
        scene = body(graph, part)
        hide(scene, look.hide)
        on_boxes(scene, look.labels)
        drawings[part.name] = _drawing(scene, Look(look.theme, look.heat, legend=False))
        closed = {box.id for box in scene.shown() if box.family == "block"}
        waiting.extend(inner for inner in part.parts.values() if inner.name in closed)
    for drawing in drawings.values():
        for box in drawing["boxes"]:
            box["opens"] = box["id"] in drawings
    text = TEMPLATE.read_text(encoding="utf-8")
    fields = {"name": escape(clean(graph.name)), "title": escape(clean(graph.title))}
    fields |= {"themes": variables(look.theme), "style": stylesheet() if look.theme == "auto" else ""}
    fields |= {"drawings": as_json(drawings), "opened": as_json([name for name in opened if name in drawings])}
    return re.sub(r"\{\{(\w+)\}\}", lambda field: fields[field[1]], text)  # in one pass: a title may look like a field


def as_json(value: Any) -> str:
    """Return JSON for a script in HTML: without `<`, so that no tag and no comment begins in it."""
    return json.dumps(value).replace("<", "\\u003c")


def _drawing(scene: Scene, look: Look) -> dict[str, Any]:
    """Lay out a scene with Graphviz; return the drawing of each box with its place, and the points of each edge."""
    scene.clean()
    dot = graph_dot(scene, look)
    places = json.loads(render(dot, "json"))
    root = ElementTree.fromstring(render(dot, "svg"))
    groups: dict[str, ElementTree.Element] = {}
    edges = []
    for group in root.iter(f"{{{SVG}}}g"):
        if group.get("class") == "node":
            groups[group.get("id", "")] = group
        elif group.get("class") == "edge":
            edges.append(_edge(group))
    boxes = {box.id: box for box in scene.shown()}
    wide, high = (float(side) for side in places["bb"].split(",")[2:])
    drawn = []
    for place in places.get("objects", []):
        box = boxes.get(place["name"])
        if box is not None:
            x, y = map(float, place["pos"].split(","))
            w, h = (72 * float(place[side]) for side in ("width", "height"))
            drawn.append({
                "id": box.id, "x": x, "y": -y, "w": w, "h": h, "tip": box.tooltip,
                "data": data(box), "name": box.name, "title": box.title, "copies": box.copies,
                "svg": _inner(groups[box.id]) + markup(box, (x, -y), w, h, look.colours),
            })  # fmt: skip
    return {"w": wide, "h": high, "boxes": drawn, "edges": edges}


def _inner(group: ElementTree.Element) -> str:
    """Return the drawing of a node's group, without its title and the links that Graphviz creates for tooltips."""
    drawn = [part for part in group.iter() if part.tag.rpartition("}")[2] in ("polygon", "path", "ellipse", "polyline", "text")]
    return "".join(ElementTree.tostring(part, encoding="unicode") for part in drawn).replace(f' xmlns:ns0="{SVG}"', "").replace("ns0:", "")


def _edge(group: ElementTree.Element) -> dict[str, Any]:
    source, target = (group.findtext(f"{{{SVG}}}title") or "").split("->")
    path = next(part for part in group.iter(f"{{{SVG}}}path"))
    found: dict[str, Any] = {"from": source, "to": target, "d": path.get("d"), "dashed": path.get("stroke-dasharray") is not None}
    found |= {"colour": path.get("stroke"), "head": next(part for part in group.iter(f"{{{SVG}}}polygon")).get("points")}
    label = next(group.iter(f"{{{SVG}}}text"), None)
    if label is not None:
        found["label"] = {"text": (label.text or "").strip(), "x": float(label.get("x", 0)), "y": float(label.get("y", 0))}
    return found
