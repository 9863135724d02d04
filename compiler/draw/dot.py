"""The style `graph` as DOT: boxes from top to bottom, with each operator as written."""

from __future__ import annotations

from html import escape

import graphviz

from archc.compiler.draw.scene import Box, Edge, Scene
from archc.compiler.draw.style import FORMS, HEAT_INK, HEAT_NAMES, LEGEND, Look, heat_colour, legend

FONT = "Helvetica,Arial,sans-serif"
ROUNDED = ' STYLE="ROUNDED"'


def digraph(scene: Scene, look: Look, direction: str) -> graphviz.Digraph:
    """Return an empty drawing with the settings that all styles share."""
    c = look.colours
    dot = graphviz.Digraph(graphviz.escape(scene.name))
    dot.attr(
        "graph",
        rankdir=direction,
        bgcolor=c["ground"],
        fontname=FONT,
        fontcolor=c["ink"],
        pad="0.15",
        tooltip=graphviz.escape(scene.title or scene.name),
    )
    dot.attr("node", fontname=FONT, fontsize="11", fontcolor=c["ink"], color=c["line"], penwidth="0.9")
    dot.attr("edge", fontname=FONT, fontsize="9", fontcolor=c["faint"], color=c["edge"], arrowsize="0.6", penwidth="0.9")
    return dot


def graph_dot(scene: Scene, look: Look = Look()) -> str:  # noqa: B008 (it is frozen)
    """Return the DOT of a scene, with opened blocks as clusters."""
    dot = digraph(scene, look, "TB")
    dot.attr("graph", nodesep="0.28", ranksep="0.3", newrank="true")
    spine = {end for edge in scene.edges if edge.spine for end in (edge.source, edge.target)}
    total = look.total(scene)
    for box in scene.boxes:
        _draw(box, dot, look, spine, total)
    for edge in scene.edges:
        _connect(edge, dot, look)
    below(scene, dot, look)
    return str(dot.source)


def _draw(box: Box, dot: graphviz.Digraph, look: Look, spine: set[str], total: int) -> None:
    if box.opened:
        with dot.subgraph(name=f"cluster_{box.id}") as inner:
            frame(box, inner, look)
            for within in box.inside:
                _draw(within, inner, look, spine, total)
        return
    group = {"group": "spine"} if box.id in spine else {}
    dot.node(box.id, label=label(box, look), id=box.id, tooltip=graphviz.escape(box.tooltip), **appearance(box, look, total), **group)


def frame(box: Box, inner: graphviz.Digraph, look: Look, filled: bool = True) -> None:
    """Draw the frame of an opened block, with its name."""
    c = look.colours
    title = escape(frame_title(box))
    style = "rounded" + ",filled" * filled + ",dashed" * box.training_only
    inner.attr(
        "graph", bgcolor="transparent", label=f"<{title}>", labeljust="l", style=style, color=c["frame"], fillcolor=c["room"],
        fontsize="10", fontcolor=c["faint"], id=box.id, tooltip=graphviz.escape(box.tooltip), margin="9",
    )  # fmt: skip


def frame_title(box: Box) -> str:
    """Return the name of an opened block, its call, and its number of repeats."""
    return "  ".join(part for part in (_name(box), cut(box.title, 44), box.times) if part)


def appearance(box: Box, look: Look, total: int) -> dict[str, str]:
    """Return the shape and colors of a box as Graphviz attributes."""
    c = look.colours
    found = {"margin": "0.1,0.05", "height": "0.3", "width": "0.3", **FORMS[box.family], "fillcolor": look.fill(box, total)}
    if box.family == "pooling":  # a trapezium fitted by Graphviz would be far too wide
        lines = [_name(box) * bool(box.name), *wrapped(box.title), *box.details, *box.changes]
        found |= {"width": f"{0.1 * max(map(len, lines)) + 0.45:.2f}", "height": f"{0.17 * sum(map(bool, lines)) + 0.16:.2f}"}
    if look.by_cost(box):
        found["fontcolor"] = HEAT_INK
    if box.training_only:
        found["style"] += ",dashed"
    if box.status in ("removed", "failed"):
        found |= {"color": c["wrong"]}
    return found


