"""Verbs that show a network: `summary`, `diff` and `draw`."""

from __future__ import annotations

import sys
from functools import partial as partial_
from pathlib import Path
from typing import Annotated, Any

import typer

from archc.compiler.analysis.memory import OpenSizes
from archc.compiler.elaborate.elaboration import MAX_NODES, Limits, Overrides
from archc.compiler.frontends import is_source
from archc.compiler.revisions import old
from archc.dsl.parser import MAX_NESTING
from archc.dsl.rendering import render_all
from archc.ui.show.colour import painter
from archc.ui.verbs import watching
from archc.ui.verbs.figures import Animate, Direction, Dpi, Rename, Scale, Show, SideBySide, Steps, Title, Width
from archc.ui.verbs.options import (
    Collapse,
    Convention,
    Csv,
    Depth,
    Expand,
    File,
    Flat,
    Form,
    Heat,
    Hide,
    Input,
    Json,
    Labels,
    Latex,
    Layout,
    Legend,
    MaxNesting,
    MaxNodes,
    Md,
    MemoryBatch,
    MemoryDtype,
    Optimizer,
    Out,
    Picture,
    PictureFormat,
    Set,
    Sort,
    Style,
    Theme,
    Watch,
)
from archc.ui.verbs.sources import checked
from archc.ui.verbs.terminal import (
    chosen_format,
    fail,
    network,
    overrides,
    print_json,
    print_table,
    refusals,
    stdin_once,
    talk,
    usage,
)


