"""Verbs that show a network: `summary`, `table`, `diff` and `draw`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from archc.compiler.analysis.memory import Usage
from archc.compiler.driver import Report
from archc.compiler.elaborate.elaboration import MAX_NODES, Limits, Overrides
from archc.compiler.graph import shape_text
from archc.dsl.parser import MAX_NESTING
from archc.dsl.rendering import render_all
from archc.ui.show.colour import painter
from archc.ui.verbs.completion import words
from archc.ui.verbs.options import (
    Collapse,
    Depth,
    Expand,
    File,
    Files,
    Flat,
    Input,
    Json,
    MaxNesting,
    MaxNodes,
    Out,
    Picture,
    PictureFormat,
    Set,
    Style,
    Theme,
)
from archc.ui.verbs.sources import checked
from archc.ui.verbs.terminal import (
    arch_files,
    chosen_format,
    fail,
    must_be_writable,
    overrides,
    print_json,
    sound,
    stdin_once,
    sweeps,
    talk,
    usage,
    width,
)

Form = Annotated[
    str, typer.Option("--format", help="text, json, csv, md or latex", autocompletion=words("text", "json", "csv", "md", "latex"))
]
Csv = Annotated[bool, typer.Option("--csv", help="the same as --format csv")]
Md = Annotated[bool, typer.Option("--md", help="the same as --format md")]
Latex = Annotated[bool, typer.Option("--latex", help="the same as --format latex")]
MemoryDtype = Annotated[str, typer.Option(help="float32, bfloat16, float16 or float64, for memory")]
MemoryBatch = Annotated[int, typer.Option(min=1, help="samples, for memory")]


def summary_(
    file: File,
    depth: Annotated[int, typer.Option("--depth", min=1, help="how many levels of labels are shown")] = 2,
    expand: Annotated[list[str] | None, typer.Option("--expand", metavar="LABEL", help="show all of a part; may be repeated")] = None,
    flat: Annotated[bool, typer.Option("--flat", help="a row for every node, nothing folded")] = False,
    sort: Annotated[str, typer.Option("--sort", help="params, macs or memory: every node, the largest first")] = "",
    top: Annotated[int, typer.Option("--top", min=1, help="with --sort: how many")] = 10,
    layout: Annotated[str, typer.Option("--layout", help="chw, or hwc as lectures write shapes")] = "chw",
    convention: Annotated[str, typer.Option(help="whose rule counts MACs: paper, torchvision, torchinfo or fvcore")] = "paper",
    dtype: MemoryDtype = "float32",
    batch: MemoryBatch = 1,
    memory: Annotated[bool, typer.Option("--memory", help="what inference and training need of memory, below the table")] = False,
    optimizer: Annotated[str, typer.Option(help="sgd, momentum or adam, for --memory")] = "adam",
    verify: Annotated[bool, typer.Option("--verify", help="--memory, and measure it too, which needs torch")] = False,
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
    from archc.compiler.analysis.conventions import CONVENTIONS
    from archc.compiler.analysis.memory import BYTES, OPTIMIZERS
    from archc.compiler.analysis.summary import Summary
    from archc.ui.show import summaries

    format_ = chosen_format(format_, json_, csv, md, latex)
    for value, known, option in (
        (sort, ("", "params", "macs", "memory"), "--sort"),
        (layout, ("chw", "hwc"), "--layout"),
        (convention, tuple(CONVENTIONS), "--convention"),
        (dtype, tuple(BYTES), "--dtype"),
        (optimizer, tuple(OPTIMIZERS), "--optimizer"),
    ):
        if value not in known:
            usage(f"{option} is {' or '.join(word for word in known if word)}, not {value}")
    report = sound(file, overrides(set_, input_), Limits(max_nodes, max_nesting), format_ == "json")
    table = Summary(report.graph, convention)
    try:
        rows = table.leaves() if flat or sort else table.rows(depth, expand or ())
        rows = table.largest(rows, sort, top) if sort else rows
    except KeyError as error:
        usage(f"{report.name} has no part {error.args[0]}")
    style = summaries.Style(layout, dtype, batch)
    needs = predicted(report, dtype, batch, optimizer) if memory or verify else None
    measured = measure(report, dtype, batch) if verify else None
    if format_ == "json":
        extra = {"memory": asdict(needs)} if needs is not None else {}
        extra |= {"measured": dict(zip(("peak", "saved"), measured, strict=True))} if measured is not None else {}
        print_json(
            {
                "name": report.name,
                "params": table.params,
                "macs": shape_text((table.macs,))[0],
                "receptive_field": table.field.sizes,
                "rows": summaries.facts(rows),
            }
            | extra
        )
    elif format_ == "csv":
        sys.stdout.write(summaries.comma_separated(rows, style))
    else:
        if format_ == "text":
            sys.stdout.write(summaries.text(table, rows, style, width()))
        else:
            sys.stdout.write({"md": summaries.markdown, "latex": summaries.latex}[format_](table, rows, style))
        if needs is not None:
            sys.stdout.write(summaries.memory(needs, style, optimizer, measured))


def predicted(report: Report, dtype: str, batch: int, optimizer: str) -> Usage:
    """The memory of a network, or the end, where its sizes are open."""
    from archc.compiler.analysis.memory import OpenSizes, usage

    try:
        return usage(report.graph, dtype, batch, optimizer)
    except OpenSizes:
        fail(f"the memory of {report.name} depends on {', '.join(report.graph.unknowns)}: give the sizes with --input")


def measure(report: Report, dtype: str, batch: int) -> tuple[int, int]:
    """The peak at inference and what training keeps, measured on the GPU where there is one."""
    from archc.compiler.backends.torch import run as torch_run
    from archc.ui.verbs.running import refusals

    with refusals():
        return torch_run.measured(report.graph, dtype, batch)


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
    """Compare networks: parameters, MACs, layers, receptive fields, memory. A `--set` that is given again makes a row of its own."""
    from archc.compiler.analysis.family import entry
    from archc.compiler.analysis.memory import BYTES
    from archc.ui.show import families

    form = chosen_format(format_, json_, csv, md, latex)
    if dtype not in BYTES:
        usage(f"--dtype is {' or '.join(BYTES)}, not {dtype}")
    if output is not None:
        must_be_writable(output)
        if output.suffix not in (".svg", ".png", ".pdf"):
            usage(f"-o draws .svg, .png or .pdf, not {output.name}")
    entries = []
    for settings in sweeps(set_ or []):
        for path in arch_files(files):
            report = sound(path, overrides(settings, input_), Limits(max_nodes, max_nesting), form == "json", blocks=True)
            if report.has_network:
                name = report.name + (f" {' '.join(settings)}" if settings else "")
                entries.append(entry(name, report.graph, dtype, batch))
    if not entries:
        fail(f"there is no network in {files[0]}")
    if form == "json":
        print_json(families.facts(entries))
    else:
        sys.stdout.write(families.show(entries, form, width()))
    if output is not None:
        families.plot(entries, output)
        talk(f"wrote {output}")


def diff_(
    first: File,
    second: File,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="give a parameter of the second network another value; FILE FILE --set compares two settings",
        ),
    ] = None,
    output: Picture = None,
    depth: Depth = None,
    expand: Expand = None,
    collapse: Collapse = None,
    flat: Flat = False,
    theme: Theme = "auto",
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Say what differs between two networks, or two settings of one, and what it costs. Exit code 0: the same, 1: different."""
    from archc.compiler.analysis.diff import diff
    from archc.ui.show import differences

    stdin_once([first, second])
    limits = Limits(max_nodes, max_nesting)
    changed = (Overrides(), overrides(set_, None))
    reports = [sound(file, change, limits, json_, wrong=2) for file, change in zip((first, second), changed, strict=True)]
    found = diff(reports[0].graph, reports[1].graph)
    names = (reports[0].name, f"{reports[1].name} ({', '.join(set_)})" if set_ else reports[1].name)
    if json_:
        print_json({"first": names[0], "second": names[1]} | differences.facts(found))
    else:
        sys.stdout.write(differences.text(found, *names))
    if output is not None:
        from archc.compiler.draw.fold import Folding
        from archc.ui.verbs import drawing

        wish = drawing.wish(output, "", "graph", theme, "", True)
        folding = Folding(depth, tuple(expand or ()), tuple(collapse or ()), flat)
        drawing.deliver(drawing.difference(reports[0].graph, reports[1].graph, found, folding, names, wish), wish)
    if not found.same:
        raise typer.Exit(1)


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
    heat: Annotated[
        str, typer.Option(help="colour by cost: macs, params or memory", autocompletion=words("macs", "params", "memory"))
    ] = "",
    legend: Annotated[bool, typer.Option("--legend/--no-legend", help="a key to the colours")] = True,
    partial: Annotated[bool, typer.Option("--partial", help="draw a wrong file too, as far as its shapes are known")] = False,
    set_: Set = None,
    input_: Input = None,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Draw a network: blocks folded, repeats as one, shapes where they change; in svg and html, counts in tooltips."""
    from archc.compiler.draw.fold import Folding
    from archc.ui.verbs import drawing

    wish = drawing.wish(output, format_, style, theme, heat, legend)
    folding = Folding(depth, tuple(expand or ()), tuple(collapse or ()), flat)
    changed, limits = overrides(set_, input_), Limits(max_nodes, max_nesting)
    if partial:
        report = checked(file, changed, limits)
        talk(render_all(report.diagnostics, paint=painter(sys.stderr)) if report.diagnostics else "")
        if not len(report.graph):
            fail("there is no shape to draw from")
        drawing.deliver(drawing.partial(report, folding, wish), wish)
    else:
        report = sound(file, changed, limits, False)
        drawing.deliver(drawing.drawn(report.graph, folding, wish), wish)
    if report.diagnostics:
        raise typer.Exit(1)
