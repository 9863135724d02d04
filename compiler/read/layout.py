"""Lay out a printed program: short bodies and chains on one line, as a person would; the formatter does the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

WIDTH = 116
OWN_LINES = ("block ", "share ", "for ", "if ")  # statements whose bodies are on lines of their own, unless the whole is short
SHORT = 80
ALONE = ("use ", "arch ", "input ", "default ", "let ", "expect ", "output ", "|")
SMALL = 60  # of a statement with a body, next to which others may be
LONGEST = 126  # of a line that is not broken
OPENERS = "{[<"
CLOSERS = "}]>"
LABEL = re.compile(r"[\w{} +*-]+: ")


@dataclass
class _Node:
    """A statement: its first line, and where that opens a bracket, the statements in it and the line that closes it, perhaps several."""

    head: str
    parts: list[tuple[list[_Node], str]] = field(default_factory=list)


def laid_out(text: str) -> str:
    """Return a program, printed with one statement a line, with short statements joined."""
    lines = text.splitlines()
    nodes, _ = _parsed(lines, 0)
    return "".join(f"{line}\n" for packed in _packed(nodes, 0) for line in _broken(packed))


def _broken(line: str) -> list[str]:
    """Break a long line after the elements of lists and after arguments."""
    if len(line) <= LONGEST or line.startswith(("arch ", "input ")):
        return [line]
    pieces: list[str] = []
    depth = start = last = 0
    quoted = False
    for at, mark in enumerate(line):
        quoted ^= mark == '"'
        depth += (mark in "([") - (mark in ")]")
        if mark == "," and depth and not quoted:
            if at - start > WIDTH and last > start:
                pieces.append(line[start:last])
                start = last + 1
            last = at + 1
    if len(line) - start > WIDTH and last > start:
        pieces.append(line[start:last])
        start = last + 1
    return [*pieces, line[start:]]


def _parsed(lines: list[str], at: int) -> tuple[list[_Node], int]:
    nodes: list[_Node] = []
    while at < len(lines) and lines[at][:1] not in CLOSERS:
        node = _Node(lines[at])
        last = lines[at]
        at += 1
        while last[-1:] in OPENERS and not last.endswith("=>"):
            inner, at = _parsed(lines, at)
            last = lines[at]
            node.parts.append((inner, last))
            at += 1
        nodes.append(node)
    return nodes, at


def _flat(node: _Node) -> str:
    text = node.head
    for inner, closing in node.parts:
        text += " " + _chain(inner) + (" " if inner else "") + closing
    return text


def _chain(nodes: list[_Node]) -> str:
    text = ""
    for node in nodes:
        flat = _flat(node)
        text += flat if not text else f" {flat}" if flat.startswith("|") else f"; {flat}"
    return text


def _packed(nodes: list[_Node], indent: int) -> list[str]:
    lines: list[str] = []
    joinable = False
    for node in nodes:
        flat = _flat(node)
        leaf = not node.parts
        small = indent > 0 and len(flat) <= SMALL and not flat.startswith(("for ", "if ", "|"))
        simple = (
            (leaf or small)
            and not (indent == 0 and LABEL.match(flat))
            and not flat.startswith(("use ", "arch ", "input ", "default ", "let ", "expect ", "output ", "|"))
        )
        limit = WIDTH - indent if leaf or not node.head.startswith(OWN_LINES) else SHORT
        if len(flat) <= limit or leaf:
            if simple and joinable and len(lines[-1]) + len(flat) + 2 <= WIDTH - indent:
                lines[-1] += f"; {flat}"
            else:
                lines.append(flat)
            joinable = (simple or (flat.startswith("|") and len(flat) <= SMALL)) and " => " not in flat
            continue
        lines.append(node.head)
        for inner, closing in node.parts:
            lines.extend(_packed(inner, indent + 2))
            lines.append(closing)
        joinable = False
    return lines
