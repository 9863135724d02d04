"""Characters that look like others, and names in other scripts."""

from __future__ import annotations

import re
import unicodedata

ALIKE = {  # characters that look like others: pasted from papers, or typed on another keyboard
    **dict.fromkeys("×х", "x"),
    **dict.fromkeys("–—−‐‑", "-"),
    **dict.fromkeys("“”„", '"'),
    **dict.fromkeys("‘’", "'"),
    **dict.fromkeys("\u00a0\u2009\u202f\u3000", " "),
    **dict.fromkeys("\u200b\ufeff", ""),
    **dict(zip("асеорСАВЕМНОРТ", "aceopCABEMHOPT", strict=True)),
    **dict(zip("，；：（）［］｛｝＝｜＜＞", ",;:()[]{}=|<>", strict=True)),
}


def alike(char: str) -> tuple[str, str, str] | None:
    """A character that looks like another: how it is shown, what to do, the one that is meant."""
    if char not in ALIKE:
        return None
    shown = named(char)
    meant = ALIKE[char]
    what = "delete it" if not meant else "write a plain space" if meant == " " else f"write a plain `{meant}`"
    return (f"`{char}`, {shown}" if char.isprintable() and not char.isspace() else shown), what, meant


def in_latin(name: str) -> str:
    """A name in the letters a to z as it is usually read: Hangul, Greek letters, letters with marks; "" where that is not known."""
    letters: list[str] = []
    for char in unicodedata.normalize("NFC", name):
        bare = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
        spelled = re.match(r"(?:HANGUL SYLLABLE|GREEK (?:SMALL|CAPITAL) LETTER) (\w+)$", unicodedata.name(char, ""))
        if not bare.isascii() and spelled is None:
            return ""
        letters.append(spelled[1].lower() if spelled else bare)
    return "".join(letters)


def named(char: str) -> str:
    """A character by its number and name."""
    return f"U+{ord(char):04X} ({unicodedata.name(char, 'unnamed').lower()})"
