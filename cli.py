"""archc: the command line. Every verb parses its arguments, calls, prints, and ends with an exit code.

0 fine; 1 the file has errors; 2 wrong usage; 3 an optional dependency is missing; 70 a fault of archc itself.
Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from compiler.analysis.memory import Usage
from compiler.driver import Report, check, expanded_text
from compiler.expand.builder import MAX_NODES, Limits, Overrides
from compiler.graph import shape_text
from compiler.ops import OPERATORS
from compiler.shapes.dim import show_shape
from compiler.show import formats
from compiler.show.colour import painter
from compiler.show.reports import summary, table
from compiler.show.tables import text_table
from compiler.terminal import (
    arch_files,
    chosen_format,
    fail,
    mend,
    must_be_writable,
    overrides,
    print_json,
    programs,
    say,
    sound,
    sweeps,
    talk,
    unfit_table,
    usage,
    write,
)
from dsl.diagnostics import ArchError
from dsl.parser import MAX_NESTING
from dsl.rendering import MAX_SHOWN, render_all
from dsl.vocabulary.names import did_you_mean

app = typer.Typer(
    name="archc",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Networks as text, compiled: check, expand, count and lower `.arch` files.",
)

File = Annotated[Path, typer.Argument(help="a `.arch` file", show_default=False)]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="give a parameter of the `arch` line another value")]
Input = Annotated[list[str] | None, typer.Option("--input", metavar="[NAME=]SHAPE", help="give an input another shape, as 3x299x299")]
Json = Annotated[bool, typer.Option("--json", help="print the facts as JSON")]
MaxNodes = Annotated[int, typer.Option("--max-nodes", min=1, help="how large a network may get")]
MaxNesting = Annotated[int, typer.Option("--max-nesting", min=1, max=10_000, help="how deeply blocks may call blocks")]
Out = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="write to a file instead of stdout")]


@app.command()
def compile(
    file: File,
    output: Annotated[
        list[Path] | None, typer.Option("-o", "--output", metavar="FILE", help=".pt2, .safetensors or .json; may be repeated")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes the GPU where there is one")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "float32",
    batch: Annotated[int, typer.Option(min=1, help="how many samples the forward pass gets")] = 1,
    weights: Annotated[
        str, typer.Option(metavar="FILE", help="load weights by name from .safetensors or .pth, or torchvision:IMAGENET1K_V1")
    ] = "",
    optimize: Annotated[int, typer.Option(min=0, max=3, help="0 as written; 1 exact rewrites; 2 folded and packed; 3 torch.compile")] = 0,
    print_after: Annotated[str, typer.Option(metavar="PASS", help="print the program behind a pass, or `all`")] = "",
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Check a network, lower it to torch.fx, and run one forward pass on random input."""
    if device not in ("auto", "cpu", "cuda"):
        usage(f"--device is auto, cpu or cuda, not {device}")
    if dtype not in ("float32", "bfloat16", "float16"):
        usage(f"--dtype is float32, bfloat16 or float16, not {dtype}")
    targets = output or []
    for target in targets:
        if target.suffix not in (".pt2", ".safetensors", ".json"):
            usage(f"-o writes .pt2 (torch.export), .safetensors (weights) or .json (graph), not {target.name}")
        must_be_writable(target)
        if target.suffix == ".pt2" and optimize > 1:
            usage("a .pt2 holds the network of level 0 or 1; what level 2 makes is for the machine that it was made on")
    report = sound(file, overrides(set_, input_), Limits(max_nodes, max_nesting), json_)
    if print_after:
        programs(report.graph, optimize, print_after)
    from compiler.backends import torch_run

    try:
        ran = torch_run.compile_and_run(report.graph, device, dtype, batch, weights, optimize)
    except torch_run.NoDevice as error:
        usage(str(error))
    except torch_run.Unreadable as error:
        fail(str(error))
    except torch_run.Unfit as error:
        talk(unfit_table(error.rows))
        fail(str(error))
    for target in targets:
        if target.suffix == ".pt2":
            torch_run.save_exported(ran.module, ran.inputs, target)
        elif target.suffix == ".safetensors":
            torch_run.save_weights(ran.module, target)
        else:
            write(target, json.dumps(report.graph.to_json(), indent=1) + "\n")
        talk(f"wrote {target}")
    seconds = {**report.seconds, **ran.seconds}
    if json_:
        shapes = {name: list(tensor.shape[1:]) for name, tensor in ran.outputs.items()}
        run = {"device": ran.device, "dtype": dtype, "batch": batch, "seconds": seconds, "ran_outputs": shapes}
        print_json({**report.facts(), **run, "written": [str(target) for target in targets]})
    else:
        say(summary(report))
        say(f"  ran         on {ran.device}, {dtype}, batch {batch}" + f", level {optimize}" * bool(optimize))
        say("  seconds     " + ", ".join(f"{stage} {time:.3f}" for stage, time in seconds.items()))


