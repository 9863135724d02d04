"""The verb `cuts`: a network in stages, for devices of their own."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from archc.compiler.analysis.cuts import MEASURES
from archc.compiler.analysis.memory import OpenSizes
from archc.compiler.elaborate.elaboration import Limits
from archc.compiler.errors import alternatives
from archc.ui.verbs.completion import words
from archc.ui.verbs.options import File, Input, Json, MemoryBatch, MemoryDtype, Optimizer, Set
from archc.ui.verbs.terminal import fail, network, overrides, print_json, width


def cuts(
    file: File,
    stages: Annotated[int, typer.Option("--stages", min=1, help="number of stages")] = 2,
    by: Annotated[str, typer.Option("--by", help=f"what is balanced: {alternatives(MEASURES)}", autocompletion=words(*MEASURES))] = "macs",
    at: Annotated[list[str] | None, typer.Option("--at", metavar="LABEL", help="begin a stage here; may be repeated")] = None,
    dtype: MemoryDtype = "float32",
    batch: MemoryBatch = 1,
    passes: Annotated[int, typer.Option("--passes", min=0, help="micro-batches of a step; by default as many as stages")] = 0,
    optimizer: Optimizer = "adam",
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
) -> None:
    """Cut a network into stages that run on devices of their own; tell what each needs, what is sent, and why it is cut there."""
    net = network(file, overrides(set_, input_), Limits(), json_)
    try:
        found = net.cuts(stages, by=by, at=at or (), dtype=dtype, batch=batch, passes=passes, optimizer=optimizer)
    except OpenSizes as error:
        fail(f"{error.problem} --input".replace("the memory", "the cost"))
    if json_:
        print_json(found.facts())
    else:
        sys.stdout.write(found.text(width()))
