"""The files that a verb is given: named ones, those of folders, and `-`, which is stdin."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path

from archc.compiler.driver import Report, check, check_text, unreadable
from archc.compiler.elaborate.elaboration import Limits, Overrides
from archc.compiler.elaborate.loader import MAX_BYTES, Loaded, Loader
from archc.compiler.files import bounded

STDIN = Path("<stdin>")  # compared by identity: a file may be called so


def named(text: str) -> Path:
    """The file that an argument names."""
    return STDIN if text == "-" else Path(text)


def arch_files(files: list[Path]) -> list[Path]:
    """The files themselves, and the `.arch` files of the folders among them; hidden files and folders are left out."""
    return [path for file in files for path in (_within(file) if os.path.isdir(file) else [file])]


def _within(folder: Path) -> list[Path]:
    found = folder.rglob("*.arch")
    return sorted(path for path in found if not path.is_dir() and not any(p.startswith(".") for p in path.relative_to(folder).parts))


@cache
def standard_input() -> bytes:
    """All that stdin holds, read once. Raises OSError where it cannot be read, or holds too much."""
    if sys.stdin is None:
        raise OSError(0, "stdin is closed")
    if sys.stdin.isatty():
        sys.stderr.write("archc: reading from the terminal; Ctrl-D ends the text\n")
    return bounded(sys.stdin.buffer.read(MAX_BYTES + 1), MAX_BYTES)


def checked(
    path: Path,
    changed: Overrides | None = None,
    limits: Limits | None = None,
    mend: bool = True,
    loader: Loader | None = None,
) -> Report:
    """What `driver.check` finds, for stdin as well."""
    if path is not STDIN:
        return check(path, changed, limits, mend, loader)
    try:
        data = standard_input()
    except OSError as error:
        return unreadable(path, error)
    return check_text(data, str(STDIN), Path(), changed, limits, mend)


def loaded(path: Path) -> Loaded:
    """The tree of a file. Raises Fault where it cannot be read."""
    if path is not STDIN:
        return Loader().open(path)
    try:
        return Loader().text(str(STDIN), standard_input(), Path())
    except OSError as error:
        raise Loader.fault(path, error) from None


def content(path: Path) -> bytes:
    """The bytes of a file that could be read a moment ago."""
    return standard_input() if path is STDIN else path.read_bytes()