@app.command()
def bench(
    file: File,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda")] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16")] = "float32",
    batch: Annotated[int, typer.Option(min=1, help="how many samples a forward pass gets")] = 1,
    runs: Annotated[int, typer.Option(min=1, help="how often every level is run")] = 9,
    upto: Annotated[int, typer.Option(min=0, max=3, help="the last level; 3 compiles, which takes a while")] = 2,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
) -> None:
    """Run the levels of optimisation side by side."""
    if device not in ("auto", "cpu", "cuda") or dtype not in ("float32", "bfloat16", "float16"):
        usage("--device is auto, cpu or cuda; --dtype is float32, bfloat16 or float16")
    report = sound(file, overrides(set_, input_), Limits(), json_)
    from compiler.backends import torch_bench, torch_run

    try:
        where, rows = torch_bench.levels(report.graph, device, dtype, batch, runs, upto)
    except torch_run.NoDevice as error:
        usage(str(error))
    if json_:
        print_json({"name": report.name, "device": where, "dtype": dtype, "batch": batch, "levels": [asdict(row) for row in rows]})
    else:
        cells = []
        for row in rows:
            peak = "" if row.peak is None else f"{row.peak / 2**20:.1f}"
            cells.append([str(row.level), f"{1e3 * row.seconds:.1f}", f"{row.ratio:.2f}", f"{row.difference:.0e}", peak])
        say(f"{report.name} on {where}, {dtype}, batch {batch}; medians of {runs} runs in turn")
        say(text_table(["level", ">ms", ">times as fast", ">difference", ">peak MiB"], cells))


@app.command("check")
def check_(
    files: Annotated[list[Path], typer.Argument(help="`.arch` files, or folders of them", show_default=False)],
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    format_: Annotated[str, typer.Option("--format", help="text, json, github or sarif")] = "text",
    max_errors: Annotated[int, typer.Option("--max-errors", min=1, help="how many messages are shown in full")] = MAX_SHOWN,
    fix: Annotated[bool, typer.Option("--fix", help="carry out a repair that makes the file check, after showing it as a diff")] = False,
    choose: Annotated[int, typer.Option("--choose", min=0, metavar="N", help="which repair, where there are several")] = 0,
    all_: Annotated[bool, typer.Option("--all", help="with --fix: the first repair of every message")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="with --fix: do not ask")] = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Check shapes and claims, and warn of what is probably not meant. Needs no torch."""
    if format_ not in ("text", "json", "github", "sarif"):
        usage(f"--format is text, json, github or sarif, not {format_}")
    paths = arch_files(files)
    if not paths:
        fail(f"there is no `.arch` file in {files[0]}")
    changed = overrides(set_, input_)
    reports = [(path, check(path, changed, Limits(max_nodes, max_nesting))) for path in paths]
    found = [d for _, report in reports for d in (*report.diagnostics, *report.warnings)]
    if json_ or format_ == "json":
        facts = [report.facts() | {"file": str(path)} for path, report in reports]
        print_json(facts[0] if len(facts) == 1 and not files[0].is_dir() else facts)
    elif format_ == "github":
        for line in formats.github(found):
            say(line)
    elif format_ == "sarif":
        print_json(formats.sarif(found))
    else:
        if found:
            talk(render_all(found, max_errors, painter(sys.stderr)))
        if len(reports) > 1:
            sys.stdout.write(table(reports))
        elif reports[0][1].ok:
            say(summary(reports[0][1]))
    if fix:
        mend(reports, choose, all_, yes)
    elif any(not report.ok for _, report in reports):
        raise typer.Exit(1)


@app.command()
def expand(
    file: File,
    output: Out = None,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Write the program with every block, repeat, loop and default written out."""
    if output is not None:
        must_be_writable(output)
    report = sound(file, overrides(set_, input_), Limits(max_nodes, max_nesting), json_, record=True)
    text = expanded_text(report)
    if output is not None:
        write(output, text)
    elif json_:
        print_json({"name": report.name, "text": text, "diagnostics": []})
    else:
        sys.stdout.write(text)


