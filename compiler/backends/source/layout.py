"""Python in the form that `ruff format --line-length 120` gives it: calls and lists that do not fit a line have one element in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 120
INDENT = " " * 4


@dataclass(frozen=True)
class Group:
    """Elements between brackets; `comments` stand at the ends of their lines, and an element with one has a line to itself."""

    opening: str
    elements: tuple[Doc, ...]
    closing: str
    comments: tuple[str, ...] = ()

    @property
    def is_commented(self) -> bool:
        """Return whether an element has a comment."""
        return any(self.comments) or any(isinstance(element, Group) and element.is_commented for element in self.elements)


Doc = str | Group


def flat(doc: Doc) -> str:
    """Return a text on one line."""
    if isinstance(doc, str):
        return doc
    return doc.opening + ", ".join(map(flat, doc.elements)) + doc.closing


def lines(doc: Doc, depth: int, before: str = "", after: str = "", comment: str = "") -> list[str]:
    """Return a text as lines, indented by `depth` steps. `before` and `after` stand on its first and last line."""
    indent = INDENT * depth
    whole = f"{indent}{before}{flat(doc)}{after}"
    end = f"  # {comment}" if comment else ""
    if isinstance(doc, str) or (len(whole) <= WIDTH and not doc.is_commented):
        return [whole + end]
    inner = ", ".join(map(flat, doc.elements))
    result = [f"{indent}{before}{doc.opening}"]
    if len(indent) + len(INDENT) + len(inner) <= WIDTH and not doc.is_commented:
        result.append(f"{indent}{INDENT}{inner}")
    else:
        comma = "" if len(doc.elements) == 1 else ","
        for place, element in enumerate(doc.elements):
            said = doc.comments[place] if doc.comments else ""
            result += lines(element, depth + 1, "", comma, said)
    return [*result, f"{indent}{doc.closing}{after}{end}"]


def call(function: str, arguments: Sequence[Doc]) -> Group:
    """Return a call."""
    return Group(f"{function}(", tuple(arguments), ")")


def named(name: str, doc: Doc) -> Doc:
    """Return an argument by name."""
    if isinstance(doc, str):
        return f"{name}={doc}"
    return Group(f"{name}={doc.opening}", doc.elements, doc.closing, doc.comments)
