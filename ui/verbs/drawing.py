"""Pictures on the command line: read the options, write the picture, report what is missing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import typer

from archc.compiler.draw.figure import Figure
from archc.compiler.draw.layout import NoGraphviz, TooLarge
from archc.compiler.draw.pages import NotCairos, joined
from archc.compiler.draw.picture import by_suffix, listed
from archc.compiler.draw.request import Request, request
from archc.compiler.files import write_bytes
from archc.ui.verbs.terminal import fail, must_be_writable, talk, usage


@dataclass(frozen=True)
class Target:
    """Where a picture goes (None: stdout), and its options."""

    output: Path | None
    options: Request


NATURAL = Figure()


def target(
    output: Path | None,
    form: str,
    style: str,
    theme: str,
    heat: str,
    legend: bool,
    part: str = "",
    labels: str = "",
    hide: Iterable[str] = (),
    page: Figure = NATURAL,
) -> Target:
    """Check the options before any work is done. Raises UsageError, or ends with an exit code."""
    if output is not None:
        must_be_writable(output)
    form = form or (by_suffix(output.suffix) if output is not None else "svg")
    if not form:
        usage(f"pictures are {listed()}, by --format or the suffix of the file, not {output}")
    options = request(form, style, theme, heat, legend, part, labels, hide, page)
    if options.form.binary and output is None:
        usage(f"a {form} is written to a file: give -o FILE{options.form.suffixes[0]}")
    return Target(output, options)


def write_picture(draw: Callable[[], bytes], output: Path | None) -> None:
    """Draw a picture and write it, completely or not at all. Ends with exit code 3 without Graphviz, 1 where it is too large."""
    data = _drawn(draw)
    if output is None:
        sys.stdout.buffer.write(data)
        return
    write_bytes(output, data)
    talk(f"wrote {output}")


def write_steps(draw: Callable[[], list[bytes]], output: Path) -> None:
    """Draw several pictures: a PDF has a page for each, and others are files with numbers in their names, as `net-01.svg`.

    Ends as `write_picture` does. Where a PDF cannot be read back, as of another Graphviz, its pages are such files, too.
    """
    pictures = _drawn(draw)
    if output.suffix.lower() == ".pdf":
        with suppress(NotCairos):
            write_bytes(output, joined(pictures))
            talk(f"wrote {output}, {len(pictures)} pages")
            return
    digits = len(str(len(pictures)))
    paths = [output.with_name(f"{output.stem}-{number:0{digits}}{output.suffix}") for number in range(1, len(pictures) + 1)]
    for path in paths:
        must_be_writable(path)
    for path, data in zip(paths, pictures, strict=True):
        write_bytes(path, data)
    talk(f"wrote {paths[0]} to {paths[-1].name}")


T = TypeVar("T")


def _drawn(draw: Callable[[], T]) -> T:
    try:
        return draw()
    except NoGraphviz as error:
        talk(f"archc: {error}")
        raise typer.Exit(3) from None
    except TooLarge as error:
        fail(str(error))