Style = Annotated[str, typer.Option(help="graph (boxes, top to bottom) or paper (volumes, left to right)")]
Theme = Annotated[str, typer.Option(help="auto (follows the page, where it can), light, dark or print")]
Depth = Annotated[int | None, typer.Option(min=0, help="levels of blocks to open; as many as fit a page where not given")]
Expand = Annotated[list[str] | None, typer.Option("--expand", metavar="PATTERN", help="open these blocks too: layer3, 'layer3*'")]
Collapse = Annotated[list[str] | None, typer.Option("--collapse", metavar="PATTERN", help="keep these blocks closed")]
Flat = Annotated[bool, typer.Option("--flat", help="a box for every operator, no blocks")]
PictureFormat = Annotated[str, typer.Option("--format", help="svg, pdf, png, dot, html, mermaid or tex; else by the file's suffix")]


@app.command()
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
    heat: Annotated[str, typer.Option(help="colour by cost: macs, params or memory")] = "",
    legend: Annotated[bool, typer.Option("--legend/--no-legend", help="a key to the colours")] = True,
    partial: Annotated[bool, typer.Option("--partial", help="draw a wrong file too, as far as its shapes are known")] = False,
    set_: Set = None,
    input_: Input = None,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Draw a network: blocks folded, repeats as one, every box with its shape and counts."""
    from compiler import drawing
    from compiler.draw.fold import Folding

    wish = drawing.wish(output, format_, style, theme, heat, legend)
    folding = Folding(depth, tuple(expand or ()), tuple(collapse or ()), flat)
    changed, limits = overrides(set_, input_), Limits(max_nodes, max_nesting)
    if partial:
        report = check(file, changed, limits)
        talk(render_all(report.diagnostics, paint=painter(sys.stderr)) if report.diagnostics else "")
        if not len(report.graph):
            fail("there is no shape to draw from")
        drawing.deliver(drawing.partial(report, folding, wish), wish)
    else:
        report = sound(file, changed, limits, False)
        drawing.deliver(drawing.drawn(report.graph, folding, wish), wish)
    if report.diagnostics:
        raise typer.Exit(1)


@app.command()
def fmt(
    files: Annotated[list[Path], typer.Argument(help="`.arch` files, or folders of them", show_default=False)],
    check: Annotated[bool, typer.Option("--check", help="change nothing; exit with 1 where something would change")] = False,
    json_: Json = False,
) -> None:
    """Rewrite files in canonical form. Comments and line breaks stay."""
    from compiler.expand.loader import Loader
    from dsl.diagnostics import Fault
    from dsl.formatter import format_text

    paths = arch_files(files)
    rows: list[dict[str, Any]] = []
    broken = False
    for path in paths:
        try:
            loaded = Loader().open(path)
            if loaded.problems:
                raise ArchError(loaded.problems)
            text = format_text(loaded.source, OPERATORS)
        except (Fault, ArchError) as error:
            found = error.diagnostics if isinstance(error, ArchError) else (error.diagnostic,)
            rows.append({"file": str(path), "changed": False, "diagnostics": [d.to_json() for d in found]})
            broken = True
            if not json_:
                talk(render_all(found, paint=painter(sys.stderr)))
            continue
        changed = text.encode() != path.read_bytes()
        rows.append({"file": str(path), "changed": changed, "diagnostics": []})
        if changed and not check:
            write(path, text)
        if changed:
            talk(f"{'would change' if check else 'formatted'} {path}")
    if json_:
        print_json(rows)
    if broken or (check and any(row["changed"] for row in rows)):
        raise typer.Exit(1)


@app.command()
def graph(
    file: File,
    output: Out = None,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Print the graph: a line for every node, or networkx's node-link form with --json."""
    if output is not None:
        must_be_writable(output)
    report = sound(file, overrides(set_, input_), Limits(max_nodes, max_nesting), json_)
    network = report.graph
    if json_ or (output is not None and output.suffix == ".json"):
        text = json.dumps(network.to_json(), indent=1) + "\n"
    else:
        width = max(len(node.name) for node in network)
        rows = [(node, ", ".join(network.operands(node.name))) for node in network]
        text = "".join(f"{n.name:<{width}}  {n.op:<17}{show_shape(n.shape):<16}{operands}\n".rstrip() + "\n" for n, operands in rows)
    if output is not None:
        write(output, text)
    else:
        sys.stdout.write(text)


