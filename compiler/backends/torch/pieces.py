"""A piece of a lowered network as a module of its own, over the same parts and with the same keys."""

from __future__ import annotations

from torch import fx, nn

from archc.compiler.backends.torch.nodes import fx_name, fx_node
from archc.compiler.lowering.pieces import Piece
from archc.compiler.lowering.program import LoweredProgram


def piece_module(program: LoweredProgram, piece: Piece, parts: nn.Module, name: str) -> fx.GraphModule:
    """Return a piece as a module that takes its tensors in order and returns a tuple of them.

    Its modules and trained tensors are those of `parts`, under their keys; there they may be more.
    """
    graph = fx.Graph()
    values = {taken: graph.placeholder(fx_name(taken)) for taken in piece.takes}
    for step in piece.steps:
        values[step.name] = fx_node(graph, step, values, program.body)
    graph.output(tuple(values[result] for result in piece.returns))
    return fx.GraphModule(parts, graph, name)
