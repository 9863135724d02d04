"""File access: only regular files are read, and writing is atomic: a file has either its old or its new contents."""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

PREFIX, SUFFIX = ".archc-", ".tmp"  # of files that are being written; no reader uses this suffix
LEFT = 600  # seconds without a change after which such a file was left by a killed writer

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class CannotWrite(Exception):
    """A file cannot be written, with the reason. The old file is unchanged."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"cannot write {path}: {why}")


class Lenient(io.FileIO):
    """A file that accepts all writes. The first error is kept, and what follows is dropped."""

    error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write the data; after an error, drop it."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while self.error is None and len(rest):
            try:
                written = super().write(rest)
            except OSError as error:
                self.error = error
                break
            if written is None:  # a full non-blocking pipe
                select.select([], [self], [])
            else:
                rest = rest[written:]
        return size


def reason(error: BaseException) -> str:
    """Return the system's description of an error: `No space left on device`."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def kind(mode: int) -> str:
    """Describe a file that is not a regular file; "" for one that is."""
    return next((name for is_kind, name in KINDS if is_kind(mode)), "")


def read_regular(path: Path, most: int) -> bytes:
    """Return the bytes of a regular file. Raises OSError for anything else, and for more than `most` bytes.

    Nothing else is ever opened: a pipe would wait for a writer, and opening a device may have side effects.
    """
    _refuse(os.stat(path).st_mode)
    # The name may refer to another file by now, so the open file is checked again.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        _refuse(os.fstat(handle).st_mode)
        return bounded(file.read(most + 1), most)


def check_regular(path: Path) -> None:
    """Raise OSError for anything that is not a regular file, before a library opens it."""
    _refuse(os.stat(path).st_mode)


def bounded(data: bytes, most: int) -> bytes:
    """Return the data. Raises OSError if it is more than `most` bytes."""
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most // 2**20} MiB")
    return data


def _refuse(mode: int) -> None:
    if found := kind(mode):
        raise OSError(errno.EINVAL, f"it is {found}, not a regular file")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Provide a new file next to `path` that replaces it when the block succeeds, and is removed when it fails.

    A link stays, and its target is replaced. A device or a pipe is written to directly. Raises CannotWrite.
    """
    temporary: Path | None = None
    try:
        mode = _mode(path)
        special = mode is not None and not stat.S_ISREG(mode)
        target = Path(os.path.realpath(path))
        folder = Path(tempfile.gettempdir()) if special else target.parent
        _sweep(folder)
        handle, name = tempfile.mkstemp(dir=folder, prefix=PREFIX, suffix=SUFFIX)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        if special:
            _pour(temporary, path)
        else:
            temporary.chmod(0o666 & ~_umask() if mode is None else stat.S_IMODE(mode))
            temporary.replace(target)
    except OSError as error:
        raise CannotWrite(path, reason(error)) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def unwritable(path: Path) -> str:
    """Return why a file cannot be written, as far as that shows before it is; "" where nothing speaks against it."""
    if not os.path.isdir(path.parent):
        return f"there is no folder {path.parent} to write {path.name} into"
    if os.path.isdir(path):
        return f"{path} is a folder; give the name of a file"
    return ""


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, with `\\n` line ends. Raises CannotWrite."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically. Raises CannotWrite."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _mode(path: Path) -> int | None:
    """Return the mode of an existing file, following links; None if there is none. Raises OSError for a folder or a link to itself."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")
    return mode


def _pour(source: Path, target: Path) -> None:
    """Write to a device, or to a pipe that has a reader."""
    handle = os.open(target, os.O_WRONLY | getattr(os, "O_NONBLOCK", 0))
    os.set_blocking(handle, True)
    with open(handle, "wb") as file:
        file.write(source.read_bytes())


def _sweep(folder: Path) -> None:
    """Remove the files that killed writers have left."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX):
                with suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > LEFT:
                        os.unlink(entry.path)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
