"""What the command line asks of pictures: its options, read; a picture, made and written; what goes wrong, said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from compiler.draw import overlay
from compiler.draw.dot import Look
from compiler.draw.fold import Folding, blocks, scene
from compiler.draw.layout import NoGraphviz, TooLarge
from compiler.draw.page import page
from compiler.draw.picture import BINARY, BOTH_STYLES, FORMATS, STYLES, SUFFIXES, picture
from compiler.draw.scene import Scene
from compiler.draw.style import HEATS, THEMES
from compiler.files import write_bytes
from compiler.graph import ArchGraph
from compiler.verbs.terminal import fail, must_be_writable, talk, usage
from dsl.vocabulary.spelling import did_you_mean

if TYPE_CHECKING:
    from compiler.analysis.diff import Difference
    from compiler.driver import Report


@dataclass(frozen=True)
class Wish:
    """A file to write, or none for stdout; its format, and how the picture is to look."""

    output: Path | None
    form: str
    style: str
    look: Look


def wish(output: Path | None, form: str, style: str, theme: str, heat: str, legend: bool) -> Wish:
    """Read the options; end with what is wrong with them."""
    if output is not None:
        must_be_writable(output)
    form = form or (SUFFIXES.get(output.suffix.lower(), "") if output is not None else "svg")
    if form not in FORMATS:
        usage(f"pictures are {', '.join(FORMATS[:-1])} or {FORMATS[-1]}, by --format or the file's suffix; not {form or output}")
    for option, value, values in (("style", style, STYLES), ("theme", theme, THEMES), ("heat", heat or "macs", HEATS)):
        if value not in values:
            usage(f"--{option} is {' or '.join(values)}, not {value}")
    if style == "paper" and form not in BOTH_STYLES:
        usage(f"--style paper is drawn as {', '.join(BOTH_STYLES)}, not as {form}")
    if form in BINARY and output is None:
        usage(f"a {form} goes into a file: give -o FILE.{form}")
    return Wish(output, form, style, Look(theme, heat, legend))


def drawn(graph: ArchGraph, folding: Folding, asked: Wish) -> bytes:
    """The picture of a sound network."""
    made = _scene(graph, folding)
    if asked.form == "html":
        opened = blocks(graph) if folding.flat else [box.id for box in made.every() if box.opened]
        return _careful(lambda: page(graph, asked.look, opened).encode())
    return _careful(lambda: picture(made, asked.form, asked.style, asked.look))


def partial(report: Report, folding: Folding, asked: Wish) -> bytes:
    """The picture of a wrong one."""
    if asked.form == "html" or asked.style == "paper":
        usage("--partial draws boxes: with --style graph, and not as html")
    made = _known(lambda: overlay.partial(report.graph, report.failures, report.diagnostics, folding), report.graph)
    return _careful(lambda: picture(made, asked.form, asked.style, asked.look))


def difference(a: ArchGraph, b: ArchGraph, found: Difference, folding: Folding, asked: Wish) -> bytes:
    """The picture of what differs."""
    if asked.form == "html":
        usage("a difference is drawn as svg, pdf, png, dot, mermaid or tex, not as html")
    made = _known(lambda: overlay.difference(a, b, found, folding), b)
    return _careful(lambda: picture(made, asked.form, asked.style, asked.look))


def deliver(data: bytes, asked: Wish) -> None:
    """Write it, whole or not at all."""
    if asked.output is None:
        sys.stdout.buffer.write(data)
        return
    write_bytes(asked.output, data)
    talk(f"wrote {asked.output}")


def _scene(graph: ArchGraph, folding: Folding) -> Scene:
    return _known(lambda: scene(graph, folding), graph)


def _known(make: Callable[[], Scene], graph: ArchGraph) -> Scene:
    try:
        return make()
    except KeyError as error:
        pattern = str(error.args[0])
        named = did_you_mean(pattern, blocks(graph)) or "`--depth 1` shows what there is"
        usage(f"there is no block {pattern}; {named}")


def _careful(make: Callable[[], bytes]) -> bytes:
    try:
        return make()
    except NoGraphviz as error:
        talk(f"archc: {error}")
        raise typer.Exit(3) from None
    except TooLarge as error:
        fail(str(error))
