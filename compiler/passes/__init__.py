"""Rewrites of the graph: one per file, each a function from a program to a program; pipelines are tuples of them."""

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

# By level of optimization: 0, as written; 1, exact rewrites; 2, also rewrites that change the order of additions. In-place activations are
# not passes. bench/passes.py measures the value of each pass: relu_after_pool loses time at inference, and drop_identities gains nothing by
# itself but lets sums be computed within the calls of convolutions. Level 1 leaves identities in, so that its blocks are those of the file.
TRAINING: tuple[tuple[Pass, ...], ...] = ((), (relu_after_pool,))
INFERENCE: tuple[tuple[Pass, ...], ...] = (
    (drop_training,),
    (drop_training,),
    (drop_training, drop_identities, fold_batch_norm, merge_siblings),
)


class Unsound(Exception):
    """A pass returned a program that is not the same network: a bug in archc."""


def run(graph: ArchGraph, pipeline: tuple[Pass, ...], watch: Callable[[str, Program], None] | None = None) -> Program:
    """Run passes in order, and verify the program after each.

    Verified are the shape of each node, the names of the inputs, the shapes of the outputs, and that the weights under each key are those
    of the network or have a recipe from them. `watch` is called with the name of each pass and the program after it. Raises Unsound.
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
            raise Unsound(f"{name}: {node.name} does not return {node.shape}")
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
            raise Unsound(f"{name}: the weights of {key} are computed from {missing[0]}, which the network does not have")


def _weights(graph: ArchGraph) -> dict[str, dict[str, Shape]]:
    """Return the shapes of the tensors under each key; a key without tensors has no entry."""
    shapes: dict[str, dict[str, Shape]] = {}
    for node in graph:
        tensors: dict[str, Shape] = {**node.operator.weights(node.call), **node.operator.buffers(node.call)}
        if tensors:
            shapes[node.key] = tensors
    return shapes
