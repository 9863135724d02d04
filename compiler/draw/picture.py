"""A picture from a scene, by one call; every format is a row of one table, which help texts and checks are made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from archc.compiler.draw.figure import number
from archc.compiler.draw.labels import hide, on_boxes
from archc.compiler.draw.scene import Scene
from archc.compiler.draw.style import STYLES, THEMES, Look
from archc.compiler.errors import UsageError, alternatives, one_of

Writer = Callable[[Scene, str, Look], bytes]  # from a scene, the name of a style, and a look


@dataclass(frozen=True)
class Format:
    """One format of pictures. `whole`: it shows a whole network, so no difference and no wrong file."""

    name: str
    suffixes: tuple[str, ...]
    write: Writer
    binary: bool = False
    styles: tuple[str, ...] = STYLES
    whole: bool = False


def picture(scene: Scene, form: str, style: str = "graph", look: Look = Look()) -> bytes:  # noqa: B008 (it is frozen)
    """Draw a scene; the same bytes for the same network.

    Raises UsageError for a format, style or theme that is not known, `layout.NoGraphviz` where Graphviz is missing, and
    `layout.TooLarge` for a PNG that would be.
    """
    chosen = by_name(form)
    one_of("style", style, chosen.styles)
    one_of("theme", look.theme, tuple(THEMES))
    prepare(scene, style, look)
    return chosen.write(scene, style, look)


def prepare(scene: Scene, style: str, look: Look) -> None:
    """Write what a look asks for on the boxes of a scene, and take off them what it hides."""
    number(scene, look.figure.show, look.heat, look.total(scene))
    scene.clean()
    hide(scene, look.hide)
    if style != "paper":
        on_boxes(scene, look.labels)


def by_name(name: str) -> Format:
    """Look up a format. Raises UsageError for a name that is not known."""
    found = next((found for found in FORMATS if found.name == name), None)
    if found is None:
        raise UsageError(f"pictures are {listed()}, not {name}", given=name, known=[found.name for found in FORMATS])
    return found


def by_suffix(suffix: str) -> str:
    """Return the name of the format that files of a suffix have; empty where there is none."""
    return next((found.name for found in FORMATS if suffix.lower() in found.suffixes), "")


def listed(formats: Iterable[Format] | None = None) -> str:
    """Write the names of formats in a sentence."""
    return alternatives(found.name for found in (FORMATS if formats is None else formats))


# ---- one function for each format; what it needs is imported when it is asked for


def _by_graphviz(form: str) -> Writer:
    def write(scene: Scene, style: str, look: Look) -> bytes:
        from archc.compiler.draw.layout import render
        from archc.compiler.draw.placing import placed

        return render(placed(scene, style, look, form), form, placed=True)

    return write


def _dot(scene: Scene, style: str, look: Look) -> bytes:
    if style == "paper":
        from archc.compiler.draw.volumes import paper_dot

        return paper_dot(scene, look).encode()
    from archc.compiler.draw.dot import graph_dot

    return graph_dot(scene, look, words=True).encode()


def _svg(scene: Scene, style: str, look: Look) -> bytes:
    from archc.compiler.draw.svg import finished

    drawn = finished(_by_graphviz("svg")(scene, style, look), scene, look.theme)
    if look.figure.animate:
        from archc.compiler.draw.steps import moving

        return moving(drawn, scene)
    return drawn


def _html(scene: Scene, style: str, look: Look) -> bytes:
    from archc.compiler.draw.page import page

    if scene.graph is None:
        raise UsageError("html shows a whole network, not a difference or a wrong file")
    if style == "paper":
        from archc.compiler.draw.figure_page import figure_page

        return figure_page(scene, look).encode()
    return page(scene.graph, look, scene.opened).encode()


def _mermaid(scene: Scene, style: str, look: Look) -> bytes:
    from archc.compiler.draw.mermaid import mermaid

    return mermaid(scene, look).encode()


def _tex(scene: Scene, style: str, look: Look) -> bytes:
    if style == "paper":
        from archc.compiler.draw.figure_tikz import paper_tikz

        return paper_tikz(scene, look).encode()
    from archc.compiler.draw.tikz import tikz

    return tikz(scene, look).encode()


FORMATS = (
    Format("svg", (".svg",), _svg),
    Format("pdf", (".pdf",), _by_graphviz("pdf"), binary=True),
    Format("png", (".png",), _by_graphviz("png"), binary=True),
    Format("dot", (".dot", ".gv"), _dot),
    Format("html", (".html",), _html, whole=True),
    Format("mermaid", (".mmd", ".mermaid"), _mermaid, styles=("graph",)),
    Format("tex", (".tex",), _tex),
)
