"""The verb that reads other networks: `read`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from archc.compiler.frontends import FRONTENDS, CannotRead, FlatNetwork, shape_of
from archc.compiler.frontends import read as read_source
from archc.compiler.library import loads
from archc.compiler.read import UnreadableError, read_graph
from archc.ui.verbs.options import Input, Json, Out
from archc.ui.verbs.terminal import fail, must_be_writable, print_json, say, talk, write

Source = Annotated[str, typer.Argument(help=", ".join(row.written for row in FRONTENDS), show_default=False, metavar="SOURCE")]
Call = Annotated[bool, typer.Option("--call", help="allow that reading the source executes Python: MODULE:FUNCTION")]
Check = Annotated[bool, typer.Option("--proof/--no-proof", help="compare what was read with the source, with weights, on one batch")]


def read(source: Source, output: Out = None, input: Input = None, call: Call = False, proof: Check = True, as_json: Json = False) -> None:
    """Read a network of another framework as a text, and hold it against its source."""
    if output is not None:
        must_be_writable(output)
    shapes = [shape_of(given.rpartition("=")[2]) for given in input or ()]
    try:
        flat = read_source(source, shapes, call)
        made = read_graph(flat.graph, flat.title, flat.classes)
        text = made.text
        found = {"operators": made.nodes, "lines": made.lines, "blocks": made.blocks, **_facts(flat, text, proof)}
    except (CannotRead, UnreadableError) as refusal:
        fail(f"{source} cannot be read: {refusal}")
    if as_json:
        print_json({"source": source, "title": flat.title, **found, "text": text})
    elif output is None:
        say(text.rstrip("\n"))
    if output is not None:
        write(output, text)
    if not as_json:
        talk(f"{source}: {', '.join(_shown(name, value) for name, value in found.items())}")


def _shown(name: str, value: Any) -> str:
    return f"{value:,} {name}" if isinstance(value, int) else f"{name} {value:.2g}"


def _facts(flat: FlatNetwork, text: str, proof: bool) -> dict[str, Any]:
    """Return what is known of a reading: sizes, and the largest difference between the results of the source and of the text."""
    net = loads(text)
    facts: dict[str, Any] = {"parameters": net.params}
    if proof and flat.oracle is not None:
        from archc.compiler.frontends.torch.proof import proved

        held = proved(flat, net.graph)
        facts |= {"keys": held.keys, "difference": held.difference}
    return facts