@app.command("summary")
def summary_(
    file: File,
    depth: Annotated[int, typer.Option("--depth", min=1, help="how many levels of labels are shown")] = 2,
    expand: Annotated[list[str] | None, typer.Option("--expand", metavar="LABEL", help="show all of a part; may be repeated")] = None,
    flat: Annotated[bool, typer.Option("--flat", help="a row for every node, nothing folded")] = False,
    sort: Annotated[str, typer.Option("--sort", help="params, macs or memory: every node, the largest first")] = "",
    top: Annotated[int, typer.Option("--top", min=1, help="with --sort: how many")] = 10,
    layout: Annotated[str, typer.Option("--layout", help="chw, or hwc as lectures write shapes")] = "chw",
    convention: Annotated[str, typer.Option(help="whose rule counts MACs: paper, torchvision, torchinfo or fvcore")] = "paper",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16 or float64, for memory")] = "float32",
    batch: Annotated[int, typer.Option(min=1, help="samples, for memory")] = 1,
    memory: Annotated[bool, typer.Option("--memory", help="what inference and training need of memory, below the table")] = False,
    optimizer: Annotated[str, typer.Option(help="sgd, momentum or adam, for --memory")] = "adam",
    verify: Annotated[bool, typer.Option("--verify", help="with --memory: measure it too, which needs torch")] = False,
    format_: Annotated[str, typer.Option("--format", help="text, json, csv, md or latex")] = "text",
    csv: Annotated[bool, typer.Option("--csv", help="the same as --format csv")] = False,
    md: Annotated[bool, typer.Option("--md", help="the same as --format md")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="the same as --format latex")] = False,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Tabulate a network: shapes, parameters, MACs, memory and receptive fields, block by block."""
    from compiler.analysis.conventions import CONVENTIONS
    from compiler.analysis.memory import BYTES, OPTIMIZERS
    from compiler.analysis.summary import Summary
    from compiler.show import summaries

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
            {"name": report.name, "params": table.params, "macs": shape_text((table.macs,))[0], "rows": summaries.facts(rows)} | extra
        )
    elif format_ == "csv":
        sys.stdout.write(summaries.comma_separated(rows))
    else:
        sys.stdout.write({"text": summaries.text, "md": summaries.markdown, "latex": summaries.latex}[format_](table, rows, style))
        if needs is not None:
            sys.stdout.write(summaries.memory(needs, style, optimizer, measured))


def predicted(report: Report, dtype: str, batch: int, optimizer: str) -> Usage:
    """The memory of a network, or the end, where its sizes are open."""
    from compiler.analysis.memory import OpenSizes, usage

    try:
        return usage(report.graph, dtype, batch, optimizer)
    except OpenSizes:
        fail(f"the memory of {report.name} depends on {', '.join(report.graph.unknowns)}: give the sizes with --input")


def measure(report: Report, dtype: str, batch: int) -> tuple[int, int]:
    """The peak at inference and what training keeps, measured on the GPU where there is one."""
    from compiler.backends import torch_run

    return torch_run.measured(report.graph, dtype, batch)


@app.command("table")
def table_(
    files: Annotated[list[Path], typer.Argument(help="`.arch` files, or folders of them", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="draw parameters against MACs: .svg, .png or .pdf")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16 or float64, for memory")] = "float32",
    batch: Annotated[int, typer.Option(min=1, help="samples, for memory")] = 1,
    format_: Annotated[str, typer.Option("--format", help="text, json, csv, md or latex")] = "text",
    csv: Annotated[bool, typer.Option("--csv", help="the same as --format csv")] = False,
    md: Annotated[bool, typer.Option("--md", help="the same as --format md")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="the same as --format latex")] = False,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Compare networks: parameters, MACs, layers, receptive fields, memory. A `--set` that is given again makes a row of its own."""
    from compiler.analysis.family import entry
    from compiler.analysis.memory import BYTES
    from compiler.show import families

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
        sys.stdout.write(families.show(entries, form))
    if output is not None:
        families.plot(entries, output)
        talk(f"wrote {output}")


