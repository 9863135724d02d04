"""Plots as pictures of the LaTeX package pgf, in the fonts of the document that inputs them.

matplotlib asks LaTeX for the size of each text, so that its files depend on the fonts of the machine. Here text is measured by
matplotlib's own font, which is wider than LaTeX's, also in the wide cuts of Computer Modern for small sizes: no LaTeX is needed, and
the bytes are the same everywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from archc.compiler.tables import latex_text

HEAD = """%% A picture of the package pgf:  \\usepackage{pgf}  and  \\input{FILE}
\\begingroup%
\\makeatletter%
\\begin{pgfpicture}%
"""
TAIL = """\\end{pgfpicture}%
\\makeatother%
\\endgroup%
"""


class Speech:
    """Returns texts in LaTeX, where they mean themselves, and remembers what they say."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        written = latex_text(text).replace("\N{MINUS SIGN}", "$-$")
        self.said[written] = text
        return written


def write_pgf(figure: Any, path: Path, speech: Speech) -> None:
    """Write a figure as a pgfpicture. `speech` has written its texts."""
    from matplotlib.backends.backend_agg import RendererAgg
    from matplotlib.backends.backend_pgf import RendererPgf

    ruler: Any = RendererAgg(8, 8, figure.dpi)  # type: ignore[no-untyped-call]

    class Renderer(RendererPgf):
        """Writes what matplotlib's renderer does, and measures text without LaTeX."""

        def get_text_width_height_descent(self, s: Any, prop: Any, ismath: Any) -> tuple[float, float, float]:
            width, height, descent = ruler.get_text_width_height_descent(speech.said.get(s, s), prop, False)
            return float(width), float(height), float(descent)

    width, height = figure.get_size_inches()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(HEAD)
        file.write(f"\\pgfpathrectangle{{\\pgfpointorigin}}{{\\pgfqpoint{{{width:f}in}}{{{height:f}in}}}}%\n")
        file.write("\\pgfusepath{use as bounding box, clip}%\n")
        figure.draw(Renderer(figure, file))  # type: ignore[no-untyped-call]
        file.write(TAIL)
