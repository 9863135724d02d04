"""What the command line asks of pictures: its options, read; the picture written; what is missing, said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import typer

from archc.compiler.draw.layout import NoGraphviz, TooLarge
from archc.compiler.draw.picture import by_suffix, listed
from archc.compiler.draw.request import Request, request
from archc.compiler.files import write_bytes
from archc.ui.verbs.terminal import fail, must_be_writable, talk, usage


@dataclass(frozen=True)
class Wish:
    """A file to write, or none for stdout, and what is asked of the picture."""

    output: Path | None
    asked: Request


def wish(output: Path | None, form: str, style: str, theme: str, heat: str, legend: bool, part: str = "") -> Wish:
    """Read the options before any work is done. Raises UsageError."""
    if output is not None:
        must_be_writable(output)
    form = form or (by_suffix(output.suffix) if output is not None else "svg")
    if not form:
        usage(f"pictures are {listed()}, by --format or the file's suffix; not {output}")
    asked = request(form, style, theme, heat, legend, part)
    if asked.form.binary and output is None:
        usage(f"a {form} goes into a file: give -o FILE{asked.form.suffixes[0]}")
    return Wish(output, asked)


def deliver(make: Callable[[], bytes], output: Path | None) -> None:
    """Make a picture and write it, whole or not at all; end where Graphviz is missing or the picture is too large."""
    try:
        data = make()
    except NoGraphviz as error:
        talk(f"archc: {error}")
        raise typer.Exit(3) from None
    except TooLarge as error:
        fail(str(error))
    if output is None:
        sys.stdout.buffer.write(data)
        return
    write_bytes(output, data)
    talk(f"wrote {output}")
