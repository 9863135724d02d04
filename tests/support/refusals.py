"""What readers of sources say of files that they refuse."""

from __future__ import annotations

from collections.abc import Callable

from archc.compiler.frontends.flat import CannotRead


def outcome(read: Callable[[], object]) -> str:
    """What a reader says of a file; "" where it reads it. Any other error is the test's."""
    try:
        read()
    except CannotRead as refusal:
        return str(refusal)
    return ""