@app.command("diff")
def diff_(
    first: File,
    second: File,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="give a parameter of the second network another value")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="draw it as well: .svg, .pdf, .png, ...")] = None,
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
    from compiler.analysis.diff import diff
    from compiler.show import differences

    limits = Limits(max_nodes, max_nesting)
    changed = (Overrides(), overrides(set_, None))
    reports = [sound(file, change, limits, json_, wrong=2) for file, change in zip((first, second), changed, strict=True)]
    found = diff(reports[0].graph, reports[1].graph)
    if json_:
        print_json(differences.facts(found))
    else:
        sys.stdout.write(differences.text(found, reports[0].name, reports[1].name))
    if output is not None:
        from compiler import drawing
        from compiler.draw.fold import Folding

        wish = drawing.wish(output, "", "graph", theme, "", True)
        folding = Folding(depth, tuple(expand or ()), tuple(collapse or ()), flat)
        drawing.deliver(drawing.difference(reports[0].graph, reports[1].graph, found, folding, wish), wish)
    if not found.same:
        raise typer.Exit(1)


@app.command("list")
def list_(json_: Json = False) -> None:
    """Say which networks come along: family, parameters, GMACs, source."""
    from compiler import zoo

    found = [zoo.listed(path) for path in zoo.networks()]
    if json_:
        print_json([asdict(net) for net in found])
        return
    cells = [
        [net.name, net.family, f"{net.params:,}", f"{net.macs / 1e9:.3f}" if isinstance(net.macs, int) else "", net.source] for net in found
    ]
    sys.stdout.write(text_table(["name", "family", ">parameters", ">GMACs", "source"], cells))


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="the name of the new network", show_default=False)],
    base: Annotated[str, typer.Option("--from", metavar="NAME", help="the network to start from; `archc list` shows what there is")],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="NAME.arch where not given")] = None,
) -> None:
    """Start a file from a network that comes along."""
    from compiler import zoo

    known = {path.stem: path for path in zoo.networks()}
    if base not in known:
        usage(f"there is no network {base}; {did_you_mean(base, known) or '`archc list` shows what there is'}")
    if not name.isidentifier():
        usage(f"a network is named by a word, not {name}")
    target = output or Path(f"{name}.arch")
    if target.exists():
        usage(f"{target} is there already")
    must_be_writable(target)
    write(target, zoo.started(name, known[base]))
    talk(f"wrote {target}")


