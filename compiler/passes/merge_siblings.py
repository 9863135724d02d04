"""Merge 1x1 convolutions of the same input into one: `[W1; W2]*x = [W1*x; W2*x]`; a `slice` extracts each part of the result.

Three branches of an Inception module begin with such convolutions. A ReLU after each is applied once, before the slices.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.computed import is_plain
from archc.compiler.passes.program import Joined, Program
from archc.compiler.passes.rewriter import Rewriter, unshared

SAME = ("kernel", "stride", "pad", "dilation", "groups", "bias", "pad_mode")  # options that siblings share


def merge_siblings(program: Program) -> Program:
    """Return the program with sibling 1x1 convolutions merged.

    For inference only, since the weights of the parts become one tensor; equal up to the order of additions. Shared weights are left
    unchanged.
    """
    graph = program.graph
    own = unshared(graph)
    siblings: dict[Any, list[Node]] = defaultdict(list)
    for node in graph:
        if _may_merge(node) and node.key in own:
            act = _activation(graph, node)
            signature = (node.operands[0].name, *(node.attrs[name] for name in SAME), act.op if act else "")
            siblings[signature].append(node)
    groups = [group for group in siblings.values() if len(group) > 1]
    first = {group[0].name: group for group in groups}
    merged = {node.name for group in groups for node in group}
    acts = {act.name: node for group in groups for node in group if (act := _activation(graph, node)) is not None}
    rewriter, recipes = Rewriter(graph), dict(program.recipes)
    for node in graph:
        if node.name in first:
            _merge(first[node.name], graph, rewriter, program, recipes)
        elif node.name in acts:
            rewriter.drop(node, rewriter.value_map[acts[node.name].name])
        elif node.name not in merged:
            rewriter.keep(node)
    return Program(rewriter.result(), recipes)


def _may_merge(node: Node) -> bool:
    if node.op != "conv" or node.attrs.get("from") is not None or not is_plain(node.attrs):
        return False
    return set(node.attrs["kernel"]) == {1} and node.attrs["groups"] == 1


def _activation(graph: ArchGraph, node: Node) -> Node | None:
    user = graph.only_user(node)
    return user if user is not None and user.op == "relu" else None


def _merge(group: list[Node], graph: ArchGraph, rewriter: Rewriter, program: Program, recipes: dict[str, Any]) -> None:
    """Append one convolution, its activation, and a slice for each part under the name of the part; add the recipe of the weights."""
    head = group[0]
    path = f"{head.name}+{len(group) - 1}"
    whole = replace(head, name=path, key=path)
    operand = rewriter.value_map[head.operands[0].name]
    merged = rewriter.add(whole, [operand], {**head.attrs, "out": sum(node.attrs["out"] for node in group)})
    recipes[path] = Joined(tuple(program.recipe(node.key) for node in group))
    act = _activation(graph, head)
    if act is not None:
        merged = rewriter.add(replace(act, name=f"{path}_{act.op}", key=f"{path}_{act.op}"), [merged])
    start = 0
    for node in group:
        stop = start + node.attrs["out"]
        part = replace(node, op="slice", origins={})
        rewriter.add(part, [merged], {"start": start, "stop": stop, "step": 1, "axis": "c"})
        start = stop
