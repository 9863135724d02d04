"""The files that a verb reads: named files, those in folders, and `-`, which is stdin."""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from archc.compiler.configuration import configuration
from archc.compiler.driver import check, check_text, unreadable
from archc.compiler.elaborate.elaboration import Limits, Overrides
from archc.compiler.elaborate.loader import MAX_BYTES, Loaded, Loader
from archc.compiler.files import bounded
from archc.compiler.frontends import FRONTENDS, is_source
from archc.compiler.report import Report
from archc.compiler.revisions import old

if TYPE_CHECKING:
    from archc.training.stored import Stored

STDIN = Path("<stdin>")  # compared by identity: a file may have this name
TRAINED = ".safetensors"  # of trained networks, which hold their text
_SUFFIXES = "|".join(re.escape(suffix) for suffix in (".arch", TRAINED, *(suffix for row in FRONTENDS for suffix in row.suffixes)))
_NODE = re.compile(f"(?P<file>.*({_SUFFIXES}))(:(?P<label>.*))?", re.DOTALL)


def named(text: str) -> Path:
    """Return the file that an argument names."""
    return STDIN if text == "-" else Path(text)


def node_of(text: str) -> tuple[Path, str] | None:
    """Return the file and the label of `FILE`, `FILE:LABEL`, `-:LABEL` or `timm:NAME:LABEL`; None for a text that names no network."""
    if found := _NODE.fullmatch(text):
        return Path(found["file"]), found["label"] or ""
    name, _, label = text.partition(":")
    if name == "-":
        return STDIN, label
    source, _, label = label.partition(":")
    return (Path(f"{name}:{source}"), label) if is_source(f"{name}:{source}") else None


def arch_files(files: list[Path]) -> list[Path]:
    """Return the files, and the `.arch` files in the folders among them, without hidden files and folders."""
    return [path for file in files for path in (_within(file) if os.path.isdir(file) else [file])]


def _within(folder: Path) -> list[Path]:
    paths = folder.rglob("*.arch")
    return sorted(path for path in paths if not path.is_dir() and not any(p.startswith(".") for p in path.relative_to(folder).parts))


@cache
def standard_input() -> bytes:
    """Return the content of stdin, which is read once. Raises OSError where it cannot be read, or is too large."""
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
    """Check a file, stdin, or a file of another revision, and return the report, without the warnings that its project switches off.

    A network of another framework is read first. Raises UsageError for a revision or file that does not exist, Fault for a configuration
    that cannot be read, and CannotRead and UnreadableError for a network that cannot be read.
    """
    if path is not STDIN:
        if path.suffix == TRAINED:
            stored = _trained(path)
            return check_text(stored.text, f"{stored.name}.arch", Path(os.devnull), changed, limits, mend)
        if is_source(str(path)):
            from archc.compiler.reading import read_text  # most files are not of other frameworks

            text = read_text(str(path)).text
            return check_text(text, str(path), Path(), changed, limits, mend)
        before = old(str(path))
        if before is not None:
            data = before.path.read_bytes()
            return configuration(Path()).without_warnings(check_text(data, before.name, before.path.parent, changed, limits, mend))
        return configuration(path).without_warnings(check(path, changed, limits, mend, loader))
    try:
        data = standard_input()
    except OSError as error:
        return unreadable(path, error)
    return check_text(data, str(STDIN), Path(), changed, limits, mend)


def _trained(path: Path) -> Stored:
    from archc.training.stored import read  # most files hold no weights

    return read(path)


def loaded(path: Path) -> Loaded:
    """Return the tree of a file. Raises Fault where it cannot be read."""
    if path is not STDIN:
        return Loader().open(path)
    try:
        return Loader().text(str(STDIN), standard_input(), Path())
    except OSError as error:
        raise Loader.fault(path, error) from None


def content(path: Path) -> bytes:
    """Return the bytes of a file that was read before; of a trained network, its text."""
    if path.suffix == TRAINED:
        return _trained(path).text.encode()
    return standard_input() if path is STDIN else path.read_bytes()
