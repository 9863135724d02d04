"""Edit distances between words, and the search for the word that a misspelling stands for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache

from archc.dsl.vocabulary import foreign

LONGEST = 200  # letters; longer names are not compared with others
LONG = 8  # letters; from this length on, two of them may be wrong
MEANINGS = frozenset(  # parts of words that reverse or change a meaning
    (
        *("no", "not", "non", "un", "dis", "without", "up", "down", "min", "max", "avg", "log", "exp", "hard", "soft", "pre", "post"),
        *("inv", "neg", "anti", "exclude", "include", "keep", "drop", "skip", "in", "out"),
    )
)
MANY = 500  # most known names that a name is compared with, letter by letter


def distance(one: str, other: str) -> int:
    """Return how many letters to add, drop, replace or swap with the next one to turn one word into the other."""
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
    """Return at most three known names close to this one, closest first, all about as close as the closest."""
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
    """Return whether two words differ in at most a third of their letters, or one abbreviates the other."""
    if distance(word, known) <= max(1, (max(len(word), len(known)) + 1) // 3):
        return True
    short, whole = sorted((word, known), key=len)
    letters = iter(whole)
    return short[0] == whole[0] and all(letter in letters for letter in short)


def slip(word: str, close: Sequence[str]) -> str:
    """Return the one name among similar ones that a word can only be a typing error for, or "".

    One letter is added, dropped, replaced or swapped (two in a long word), and not the first one. A word with a meaning of its
    own is not a typing error: a word of another framework, one with another number in it, or one with a part that reverses the
    meaning.
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
    """Return the parts of a word that reverse its meaning: words between `_`, or what it adds before or after another word."""
    parts = {part for part in word.split("_") if part in MEANINGS}
    return parts | {part for part in MEANINGS if word in (part + other, other + part)}


def misspelt(word: str, close: Sequence[str], sure: bool = False) -> dict[str, object]:
    """Return the facts about an unknown name: the word, its likely replacements, likeliest first, and the only certain one."""
    return {"word": word, "near": tuple(close), "only": close[0] if sure and len(close) == 1 else slip(word, close)}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question "did you mean ...?" with the known names close to a name, or ""."""
    close = near(name, known)
    return f"did you mean {' or '.join(f'`{other}`' for other in close)}?" if close else ""
