"""Rewrites of the graph: one a file, each a function from a program to a program; the pipelines are tuples of them."""

from __future__ import annotations

from collections.abc import Callable

from compiler.graph import INPUT, ArchGraph
from compiler.passes.drop_idle import drop_idle
from compiler.passes.drop_training import drop_training
from compiler.passes.fold_batch_norm import fold_batch_norm
from compiler.passes.merge_siblings import merge_siblings
from compiler.passes.program import Program
from compiler.passes.relu_behind_pool import relu_behind_pool

Pass = Callable[[Program], Program]

# By level of optimisation: as written; exact rewrites; those that change the order of additions too.
TRAINING: tuple[tuple[Pass, ...], ...] = ((), (relu_behind_pool,))
INFERENCE: tuple[tuple[Pass, ...], ...] = (
    (drop_training,),
    (drop_training, drop_idle, relu_behind_pool),
    (drop_training, drop_idle, fold_batch_norm, merge_siblings),
)


class Unsound(Exception):
    """A pass has made a program that is not the same network: a fault of archc."""


def run(graph: ArchGraph, pipeline: tuple[Pass, ...], watch: Callable[[str, Program], None] | None = None) -> Program:
    """Run passes in order, and look at the program after each: every shape as its operator gives it, every output as before.

    `watch` is told the name of each pass and the program behind it.
    """
    program = Program(graph)
    for rewrite in pipeline:
        before, program = program, rewrite(program)
        if program is not before:
            _verify(before.graph, program.graph, rewrite.__name__)
        if watch is not None:
            watch(rewrite.__name__, program)
    return program


def _verify(before: ArchGraph, after: ArchGraph, name: str) -> None:
    for node in after:
        if node.op != INPUT and node.operator.shape(after.call(node.name)) != node.shape:
            raise Unsound(f"{name}: {node.name} does not give {node.shape}")
    for output, at in after.outputs.items():
        if after[at.node].shape != before[before.outputs[output].node].shape:
            raise Unsound(f"{name}: the output {output} has another shape")
    if [node.name for node in after.inputs] != [node.name for node in before.inputs]:
        raise Unsound(f"{name}: other inputs")