@app.command()
def weights(
    file: File,
    source: Annotated[Path, typer.Option("--from", metavar="FILE", help="weights under other names: .pth or .safetensors")],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="write them under our names: .safetensors")] = None,
    mapping: Annotated[Path | None, typer.Option("--map", metavar="FILE", help="write which key is which, as JSON")] = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Say how foreign weights fit a network: by name, else by order and shapes; write the mapping, convert."""
    for target in (output, mapping):
        if target is not None:
            must_be_writable(target)
    if output is not None and output.suffix != ".safetensors":
        usage(f"-o writes .safetensors, not {output.name}")
    report = sound(file, overrides(set_, None), Limits(), json_)
    from compiler.backends import foreign, torch_run

    try:
        found, state = torch_run.fitted(report.graph, source)
    except torch_run.Unreadable as error:
        fail(str(error))
    if json_:
        print_json(asdict(found) | {"whole": found.whole})
    else:
        say(foreign.told(found))
    if mapping is not None:
        write(mapping, json.dumps(found.mapping, indent=1) + "\n")
    if output is not None and found.whole:
        torch_run.save_tensors(foreign.converted(found, state), output)
        talk(f"wrote {output}")
    if not found.whole:
        raise typer.Exit(1)


@app.command()
def ops(
    name: Annotated[str | None, typer.Argument(help="an operator; all where none is named", show_default=False)] = None,
    json_: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="print docs/operators.md")] = False,
) -> None:
    """Print the operator reference."""
    from compiler.ops import reference

    if name is not None and name.lower() not in OPERATORS:
        usage(f"there is no operator `{name}`; {did_you_mean(name, OPERATORS) or '`archc ops` lists them'}")
    chosen = [OPERATORS[name.lower()]] if name is not None else list(OPERATORS.values())
    if json_:
        print_json([reference.facts(operator) for operator in chosen])
    elif name is not None:
        say(reference.page(chosen[0]))
    elif markdown:
        sys.stdout.write(reference.manual())
    else:
        for operator, summary in reference.index():
            say(f"{operator:<18}{summary}")


@app.command()
def explain(
    what: Annotated[
        str | None, typer.Argument(metavar="[CODE | FILE | FILE:NODE]", help="an error code, a file, or a node of it", show_default=False)
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="with FILE:NODE: derive its shape back to the input")] = False,
    why_not: Annotated[
        str, typer.Option("--why-not", metavar="SHAPE", help="with FILE: what fails at another input, and what is legal")
    ] = "",
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="print docs/errors.md")] = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Explain an error code, or derive a node of a network in words and arithmetic."""
    from compiler.pages import manual, page, pages

    if what is not None and ".arch" in what:
        explain_node(what, back, why_not, overrides(set_, input_), Limits(max_nodes, max_nesting), json_)
    elif what is not None:
        found = page(what)
        if found is None:
            usage(f"there is no error {what}; `archc explain` lists them")
        if json_:
            print_json(found._asdict())
        else:
            say(f"{found.code}: {found.text}")
    elif json_:
        print_json([entry._asdict() for entry in pages()])
    elif markdown:
        sys.stdout.write(manual())
    else:
        for entry in pages():
            say(f"{entry.code}  {entry.title}")


def explain_node(what: str, back: bool, why_not: str, changed: Overrides, limits: Limits, as_json: bool) -> None:
    """`explain FILE`, `explain FILE:NODE`."""
    from compiler.show import explanations

    name, _, label = what.rpartition(".arch")
    label = label.removeprefix(":")
    file = Path(name + ".arch")
    if why_not:
        say(explanations.why_not(file, why_not, limits))
        return
    report = sound(file, changed, limits, as_json)
    try:
        data = explanations.explanation(report.graph, label, back)
    except KeyError:
        usage(f"{report.name} has no node {label}. {did_you_mean(label, [node.name for node in report.graph])}".rstrip())
    if as_json:
        print_json(data)
    else:
        sys.stdout.write(explanations.text(data))


OPTIONAL = {"torch": "torch", "safetensors": "torch", "numpy": "torch", "matplotlib": "plots"}  # module -> the extra that brings it


def main() -> None:
    """Run the command line; the only way out is an exit code."""
    gc.disable()  # a short life, with many objects and few cycles: looking for these takes a tenth of the time
    try:
        app()
    except ModuleNotFoundError as error:
        extra = OPTIONAL.get((error.name or "").partition(".")[0])
        if extra is None:
            _fault()
        talk(f"archc: this needs {error.name}, which is not installed: pip install 'archc[{extra}]'")
        sys.exit(3)
    except ArchError as error:
        talk(render_all(error.diagnostics, paint=painter(sys.stderr)))
        sys.exit(1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception:
        _fault()


def _fault() -> NoReturn:
    """A mistake of ours. The traceback is for us, so it is shown only when asked for."""
    error = sys.exc_info()[1]
    talk(f"archc: a fault of archc itself, not of the file: {type(error).__name__}: {error}")
    if os.environ.get("ARCHC_TRACEBACK"):
        traceback.print_exc()
    else:
        talk("please report it with the file; ARCHC_TRACEBACK=1 shows where it happened")
    sys.exit(70)


if __name__ == "__main__":
    main()
