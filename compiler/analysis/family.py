"""The columns in which several networks are compared: counts, memory, depth and receptive field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from archc.compiler.analysis.cost import weights
from archc.compiler.analysis.memory import OpenSizes, usage
from archc.compiler.analysis.receptive import Field
from archc.compiler.analysis.summary import Counts
from archc.compiler.graph import ArchGraph
from archc.compiler.shapes.dim import Dim
from archc.dsl import ast


@dataclass(frozen=True)
class Entry:
    """One network in a table."""

    name: str
    params: int  # trainable scalars at inference
    macs: Dim  # multiply-accumulates of one sample at inference; a formula where sizes are open
    depth: int  # convolutions and fully-connected layers on the longest path, as papers count layers
    receptive_field: Field  # the receptive field, in pixels of the input
    peak: int | None  # bytes of activations at inference; None where sizes are open
    saved: int | None  # bytes kept for backward
    family: str = ""  # the shared file that it instantiates, or its own name
    waived: tuple[str, ...] = ()  # claims of its file that do not hold of it, since its parameters or inputs were set otherwise
    own: Mapping[str, Any] = field(default_factory=dict)  # further values, by column: those of a user


def entry(name: str, graph: ArchGraph, dtype: str = "float32", batch: int = 1) -> Entry:
    """Compute the entry of a network, with its memory for a dtype and a batch. Raises UsageError for an unknown dtype."""
    table = Counts(graph)
    peak: int | None = None
    saved: int | None = None
    try:
        needs = usage(graph, dtype, batch)
        peak, saved = needs.peak, needs.saved
    except OpenSizes:
        pass
    return Entry(name, table.params, table.macs, depth(graph), table.receptive_field, peak, saved)


def family_of(name: str, tree: ast.File | None) -> str:
    """Return the name of the file that a network is an instance of, or its own name."""
    statements = tree.statements if tree is not None else ()
    used = [PurePath(line.path).stem for line in statements if isinstance(line, ast.Use)]
    is_instance = any(isinstance(line, ast.Arch) and line.base is not None for line in statements)
    return used[0] if used and is_instance else name


def depth(graph: ArchGraph) -> int:
    """Count the layers with weights on the longest path to an output at inference."""
    longest: dict[str, int] = {}
    for node in graph:
        before = max((longest[operand.name] for operand in node.operands), default=0)
        longest[node.name] = before + (node.operator.linear and bool(weights(graph, node)))
    return max((longest[out.node] for out in graph.outputs.values() if not out.training_only), default=0)
