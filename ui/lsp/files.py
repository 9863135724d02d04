"""The files of the workspace that are not open: which there are, and the names in them, read again when they change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from archc.compiler.elaborate.loader import ARCHS, MAX_BYTES, Loader
from archc.compiler.files import read_regular
from archc.compiler.index.files import Indexes
from archc.compiler.index.symbols import Index
from archc.dsl.diagnostics import Fault
from archc.ui.lsp.workspace import Workspace

MOST = 2_000  # files of a workspace that are looked at
MOST_FOLDERS = 5_000


def arch_files(space: Workspace, own: bool = False) -> Iterator[Path]:
    """Yield the `.arch` files of the workspace, open ones included, without hidden folders; archc's own where they are asked for."""
    seen: set[str] = set()
    count = 0
    for path in (*_open(space), *_below(space.folders), *(_below([ARCHS]) if own else ())):
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            count += 1
            yield Path(real)
        if count == MOST:
            return


def _open(space: Workspace) -> Iterator[Path]:
    for held in space.open.values():
        if held.document.path is not None:
            yield held.document.path


def _below(folders: list[Path]) -> Iterator[Path]:
    looked = 0
    for folder in folders:
        for here, inner, names in os.walk(folder):  # links to folders are not followed
            inner[:] = sorted(name for name in inner if not name.startswith(".") and name != "node_modules")
            for name in sorted(names):
                if name.endswith(".arch") and not name.startswith("."):
                    yield Path(here) / name
            looked += 1
            if looked == MOST_FOLDERS:
                return


def index_of_file(space: Workspace, path: Path, word: str = "") -> Index | None:
    """Return the names of a file, as a client has it open or as it is on the disk; None where it cannot be read.

    None also for a file on the disk that does not contain a word, in whatever case.
    """
    for uri, held in space.open.items():
        if held.document.path is not None and os.path.realpath(held.document.path) == str(path):
            now = space.analysis(uri)
            return now.index if now is not None else None
    try:
        stat = path.stat()
    except OSError:
        return None
    key = str(path)
    before = space.indexed.get(key)
    if before is not None and before[:2] == (stat.st_mtime_ns, stat.st_size):
        return before[2]
    if word and not _contains(path, word):
        return None
    loader = space.loader("")
    index = _read(loader, path)
    if len(space.indexed) > MOST:
        space.indexed.clear()
    space.indexed[key] = (stat.st_mtime_ns, stat.st_size, index)
    return index


def _read(loader: Loader, path: Path) -> Index | None:
    try:
        return Indexes(loader).of(loader.open(path))
    except Fault:
        return None


def _contains(path: Path, word: str) -> bool:
    try:
        return word.lower().encode() in read_regular(path, MAX_BYTES).lower()
    except OSError:
        return False
