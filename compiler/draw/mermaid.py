"""Mermaid output, which README files and wikis render."""

from __future__ import annotations

import json
from collections.abc import Iterator

from archc.compiler.draw.scene import Box, Scene
from archc.compiler.draw.style import Look

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
    """Return a flowchart from top to bottom, with opened blocks as subgraphs."""
    ids = {box.id: f"n{number}" for number, box in enumerate(scene.every())}
    title = " - ".join(scene.heading) or (scene.caption[0] if scene.caption else "")
    lines = ["---", f"title: {_string(title)}", "---"] if title else []
    named = scene.caption[1:] or [f"{scene.name}: {scene.title}" if scene.title else scene.name]
    lines += [f"%% {_remark(line)}" for line in named] + [f"flowchart {look.figure.direction}"]
    for box in scene.boxes:
        lines += _drawn(box, ids, 1)
    for edge in scene.edges:
        arrow = "-.->" if edge.training_only else "-->"
        shape = f'|"{_text(edge.shape)}"|' if edge.shape else ""
        lines.append(f"  {ids[edge.source]} {arrow}{shape} {ids[edge.target]}")
    families = dict.fromkeys(box.status or box.family for box in scene.shown())
    c = look.colours
    broken = {"unknown": ",stroke-dasharray:5 4"}
    lines += [f"  classDef {family} fill:{c[family]},stroke:{c['line']},color:{c['ink']}{broken.get(family, '')}" for family in families]
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
    lines = [
        box.name if box.family != "merge" else "",
        " ".join(part for part in (box.title, box.times) if part),
        *box.details,
        str(box.skips),
        *box.changes,
        *box.numbers,
    ]
    text = "<br/>".join(_text(line) for line in lines if line)
    yield f'{indent}{ids[box.id]}{left}"{text}"{right}:::{box.status or box.family}'


_ENTITIES = {"#": "#35;", "%": "#37;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "`": "'", "\n": " "}


def _text(text: str) -> str:
    """Quote a label, with entities for what Mermaid would parse as markup, including `%%{init: ...}%%`."""
    return "".join(_ENTITIES.get(character, character) for character in text)


def _remark(text: str) -> str:
    """Sanitize a comment or title: Mermaid parses directives anywhere, so it has no braces, no `%`, and starts no tag."""
    return " ".join(text.replace("%", " per cent ").replace("{", "(").replace("}", ")").replace("<", "[").split())


def _string(text: str) -> str:
    """Return a YAML string, for the title."""
    return json.dumps(_remark(text), ensure_ascii=False)
