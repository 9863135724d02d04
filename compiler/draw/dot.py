"""The style `graph` as DOT: boxes from top to bottom, with each operator as written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape

import graphviz

from archc.compiler.draw import arcs
from archc.compiler.draw.figure import percent
from archc.compiler.draw.scene import Box, Edge, Scene
from archc.compiler.draw.style import FORMS, HEAT_INK, HEAT_NAMES, LEGEND, Look, Scale, legend

FIGURE = "cluster figure"  # the frame around a picture with a title, which is not seen
BESIDE = ("first/", "second/")  # how names of boxes begin where two networks lie side by side
SIZE = 11  # points of text
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


def graph_dot(scene: Scene, look: Look = Look(), words: bool = False) -> str:  # noqa: B008 (it is frozen)
    """Return the DOT of a scene, with opened blocks as clusters.

    Shortcuts of closed blocks are arcs, which are added once the places are known (`arcs.py`); with `words` they are a line of text.
    """
    dot = digraph(scene, look, look.figure.direction)
    dot.attr("graph", nodesep="0.28", ranksep="0.3", newrank="true")
    if scene.heading:
        with dot.subgraph(name=FIGURE) as inner:
            _heading(scene, inner, look)
            _contents(scene, inner, look, words)
    else:
        _contents(scene, dot, look, words)
    below(scene, dot, look)
    return str(dot.source)


def _contents(scene: Scene, dot: graphviz.Digraph, look: Look, words: bool) -> None:
    boxes = {box.id: box for box in scene.shown()}
    spine = {end for edge in scene.edges if edge.spine for end in (edge.source, edge.target)}
    drawn = _Drawn(look, spine, look.total(scene), words)
    across = look.figure.direction == "LR"
    for edge in scene.edges if across else ():  # an edge has no room for a shape beside it, so the box has it that it leaves
        source = boxes[edge.source]
        source.leaves = edge.shape if edge.shape and source.family != "merge" else source.leaves
    for box in scene.boxes:
        _draw(box, dot, drawn)
    for edge in scene.edges:
        _connect(edge if not across or boxes[edge.source].family == "merge" else replace(edge, shape=""), dot, look)
    for pair in scene.level:
        with dot.subgraph() as line:
            line.attr("graph", rank="same")
            for name in pair:
                line.node(name)


def _heading(scene: Scene, dot: graphviz.Digraph, look: Look) -> None:
    """Write the title of a picture above it, as the label of a frame that is not seen."""
    title, *lines = map(escape, scene.heading)
    small = "".join(f'<BR/><FONT POINT-SIZE="9.5" COLOR="{look.colours["faint"]}">{line}</FONT>' for line in lines)
    dot.attr(
        "graph", bgcolor="transparent", color="transparent", fillcolor="transparent", style="", margin="4", labelloc="t", labeljust="c",
        label=f'<<FONT POINT-SIZE="14"><B>{title}</B></FONT>{small}>', id="title", tooltip=graphviz.escape(scene.heading[0]),
    )  # fmt: skip


@dataclass(frozen=True)
class _Drawn:
    """What all boxes of a picture share."""

    look: Look
    spine: set[str]
    scale: Scale
    words: bool


def _draw(box: Box, dot: graphviz.Digraph, drawn: _Drawn) -> None:
    look = drawn.look
    if box.opened:
        with dot.subgraph(name=f"cluster_{box.id}") as inner:
            frame(box, inner, look)
            for within in box.inside:
                _draw(within, inner, drawn)
        return
    group = {"group": f"spine {box.id.partition('/')[0]}" if box.id.startswith(BESIDE) else "spine"} if box.id in drawn.spine else {}
    found = appearance(box, look, drawn.scale)
    if box.skips and not drawn.words:
        found["margin"] = arcs.margin(box.skips, look.figure.direction)
    text = label(box, look, drawn.words)
    dot.node(box.id, label=text, id=box.id, tooltip=graphviz.escape(box.tooltip), **found, **group)


def frame(box: Box, inner: graphviz.Digraph, look: Look, filled: bool = True) -> None:
    """Draw the frame of an opened block, with its name."""
    c = look.colours
    title = escape(frame_title(box))
    whole = f"{box.id}/" in BESIDE  # one of two networks
    style = "rounded" + ",filled" * filled + ",dashed" * box.training_only
    inner.attr(
        "graph", bgcolor="transparent", label=f"<{title}>", labeljust="l", style=style, color=c["frame"], fillcolor=c["room"],
        fontsize="13" if whole else "10", fontcolor=c["ink" if whole else "faint"],
        id=box.id, tooltip=graphviz.escape(box.tooltip), margin="9",
    )  # fmt: skip


def frame_title(box: Box) -> str:
    """Return the name of an opened block, its call, and its number of repeats."""
    return "  ".join(part for part in (_name(box), cut(box.title, 44), box.times) if part)


def appearance(box: Box, look: Look, scale: Scale) -> dict[str, str]:
    """Return the shape and colors of a box as Graphviz attributes."""
    c = look.colours
    found = {"margin": "0.1,0.05", "height": "0.3", "width": "0.3", **FORMS[box.family], "fillcolor": look.fill(box, scale)}
    if box.family == "pooling":  # a trapezium fitted by Graphviz would be far too wide
        lines = _lines(box, narrow=look.figure.direction == "LR")
        wide = max(sum(len(text) * (0.094 if bold else 0.0078 * size) for text, size, bold in line) for line in lines)
        found |= {"width": f"{wide + 0.5:.2f}", "height": f"{0.165 * len(lines) + 0.16:.2f}"}
    if look.by_cost(box):
        found["fontcolor"] = HEAT_INK
    if box.training_only:
        found["style"] += ",dashed"
    if box.status in ("removed", "failed"):
        found |= {"color": c["wrong"]}
    return found


Run = tuple[str, float, bool]  # a text, its size in points, whether it is bold


def label(box: Box, look: Look, words: bool = False) -> str:
    """Return an HTML-like label: the name, the operator with its arguments lighter, and what is attached."""
    if box.family == "merge":
        return box.title
    lines = ["".join(map(_run, line)) for line in _lines(box, words, look.figure.direction == "LR")]
    if box.status == "failed":
        lines += [f'<FONT POINT-SIZE="9" COLOR="{look.colours["wrong"]}">{escape(line)}</FONT>' for line in wrapped(box.note)]
    return f"<{'<BR/>'.join(lines)}>" if lines else ""


def _run(run: Run) -> str:
    text, size, bold = run
    marked = f"<B>{escape(text)}</B>" if bold else escape(text)
    return marked if size == SIZE else f'<FONT POINT-SIZE="{size:g}">{marked}</FONT>'


def _lines(box: Box, words: bool = False, narrow: bool = False) -> list[list[Run]]:
    """Return the lines of a label, `narrow` where boxes stand side by side."""
    lines: list[list[Run]] = [[(_name(box), 8.5, False)]] if box.name and box.family != "failed" else []
    head, arguments = split(cut(box.title, 66) if box.family == "block" else box.title)
    if head:
        titled: list[list[Run]] = [[(line, SIZE, True)] for line in wrapped(head) if line]
        if arguments and len(head) + 0.75 * len(arguments) <= (30 if not narrow else 0):
            titled[-1].append((arguments, 8.5, False))
        elif arguments:
            titled += [[(line, 8.5, False)] for line in balanced(arguments, 40 if not narrow else 24)]
        lines += titled
    lines += [[(line, 9, False)] for detail in box.details for line in wrapped(detail, 40 if not narrow else 24)]
    if words and box.skips:
        lines.append([(str(box.skips), 9, False)])
    if box.times and lines:
        lines[-1].append((f"   {box.times}", SIZE, True))
    lines += [[(line, 9, True)] for change in box.changes for line in wrapped(change)]
    lines += [[(line.strip("· "), 9, False)] for text in box.numbers for line in balanced(text, 42 if not narrow else 24)]
    return lines + ([[(box.leaves, 8.5, False)]] if narrow and box.leaves else [])


def split(title: str) -> tuple[str, str]:
    """Return what an operator or call is, and its arguments with their brackets, if it ends in them."""
    head, bracket, rest = title.partition("(")
    return (head, f"({rest}") if head and bracket and title.endswith(")") else (title, "")


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


def balanced(text: str, width: int) -> list[str]:
    """Break a text into as few lines as `wrapped` does, of about equal length."""
    count = len(wrapped(text, width))
    return next(
        lines for narrower in range(min(width, -(-len(text) // count)), width + 1) if len(lines := wrapped(text, narrower)) == count
    )


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


def _skips(scene: Scene, c: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield what the key says of shortcuts: a text, its ground and its ink."""
    found = [box.skips for box in scene.shown() if box.skips]
    if any(not skips.dense for skips in found):
        yield "shortcut: +", c["ground"], c["skip"]
    if any(skip.projected for skips in found for skip in skips.all):
        yield "projection", c["convolution"], c["ink"]
    if any(skips.dense for skips in found):
        yield "dense connections", c["ground"], c["skip"]


