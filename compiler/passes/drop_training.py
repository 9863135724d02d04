"""Drop the nodes and outputs that only training needs, such as GoogLeNet's auxiliary classifiers."""

from __future__ import annotations

from archc.compiler.passes.program import Program


def drop_training(program: Program) -> Program:
    """Return the program without training-only nodes and outputs; the same program where there are none. For inference only; exact."""
    graph = program.graph
    if not any(output.training_only for output in graph.outputs.values()):
        return program
    kept = graph.without({node.name for node in graph if node.training_only})
    kept.outputs = {name: output for name, output in kept.outputs.items() if not output.training_only}
    return Program(kept, program.recipes)
