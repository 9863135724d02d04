"""Verbs that lower a network and load weights: `compile` and `weights`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from archc.compiler.backends import listed
from archc.compiler.backends.errors import Unfit
from archc.compiler.elaborate.elaboration import MAX_NODES, Limits
from archc.compiler.results.compilation import Request, compilation
from archc.compiler.variation import Variation
from archc.dsl.parser import MAX_NESTING
from archc.ui.show.reports import summary
from archc.ui.verbs.completion import any_files, words
from archc.ui.verbs.options import File, Input, Json, MaxNesting, MaxNodes, Set
from archc.ui.verbs.sources import TRAINED, checked
from archc.ui.verbs.terminal import (
    fail,
    must_be_writable,
    network,
    overrides,
    print_json,
    print_stages,
    refusals,
    say,
    sound,
    talk,
    unfit_table,
    usage,
    write,
)

DEVICES = words("auto", "cpu", "cuda")
DTYPES = words("float32", "bfloat16", "float16")


def compile(
    file: File,
    output: Annotated[list[Path] | None, typer.Option("-o", "--output", metavar="FILE", help=f"{listed()}; may be repeated")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda; auto takes the GPU where there is one", autocompletion=DEVICES)] = "auto",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16", autocompletion=DTYPES)] = "float32",
    batch: Annotated[int, typer.Option(min=1, help="the number of samples of the forward pass")] = 1,
    weights: Annotated[
        str, typer.Option(metavar="FILE", help="load weights by name from .safetensors or .pth, or torchvision:IMAGENET1K_V1")
    ] = "",
    allow_nan: Annotated[bool, typer.Option("--allow-nan", help="load weights that hold NaN or infinite values")] = False,
    optimize: Annotated[
        int, typer.Option(min=0, max=3, help="0 as written; 1 bit-equal, activations in place; 2 folded and packed; 3 torch.compile")
    ] = 0,
    verify: Annotated[bool, typer.Option("--verify", help="run what was written, and compare it with the network")] = False,
    opset: Annotated[int | None, typer.Option(min=1, help="the opset of a .onnx")] = None,
    functions: Annotated[
        bool | None, typer.Option("--onnx-functions/--no-onnx-functions", help="blocks as functions of a .onnx", show_default=False)
    ] = None,
    print_after: Annotated[
        str, typer.Option(metavar="STAGE", help="print the result of a stage: parse, elaborate, a pass, lower, torch; or `all`")
    ] = "",
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
    max_nodes: MaxNodes = MAX_NODES,
    max_nesting: MaxNesting = MAX_NESTING,
) -> None:
    """Check a network, lower it to torch.fx, run one forward pass on random input, and write it."""
    if file.suffix == TRAINED:
        weights = weights or str(file)
    given = {"opset": opset, "functions": functions}
    request = Request(
        paths=tuple(output or ()),
        level=optimize,
        device=device,
        dtype=dtype,
        batch=batch,
        weights=weights,
        allow_nan=allow_nan,
        verify=verify,
        settings={name: value for name, value in given.items() if value is not None},
    )
    changed, limits = overrides(set_, input_), Limits(max_nodes, max_nesting)
    report = sound(file, changed, limits, json_)
    varied = Variation(lambda overrides: checked(file, overrides, limits, mend=False), changed)
    if print_after:
        print_stages(report, optimize, print_after)
    with refusals():
        try:
            found = compilation(report.graph, request, talk, talk, varied)
        except Unfit as error:
            talk(unfit_table(error.rows))
            shows = "shows what fits under other names, and writes it"
            fail(f"{error}\n`archc weights {file} --from {weights} -o fitted.safetensors` {shows}")
    if json_:
        print_json({**report.facts(), **found.facts(), "seconds": {**report.seconds, **found.seconds}})
    else:
        say(summary(report))
        for head, text in [*found.ran(report.seconds), *found.verified()]:
            say(f"  {head:<11} {text}")
    if not found.ok:
        wrong = " and ".join(written.path for written in found.written if not written.ok)
        fail(f"{wrong} does not compute what the network does; the file was written, to be looked at")


def weights(
    file: File,
    source: Annotated[
        Path, typer.Option("--from", metavar="FILE", help="weights under other names: .pth or .safetensors", autocompletion=any_files)
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="write them under the names of the network: .safetensors")
    ] = None,
    mapping: Annotated[Path | None, typer.Option("--map", metavar="FILE", help="write the mapping of keys, as JSON")] = None,
    set_: Set = None,
    json_: Json = False,
) -> None:
    """Match the weights of another file to a network by name, else by order and shapes; write the mapping, convert."""
    for target in (output, mapping):
        if target is not None:
            must_be_writable(target)
    if output is not None and output.suffix != ".safetensors":
        usage(f"-o writes .safetensors, not {output.name}")
    net = network(file, overrides(set_, None), Limits(), json_)
    from archc.compiler.backends.torch import files, foreign

    with refusals():
        found, tensors = net.weights(source)
    if json_:
        print_json(asdict(found) | {"whole": found.whole})
    else:
        say(foreign.described(found))
    if mapping is not None:
        write(mapping, json.dumps(found.mapping, indent=1) + "\n")
    if found.ambiguous:
        talk(f"{len(found.ambiguous)} modules are ambiguous: another assignment fits as well, so compare outputs before you trust this one")
    if output is not None and found.whole:
        files.save_tensors(tensors, output)
        talk(f"wrote {output}")
    if not found.whole:
        raise typer.Exit(1)