def label(box: Box, look: Look) -> str:
    """Return an HTML-like label: the name, the operator, and what is attached."""
    if box.family == "merge":
        return box.title
    lines = []
    if box.name and box.family != "failed":
        lines.append(f'<FONT POINT-SIZE="8.5">{escape(_name(box))}</FONT>')
    title = cut(box.title, 66) if box.family == "block" else box.title
    lines += [f"<B>{escape(line)}</B>" for line in wrapped(title) if line]
    lines += [f'<FONT POINT-SIZE="9">{escape(line)}</FONT>' for detail in box.details for line in wrapped(detail)]
    if box.times:
        lines = lines or [""]
        lines[-1] += f"   <B>{box.times}</B>"
    lines += [f'<FONT POINT-SIZE="9"><B>{escape(line)}</B></FONT>' for change in box.changes for line in wrapped(change)]
    if box.status == "failed":
        lines += [f'<FONT POINT-SIZE="9" COLOR="{look.colours["wrong"]}">{escape(line)}</FONT>' for line in wrapped(box.note)]
    return f"<{'<BR/>'.join(lines)}>" if lines else ""


def _name(box: Box) -> str:
    return f"{box.name} … {box.last.rpartition('.')[2]}" if box.copies > 1 else box.name


def cut(text: str, width: int) -> str:
    """Shorten a call to at most `width` characters, its last arguments to `…`."""
    if len(text) <= width or "(" not in text:
        return text
    name, arguments = text.removesuffix(")").split("(", 1)
    kept = arguments.split(", ")
    while kept and len(f"{name}({', '.join(kept)}, …)") > width:
        kept.pop()
    return f"{name}({', '.join([*kept, '…'])})" if kept else name


def wrapped(text: str, width: int = 34) -> list[str]:
    """Break a long line after commas, and at dots between parts."""
    lines, line = [], ""
    for word in text.replace(", ", ",\x00").replace(" · ", " ·\x00").replace(" ", " \x00").split("\x00"):
        if line and len(line) + len(word) > width:
            lines.append(line.rstrip())
            line = ""
        line += word + (" " if word.endswith((",", "·")) else "")
    return [*lines, line.rstrip()]


def _connect(edge: Edge, dot: graphviz.Digraph, look: Look) -> None:
    found = {"weight": "12"} if edge.spine else {"weight": "1"}
    if edge.shape:
        found["label"] = f" {edge.shape} "
    if edge.training_only:
        found["style"] = "dashed"
    if edge.status in ("failed", "removed"):
        found |= {"color": look.colours["wrong"], "penwidth": "1.8"}
    elif edge.status == "added":
        found |= {"color": look.colours["new"], "penwidth": "2.2"}
    dot.edge(edge.source, edge.target, **found)


def below(scene: Scene, dot: graphviz.Digraph, look: Look) -> None:
    """Add the text under a picture: its caption, and a key to the colors that it uses."""
    caption = "".join(
        f'<TR><TD BORDER="0">{f"<B>{escape(line)}</B>" if number == 0 else escape(line)}</TD></TR>'
        for number, line in enumerate(scene.caption)
    )
    key = _key(scene, look) if look.legend else ""
    if caption or key:
        rows = caption + (f'<TR><TD BORDER="0">{key}</TD></TR>' if key else "")
        table = f'<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="0" CELLPADDING="2">{rows}</TABLE>' if caption else key
        dot.attr("graph", label=f"<{table}>", labelloc="b", fontsize="9", fontcolor=look.colours["ink"])


def _key(scene: Scene, look: Look) -> str:
    c = look.colours
    families = {box.family for box in scene.shown()} | ({"block"} & {box.family for box in scene.every() if box.copies > 1})
    used = [family for family in LEGEND if family in families]
    cells = [
        f'<TD BGCOLOR="{c["ground"] if look.heat else c[family]}" COLOR="{c["line"]}" BORDER="{2 if family == "dense" else 1}"'
        f"{ROUNDED if family in ('input', 'block') else ''}>{escape(legend(family, scene.shown()))}</TD>"
        for family in used
    ]
    statuses = dict.fromkeys(box.status for box in scene.shown() if box.status)
    cells += [f'<TD BGCOLOR="{c[status]}" COLOR="{c["line"]}">{status}</TD>' for status in statuses]
    if look.heat:
        shares = (("0.1 %", 0.001), ("1 %", 0.01), ("10 %", 0.1), ("all", 1.0))
        named = f'<TD BORDER="0">share of the {HEAT_NAMES[look.heat]}</TD>'
        cells = [named] + [
            f'<TD BGCOLOR="{heat_colour(share)}" COLOR="{c["line"]}"><FONT COLOR="{HEAT_INK}">{text}</FONT></TD>' for text, share in shares
        ]
    wide = len(cells) if look.heat else 3
    rows = "".join(f"<TR>{''.join(cells[start : start + wide])}</TR>" for start in range(0, len(cells), wide))
    return f'<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="4" CELLPADDING="3">{rows}</TABLE>'
