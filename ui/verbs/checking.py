"""Verbs about the text and its graph: `check`, `expand`, `fmt` and `graph`."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import Annotated, Any

import typer

from archc.compiler.analysis.printing import node_table
from archc.compiler.driver import expanded_text
from archc.compiler.elaborate.elaboration import MAX_NODES, Limits
from archc.compiler.elaborate.loader import Loader
from archc.compiler.ops import OPERATORS
from archc.dsl.errors import ArchError
from archc.dsl.parser import MAX_NESTING
from archc.dsl.rendering import MAX_SHOWN, render_all
from archc.ui.show import formats
from archc.ui.show.colour import painter
from archc.ui.show.reports import summary, table
from archc.ui.verbs import watching
from archc.ui.verbs.completion import words
from archc.ui.verbs.options import Configured, File, Input, Json, MaxNesting, MaxNodes, Out, Set, Watch
from archc.ui.verbs.sources import STDIN, checked, content, loaded
from archc.ui.verbs.terminal import (
    arch_files,
    must_be_writable,
    or_configured,
    overrides,
    print_json,
    repair,
    say,
    sound,
    talk,
    usage,
    write,
)


def check_(
    files: Configured = None,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    format_: Annotated[
        str, typer.Option("--format", help="text, json, github or sarif", autocompletion=words("text", "json", "github", "sarif"))
    ] = "text",
    max_errors: Annotated[int, typer.Option("--max-errors", min=1, help="the most messages shown in full")] = MAX_SHOWN,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="apply a repair that a message offers, after showing it as a diff; for stdin, print the repaired text"),
    ] = False,
    choose: Annotated[
        int,
        typer.Option("--choose", min=0, metavar="N", help="with --fix: the repair, where there are several; prompted for by default"),
    ] = 0,
    all_: Annotated[
        bool, typer.Option("--all", help="with --fix: every repair that changes only how the file is written, never what it computes")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="with --fix: do not ask")] = False,
    watch: Watch = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Check shapes and claims, and warn of what is probably not intended. Needs no torch."""
    if format_ not in ("text", "json", "github", "sarif"):
        usage(f"--format is text, json, github or sarif, not {format_}")
    files = or_configured(files)
    if watch and fix:
        usage("--watch does not repair: leave out --fix")
    if watch:
        again = partial(check_, files, set_, input_, json_, format_, max_errors, max_nodes=max_nodes, max_nesting=max_nesting)
        watching.repeat(files, again)
    paths = arch_files(files)
    changed = overrides(set_, input_)
    loader, reports = Loader(max_nesting, max_nodes), []
    for path in paths:
        loader = loader.renewed()
        reports.append((path, checked(path, changed, Limits(max_nodes, max_nesting), loader=loader)))
    diagnostics = [d for _, report in reports for d in (*report.diagnostics, *report.warnings)]
    if json_ or format_ == "json":
        facts = [report.facts() | {"file": str(path)} for path, report in reports]
        print_json(facts[0] if len(facts) == 1 and not files[0].is_dir() else facts)
    elif format_ == "github":
        for line in formats.github(diagnostics):
            say(line)
    elif format_ == "sarif":
        print_json(formats.sarif(diagnostics))
    else:
        if diagnostics:
            talk(render_all(diagnostics, max_errors, painter(sys.stderr)))
        if len(reports) > 1:
            sys.stdout.write(table(reports))
        elif reports[0][1].ok and not (fix and reports[0][0] is STDIN):  # the text is what is printed
            say(summary(reports[0][1]))
    if fix:
        repair(reports, choose, all_, yes)
    elif any(not report.ok for _, report in reports):
        raise typer.Exit(1)


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
    report = sound(file, overrides(set_, input_), Limits(max_nodes, max_nesting), json_)
    text = expanded_text(report)
    if output is not None:
        write(output, text)
    elif json_:
        print_json({"name": report.name, "text": text, "diagnostics": []})
    else:
        sys.stdout.write(text)


def fmt(
    files: Configured = None,
    check: Annotated[bool, typer.Option("--check", help="change nothing; exit code 1 where something would change")] = False,
    json_: Json = False,
) -> None:
    """Rewrite files in canonical form, keeping comments and line breaks. For stdin, print the text."""
    from archc.dsl.diagnostics import Fault
    from archc.dsl.formatter import format_text

    paths = arch_files(or_configured(files))
    rows: list[dict[str, Any]] = []
    broken = False
    for path in paths:
        try:
            read = loaded(path)
            if read.problems:
                raise ArchError(read.problems)
            text = format_text(read.source, OPERATORS)
        except (Fault, ArchError) as error:
            problems = error.diagnostics if isinstance(error, ArchError) else (error.diagnostic,)
            rows.append({"file": str(path), "changed": False, "diagnostics": [d.to_json() for d in problems]})
            broken = True
            if not json_:
                talk(render_all(problems, paint=painter(sys.stderr)))
            continue
        changed = text.encode() != content(path)
        rows.append({"file": str(path), "changed": changed, "diagnostics": []})
        if path is STDIN and not check:
            sys.stdout.write(text)
        elif changed and not check:
            write(path, text)
        if changed and (check or path is not STDIN):
            talk(f"{'would change' if check else 'formatted'} {path}")
    if json_:
        print_json(rows)
    if broken or (check and any(row["changed"] for row in rows)):
        raise typer.Exit(1)


def graph(
    file: File,
    output: Out = None,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Print the graph: a line for every node, or networkx's node-link form with --json or -o FILE.json."""
    if output is not None:
        must_be_writable(output)
    report = sound(file, overrides(set_, input_), Limits(max_nodes, max_nesting), json_)
    network = report.graph
    if json_ or (output is not None and output.suffix == ".json"):
        text = json.dumps(network.to_json(), indent=1) + "\n"
    else:
        text = node_table(network)
    if output is not None:
        write(output, text)
    else:
        sys.stdout.write(text)
