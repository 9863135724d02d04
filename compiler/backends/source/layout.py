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
    def is_call(self) -> bool:
        """Return whether the brackets are those of a call or a definition, whose elements may share a line, and not of a list."""
        return self.opening.endswith("(") and self.opening[-2:-1].isidentifier()

    @property
    def is_commented(self) -> bool:
        """Return whether an element has a comment."""
        return any(self.comments) or any(isinstance(element, Group) and element.is_commented for element in self.elements)


@dataclass(frozen=True)
class Terms:
    """Operands of one operator of arithmetic, such as those of a long sum."""

    operands: tuple[Doc, ...]
    sign: str


Doc = str | Group | Terms


def flat(doc: Doc) -> str:
    """Return a text on one line."""
    if isinstance(doc, str):
        return doc
    if isinstance(doc, Terms):
        return f" {doc.sign} ".join(map(flat, doc.operands))
    return doc.opening + ", ".join(map(flat, doc.elements)) + doc.closing


def lines(doc: Doc, depth: int, before: str = "", after: str = "", comment: str = "") -> list[str]:
    """Return a text as lines, indented by `depth` steps. `before` and `after` stand on its first and last line."""
    indent = INDENT * depth
    whole = f"{indent}{before}{flat(doc)}{after}"
    end = f"  # {comment}" if comment and len(whole) + len(comment) + 4 <= WIDTH else ""
    if isinstance(doc, str) or (len(whole) <= WIDTH and not (isinstance(doc, Group) and doc.is_commented)):
        return [whole + end]
    if isinstance(doc, Terms):
        result = [f"{indent}{before}("]
        for place, operand in enumerate(doc.operands):
            result += lines(operand, depth + 1, f"{doc.sign} " if place else "")
        return [*result, f"{indent}){after}{end}"]
    inner = ", ".join(map(flat, doc.elements))
    result = [f"{indent}{before}{doc.opening}"]
    if doc.is_call and len(indent) + len(INDENT) + len(inner) <= WIDTH and not doc.is_commented:
        result.append(f"{indent}{INDENT}{inner}")
    else:
        comma = "" if len(doc.elements) == 1 and doc.is_call else ","
        for place, element in enumerate(doc.elements):
            said = doc.comments[place] if doc.comments else ""
            result += lines(element, depth + 1, "", comma, said)
    return [*result, f"{indent}{doc.closing}{after}{end}"]


def call(function: str, arguments: Sequence[Doc]) -> Group:
    """Return a call."""
    return Group(f"{function}(", tuple(arguments), ")")


def named(name: str, doc: Doc) -> Doc:
    """Return an argument by name."""
    if not isinstance(doc, Group):
        return f"{name}={flat(doc)}"
    return Group(f"{name}={doc.opening}", doc.elements, doc.closing, doc.comments)
