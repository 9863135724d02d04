"""Finds and reads files: the one on the command line, and those it uses, which lie beside it or under `archs/`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dsl import ast
from dsl.diagnostics import Diagnostic, Fault
from dsl.parser import MAX_NESTING, parse
from dsl.source import Source, Span, decode
from dsl.vocabulary import files as says
from dsl.vocabulary import syntax

ARCHS = Path(__file__).resolve().parents[2] / "archs"


@dataclass
class Loaded:
    """A file with its folder, its tree (None where it could not be read) and what was wrong with its text."""

    source: Source
    folder: Path
    tree: ast.File | None
    problems: tuple[Diagnostic, ...]
    whole: bool = True  # is the tree that of the text with its mistakes mended, with nothing left out?


@dataclass
class Loader:
    """Reads every file once."""

    max_nesting: int = MAX_NESTING
    _read: dict[Path, Loaded] = field(default_factory=dict)

    def open(self, path: Path) -> Loaded:
        """Read a file. Raises Fault when there is none."""
        real = path.resolve()
        if real not in self._read:
            try:
                data = path.read_bytes()
            except OSError as error:
                place = Span(Source(str(path), ""), 0, 0)
                raise Fault(says.cannot_read(str(path), error.strerror or str(error)).at(place)) from None
            self._read[real] = self.text(_shown(path), data, path.parent)
        return self._read[real]

    def text(self, name: str, data: bytes, folder: Path) -> Loaded:
        """Read bytes as if they were a file of that name in that folder."""
        decoded = decode(data)
        source = Source(name, decoded.text)
        if decoded.bad_byte is not None:
            at = decoded.text.find("\ufffd")
            return Loaded(source, folder, None, (syntax.not_utf8(decoded.bad_byte).at(Span(source, at, at + 1)),))
        parsed = parse(source, self.max_nesting)
        return Loaded(source, folder, parsed.file, parsed.diagnostics, parsed.whole)

    def used(self, path: str, folder: Path) -> Loaded:
        """Read what `use "path"` names in a file of that folder. Raises Fault without a place."""
        relative = PurePosixPath(path)
        if relative.is_absolute() or ".." in relative.parts or "\\" in path or ":" in path:
            raise Fault(says.use_outside(path))
        for root in (folder, ARCHS):
            candidate = root / relative
            if _is_file(candidate):
                if not candidate.resolve().is_relative_to(root.resolve()):
                    raise Fault(says.use_outside(path))
                return self.open(candidate)
        known = [
            file.relative_to(root).as_posix()
            for root in (folder, ARCHS)
            for file in sorted(root.glob("*.arch")) + sorted(root.glob("*/*.arch"))
        ]
        raise Fault(says.use_not_found(path, known))


def _shown(path: Path) -> str:
    """The path as messages show it: from where we are, if it lies below."""
    try:
        return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(ARCHS) else str(path)
    except ValueError:
        return str(path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False
