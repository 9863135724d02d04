"""The verb that reads other networks: `read`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archc.compiler.analysis.cost import holes_of
from archc.compiler.errors import UnreadableError
from archc.compiler.frontends import FRONTENDS, CannotRead, find, shape_of
from archc.compiler.frontends.item import CannotCompare
from archc.compiler.library import loads
from archc.ui.verbs.options import Input, Json
from archc.ui.verbs.terminal import fail, must_be_writable, print_json, say, talk, usage, write

if TYPE_CHECKING:
    from archc.compiler.frontends.torch.proof import Proof
    from archc.compiler.graph import ArchGraph
    from archc.compiler.reading import Read

MOST = 0.05  # of the largest value, by which results may differ: of half precision, and of deep networks with stirred weights
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
        tensors = _tensors(made, output or ())
        for target in output or ():
            _write(made.text if target.suffix == ".arch" else tensors, target)
    except (CannotRead, UnreadableError) as refusal:
        can_be_hole = isinstance(refusal, CannotRead) and refusal.operator and find(source)[0].partial and not partial
        fail(f"{source} cannot be read: {refusal}" + "; `archc read --partial` makes a hole of it" * bool(can_be_hole))
    if as_json:
        written = [str(path) for path in output or ()]
        print_json({"source": source, "title": made.flat.title, **found, "text": made.text, "written": written})
    elif not output:
        say(made.text.rstrip("\n"))
    if not as_json:
        talk(f"{source}: {', '.join(_shown(name, value) for name, value in found.items())}")


def _tensors(made: Read, targets: Sequence[Path]) -> Mapping[str, Any]:
    """Return the weights of the source, if one of some files is to hold them. Raises CannotRead for a source without weights."""
    wanted = [target for target in targets if target.suffix != ".arch"]
    tensors = made.tensors() if wanted else {}
    if tensors is None:
        raise CannotRead(f"it holds no weights to write to {wanted[0].name}")
    return tensors


def _write(what: str | Mapping[str, Any], target: Path) -> None:
    """Write the text, or the weights."""
    if isinstance(what, str):
        write(target, what)
        return
    from archc.compiler.backends.weights import save_arrays

    save_arrays(what, target)


def _shown(name: str, value: Any) -> str:
    if isinstance(value, dict):
        more = f", and {len(value) - 4} more kinds" if len(value) > 4 else ""
        return f"{sum(value.values())} {name} ({', '.join(f'{count} x {kind}' for kind, count in list(value.items())[:4])}{more})"
    if isinstance(value, str):
        return f"{name} {value}"
    return f"{value:,} {name}" if isinstance(value, int) else f"{name} {value:.2g}"


def _facts(made: Read, proof: bool) -> dict[str, Any]:
    """Return what is known of a reading: sizes, and the largest difference between the results of the source and of the text.

    Where there is none, `uncompared` says why. A text with holes is not compared. Raises CannotRead where the source computes something
    else.
    """
    net = loads(made.text)
    keys = {f"{node.key}.{name}" for node in net.graph for name in (*node.operator.weights(node.call), *node.operator.buffers(node.call))}
    facts: dict[str, Any] = {"parameters": net.params, "keys": len(keys)}
    if holes := holes_of(net.graph):
        kinds = Counter(node.attrs["what"].text for node in holes)
        return facts | {"holes": dict(kinds.most_common()), "tensors of holes": len(made.flat.unread)}
    if not proof:
        return facts
    try:
        held = _proved(made, net.graph)
    except CannotCompare as reason:
        return {**facts, "uncompared": str(reason)}
    if not held.difference <= MOST:
        raise CannotRead(
            f"what was read computes something else than the source: they differ by {held.difference:.2g} of the largest value"
        )
    return {**facts, "keys": held.keys, "difference": held.difference, "compared": held.by}


def _proved(made: Read, graph: ArchGraph) -> Proof:
    """Compare a text with its source. Raises CannotRead, and CannotCompare where neither can be run here."""
    if made.flat.oracle is None and made.flat.sample is None:
        raise CannotCompare("nothing here runs such a source")
    if find_spec("torch") is None:
        raise CannotCompare("torch, which runs what was read, is not installed")
    from archc.compiler.frontends.torch.proof import proved

    return proved(made.flat, graph, renamed=made.renamed)
