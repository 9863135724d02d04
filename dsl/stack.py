"""Stack depth for recursive walks over nested programs, whose nesting is bounded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

FRAMES_A_LEVEL = 40  # more than any walk takes for one level of nesting


@contextmanager
def deep_stack(nesting: int) -> Iterator[None]:
    """Raise Python's recursion limit for programs of this nesting; a context manager or, when called, a decorator."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 2000 + FRAMES_A_LEVEL * nesting))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
