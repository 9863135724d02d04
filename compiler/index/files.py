"""The names of a file together with those of the files that it uses."""

from __future__ import annotations

from pathlib import Path

from archc.compiler.elaborate.loader import Loaded, Loader
from archc.compiler.index.resolve import index_of
from archc.compiler.index.symbols import Index
from archc.dsl.diagnostics import Fault


class Indexes:
    """The indexes of the files that one loader reads, each made once."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self._made: dict[str, Index] = {}

    def of(self, loaded: Loaded) -> Index | None:
        """Return the index of a file; None where nothing of it could be read."""
        return self._index(loaded, ())

    def _index(self, loaded: Loaded, around: tuple[str, ...]) -> Index | None:
        inner = (*around, loaded.source.name)
        if loaded.tree is None or loaded.source.name in around:
            return None
        return index_of(loaded.source, loaded.tree, lambda path: self._used(path, loaded.folder, inner))

    def _used(self, path: str, folder: Path, around: tuple[str, ...]) -> tuple[str, Index] | None:
        """Return the real path and the index of a file that is used; None where it cannot be read, or uses itself."""
        try:
            loaded = self.loader.used(path, folder)
        except Fault:
            return None
        real = next((real for real, each in self.loader.files().items() if each is loaded), "")
        if real not in self._made and (made := self._index(loaded, around)) is not None:
            self._made[real] = made
        return (real, self._made[real]) if real in self._made else None
