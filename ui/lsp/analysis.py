"""What is known of one version of an open text."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from pathlib import Path

from archc.compiler.analysis.receptive import Field, receptive_fields
from archc.compiler.elaborate.loader import ARCHS, Loaded, Loader
from archc.compiler.index.files import Indexes
from archc.compiler.index.places import Places
from archc.compiler.index.symbols import Index
from archc.compiler.report import Report
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.source import Source
from archc.ui.lsp.documents import Document, Lines, uri_of


class Analysis:
    """A text with its report, and what is made from both when it is asked for."""

    def __init__(self, document: Document, loaded: Loaded, loader: Loader, report: Report) -> None:
        self.uri = document.uri
        self.version = document.version
        self.lines = document.lines
        self.loaded = loaded
        self.loader = loader
        self.report = report
        self._lines: dict[int, Lines] = {}

    def with_report(self, report: Report) -> Analysis:
        """Return the analysis of the same text with another report."""
        made = copy(self)
        made.report = report
        return made

    @property
    def source(self) -> Source:
        """The text as the compiler has read it."""
        return self.loaded.source

    @cached_property
    def index(self) -> Index | None:
        """The names of the text; None where nothing of it could be read."""
        return Indexes(self.loader).of(self.loaded)

    @cached_property
    def places(self) -> Places:
        """What is known of each place of the text."""
        return Places(self.report, self.source)

    @cached_property
    def fields(self) -> dict[str, Field]:
        """The receptive fields of all nodes."""
        return receptive_fields(self.report.graph)

    @cached_property
    def used(self) -> dict[str, Source]:
        """The files that the text uses, by their real paths."""
        return {real: loaded.source for real, loaded in self.loader.files().items()}

    def uri_of(self, source: Source) -> str:
        """Return the URI of the text or of a file that it uses; "" for any other."""
        if source is self.source:
            return self.uri
        found = next((real for real, each in self.used.items() if each is source), None)
        if found is None:
            found = next((real for real, each in self.used.items() if each.name == source.name), "")
        return uri_of(found) if found else ""

    def lines_of(self, source: Source) -> Lines:
        """Return the lines of the text or of a file that it uses."""
        if source is self.source:
            return self.lines
        return self._lines.setdefault(id(source), Lines(source.text, self.lines.encoding))

    @property
    def found(self) -> list[Diagnostic]:
        """The errors and the warnings."""
        return [*self.report.diagnostics, *self.report.warnings]


def is_included(path: Path | str) -> bool:
    """Return whether a file is one of archc's own."""
    return Path(path).is_relative_to(ARCHS)
