"""Write a network as Python source that depends on PyTorch alone. This package writes text: it does not import PyTorch.

family        which parameters of the `arch` line are arguments
units         scopes of a lowered program: members and statements, with their constants as leaves (parts)
series        statements that repeat, as loops
merging       variants of a block as one, with conditions
classes       scopes of one origin as a class     arguments   constants in which its instances differ
expressions   formulas of arguments that have given values    linear   sums of them
constructor   `__init__`     folding   loops over what repeats in it
forward       `forward`      calls     its expressions
initial       distributions of weights            helpers     the text of what PyTorch lacks
library       how PyTorch's modules and functions are called
layout        lines in the form of `ruff format`  text        the file
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from archc.compiler.backends import Compiled
from archc.compiler.backends.source.family import Family
from archc.compiler.backends.source.text import written
from archc.compiler.files import CannotWrite, write_text
from archc.compiler.lowering import lowered_modes

SMALL = 64 * 1024**2  # bytes of weights up to which the source is also run with other arguments


def write(compiled: Compiled, path: Path) -> None:
    """Write the network as Python, atomically.

    Where torch is installed, the source is run before: it must have the keys of the network and return its outputs, bit by bit; and with
    other arguments the keys of the network that the file gives with these. Source that does not is written again without arguments, and
    then with a class for each scope and no loops. Raises CannotWrite where that differs, too, and ArchError at an operator that needs a
    size which is open.
    """
    programs = lowered_modes(compiled.graph)
    family = Family(compiled.graph, programs, compiled.varied)
    why = ""
    for plain, arguments in ((False, family), (False, None), (True, None)):
        if arguments is not None and not arguments.names:
            continue
        text = written(*programs, plain=plain, family=arguments)
        why = _difference(text, compiled, arguments)
        if not why:
            write_text(path, text)
            return
    raise CannotWrite(path, f"the source would not be the network: {why}")


def text_of(compiled: Compiled) -> str:
    """Return the source of a network, without running it."""
    programs = lowered_modes(compiled.graph)
    return written(*programs, family=Family(compiled.graph, programs, compiled.varied))


def _difference(text: str, compiled: Compiled, family: Family | None) -> str:
    """Return how the network of some source differs, as far as it can be run here; "" where it does not."""
    if find_spec("torch") is None:
        compile(text, "<source>", "exec")
        return ""
    from archc.compiler.backends.torch.emitted import difference

    if why := difference(text, compiled.graph):
        return why
    for values, graph in family.held_out if family is not None else ():
        if why := difference(text, graph, values, SMALL):
            return f"with {', '.join(f'{name}={value}' for name, value in values.items())}, {why}"
    return ""
