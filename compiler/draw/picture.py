"""A picture from a scene: every style and format, by one call."""

from __future__ import annotations

from collections.abc import Callable

from compiler.draw.dot import Look, graph_dot
from compiler.draw.layout import render
from compiler.draw.mermaid import mermaid
from compiler.draw.scene import Scene
from compiler.draw.svg import finished
from compiler.draw.tikz import tikz
from compiler.draw.volumes import paper_dot

STYLES = ("graph", "paper")
FORMATS = ("svg", "pdf", "png", "dot", "html", "mermaid", "tex")
SUFFIXES = {".svg": "svg", ".pdf": "pdf", ".png": "png", ".dot": "dot", ".gv": "dot", ".html": "html", ".mmd": "mermaid", ".tex": "tex"}
BINARY = ("pdf", "png")
BOTH_STYLES = ("svg", "pdf", "png", "dot")  # what can draw volumes


def picture(scene: Scene, form: str, style: str = "graph", look: Look = Look()) -> bytes:  # noqa: B008 (it is frozen)
    """A scene as svg, pdf, png, dot, mermaid or tex; the same bytes for the same network.

    Raises `layout.NoGraphviz` where Graphviz is missing, and `layout.TooLarge` for a PNG that would be.
    """
    if form in WRITERS:
        return WRITERS[form](scene, look).encode()
    paper = style == "paper"
    dot = paper_dot(scene, look) if paper else graph_dot(scene, look)
    if form == "dot":
        return dot.encode()
    drawn = render(dot, form, placed=paper)
    return finished(drawn, scene, look.theme) if form == "svg" else drawn


WRITERS: dict[str, Callable[[Scene, Look], str]] = {"mermaid": mermaid, "tex": tikz}
