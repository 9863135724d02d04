"""The verb that reads other networks: `read`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archc.compiler.analysis.cost import holes_of
from archc.compiler.errors import UnreadableError
from archc.compiler.frontends import FRONTENDS, CannotRead, find, shape_of
from archc.compiler.library import loads
from archc.ui.verbs.options import Input, Json
from archc.ui.verbs.terminal import fail, must_be_writable, print_json, say, talk, usage, write

if TYPE_CHECKING:
    from archc.compiler.reading import Read

Source = Annotated[str, typer.Argument(help=", ".join(row.written for row in FRONTENDS), show_default=False, metavar="SOURCE")]
Call = Annotated[bool, typer.Option("--call", help="allow that reading the source executes Python: MODULE:FUNCTION")]
Check = Annotated[bool, typer.Option("--proof/--no-proof", help="compare what was read with the source, with weights, on one batch")]
Outputs = Annotated[
    list[Path] | None,
    typer.Option("-o", "--output", metavar="FILE", help="the text (.arch), or the weights of the source (.safetensors); may be repeated"),
]
Partial = Annotated[bool, typer.Option("--partial", help="make holes of operators that cannot be read, instead of refusing the network")]
Unfold = Annotated[bool, typer.Option("--unfold", help="write a convolution with a bias as one with a batch norm, where networks have one")]
Names = Annotated[bool, typer.Option("--names", help="keep the names of layers as labels, even if the text gets longer: Keras and Caffe")]
Weights = Annotated[str, typer.Option("--weights", metavar="FILE", help="weights that a source has in another file: .caffemodel, .weights")]


def read(
    source: Source,
    output: Outputs = None,
    input: Input = None,
    weights: Weights = "",
    call: Call = False,
    partial: Partial = False,
    unfold: Unfold = False,
    names: Names = False,
    proof: Check = True,
    as_json: Json = False,
) -> None:
    """Read a network of another framework as a text, and hold it against its source."""
    for target in output or ():
        if target.suffix not in (".arch", ".safetensors"):
            usage(f"-o writes the text, .arch, or the weights, .safetensors, not {target.name}")
        must_be_writable(target)
    from archc.compiler.reading import read_text

    shapes = [shape_of(given.rpartition("=")[2]) for given in input or ()]
    try:
        made = read_text(source, shapes, call, weights, partial, unfold, names)
        reading = made.reading
        found = {"operators": reading.nodes, "lines": reading.lines, "blocks": reading.blocks, **_facts(made, proof)}
        found |= {"unfolded batch norms": len(made.flat.unfolded)} if unfold else {}
        written = [target for target in output or () if _write(made, target, source)]
    except (CannotRead, UnreadableError) as refusal:
        can_be_hole = isinstance(refusal, CannotRead) and refusal.operator and find(source)[0].partial and not partial
        fail(f"{source} cannot be read: {refusal}" + "; `archc read --partial` makes a hole of it" * bool(can_be_hole))
    if as_json:
        print_json({"source": source, "title": made.flat.title, **found, "text": made.text, "written": [str(path) for path in written]})
    elif not output:
        say(made.text.rstrip("\n"))
    if not as_json:
        talk(f"{source}: {', '.join(_shown(name, value) for name, value in found.items())}")


def _write(made: Read, target: Path, source: str) -> bool:
    """Write the text or the weights. Raises CannotRead for a source without weights."""
    if target.suffix == ".arch":
        write(target, made.text)
        return True
    from archc.compiler.backends.weights import save_arrays

    tensors = made.tensors()
    if tensors is None:
        raise CannotRead(f"it holds no weights to write to {target.name}")
    save_arrays(tensors, target)
    return True


def _shown(name: str, value: Any) -> str:
    if isinstance(value, dict):
        more = f", and {len(value) - 4} more kinds" if len(value) > 4 else ""
        return f"{sum(value.values())} {name} ({', '.join(f'{count} x {kind}' for kind, count in list(value.items())[:4])}{more})"
    return f"{value:,} {name}" if isinstance(value, int) else f"{name} {value:.2g}"


def _facts(made: Read, proof: bool) -> dict[str, Any]:
    """Return what is known of a reading: sizes, and the largest difference between the results of the source and of the text."""
    net = loads(made.text)
    facts: dict[str, Any] = {"parameters": net.params}
    if holes := holes_of(net.graph):
        kinds = Counter(node.attrs["what"].text for node in holes)
        return facts | {"holes": dict(kinds.most_common()), "tensors of holes": len(made.flat.unread)}
    if proof and made.flat.oracle is not None:
        from archc.compiler.frontends.torch.proof import proved

        held = proved(made.flat, net.graph)
        facts |= {"keys": held.keys, "difference": held.difference}
    return facts
