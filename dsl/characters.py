"""Characters outside the language: their names, the plain characters they look like, and names in other scripts."""

from __future__ import annotations

import re
import unicodedata

ALIKE = {  # look-alikes: pasted from papers, or typed on another keyboard
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
    """Return, for a character that looks like another: how to show it, what to do, and the one that is meant; else None."""
    if char not in ALIKE:
        return None
    shown = named(char)
    meant = ALIKE[char]
    what = "delete it" if not meant else "write a plain space" if meant == " " else f"write a plain `{meant}`"
    return (f"`{char}`, {shown}" if char.isprintable() and not char.isspace() else shown), what, meant


def in_latin(name: str) -> str:
    """Return the usual Latin form of a name in Hangul, Greek or accented letters; "" if there is none."""
    letters: list[str] = []
    for char in unicodedata.normalize("NFC", name):
        bare = "".join(part for part in unicodedata.normalize("NFKD", char) if not unicodedata.combining(part))
        spelled = re.match(r"(?:HANGUL SYLLABLE|GREEK (?:SMALL|CAPITAL) LETTER) (\w+)$", unicodedata.name(char, ""))
        if not bare.isascii() and spelled is None:
            return ""
        letters.append(spelled[1].lower() if spelled else bare)
    return "".join(letters)


def named(char: str) -> str:
    """Return the number and name of a character."""
    return f"U+{ord(char):04X} ({unicodedata.name(char, 'unnamed').lower()})"
