"""Number literals of the language: `64`, `1_000`, `0.5`, `1e-4`, and `724M`, `4.1G` with K, M, G for 10^3, 10^6, 10^9."""

from __future__ import annotations

from fractions import Fraction

SCALES = {"K": 10**3, "M": 10**6, "G": 10**9}
MOST_DIGITS = 20  # more exceed 2^63, which the evaluator rejects; Python parses at most 4300


def whole(text: str) -> int:
    """Return the value of a string of digits, in constant time: digits after the first twenty are dropped."""
    return int(text.lstrip("0")[:MOST_DIGITS] or "0")


def number(text: str) -> int | float:
    """Return the value of a number literal."""
    text = text.replace("_", "")
    if text[-1] in SCALES:
        digits, dot, decimals = text[:-1].partition(".")
        scaled = Fraction(f"{whole(digits)}{dot}{decimals[:MOST_DIGITS]}") * SCALES[text[-1]]
        return int(scaled) if scaled.denominator == 1 else float(scaled)
    return whole(text) if text.isdigit() else float(text)
