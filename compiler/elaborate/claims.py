"""Claims on items, `=> 96x55x55`: whether they hold, and the arithmetic where they do not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from archc.compiler.elaborate.scopes import Scope, Tensor, join
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.ops.record import AXES
from archc.compiler.shapes.dim import Shape, show_shape
from archc.dsl import ast
from archc.dsl.diagnostics import Diagnostic, Related
from archc.dsl.source import Span
from archc.dsl.vocabulary import claims as says


@dataclass(frozen=True)
class ClaimResult:
    """One claim of the file: what it says, what is so, and whether it holds.

    Claims speak of the file as it is written. Under `--set` or `--input` one that does not hold is waived.
    """

    span: Span
    text: str
    actual: str
    held: bool
    waived: bool = False
    node: str = ""  # whose shape it speaks of
    why: tuple[str, ...] = ()  # the arithmetic of a shape that does not hold

    @property
    def status(self) -> str:
        """`held`, `waived` or `failed`."""
        return "held" if self.held else "waived" if self.waived else "failed"

    def to_json(self) -> dict[str, Any]:
        """Return the claim as plain data."""
        place = {"file": self.span.source.label, "line": self.span.line}
        return {"claim": self.text, "actual": self.actual, "status": self.status, **place}


class Expected(NamedTuple):
    """An `expect` line of the file, the value that it names, and how many nodes there were before it."""

    statement: ast.Expect
    value: Any
    after: int


def place_of_claim(tensor: Tensor, scope: Scope, last: str) -> str:
    """Return the path of what a claim in a scope follows: the member of the scope that ends with the tensor, else its node.

    `last` is the node that was added last. A claim on an older one, after a reference, is about that node.
    """
    own = join(scope.path, "")
    if tensor.name != last or not tensor.name.startswith(own):
        return tensor.name
    return own + tensor.name[len(own) :].partition(".")[0]


@dataclass(frozen=True)
class Claim:
    """`=> shape` after an item: what a message calls the item, its place with and without label and claim, and what is claimed where."""

    shown: str
    item: Span
    core: Span
    span: Span
    shape: Shape


def check_shape(claim: Claim, tensor: Tensor, graph: ArchGraph) -> tuple[ClaimResult, Diagnostic | None]:
    """Compare a tensor with what the file claims of it."""
    actual, claimed = tensor.shape, claim.shape
    held = actual == claimed
    notes = () if held else tuple(_arithmetic(tensor.name, claimed, graph))
    result = ClaimResult(claim.span, f"=> {show_shape(claimed)}", show_shape(actual), held, node=tensor.name, why=notes)
    if held:
        return result, None
    found = says.shape_claim(claim.shown, show_shape(actual), show_shape(claimed), notes)
    found = found.with_facts(actual=actual, claimed=claimed, node=tensor.name, claim=claim.span, item=claim.item)
    found = found.with_facts(**_window_facts(tensor.name, graph))
    return result, found.at(claim.core, related=[Related(claim.span, "claimed here")])


def _window_facts(name: str, graph: ArchGraph) -> dict[str, Any]:
    """Return the options and input shape of the window operator that determines this size."""
    node = _window_node(name, graph)
    return {} if node is None else {"attrs": dict(node.attrs), "before": graph.taken(node.operands[0].name), "window": node.span}


def _window_node(name: str, graph: ArchGraph) -> Node | None:
    """Return the convolution or pool that determines a shape, before operators that change none."""
    if name not in graph:  # after a mistake
        return None
    node = graph[name]
    while node.shape == graph[name].shape and "kernel" not in node.attrs:
        if len(node.operands) != 1:
            return None
        (node,) = node.operands
    return node if node.shape == graph[name].shape and "kernel" in node.attrs and "pad" in node.attrs else None


def _arithmetic(name: str, claimed: Shape, graph: ArchGraph) -> Iterator[str]:
    """Yield the window formula of the last convolution or pooling, for every axis that differs."""
    node = _window_node(name, graph)
    window = node.window if node is not None else None
    if node is None or window is None or len(claimed) != len(node.shape):
        return
    before = graph.taken(node.operands[0].name)
    for axis, label in enumerate(AXES[len(before) - 1]):
        if node.shape[axis + 1] != claimed[axis + 1]:
            yield window.arithmetic(axis, label, before[axis + 1])
