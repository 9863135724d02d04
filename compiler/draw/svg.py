"""Post-process Graphviz's SVG: it follows the theme of the page that contains it, and every element carries its facts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from xml.etree import ElementTree

from archc.compiler.draw.scene import Box, Scene
from archc.compiler.draw.style import DARK, LEGEND, LID, LIGHT, SIDE, THEMES, shade
from archc.compiler.shapes.dim import show_shape

SVG = "http://www.w3.org/2000/svg"
LINK = "http://www.w3.org/1999/xlink"
ElementTree.register_namespace("", SVG)
ElementTree.register_namespace("xlink", LINK)
ON_DARK = "@media screen and (prefers-color-scheme: dark)"  # print is light, whatever the screen is


def finished(svg: bytes, scene: Scene, theme: str) -> bytes:
    """Return an SVG with tooltips as titles, `data-` attributes on every box, and, if the theme is `auto`, colors as CSS variables.

    A page sets `--archc-convolution` and the like (see `style.LIGHT`) to override colors.
    """
    root = ElementTree.fromstring(svg)
    root.set("class", "archc")
    boxes = {box.id: box for box in scene.every()}
    for group in root.iter(f"{{{SVG}}}g"):
        for index, inner in enumerate(list(group)):  # Graphviz wraps elements with a tooltip in a link without a target
            link = next(iter(inner), None) if inner.tag == f"{{{SVG}}}g" and len(inner) == 1 else None
            if link is not None and link.tag == f"{{{SVG}}}a":
                group.remove(inner)
                for step, part in enumerate(link):
                    group.insert(index + step, part)
        title = group.find(f"{{{SVG}}}title")
        box = boxes.get(group.get("id", ""))
        if box is not None and group.get("class") != "graph":
            for name, value in data(box).items():
                group.set(f"data-{name}", value)
            if title is not None:
                title.text = box.tooltip
        elif title is not None and (group.get("class") or "").endswith(" skip"):
            owner = boxes.get((group.get("id") or "").removeprefix("skip/").rpartition("/")[0])
            title.text = str(owner.skips) if owner is not None else ""
        elif title is not None and group.get("class") == "edge":
            title.text = (title.text or "").replace("->", " to ")
    if theme == "auto":
        style = ElementTree.Element(f"{{{SVG}}}style")
        style.text = stylesheet()
        root.insert(0, style)
    ElementTree.indent(root, "", 0)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{ElementTree.tostring(root, encoding='unicode')}\n".encode()


def inline(svg: str) -> str:
    """Return a picture for the middle of a page, as HTML: nothing of it reaches the rest of the page, nor the other way round.

    Ids, and the class that the style sheet speaks of, get a prefix of their own, which comes from the content; it scrolls where it is
    wider than the page.
    """
    own = f"archc-{sha256(svg.encode()).hexdigest()[:12]}"
    root = ElementTree.fromstring(svg)
    root.set("class", own)
    for element in root.iter():
        if "id" in element.attrib:
            element.set("id", f"{own}-{element.get('id')}")
        if element.tag == f"{{{SVG}}}style":
            element.text = (element.text or "").replace(".archc [", f".{own} [")
        for name, value in element.attrib.items():
            if name in ("href", f"{{{LINK}}}href") and value.startswith("#"):
                element.set(name, f"#{own}-{value[1:]}")
            elif "url(#" in value:
                element.set(name, value.replace("url(#", f"url(#{own}-"))
    root.set("style", "max-width: none; height: auto")
    return f'<div style="overflow-x: auto">{ElementTree.tostring(root, encoding="unicode")}</div>'


def data(box: Box) -> dict[str, str]:
    """Return the facts about a box for programs that read the picture."""
    found = {"name": box.id, "family": box.family, "src": box.source, "shape": show_shape(box.shape)}
    found |= {"params": str(box.params), "macs": str(box.macs)} if box.family not in ("input", "output") else {}
    found |= {"copies": str(box.copies)} if box.copies > 1 else {}
    found |= {"status": box.status} if box.status else {}
    found |= {"skips": ",".join(skip.op for skip in box.skips.all)}
    return {name: value for name, value in found.items() if value}


@cache
def stylesheet() -> str:
    """Return a rule for every color of the light theme, and the same for dark pages."""
    return f"{_rules(LIGHT)}{ON_DARK}{{{_rules(DARK)}}}"


def variables(theme: str) -> str:
    """Return the colors of a theme as CSS variables; `auto` is dark where the reader prefers dark pages, and light in print."""

    def root(scheme: str, colours: Mapping[str, str]) -> str:
        listed = " ".join(f"--archc-{role}: {colour};" for role, colour in colours.items())
        return f":root {{ color-scheme: {scheme}; {listed} }}"

    if theme == "auto":
        return f"{root('light', LIGHT)}\n{ON_DARK} {{ {root('dark', DARK)} }}"
    return root("dark" if theme == "dark" else "light", THEMES[theme])


def _rules(theme: dict[str, str]) -> str:
    rules = ""
    for role, colour in LIGHT.items():
        for part, factor in (("", 1.0), ("-lid", LID), ("-side", SIDE)) if role in LEGEND or role == "output" else (("", 1.0),):
            for attribute in ("fill", "stroke") if not part else ("fill",):
                now = f"var(--archc-{role}{part},{shade(theme[role], factor)})"
                rules += f'.archc [{attribute}="{shade(colour, factor)}"]{{{attribute}:{now}}}'
    return rules
