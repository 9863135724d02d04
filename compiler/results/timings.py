"""What is told of repeated measurements: the median, the spread, and texts of times."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import ceil

from archc.compiler.errors import UsageError, at_least


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the values that at least a share of all, above 0 and up to 1, do not exceed."""
    return sorted(values)[max(1, ceil(share * len(values) - 1e-9)) - 1]


def middle(seconds: Sequence[float]) -> float:
    """Return the median to four digits: what is computed of it is computed of the number that is shown."""
    ordered = sorted(seconds)
    half = len(ordered) // 2
    return float(f"{ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2:.4g}")


def milliseconds(seconds: float) -> str:
    """Write four digits, so that the quotient of two shown times is the shown ratio."""
    return f"{1e3 * seconds:#.4g}".rstrip(".") if seconds < 9.9995 else f"{1e3 * seconds:.0f}"


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def whole_numbers(option: str, given: int | Sequence[int]) -> tuple[int, ...]:
    """Return one number, or several, each once. Raises UsageError for what is none, or below 1."""
    several = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
    if not several:
        raise UsageError("is a number, or several", option=option, given=given)
    for number in several:
        at_least(option, number, 1)
    return tuple(dict.fromkeys(number for number in several if isinstance(number, int)))


def thread_counts(given: int | Sequence[int] | None) -> tuple[int, ...]:
    """Return numbers of threads, none where none is given. Raises UsageError for more than there are processors."""
    if given is None:
        return ()
    counts, most = whole_numbers("threads", given), processors()
    if max(counts) > most:
        there = f"{most} processors" if most > 1 else "one processor"
        raise UsageError(f"is at most {most}, not {max(counts)}: this process may use {there}", option="threads", given=max(counts))
    return counts


def threads_text(count: int) -> str:
    """Return `1 thread`, or `2 threads`."""
    return f"{count} thread{'s' * (count > 1)}"
