"""Colors of diagnostics: only on a terminal, and never where NO_COLOR is set."""

from __future__ import annotations

from typing import TextIO

from archc.dsl.rendering import Paint, plain

STYLES = {
    "error": "bold red",
    "warning": "bold yellow",
    "title": "bold",
    "place": "cyan",
    "gutter": "blue",
    "mark": "bold red",
    "second": "blue",
    "help": "green",
}


def painter(stream: TextIO) -> Paint:
    """Return how to paint text for a stream: in colors on a terminal that has them, else not at all."""
    if not stream.isatty():
        return plain
    from rich.console import Console
    from rich.style import Style

    console = Console(file=stream)
    if console.no_color or console.color_system is None:
        return plain

    def paint(style: str, text: str) -> str:
        return Style.parse(STYLES[style]).render(text) if text else ""

    return paint
