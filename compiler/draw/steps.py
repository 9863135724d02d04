"""A picture that grows, box by box: one picture for each step of a lecture, all in the same places; or one that moves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

from archc.compiler.draw.layout import drawing, render
from archc.compiler.draw.placing import placed
from archc.compiler.draw.scene import Box, Scene
from archc.compiler.draw.style import Look
from archc.compiler.draw.svg import SVG, finished

PACE = 0.8  # seconds from one step of a moving picture to the next
HOLD = 3.0  # seconds that the whole picture stays


def step_of(scene: Scene) -> dict[str, int]:
    """Return the step at which every box appears, from 1: those that edges connect one by one, a frame with the first box in it.

    An output appears with the box that it shows.
    """
    found: dict[str, int] = {}
    into = {edge.target: edge.source for edge in scene.edges}
    count = 0
    for box in scene.shown():
        if box.family == "output" and box.id in into:
            continue
        count += 1
        found[box.id] = count
    for box in scene.shown():
        if box.id not in found:
            found[box.id] = found.get(into[box.id], count)

    def frame(box: Box) -> int:
        if box.opened:
            found[box.id] = min((frame(inner) for inner in box.inside), default=count)
        return found[box.id]

    for box in scene.boxes:
        frame(box)
    return found


def steps(scene: Scene, look: Look, form: str) -> Iterator[bytes]:
    """Yield a picture for each step, as svg, pdf or png; all have one size, and what is in several of them is in one place."""
    appears = step_of(scene)
    dot = placed(scene, "graph", look, form)
    for step in range(1, max(appears.values(), default=0) + 1):
        made = render(_until(dot, appears, step), form, placed=True)
        yield finished(_without_empty(made), scene, look.theme) if form == "svg" else made


def _without_empty(svg: bytes) -> bytes:
    """Remove the groups of frames that are not drawn."""
    root = ElementTree.fromstring(svg)
    for group in root.findall(f"{{{SVG}}}g"):
        for inner in list(group):
            drawn = any(part.tag.rpartition("}")[2] in ("path", "polygon", "text") for part in inner.iter())
            if inner.get("class") == "cluster" and not drawn:
                group.remove(inner)
    made: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return made


def _until(dot: str, appears: Mapping[str, int], step: int) -> str:
    """Hide in a drawing that is laid out what appears after a step."""
    made = drawing(dot)
    for node in made.nodes():
        if _appears(str(node), appears) > step:
            node.attr["style"] = "invis"
    for edge in made.edges():
        if max(_appears(end, appears) for end in _ends(edge)) > step:
            edge.attr["style"] = "invis"
            edge.attr["label"] = ""
    for cluster in _clusters(made):
        if _appears(str(cluster.name).removeprefix("cluster_"), appears) > step:
            cluster.graph_attr["style"] = "invis"
            cluster.graph_attr["label"] = ""
    return str(made.to_string())


def _appears(name: str, appears: Mapping[str, int]) -> int:
    """Return the step of a part of a drawing: that of its box, if it is an arc; 0 for what is there from the start."""
    if name.startswith("skip/"):
        name = re.sub(r"/n?[0-9]+(/[ab])?$", "", name.removeprefix("skip/"))
    return appears.get(name, 0)


def _ends(edge: Any) -> tuple[str, str]:
    if isinstance(edge, tuple):
        return str(edge[0]), str(edge[1])
    source, _, target = str(edge).partition("->")
    return source, target


def _clusters(graph: Any) -> Iterator[Any]:
    for inner in graph.subgraphs():
        if str(inner.name).startswith("cluster_"):
            yield inner
        yield from _clusters(inner)


def moving(svg: bytes, scene: Scene) -> bytes:
    """Return an SVG in which the boxes appear one after the other, again and again; it stands still for readers who want that."""
    appears = step_of(scene)
    last = max(appears.values(), default=1)
    length = PACE * last + HOLD
    root = ElementTree.fromstring(svg)
    for group in root.iter(f"{{{SVG}}}g"):
        kind = (group.get("class") or "").split(" ")[0]
        if kind in ("node", "edge", "cluster") and (step := _step(group, kind, appears)) > 1:
            group.set("class", f"{group.get('class')} step{step}")
    rules = "".join(
        f"@keyframes archc-step{step}{{0%,{100 * PACE * (step - 1) / length:.2f}%{{opacity:0}}"
        f"{100 * PACE * (step - 1) / length + 0.5:.2f}%,100%{{opacity:1}}}}"
        f".archc .step{step}{{animation:archc-step{step} {length:.1f}s linear infinite}}"
        for step in range(2, last + 1)
    )
    style = ElementTree.Element(f"{{{SVG}}}style")
    style.text = f"{rules}@media (prefers-reduced-motion:reduce){{.archc [class*=step]{{animation:none}}}}"
    root.insert(0, style)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _step(group: ElementTree.Element, kind: str, appears: Mapping[str, int]) -> int:
    if kind == "edge" and not (group.get("id") or "").startswith("skip/"):
        return max(appears.get(end, 0) for end in (group.findtext(f"{{{SVG}}}title") or "").split(" to "))
    return _appears(group.get("id") or "", appears)
