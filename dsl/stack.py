"""Room on Python's stack for walks over nested programs, whose depth is bounded."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

FRAMES_A_LEVEL = 40  # more than any walk takes for one level of nesting


@contextmanager
def deep_stack(nesting: int) -> Iterator[None]:
    """Let recursion go as deep as this nesting needs; a context manager, or a decorator when called."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, 2000 + FRAMES_A_LEVEL * nesting))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
