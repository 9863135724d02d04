"""Finds and reads files: the one on the command line, and those it uses, next to it or under `archs/`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path, PurePath, PurePosixPath

from archc.compiler.files import kind, read_regular, reason
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Fault
from archc.dsl.parser import MAX_NESTING, Trees, parse
from archc.dsl.source import Source, Span, decode
from archc.dsl.vocabulary import files as says
from archc.dsl.vocabulary import syntax

MAX_BYTES = 16 * 2**20  # of one file: a thousand times the largest in archs/
ARCHS = Path(__file__).resolve().parents[2] / "archs"


@dataclass
class Loaded:
    """A file with its folder, its tree (None where it could not be read) and what was wrong with its text."""

    source: Source
    folder: Path
    tree: ast.File | None
    problems: tuple[Diagnostic, ...]
    whole: bool = True  # whether the tree is that of the repaired text, with nothing left out


@dataclass
class Loader:
    """Reads every file once."""

    max_nesting: int = MAX_NESTING
    max_statements: int | None = None
    _read: dict[str, Loaded] = field(default_factory=dict)
    texts: Mapping[str, bytes] = field(default_factory=dict)  # by real path: what is read instead of the file, as an editor has it
    within: tuple[Path, ...] = ()  # real folders that `use` may reach besides `archs/`; any, if there are none
    earlier: Trees | None = None  # of an earlier version of the first text
    _root: Path | None = None  # the folder of the first file, from which labels are counted
    _labels: set[str] = field(default_factory=set)

    def open(self, path: Path) -> Loaded:
        """Read a file. Raises Fault when there is none."""
        real = os.path.realpath(path)
        if real not in self._read:
            try:
                data = self.texts[real] if real in self.texts else read_regular(path, MAX_BYTES)
            except (OSError, ValueError) as error:  # a ValueError: a name that no file can have
                raise self.fault(path, error) from None
            self._read[real] = self.text(shown(path), data, path.parent)
        return self._read[real]

    def renewed(self) -> Loader:
        """Make a loader for another main file, with what this one has read from `archs/`."""
        kept = {real: loaded for real, loaded in self._read.items() if Path(real).is_relative_to(ARCHS) and real not in self.texts}
        return Loader(self.max_nesting, self.max_statements, kept, self.texts, self.within)

    def trees(self) -> list[ast.File]:
        """Return the trees of all files that have been read."""
        return [loaded.tree for loaded in self._read.values() if loaded.tree is not None]

    def files(self) -> Mapping[str, Loaded]:
        """Return all files that have been read, by their real paths."""
        return self._read

    @staticmethod
    def fault(path: Path, error: Exception) -> Fault:
        """Return the fault of a file that cannot be read."""
        return Fault(says.cannot_read(str(path), reason(error)).at(Span(Source(str(path), ""), 0, 0)))

    def text(self, name: str, data: bytes, folder: Path) -> Loaded:
        """Read bytes as if they were a file of that name in that folder."""
        decoded = decode(data)
        source = Source(name, decoded.text, self._label(folder / PurePath(name).name))
        if decoded.bad_byte is not None:
            at = decoded.text.find("\ufffd")
            return Loaded(source, folder, None, (syntax.not_utf8(decoded.bad_byte).at(Span(source, at, at + 1)),))
        earlier, self.earlier = self.earlier, None
        parsed = parse(source, self.max_nesting, self.max_statements, earlier)
        return Loaded(source, folder, parsed.file, parsed.diagnostics, parsed.whole)

    def used(self, path: str, folder: Path) -> Loaded:
        """Read what `use "path"` names in a file of that folder. Raises Fault without a place."""
        relative = PurePosixPath(path)
        if relative.is_absolute() or ".." in relative.parts or "\\" in path or ":" in path:
            raise Fault(says.use_outside(path))
        for root in (folder, ARCHS):
            candidate = root / relative
            if os.path.isfile(candidate):
                real = Path(os.path.realpath(candidate))
                inside = root is ARCHS or not self.within or any(real.is_relative_to(folder) for folder in (*self.within, ARCHS))
                if not inside or not real.is_relative_to(os.path.realpath(root)):
                    raise Fault(says.use_outside(path))
                return self.open(candidate)
            if os.path.exists(candidate) and candidate.suffix == ".arch":
                raise Fault(says.cannot_read(path, f"it is {kind(os.stat(candidate).st_mode)}, not a regular file"))
        known = [
            file.relative_to(root).as_posix()
            for root in (folder, ARCHS)
            for file in sorted(root.glob("[!.]*.arch")) + sorted(root.glob("[!.]*/[!.]*.arch"))
        ]
        raise Fault(says.use_not_found(path, known))

    def _label(self, path: Path) -> str:
        """Return the name of a source in written files: its path from `archs/`, or from the folder of the first file."""
        if self._root is None:
            self._root = path.parent
        inside = path.parent.resolve() / path.name
        if inside.is_relative_to(ARCHS):
            label = inside.relative_to(ARCHS).as_posix()
        else:
            label = path.relative_to(self._root).as_posix() if path.is_relative_to(self._root) else path.name
        copies = count(2)
        plain = label
        while label in self._labels:  # a user's std/residual.arch next to the one of archs/
            label = f"{plain} ({next(copies)})"
        self._labels.add(label)
        return label


def shown(path: Path) -> str:
    """Return the path as messages show it: relative to the current folder, if it is below it."""
    try:
        return str(path.relative_to(Path.cwd())) if path.is_absolute() else str(path)
    except (ValueError, OSError):  # OSError: the current folder is gone
        return str(path)
