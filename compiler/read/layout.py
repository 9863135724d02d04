"""Lay out a printed program: short bodies and chains on one line, as a person would; the formatter does the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

WIDTH = 100
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
    return "".join(f"{line}\n" for line in _packed(nodes, 0))


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
        simple = leaf and not (indent == 0 and LABEL.match(flat)) and not flat.startswith(("use ", "arch ", "input ", "default ", "let ", "expect ", "output ", "|"))
        limit = WIDTH - indent if leaf or not node.head.startswith(("block ", "share ")) else 72
        if len(flat) <= limit or leaf:
            if simple and joinable and len(lines[-1]) + len(flat) + 2 <= WIDTH - indent:
                lines[-1] += f"; {flat}"
            else:
                lines.append(flat)
            joinable = simple or (leaf and flat.startswith("|"))
            continue
        lines.append(node.head)
        for inner, closing in node.parts:
            lines.extend(_packed(inner, indent + 2))
            lines.append(closing)
        joinable = False
    return lines
