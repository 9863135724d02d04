"""What the command line asks of pictures: its options, read; a picture, made and written; what goes wrong, said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from archc.compiler.draw import difference as changes
from archc.compiler.draw import partial as failing
from archc.compiler.draw.fold import Folding, blocks, scene
from archc.compiler.draw.layout import NoGraphviz, TooLarge
from archc.compiler.draw.picture import FORMATS, Format, by_suffix, listed, picture
from archc.compiler.draw.scene import Scene
from archc.compiler.draw.style import HEATS, STYLES, THEMES, Look
from archc.compiler.files import write_bytes
from archc.compiler.graph import ArchGraph
from archc.dsl.vocabulary.spelling import did_you_mean
from archc.ui.verbs.terminal import fail, must_be_writable, talk, usage

if TYPE_CHECKING:
    from archc.compiler.analysis.diff import Difference
    from archc.compiler.driver import Report


@dataclass(frozen=True)
class Wish:
    """A file to write, or none for stdout; its format, and how the picture is to look."""

    output: Path | None
    form: Format
    style: str
    look: Look


def wish(output: Path | None, form: str, style: str, theme: str, heat: str, legend: bool) -> Wish:
    """Read the options; end with what is wrong with them."""
    if output is not None:
        must_be_writable(output)
    form = form or (by_suffix(output.suffix) if output is not None else "svg")
    chosen = next((found for found in FORMATS if found.name == form), None)
    if chosen is None:
        usage(f"pictures are {listed()}, by --format or the file's suffix; not {form or output}")
    for option, value, values in (("style", style, STYLES), ("theme", theme, THEMES), ("heat", heat or "macs", HEATS)):
        if value not in values:
            usage(f"--{option} is {' or '.join(values)}, not {value}")
    if style not in chosen.styles:
        usage(f"--style {style} is drawn as {listed(found for found in FORMATS if style in found.styles)}, not as {form}")
    if chosen.binary and output is None:
        usage(f"a {form} goes into a file: give -o FILE{chosen.suffixes[0]}")
    return Wish(output, chosen, style, Look(theme, heat, legend))


def _part(what: str, asked: Wish) -> None:
    """End where the format only shows whole networks."""
    if asked.form.whole:
        usage(f"{what} is drawn as {listed(found for found in FORMATS if not found.whole)}, not as {asked.form.name}")


def drawn(graph: ArchGraph, folding: Folding, asked: Wish) -> bytes:
    """The picture of a sound network."""
    return _painted(_known(lambda: scene(graph, folding), graph), asked)


def partial(report: Report, folding: Folding, asked: Wish) -> bytes:
    """The picture of a wrong one."""
    _part("a wrong file", asked)
    if asked.style != "graph":
        usage("--partial draws boxes: with --style graph")
    made = _known(lambda: failing.partial(report.graph, report.failures, report.diagnostics, folding), report.graph)
    return _painted(made, asked)


def difference(a: ArchGraph, b: ArchGraph, found: Difference, folding: Folding, names: tuple[str, str], asked: Wish) -> bytes:
    """The picture of what differs."""
    _part("a difference", asked)
    made = _known(lambda: changes.difference(a, b, found, folding, names), b)
    return _painted(made, asked)


def deliver(data: bytes, asked: Wish) -> None:
    """Write it, whole or not at all."""
    if asked.output is None:
        sys.stdout.buffer.write(data)
        return
    write_bytes(asked.output, data)
    talk(f"wrote {asked.output}")


def _known(make: Callable[[], Scene], graph: ArchGraph) -> Scene:
    try:
        return make()
    except KeyError as error:
        pattern = str(error.args[0])
        named = did_you_mean(pattern, blocks(graph)) or "`--depth 1` shows what there is"
        usage(f"there is no block {pattern}; {named}")


def _painted(made: Scene, asked: Wish) -> bytes:
    try:
        return picture(made, asked.form.name, asked.style, asked.look)
    except NoGraphviz as error:
        talk(f"archc: {error}")
        raise typer.Exit(3) from None
    except TooLarge as error:
        fail(str(error))
