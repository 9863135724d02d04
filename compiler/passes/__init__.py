"""Rewrites of the graph: one a file, each a function from a program to a program; the pipelines are tuples of them."""

from __future__ import annotations

from collections.abc import Callable

from archc.compiler.graph import ArchGraph
from archc.compiler.passes.drop_identities import drop_identities
from archc.compiler.passes.drop_training import drop_training
from archc.compiler.passes.fold_batch_norm import fold_batch_norm
from archc.compiler.passes.merge_siblings import merge_siblings
from archc.compiler.passes.program import Own, Program
from archc.compiler.passes.relu_after_pool import relu_after_pool
from archc.compiler.shapes.dim import Shape

Pass = Callable[[Program], Program]

# By level of optimisation: as written; exact rewrites, beside activations in place; those that change the order of additions too.
# bench/passes.py measures what each is worth: a ReLU behind its pool loses time at inference, and drop_identities makes way for sums within
# the calls of convolutions; alone it gains nothing, and blocks of level 1 are to be those of the file.
TRAINING: tuple[tuple[Pass, ...], ...] = ((), (relu_after_pool,))
INFERENCE: tuple[tuple[Pass, ...], ...] = (
    (drop_training,),
    (drop_training,),
    (drop_training, drop_identities, fold_batch_norm, merge_siblings),
)


class Unsound(Exception):
    """A pass has made a program that is not the same network: a fault of archc."""


def run(graph: ArchGraph, pipeline: tuple[Pass, ...], watch: Callable[[str, Program], None] | None = None) -> Program:
    """Run passes in order, and look at the program after each: every shape as its operator gives it, every output as before, every key
    with the weights that the network has under it, or with a recipe from such.

    `watch` is told the name of each pass and the program behind it.
    """
    program = Program(graph)
    for rewrite in pipeline:
        before, program = program, rewrite(program)
        if program is not before:
            _verify(before.graph, program.graph, rewrite.__name__)
            _verify_weights(graph, program, rewrite.__name__)
        if watch is not None:
            watch(rewrite.__name__, program)
    return program


def _verify(before: ArchGraph, after: ArchGraph, name: str) -> None:
    for node in after:
        if not node.is_input and node.operator.shape(node.call) != node.shape:
            raise Unsound(f"{name}: {node.name} does not give {node.shape}")
    for output, at in after.outputs.items():
        if after[at.node].shape != before[before.outputs[output].node].shape:
            raise Unsound(f"{name}: the output {output} has another shape")
    if [node.name for node in after.inputs] != [node.name for node in before.inputs]:
        raise Unsound(f"{name}: other inputs")


def _verify_weights(original: ArchGraph, program: Program, name: str) -> None:
    own = _weights(original)
    for key, tensors in _weights(program.graph).items():
        recipe = program.recipe(key)
        if isinstance(recipe, Own) and tensors != own.get(key, {}):
            raise Unsound(f"{name}: the network has no such weights under {key}")
        if missing := [source for source in recipe.sources() if source not in own]:
            raise Unsound(f"{name}: the weights of {key} are made from {missing[0]}, which the network does not have")


def _weights(graph: ArchGraph) -> dict[str, dict[str, Shape]]:
    """The shapes of all tensors by key; no entry where an operator has none."""
    found: dict[str, dict[str, Shape]] = {}
    for node in graph:
        tensors: dict[str, Shape] = {**node.operator.weights(node.call), **node.operator.buffers(node.call)}
        if tensors:
            found[node.key] = tensors
    return found
