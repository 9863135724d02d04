"""The exception that carries what is wrong with a file."""

from __future__ import annotations

from collections.abc import Sequence

from archc.dsl.diagnostics import Diagnostic
from archc.dsl.rendering import render_all


class ArchError(Exception):
    """The file is wrong. `diagnostics` holds every independent mistake; `str()` renders them all."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        if isinstance(diagnostics, str):  # torch makes errors of other processes anew from their text, or as RuntimeErrors
            raise TypeError("an ArchError takes diagnostics, not text")
        super().__init__(diagnostics)
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return render_all(self.diagnostics)
