"""Layout by Graphviz, through the library in the pygraphviz wheel: no system `dot` is needed.

Where pygraphviz does not exist, as in a browser, `use` gives another engine: a function that takes DOT and returns what Graphviz makes
of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any

from archc.compiler.draw import drawing as drawings

Point = tuple[float, float]
Engine = Callable[[str, str, str], bytes]  # from DOT, a format (svg, json, dot, canon) and a program (dot, nop2)

PNG_SIDE = 32_767  # pixels; the limit of cairo


class NoGraphviz(Exception):
    """Graphviz is missing; the message says what to install."""


class TooLarge(Exception):
    """A picture has more pixels than a PNG may have."""


_engine: Engine | None = None


def use(engine: Engine | None) -> None:
    """Lay out all pictures from now on by another engine than pygraphviz; None is pygraphviz again.

    It is called with DOT, a format (`svg`, `json`, `dot`, `canon`) and a program (`dot`, `nop2`), and returns the bytes. What it raises
    is not caught.
    """
    global _engine
    _engine = engine


def render(dot: str, form: str, placed: bool = False) -> bytes:
    """Lay out a DOT text with `dot`, unless it is `placed` already, and render it as svg, pdf, png or json.

    Equal texts produce equal bytes. Raises NoGraphviz if Graphviz is missing.
    """
    return _rendered(dot, form, "nop2" if placed else "dot")


def drawing(dot: str) -> Any:
    """Return a DOT text as a drawing with accessible attributes. Raises NoGraphviz if Graphviz is missing."""
    if _engine is not None:
        return drawings.read(_engine(dot, "canon", "dot").decode())
    try:
        import pygraphviz
    except ImportError as error:
        raise NoGraphviz(f"pictures need Graphviz: `pip install pygraphviz` includes it ({error})") from None
    return pygraphviz.AGraph(string=dot)


def laid_out(dot: str) -> Any:
    """Return a DOT text as a drawing, with the positions that `dot` computes in its attributes."""
    made = _rendered(dot, "dot", "dot").decode()
    return drawing(made) if _engine is None else drawings.read(made)


def centres(laid: Any) -> dict[str, Point]:
    """Return the centers of the nodes of a drawing, in points."""
    found = {}
    for node in laid.nodes():
        x, y = node.attr["pos"].split(",")
        found[str(node)] = float(x), float(y)
    return found


def _rendered(dot: str, form: str, program: str) -> bytes:
    if _engine is not None:
        return _engine(dot, form, program)
    loaded = drawing(dot)
    with _quiet():
        made: bytes = loaded.draw(format=form, prog=program)
    return _DATE.sub(_same_length, made) if form == "pdf" else made


_DATE = re.compile(rb"(?<=/CreationDate \(D:)[0-9]+")


def _same_length(date: re.Match[bytes]) -> bytes:
    """Replace the time of day in a PDF by a fixed one of equal length, so that equal networks have equal bytes."""
    return b"20000101000000"[: len(date[0])].ljust(len(date[0]), b"0")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence stderr, for Python and C: Graphviz warns of large drawings and of the fonts of the machine."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
