"""Every record's example as lowered: its shapes and weights are PyTorch's; so, too, of operators that are registered here."""

from __future__ import annotations

import pytest
import torch

from archc import loads
from archc.compiler.analysis.notation import notation
from archc.compiler.backends.torch.lower import random_inputs
from archc.compiler.graph import ArchGraph
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.record import Operator
from archc.compiler.passes import INFERENCE, TRAINING, run
from archc.tests.support.pytorch import assert_agrees_with_torch
from archc.tests.support.records import COMPUTED, MY_BLOCKS, NEW, Check, example, graph_of


def like_torch(operator: Operator, graph: ArchGraph) -> None:
    assert operator.name in {node.op for node in graph}
    assert_agrees_with_torch(graph)


def lowered(operator: Operator, graph: ArchGraph) -> None:
    net = loads(example(operator))
    inputs = random_inputs(graph, 2)
    (out,) = graph.outputs.values()
    for level in (0, 1):
        with torch.no_grad():
            result = net.lower(level=level).eval()(*inputs)
        assert tuple(result.shape) == (2, *graph[out.node].shape)
    if operator.identity_in_eval:
        only = loads(f"input 4x6x6\n{next(notation(node) for node in graph if node.op == operator.name)}").lower().eval()
        x = torch.randn(2, 4, 6, 6)
        assert torch.equal(only(x), x)


def rewritten(operator: Operator, graph: ArchGraph) -> None:
    for pipeline in (*TRAINING, *INFERENCE):
        assert_agrees_with_torch(run(graph, pipeline).graph)


CHECKS: tuple[Check, ...] = (like_torch, lowered, rewritten)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("operator", COMPUTED, ids=lambda operator: operator.name)
def test_every_record_is(operator: Operator, check: Check) -> None:
    check(operator, graph_of(operator))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("operator", NEW, ids=lambda operator: operator.name)
def test_one_record_is_enough(operator: Operator, check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    assert operator.name not in OPERATORS
    monkeypatch.setitem(OPERATORS, operator.name, operator)
    check(operator, graph_of(operator))


def test_a_new_operator_computes_what_its_record_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, MY_BLOCKS.name, MY_BLOCKS)
    net = loads("input 4x6x6\nmy_blocks(2)\n").lower()
    x = torch.randn(1, 4, 6, 6)
    assert torch.equal(net(x), torch.nn.functional.pixel_unshuffle(x, 2))
