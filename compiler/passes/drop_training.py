"""Drops what only training needs: GoogLeNet's two classifiers, and whatever leads to nothing else."""

from __future__ import annotations

from archc.compiler.passes.program import Program


def drop_training(program: Program) -> Program:
    """The graph without its training-only nodes and outputs; the same graph where there are none."""
    graph = program.graph
    if not any(output.training_only for output in graph.outputs.values()):
        return program
    kept = graph.without({node.name for node in graph if node.training_only})
    kept.outputs = {name: output for name, output in kept.outputs.items() if not output.training_only}
    return Program(kept, program.recipes)
