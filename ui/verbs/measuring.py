"""Verbs that measure a network on this machine: `bench` and `profile`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archc.compiler.elaborate.elaboration import Limits
from archc.compiler.errors import alternatives
from archc.ui.verbs.completion import any_files
from archc.ui.verbs.options import Csv, Device, Dtype, File, Form, Input, Json, Latex, Md, Set
from archc.ui.verbs.terminal import (
    chosen_format,
    fail,
    must_be_writable,
    network,
    overrides,
    print_json,
    print_table,
    refusals,
    talk,
    usage,
    write,
)

if TYPE_CHECKING:
    from archc.compiler.results.profiles import Profile
    from archc.ui.verbs.drawing import Target

FLAMES = ".speedscope.json"


def bench(
    file: File,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch: Annotated[str, typer.Option(metavar="N[,N...]", help="the number of samples of a forward pass, or several: 1,8,64")] = "1",
    threads: Annotated[str, typer.Option(metavar="N[,N...]", help="threads of the CPU, or several numbers of them: 1,2")] = "",
    runs: Annotated[int, typer.Option(min=1, help="the number of runs of every level that count")] = 9,
    upto: Annotated[int, typer.Option(min=0, max=3, help="the last level; 3 compiles, which takes a while")] = 2,
    format_: Form = "text",
    csv: Csv = False,
    md: Md = False,
    latex: Latex = False,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
) -> None:
    """Time the levels of optimization side by side, with each number of samples and of threads."""
    form = chosen_format(format_, json_, csv, md, latex)
    batches, counts = numbers("batch", batch), numbers("threads", threads) if threads else None
    net = network(file, overrides(set_, input_), Limits(), form == "json")
    with refusals():
        found = net.bench(device=device, dtype=dtype, batch=batches, threads=counts, runs=runs, upto=upto)
    if form == "json":
        print_json(found.facts())
    else:
        print_table(found, form)


def profile(
    file: File,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help=f"write a flame graph for speedscope ({FLAMES}), the profile (.json), or a picture colored by time; may be repeated",
        ),
    ] = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch: Annotated[int, typer.Option(min=1, help="the number of samples of a forward pass")] = 1,
    threads: Annotated[int | None, typer.Option(min=1, help="threads of the CPU", show_default=False)] = None,
    optimize: Annotated[int, typer.Option(min=0, max=3, help="the level of optimization: 0, 1 or 2")] = 0,
    runs: Annotated[int, typer.Option(min=1, help="the number of runs that count")] = 20,
    weights: Annotated[str, typer.Option(metavar="FILE", help=".safetensors or .pth", autocompletion=any_files)] = "",
    depth: Annotated[int, typer.Option("--depth", min=1, help="the number of levels of labels shown")] = 2,
    expand: Annotated[list[str] | None, typer.Option("--expand", metavar="LABEL", help="show all of a part; may be repeated")] = None,
    flat: Annotated[bool, typer.Option("--flat", help="a row for every node, nothing folded")] = False,
    format_: Form = "text",
    csv: Csv = False,
    md: Md = False,
    latex: Latex = False,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
) -> None:
    """Measure the time and the memory of every layer and block on this machine: a table, a flame graph, a picture."""
    form = chosen_format(format_, json_, csv, md, latex)
    pictures = {path: _target(path) for path in output or () if path.suffix != ".json"}
    for path in output or ():
        must_be_writable(path)
    net = network(file, overrides(set_, input_), Limits(), form == "json")
    from archc.compiler.backends.errors import Unfit

    with refusals():
        try:
            found = net.profile(
                device=device,
                dtype=dtype,
                batch=batch,
                threads=threads,
                level=optimize,
                runs=runs,
                weights=weights,
                depth=depth,
                expand=expand or (),
                flat=flat,
            )
        except Unfit as error:
            fail(str(error))
    if form == "json":
        print_json(found.facts())
    else:
        print_table(found, form)
    for path in output or ():
        _write(found, path, pictures.get(path))


def _target(path: Path) -> Target:
    from archc.compiler.draw.picture import FORMATS
    from archc.ui.verbs import drawing

    known = [suffix for form in FORMATS for suffix in form.suffixes]
    if path.suffix not in known:
        usage(f"a profile is written as {FLAMES}, .json, or a picture: {alternatives(known)}, not {path.name}")
    found = drawing.target(path, "", "graph", "auto", "time", True)
    if found.options.form.name == "html":
        usage("a picture that is colored by time is not html: its blocks open, and times are those of one state")
    return found


def _write(found: Profile, path: Path, target: Target | None) -> None:
    """Write a profile in the form of the suffix."""
    if target is None:
        data = found.flames() if path.name.endswith(FLAMES) else found.facts()
        write(path, json.dumps(data, indent=1) + "\n")
        talk(f"wrote {path}" + (": open it at https://www.speedscope.app" if path.name.endswith(FLAMES) else ""))
        return
    from archc.compiler.draw.fold import Folding
    from archc.compiler.draw.request import network_picture
    from archc.ui.verbs import drawing

    drawing.write_picture(lambda: network_picture(found.graph, Folding(), target.options, found.seconds), path)


def numbers(option: str, given: str) -> list[int]:
    """Read `1,8,64`. Ends with exit code 2 where that are no whole numbers."""
    try:
        return [int(number) for number in given.split(",")]
    except ValueError:
        usage(f"--{option} takes a number, or several: 1,8,64; this is {given}")
