"""How near two words are to each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache

from archc.dsl.vocabulary import foreign

LONGEST = 200  # letters of a name that is compared with others
LONG = 8  # letters from which on a word may have two that are wrong
MEANINGS = frozenset(  # parts of words that turn a meaning around, or into another
    (
        *("no", "not", "non", "un", "dis", "without", "up", "down", "min", "max", "avg", "log", "exp", "hard", "soft", "pre", "post"),
        *("inv", "neg", "anti", "exclude", "include", "keep", "drop", "skip", "in", "out"),
    )
)
MANY = 500  # known names that one is compared with, letter by letter


def distance(one: str, other: str) -> int:
    """The letters to add, drop, replace or swap with the next one, to make one word into the other."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, start=1):
        row = [i]
        for j, there in enumerate(other, start=1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (letter != there))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == there:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def near(name: str, known: Iterable[str]) -> list[str]:
    """At most three known names close to this one, the closest first, and none that is much farther than the closest."""
    return list(_near(name, tuple(known)))


@lru_cache(maxsize=256)
def _near(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    word = name.lower()
    by_lower = {other.lower(): other for other in known if abs(len(other) - len(word)) <= max(3, len(word) // 2 + 1)}
    if word in by_lower:
        return (by_lower[word],)
    if not 3 <= len(word) <= LONGEST:
        return ()
    if len(by_lower) > MANY:
        by_lower = {lower: other for lower, other in by_lower.items() if lower[:1] == word[:1]}
    by_lower = dict(list(by_lower.items())[:MANY])
    matches = [match for match in get_close_matches(word, by_lower, n=3, cutoff=0.6) if _is_slip(word, match)]
    ratios = [SequenceMatcher(None, match, word).ratio() for match in matches]
    return tuple(by_lower[match] for match, ratio in zip(matches, ratios, strict=True) if ratio > ratios[0] - 0.15)


def _is_slip(word: str, known: str) -> bool:
    """Could one be a slip for the other, with a third of its letters wrong, or short for it?"""
    if distance(word, known) <= max(1, (max(len(word), len(known)) + 1) // 3):
        return True
    short, whole = sorted((word, known), key=len)
    letters = iter(whole)
    return short[0] == whole[0] and all(letter in letters for letter in short)


def slip(word: str, close: Sequence[str]) -> str:
    """The one of some near names that a word can only be a slip of the keyboard for; "" where there is none.

    One letter is added, dropped, replaced or swapped (two in a long word), and not the first one. A word that has a meaning of
    its own is no slip: a word of another framework, one with another number in it, or with a part that turns the meaning around.
    """
    low = word.lower()
    if foreign.is_known(low):
        return ""
    far = {name: distance(low, name.lower()) for name in close}
    nearest = [name for name in close if far[name] == min(far.values())]
    if len(nearest) != 1 or far[nearest[0]] > 1 + (len(low) >= LONG):
        return ""
    name = nearest[0].lower()
    begins_alike = low[:1] == name[:1] or low[:2] == name[1::-1]
    same_number = [c for c in low if c.isdigit()] == [c for c in name if c.isdigit()]
    return nearest[0] if begins_alike and same_number and _parts(low, name) == _parts(name, low) else ""


def _parts(word: str, other: str) -> set[str]:
    """The parts of a word that turn a meaning around: words between `_`, or what it has before or after another word."""
    parts = {part for part in word.split("_") if part in MEANINGS}
    return parts | {part for part in MEANINGS if word in (part + other, other + part)}


def misspelt(word: str, close: Sequence[str], sure: bool = False) -> dict[str, object]:
    """The facts of a name that means nothing: the word, those that may be meant, the likeliest first, and the only one."""
    return {"word": word, "near": tuple(close), "only": close[0] if sure and len(close) == 1 else slip(word, close)}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    close = near(name, known)
    return f"did you mean {' or '.join(f'`{other}`' for other in close)}?" if close else ""
