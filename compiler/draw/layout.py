"""Graphviz, through the library that the pygraphviz wheel carries: no system `dot` is needed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

Point = tuple[float, float]

PNG_SIDE = 32_767  # pixels; cairo draws no larger images


class NoGraphviz(Exception):
    """Graphviz is not there, with what to install."""


class TooLarge(Exception):
    """A picture with more pixels than a PNG may have here."""


def render(dot: str, form: str, placed: bool = False) -> bytes:
    """Lay out by `dot`, unless all is placed already, and render: svg, pdf, png, json. The same bytes for the same text.

    Raises NoGraphviz where it is missing, and TooLarge for a PNG of more than 32,767 pixels on a side.
    """
    program = "nop2" if placed else "dot"
    if form == "png":
        sides = _rendered(dot, "plain", program).split(b"\n", 1)[0].split()[2:4]  # in inches
        if (pixels := 96 * max(map(float, sides))) > PNG_SIDE:
            raise TooLarge(
                f"this picture has {pixels:,.0f} pixels on its longer side, and a PNG at most {PNG_SIDE:,}: write an .svg, or fold it"
            )
    return _rendered(dot, form, program)


def drawing(dot: str) -> Any:
    """A DOT text as a drawing whose attributes can be read and set. Raises NoGraphviz where it is missing."""
    try:
        import pygraphviz
    except ImportError as error:
        raise NoGraphviz(f"pictures need Graphviz: `pip install pygraphviz` brings it along ({error})") from None
    return pygraphviz.AGraph(string=dot)


def laid_out(dot: str) -> Any:
    """The same as a drawing, with the positions that `dot` gives in its attributes."""
    return drawing(_rendered(dot, "dot", "dot").decode())


def centres(laid: Any) -> dict[str, Point]:
    """Where the nodes of a drawing stand, in points."""
    found = {}
    for node in laid.nodes():
        x, y = node.attr["pos"].split(",")
        found[str(node)] = float(x), float(y)
    return found


def _rendered(dot: str, form: str, program: str) -> bytes:
    loaded = drawing(dot)
    with _quiet():
        made: bytes = loaded.draw(format=form, prog=program)
    return _DATE.sub(_same_length, made) if form == "pdf" else made


_DATE = re.compile(rb"(?<=/CreationDate \(D:)[0-9]+")


def _same_length(date: re.Match[bytes]) -> bytes:
    """A PDF holds the time of day; a fixed one keeps the same network the same bytes."""
    return b"20000101000000"[: len(date[0])].ljust(len(date[0]), b"0")


@contextmanager
def _quiet() -> Iterator[None]:
    """Nothing on stderr, from Python or from C: there are warnings of large drawings, and of this machine's fonts."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
