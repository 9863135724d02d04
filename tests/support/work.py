"""Counts of work in place of times, which depend on the machine and on what else it does."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from archc.compiler.driver import check_text


def work(action: Callable[[], object]) -> int:
    """Return how many calls of functions an action makes, Python's and C's. It is the same on every machine."""
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls


def assert_linear(made: Callable[[int], str], few: int) -> None:
    """Checking a text of four times as many lines is at most some four times the work."""
    check_text(made(1))  # what is built once
    less, more = (work(lambda count=count: check_text(made(count))) for count in (few, 4 * few))
    assert more < 5 * less, f"{more:,} calls for {4 * few} lines, {less:,} for {few}"
