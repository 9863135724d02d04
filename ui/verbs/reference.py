"""Verbs for reference: `list`, `new`, `ops` and `explain`."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from archc.compiler.elaborate.elaboration import MAX_NODES, Limits, Overrides
from archc.compiler.ops import OPERATORS
from archc.compiler.tables import Room, text_table
from archc.dsl.parser import MAX_NESTING
from archc.dsl.vocabulary.spelling import did_you_mean
from archc.ui.verbs import completion
from archc.ui.verbs.options import Input, Json, MaxNesting, MaxNodes, Set
from archc.ui.verbs.sources import checked, node_of
from archc.ui.verbs.terminal import must_be_writable, network, overrides, print_json, say, talk, usage, width, write


def list_(json_: Json = False) -> None:
    """List the included networks: family, parameters, GMACs, source."""
    from archc.compiler.elaborate.loader import Loader
    from archc.compiler.zoo import listed, networks

    loader = Loader()
    included = [listed(path, loader) for path in networks()]
    if json_:
        print_json([asdict(net) for net in included])
        return
    cells = [
        [net.name, net.family, f"{net.params:,}", f"{net.macs / 1e9:.3f}" if isinstance(net.macs, int) else "", net.source]
        for net in included
    ]
    columns = width()
    room = Room(columns, ("family",), "source") if columns is not None else None
    sys.stdout.write(text_table(["name", "family", ">parameters", ">GMACs", "source"], cells, room=room))


def new(
    name: Annotated[str, typer.Argument(help="the name of the new network", show_default=False)],
    base: Annotated[
        str,
        typer.Option(
            "--from", metavar="NAME", help="the network to start from; `archc list` shows them", autocompletion=completion.networks
        ),
    ],
    output: Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="NAME.arch by default")] = None,
) -> None:
    """Start a file from an included network."""
    from archc.compiler.zoo import networks, started

    known = {path.stem: path for path in networks()}
    if base not in known:
        usage(f"there is no network {base}; {did_you_mean(base, known) or '`archc list` shows them'}")
    if not name.isidentifier():
        usage(f"a network is named by a word, not {name}")
    target = output or Path(f"{name}.arch")
    if os.path.lexists(target):
        usage(f"{target} exists already")
    must_be_writable(target)
    write(target, started(name, known[base]))
    talk(f"wrote {target}")


def ops(
    name: Annotated[
        str | None, typer.Argument(help="an operator; all by default", show_default=False, autocompletion=completion.operators)
    ] = None,
    json_: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="print docs/operators.md")] = False,
) -> None:
    """Print the operator reference."""
    from archc.compiler.ops import reference

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


def explain(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[CODE | FILE | FILE:NODE | OPERATOR]",
            help="an error code; a file or a source, or a node of it (- and -:NODE for stdin); an operator, like `archc ops`",
            show_default=False,
            autocompletion=completion.explained,
        ),
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="with FILE or FILE:NODE: derive the shape back to the input")] = False,
    why_not: Annotated[
        str, typer.Option("--why-not", metavar="SHAPE", help="with FILE: what fails at another input shape, and which sizes are legal")
    ] = "",
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="print docs/errors.md")] = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Explain an error code or an operator, or derive the nodes of a network in words and arithmetic."""
    from archc.compiler.pages import manual, page, pages

    if what is not None and (node := node_of(what)) is not None:
        explain_node(*node, back, why_not, overrides(set_, input_), Limits(max_nodes, max_nesting), json_)
    elif what is not None:
        entry = page(what)
        if entry is None and (what.lower() in OPERATORS):
            ops(what, json_)
            return
        if entry is None:
            near = did_you_mean(what, OPERATORS)
            usage(f"there is no error and no operator {what}; " + (near or "`archc explain` lists the codes, `archc ops` the operators"))
        if json_:
            print_json(entry._asdict())
        else:
            say(f"{entry.code}: {entry.text}")
    elif json_:
        print_json([entry._asdict() for entry in pages()])
    elif markdown:
        sys.stdout.write(manual())
    else:
        for entry in pages():
            say(f"{entry.code}  {entry.title}")


def explain_node(file: Path, label: str, back: bool, why_not: str, changed: Overrides, limits: Limits, as_json: bool) -> None:
    """Explain a network, or with a label a node or part of it."""
    if why_not:
        from archc.compiler.why_not import why_not as reasons

        say(reasons(partial(checked, file, limits=limits, mend=False), why_not))
        return
    explanation = network(file, changed, limits, as_json).explain(label, back=back)
    if as_json:
        print_json(explanation.facts())
    else:
        sys.stdout.write(explanation.text())