def _key(scene: Scene, look: Look) -> str:
    c = look.colours
    families = {box.family for box in scene.shown()} | ({"block"} & {box.family for box in scene.every() if box.copies > 1})
    used = [family for family in LEGEND if family in families]
    cells = [
        f'<TD BGCOLOR="{c["ground"] if look.heat else c[family]}" COLOR="{c["line"]}" BORDER="{2 if family == "dense" else 1}"'
        f"{ROUNDED if family in ('input', 'block') else ''}>{escape(legend(family, scene.shown()))}</TD>"
        for family in used
    ]
    cells += [f'<TD BGCOLOR="{fill}" COLOR="{c["skip"]}"><FONT COLOR="{ink}">{text}</FONT></TD>' for text, fill, ink in _skips(scene, c)]
    statuses = dict.fromkeys(box.status for box in scene.shown() if box.status)
    cells += [f'<TD BGCOLOR="{c[status]}" COLOR="{c["line"]}">{status}</TD>' for status in statuses]
    if look.heat:
        named = f'<TD BORDER="0">share of the {HEAT_NAMES[look.heat]}</TD>'
        cells = [named] + [
            f'<TD BGCOLOR="{colour}" COLOR="{c["line"]}"><FONT COLOR="{HEAT_INK}">{percent(share)}</FONT></TD>'
            for share, colour in look.total(scene).key()
        ]
    wide = len(cells) if look.heat or look.figure.direction == "LR" else 3
    rows = "".join(f"<TR>{''.join(cells[start : start + wide])}</TR>" for start in range(0, len(cells), wide))
    return f'<TABLE BORDER="0" CELLBORDER="1" CELLSPACING="4" CELLPADDING="3">{rows}</TABLE>'
