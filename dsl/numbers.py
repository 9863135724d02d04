"""Numbers as the language writes them: `64`, `1_000`, `0.5`, `1e-4`, and `724M`, `4.1G` with K, M, G for 10^3, 10^6, 10^9."""

from __future__ import annotations

from fractions import Fraction

SCALES = {"K": 10**3, "M": 10**6, "G": 10**9}
MOST_DIGITS = 20  # such a number is beyond 2^63, which the evaluator refuses, and Python reads no more than 4300


def whole(text: str) -> int:
    """The value of digits, in time that does not grow with their number: what follows the first twenty is dropped."""
    return int(text.lstrip("0")[:MOST_DIGITS] or "0")


def number(text: str) -> int | float:
    """The value of a literal of the language."""
    text = text.replace("_", "")
    if text[-1] in SCALES:
        digits, dot, decimals = text[:-1].partition(".")
        scaled = Fraction(f"{whole(digits)}{dot}{decimals[:MOST_DIGITS]}") * SCALES[text[-1]]
        return int(scaled) if scaled.denominator == 1 else float(scaled)
    return whole(text) if text.isdigit() else float(text)
