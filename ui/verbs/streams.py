"""The standard streams: where they are closed, full, or of a narrow encoding, there is a plain message and no traceback.

Output to a closed stdout is lost, and the exit code stays the same. Characters that the encoding of the terminal lacks are
written in ASCII.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Any, TextIO

from archc.compiler.files import Lenient, reason

ASCII = {
    "─": "-",
    "│": "|",
    "┼": "+",
    "━": "=",
    "×": "x",
    "→": "->",
    "⇒": "=>",
    "…": "...",
    "\u2013": "-",
    "\u2014": "-",
    "≥": ">=",
    "≤": "<=",
}
HANDLER = "archc.ascii"


def prepare() -> None:
    """Make the streams safe to write to. Called once, before anything is written."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:  # else the next file that is opened would become stdout
        pass
    os.close(handle)
    codecs.register_error(HANDLER, _in_ascii)
    sys.stdout = _safe(sys.stdout, 1)
    sys.stderr = _safe(sys.stderr, 2)


def finish(code: int) -> int:
    """Flush the streams. Returns the exit code, which is 1 where a result could not be written."""
    sys.stdout.flush()
    raw = _raw(sys.stdout)
    if isinstance(raw, Lenient) and raw.error is not None and raw.error.errno not in (errno.EPIPE, errno.EBADF):
        sys.stderr.write(f"archc: cannot write to stdout: {reason(raw.error)}\n")
        code = code or 1
    sys.stderr.flush()
    return code


def _safe(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:  # it was closed when the process began
        return open(os.devnull, "w", encoding="utf-8", errors="replace")
    if type(_raw(stream)) is not io.FileIO or not isinstance(stream, io.TextIOWrapper):
        return stream  # a console of Windows, or the stream of a test
    buffer = io.BufferedWriter(Lenient(number, "wb", closefd=False))
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors=HANDLER, line_buffering=stream.line_buffering or stream.write_through)


def _raw(stream: TextIO) -> Any:
    """Return the raw stream below a stream; with `python -u` there is no buffer between them."""
    buffer = getattr(stream, "buffer", None)
    return getattr(buffer, "raw", buffer)


def _in_ascii(error: UnicodeError) -> tuple[str | bytes, int]:
    """Replace a character that an encoding lacks: bytes of file names as they were, rules and marks in ASCII, others as `\\uXXXX`."""
    assert isinstance(error, UnicodeEncodeError)
    char = error.object[error.start]
    if "\udc80" <= char <= "\udcff":
        return bytes([ord(char) - 0xDC00]), error.start + 1
    return ASCII.get(char, char.encode("ascii", "backslashreplace").decode()), error.start + 1
