"""Write a network as Python source that depends on PyTorch alone. This package writes text: it does not import PyTorch.

    units         scopes of a lowered program: members and statements, with their constants as leaves
    classes       scopes of one origin as a class; constants in which they differ as arguments
    expressions   formulas of arguments that have given values
    constructor   `__init__`     folding   loops over what repeats     forward   `forward`
    initial       distributions of weights                              helpers   the text of what PyTorch lacks
    library       how PyTorch's modules and functions are called        layout    lines in the form of `ruff format`
    text          the file
"""

from __future__ import annotations

from pathlib import Path

from archc.compiler.backends import Compiled
from archc.compiler.backends.source.text import written
from archc.compiler.files import write_text
from archc.compiler.lowering import lowered_modes


def write(compiled: Compiled, path: Path) -> None:
    """Write the network as Python, atomically. Raises CannotWrite."""
    write_text(path, written(*lowered_modes(compiled.graph)))
