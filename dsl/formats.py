"""Recognize files in other languages, by several signs of them and none of a `.arch` file."""

from __future__ import annotations

import re

_OURS = re.compile(r"^[ \t]*(?:input\s+(?:\w+\s*:\s*)?[0-9]+x|use\s+\"|arch\s+\w+\s*[\"(=]|expect\s+\w+\s*(?:\(.*\)\s*)?==)", re.M)

# Name, patterns that indicate it, and how many of them must match (each counts once).
_FORMATS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("a Darknet `.cfg` file", (r"^\[(?:net|convolutional|maxpool|shortcut|route|yolo|upsample)\]",), 1),
    ("a Caffe prototxt", (r"^[ \t]*input_dim\s*:|^[ \t]*input_param\s*\{", r"^[ \t]*layers?\s*\{", r"^[ \t]*name\s*:\s*\""), 2),
    (
        "a YAML model of Ultralytics",
        (r"^[ \t]*-\s*\[\s*-?\d+\s*,", r"^nc\s*:\s*\d+", r"^backbone\s*:\s*(?:#.*)?$", r"^head\s*:\s*(?:#.*)?$"),
        2,
    ),
    ("Python", (r"^[ \t]*class \w+\(.*(?:Module|Model)\)\s*:|^[ \t]*(?:from|import) (?:torch|tensorflow|keras|jax)\b",), 1),
    ("JSON", (r"\A\s*[{\[]\s*\"",), 1),
)


def other_format(text: str) -> tuple[str, int, int] | None:
    """Return the kind of a file in another language and the place that shows it; None for a `.arch` file."""
    for name, patterns, needed in _FORMATS:
        found = [match for pattern in patterns if (match := re.search(pattern, text, re.M))]
        if len(found) >= needed and not (_OURS.search(text) and name != "Python"):
            first = min(found, key=lambda match: match.start())
            return name, first.start() + len(first.group()) - len(first.group().lstrip()), first.end()
    return None
