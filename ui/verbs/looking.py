"""Verbs that show a network: `summary`, `table`, `diff` and `draw`."""

from __future__ import annotations

import sys
from functools import partial as partial_
from pathlib import Path
from typing import Annotated

import typer

from archc.compiler.analysis.memory import OpenSizes
from archc.compiler.elaborate.elaboration import MAX_NODES, Limits, Overrides
from archc.compiler.network import Network
from archc.compiler.revisions import old
from archc.dsl.parser import MAX_NESTING
from archc.dsl.rendering import render_all
from archc.ui.show.colour import painter
from archc.ui.verbs import watching
from archc.ui.verbs.options import (
    Collapse,
    Convention,
    Csv,
    Depth,
    Expand,
    File,
    Files,
    Flat,
    Form,
    Heat,
    Input,
    Json,
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
    arch_files,
    chosen_format,
    fail,
    must_be_writable,
    network,
    overrides,
    print_json,
    print_table,
    refusals,
    sound,
    stdin_once,
    sweeps,
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


def table_(
    files: Files,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="draw parameters against MACs: .svg, .png or .pdf")
    ] = None,
    dtype: MemoryDtype = "float32",
    batch: MemoryBatch = 1,
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
    """Compare networks: parameters, MACs, layers, receptive fields, memory. Several values of one `--set` add a row each."""
    from archc.compiler.library import table
    from archc.compiler.results.families import can_plot
    from archc.compiler.results.summaries import Units

    form = chosen_format(format_, json_, csv, md, latex)
    units = Units(dtype=dtype, batch=batch)
    if output is not None:
        must_be_writable(output)
        can_plot(output)
    networks = []
    for settings in sweeps(set_ or []):
        for path in arch_files(files):
            report = sound(path, overrides(settings, input_), Limits(max_nodes, max_nesting), form == "json", blocks=True)
            if report.has_network:
                networks.append((" ".join([report.name, *settings]), Network(report)))
    if not networks:
        fail(f"there is no network in {files[0]}")
    compared = table(networks, dtype=units.dtype, batch=units.batch)
    if form == "json":
        print_json(compared.facts())
    else:
        print_table(compared, form)
    if output is not None:
        compared.plot(output)
        talk(f"wrote {output}")


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
    md: Md = False,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Print what differs between two networks, or two settings or git revisions of one. Exit code 0: the same, 1: different."""
    from archc.ui.verbs import drawing

    stdin_once([first, second])
    target = drawing.target(output, "", "graph", theme, "", True, part="a difference") if output is not None else None
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
        drawing.write_picture(
            lambda: difference.draw(form, theme=theme, depth=depth, expand=expanded, collapse=collapsed, flat=flat), output
        )
    if not difference.same:
        raise typer.Exit(1)


def described(name: str, file: Path, settings: list[str]) -> str:
    """Return the name of a network, with what tells it from another one of that name: its revision and settings."""
    before = old(str(file))
    apart = [*([f"at {before.revision}"] if before is not None else []), *settings]
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
    from archc.compiler.draw.request import folding, partial_picture
    from archc.compiler.results.profiles import seconds_of
    from archc.ui.verbs import drawing

    target = drawing.target(output, format_, style, theme, heat, legend, part="a wrong file" if partial else "")
    if (heat == "time") != (profile is not None) or (partial and profile is not None):
        usage("--heat time and --profile FILE.json go together, of a whole network; `archc profile FILE -o FILE.json` writes the latter")
    if watch:
        if output is None:
            usage("--watch draws again and again into a file: give -o FILE")
        looks = (depth, expand, collapse, flat, theme, heat, legend)
        again = partial_(draw, file, output, format_, style, *looks, partial, profile, set_=set_, input_=input_, max_nodes=max_nodes)
        watching.repeat([file], again)
    changed, limits = overrides(set_, input_), Limits(max_nodes, max_nesting)
    expanded, collapsed = expand or (), collapse or ()
    if not partial:
        net, form = network(file, changed, limits, False), target.options.form.name
        appearance = {"style": style, "theme": theme, "heat": heat}
        shown_ = {"depth": depth, "expand": expanded, "collapse": collapsed, "flat": flat}
        times = seconds_of(profile, net.graph) if profile is not None else None
        drawing.write_picture(lambda: net.draw(form, **appearance, **shown_, legend=legend, seconds=times), output)
        return
    report = checked(file, changed, limits)
    talk(render_all(report.diagnostics, paint=painter(sys.stderr)) if report.diagnostics else "")
    if not len(report.graph):
        fail("there is nothing to draw: no shape is known")
    shown = folding(depth, expanded, collapsed, flat)
    drawing.write_picture(lambda: partial_picture(report.graph, report.failures, report.diagnostics, shown, target.options), output)
    if report.diagnostics:
        raise typer.Exit(1)