def summary_(
    file: File,
    depth: Annotated[int, typer.Option("--depth", min=1, help="the number of levels of labels shown")] = 2,
    expand: Annotated[list[str] | None, typer.Option("--expand", metavar="LABEL", help="show all of a part; may be repeated")] = None,
    flat: Annotated[bool, typer.Option("--flat", help="a row for every node, nothing folded")] = False,
    sort: Sort = "",
    top: Annotated[int, typer.Option("--top", min=1, help="with --sort: the number of rows")] = 10,
    layout: Layout = "chw",
    convention: Convention = "paper",
    dtype: MemoryDtype = "float32",
    batch: MemoryBatch = 1,
    memory: Annotated[bool, typer.Option("--memory", help="the memory that inference and training need, below the table")] = False,
    optimizer: Optimizer = "adam",
    verify: Annotated[bool, typer.Option("--verify", help="like --memory, and measure it, which needs torch")] = False,
    format_: Form = "text",
    csv: Csv = False,
    md: Md = False,
    latex: Latex = False,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Tabulate a network: shapes, parameters, MACs, memory and receptive fields, block by block."""
    form = chosen_format(format_, json_, csv, md, latex)
    net = network(file, overrides(set_, input_), Limits(max_nodes, max_nesting), form == "json")
    shown = net.summary(
        depth=depth,
        expand=expand or (),
        flat=flat,
        sort=sort,
        top=top,
        convention=convention,
        layout=layout,
        dtype=dtype,
        batch=batch,
    )
    needs = None
    if memory or verify:
        try:
            with refusals():
                needs = net.memory(dtype=dtype, batch=batch, optimizer=optimizer, measure=verify)
        except OpenSizes as error:
            fail(f"{error.problem} --input")
    if form == "json":
        extra = {"memory": needs.facts()} if needs is not None else {}
        if needs is not None and needs.measured is not None:
            extra["measured"] = dict(zip(("peak", "saved"), needs.measured, strict=True))
        print_json(shown.facts() | extra)
    else:
        print_table(shown, form)
        if needs is not None and form != "csv":
            sys.stdout.write(f"\n{needs.text()}")


def diff_(
    first: File,
    second: File,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="set a parameter of the second network; FILE FILE --set compares two settings",
        ),
    ] = None,
    output: Picture = None,
    depth: Depth = None,
    expand: Expand = None,
    collapse: Collapse = None,
    flat: Flat = False,
    theme: Theme = "auto",
    side_by_side: SideBySide = False,
    direction: Direction = "TB",
    title: Title = "",
    scale: Scale = 1.0,
    dpi: Dpi = 0,
    width: Width = "",
    md: Md = False,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Print what differs between two networks, or two settings or git revisions of one. Exit code 0: the same, 1: different."""
    from archc.compiler.draw.figure import figure
    from archc.ui.verbs import drawing

    stdin_once([first, second])
    page: dict[str, Any] = {"direction": direction, "title": title, "scale": scale, "dpi": dpi, "width": width}
    about = "a difference"
    target = drawing.target(output, "", "graph", theme, "", True, about, page=figure(**page)) if output is not None else None
    limits = Limits(max_nodes, max_nesting)
    changed = (Overrides(), overrides(set_, None))
    a, b = (network(file, change, limits, json_, wrong=2) for file, change in zip((first, second), changed, strict=True))
    names = (described(a.name, first, []), described(b.name, second, set_ or []))
    difference = a.diff(b, names=names)
    if json_:
        print_json(difference.facts())
    else:
        sys.stdout.write(difference.markdown() if md else difference.text())
    if target is not None:
        form, expanded, collapsed = target.options.form.name, expand or (), collapse or ()
        shown: dict[str, Any] = {"depth": depth, "expand": expanded, "collapse": collapsed, "flat": flat, "side_by_side": side_by_side}
        drawing.write_picture(lambda: difference.draw(form, theme=theme, **shown, **page), output)
    if not difference.same:
        raise typer.Exit(1)


def described(name: str, file: Path, settings: list[str]) -> str:
    """Return the name of a network, with what tells it from another one of that name: its source or revision, and settings."""
    apart = list(settings)
    if is_source(str(file)):
        apart.insert(0, str(file))
    elif (before := old(str(file))) is not None:
        apart.insert(0, f"at {before.revision}")
    return f"{name} ({', '.join(apart)})" if apart else name


def draw(
    file: File,
    output: Out = None,
    format_: PictureFormat = "",
    style: Style = "graph",
    depth: Depth = None,
    expand: Expand = None,
    collapse: Collapse = None,
    flat: Flat = False,
    theme: Theme = "auto",
    heat: Heat = "",
    legend: Legend = True,
    labels: Labels = "",
    hide: Hide = None,
    direction: Direction = "TB",
    title: Title = "",
    scale: Scale = 1.0,
    dpi: Dpi = 0,
    width: Width = "",
    show: Show = None,
    rename: Rename = None,
    animate: Animate = False,
    steps: Steps = False,
    partial: Annotated[bool, typer.Option("--partial", help="draw a file with errors too, as far as its shapes are known")] = False,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="with --heat time: what `archc profile -o FILE.json` has written")
    ] = None,
    watch: Watch = False,
    set_: Set = None,
    input_: Input = None,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Draw a network: blocks folded, repeats as one, shapes where they change; in svg and html with counts in tooltips."""
    from archc.compiler.draw.figure import figure
    from archc.compiler.draw.request import folding, partial_picture
    from archc.compiler.results.profiles import seconds_of
    from archc.ui.verbs import drawing

    page: dict[str, Any] = {"direction": direction, "title": title, "scale": scale, "dpi": dpi, "width": width}
    page |= {"show": show or (), "rename": rename or (), "animate": animate}
    written: dict[str, Any] = {"labels": labels, "hide": hide or ()}
    part = "a wrong file" if partial else ""
    target = drawing.target(output, format_, style, theme, heat, legend, part, **written, page=figure(**page))
    if (heat == "time") != (profile is not None) or (partial and profile is not None):
        usage("--heat time and --profile FILE.json go together, of a whole network; `archc profile FILE -o FILE.json` writes the latter")
    if steps and (output is None or partial):
        usage(
            "--steps writes several files: give -o FILE" if output is None else "--steps is of a network without errors, not of --partial"
        )
    if watch:
        if output is None:
            usage("--watch draws again and again into a file: give -o FILE")
        looks: dict[str, Any] = {"depth": depth, "expand": expand, "collapse": collapse, "flat": flat, "theme": theme}
        looks |= {"heat": heat, "legend": legend, **written}
        rest: dict[str, Any] = {
            "steps": steps,
            "partial": partial,
            "profile": profile,
            "set_": set_,
            "input_": input_,
            "max_nodes": max_nodes,
        }
        again = partial_(draw, file, output, format_, style, **looks, **page, **rest)
        watching.repeat([file], again)
    changed, limits = overrides(set_, input_), Limits(max_nodes, max_nesting)
    expanded, collapsed = expand or (), collapse or ()
    if not partial:
        net, form = network(file, changed, limits, False), target.options.form.name
        appearance: dict[str, Any] = {"style": style, "theme": theme, "heat": heat, "legend": legend, **written, **page}
        asked: dict[str, Any] = {**appearance, "depth": depth, "expand": expanded, "collapse": collapsed, "flat": flat}
        asked |= {"seconds": seconds_of(profile, net.graph) if profile is not None else None}
        if steps and output is not None:
            drawing.write_steps(lambda: net.draw_steps(form, **asked), output)
        else:
            drawing.write_picture(lambda: net.draw(form, **asked), output)
        return
    report = checked(file, changed, limits)
    talk(render_all(report.diagnostics, paint=painter(sys.stderr)) if report.diagnostics else "")
    if not len(report.graph):
        fail("there is nothing to draw: no shape is known")
    shown = folding(depth, expanded, collapsed, flat)
    drawing.write_picture(lambda: partial_picture(report.graph, report.failures, report.diagnostics, shown, target.options), output)
    if report.diagnostics:
        raise typer.Exit(1)
