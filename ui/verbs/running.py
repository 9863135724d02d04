"""Verbs that need torch: `compile`, `bench` and `weights`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from archc.compiler.backends import Backend, Compiled, backend_of, listed
from archc.compiler.elaborate.elaboration import MAX_NODES, Limits
from archc.dsl.parser import MAX_NESTING
from archc.ui.show.reports import summary
from archc.ui.verbs.completion import any_files, words
from archc.ui.verbs.options import Device, Dtype, File, Input, Json, MaxNesting, MaxNodes, Set
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
    print_after: Annotated[
        str, typer.Option(metavar="STAGE", help="print the result of a stage: parse, elaborate, a pass, lower, torch; or `all`")
    ] = "",
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
    targets = [(target, backend_for(target, optimize)) for target in output or []]
    report = sound(file, overrides(set_, input_), Limits(max_nodes, max_nesting), json_)
    if print_after:
        print_stages(report, optimize, print_after)
    from archc.compiler.backends.torch import run as torch_run
    from archc.compiler.backends.torch import weight_files

    with refusals():
        try:
            ran = torch_run.compile_and_run(report.graph, device, dtype, batch, weights, optimize, allow_nan, talk)
        except weight_files.Unfit as error:
            talk(unfit_table(error.rows))
            found = "shows what fits under other names, and writes it"
            fail(f"{error}\n`archc weights {file} --from {weights} -o fitted.safetensors` {found}")
    compiled = Compiled(report.graph, optimize, ran.module, ran.inputs, dtype)
    for target, backend in targets:
        backend.write(compiled, target)
        talk(f"wrote {target}")
    seconds = {**report.seconds, **ran.seconds}
    if json_:
        shapes = {name: list(tensor.shape[1:]) for name, tensor in ran.outputs.items()}
        run = {"device": ran.device, "dtype": dtype, "batch": batch, "seconds": seconds, "ran_outputs": shapes}
        print_json({**report.facts(), **run, "written": [str(target) for target, _ in targets]})
    else:
        say(summary(report))
        say(f"  ran         on {ran.device}, {dtype}, batch {batch}" + f", level {optimize}" * bool(optimize))
        say("  seconds     " + ", ".join(f"{stage} {time:.3f}" for stage, time in seconds.items()))


def backend_for(target: Path, level: int) -> Backend:
    """Return the backend for a file. Ends with an exit code where there is none, or the level or a missing module excludes it."""
    backend = backend_of(target)
    if backend is None:
        usage(f"-o writes {listed(words=True)}, not {target.name}")
    must_be_writable(target)
    if level not in backend.levels:
        usage(f"a {target.suffix} holds the network of level {' or '.join(map(str, backend.levels))}; {backend.beyond}")
    if backend.missing:
        talk(f"archc: this needs {backend.missing}, which is not installed: pip install 'archc[{backend.extra}]'")
        raise typer.Exit(3)
    return backend


def bench(
    file: File,
    device: Device = "auto",
    dtype: Dtype = "float32",
    batch: Annotated[int, typer.Option(min=1, help="the number of samples of a forward pass")] = 1,
    runs: Annotated[int, typer.Option(min=1, help="the number of runs of every level")] = 9,
    upto: Annotated[int, typer.Option(min=0, max=3, help="the last level; 3 compiles, which takes a while")] = 2,
    set_: Set = None,
    input_: Input = None,
    json_: Json = False,
) -> None:
    """Time the levels of optimization side by side."""
    net = network(file, overrides(set_, input_), Limits(), json_)
    with refusals():
        found = net.bench(device=device, dtype=dtype, batch=batch, runs=runs, upto=upto)
    if json_:
        print_json(found.facts())
    else:
        say(found.text())


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
