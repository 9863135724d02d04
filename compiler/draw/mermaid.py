"""Mermaid, which READMEs and wikis draw by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

from compiler.draw.dot import Look
from compiler.draw.scene import Box, Scene

FORMS = {
    "input": ("([", "])"),
    "output": ("([", "])"),
    "pooling": ("[\\", "/]"),
    "merge": ("((", "))"),
    "block": ("[[", "]]"),
    "activation": ("(", ")"),
    "shape": ("[/", "/]"),
}


def mermaid(scene: Scene, look: Look) -> str:
    """A flowchart from top to bottom, opened blocks as subgraphs."""
    ids = {box.id: f"n{number}" for number, box in enumerate(scene.every())}
    lines = [f"%% {_comment(f'{scene.name}: {scene.title}' if scene.title else scene.name)}", "flowchart TB"]
    for box in scene.boxes:
        lines += _drawn(box, ids, 1)
    for edge in scene.edges:
        arrow = "-.->" if edge.training_only else "-->"
        lines.append(f"  {ids[edge.source]} {arrow}{f'|{edge.shape}|' if edge.shape else ''} {ids[edge.target]}")
    families = dict.fromkeys(box.status or box.family for box in scene.shown())
    c = look.colours
    lines += [f"  classDef {family} fill:{c[family]},stroke:{c['line']},color:{c['ink']}" for family in families]
    return "\n".join(lines) + "\n"


def _drawn(box: Box, ids: dict[str, str], depth: int) -> Iterator[str]:
    indent = "  " * depth
    if box.opened:
        yield f'{indent}subgraph {ids[box.id]}["{_text(" ".join(part for part in (box.name, box.title, box.times) if part))}"]'
        for inner in box.inside:
            yield from _drawn(inner, ids, depth + 1)
        yield f"{indent}end"
        return
    left, right = FORMS.get(box.family, ("[", "]"))
    lines = [box.name if box.family != "merge" else "", " ".join(part for part in (box.title, box.times) if part), *box.details]
    text = "<br/>".join(_text(line) for line in lines if line)
    yield f'{indent}{ids[box.id]}{left}"{text}"{right}:::{box.status or box.family}'


# Quotation marks, and the marks that Mermaid would read. It takes `%%{...}%%` for a directive wherever it is, and carries it out.
MARKS = str.maketrans({"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "%": "#37;", "`": "'"})


def _text(text: str) -> str:
    return text.translate(MARKS)


def _comment(text: str) -> str:
    """A comment has no marks of its own; no two percent signs meet in it."""
    return re.sub("%(?=%)", "% ", text)
