"""Print the GraphModule of a network as the Python code that torch.fx generates."""

from __future__ import annotations

import torch
from torch import fx

from archc.compiler.backends.torch.lower import lower
from archc.compiler.backends.torch.optimize import realized
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered


def module_text(graph: ArchGraph, level: int = 0) -> str:
    """Return the `forward` of a network and of its blocks for inference, as torch.fx generates them; equal blocks once.

    At level 2 and above it is the module before its layers are packed or compiled, which depends on the machine. Nothing is allocated.
    Raises ArchError where sizes are open.
    """
    with torch.device("meta"):
        module: fx.GraphModule = lower(graph, min(level, 1)).eval()
        if level > 1:
            module = realized(module, lowered(graph, "inference", 2))  # type: ignore[arg-type]
    texts: dict[str, list[str]] = {}
    for name, part in module.named_modules():
        if isinstance(part, fx.GraphModule):
            texts.setdefault(part.code.strip(), []).append(name or graph.name or "network")
    return "\n\n".join(f"# {', '.join(names)}\n{code}" for code, names in texts.items()) + "\n"
