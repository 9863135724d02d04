"""Cuts of a network into stages: they are the best, what crosses them is all that crosses, and impossible ones are refused."""

from __future__ import annotations

from itertools import combinations

import pytest

from archc import Network, UsageError, load, loads
from archc.compiler.analysis.cost import cost
from archc.compiler.analysis.cuts import MOST, SLACK, Setting, cut_in, places
from archc.compiler.analysis.memory import usage
from archc.compiler.graph import ArchGraph
from archc.tests.support import ROOT
from archc.tests.support.commands import archc, facts

RESIDUAL = (
    "input 3x16x16\nstem: conv3-8(pad=same)\nbody: {\n  a: residual<conv3-8(pad=same); relu; conv3-8(pad=same)>; relu\n"
    "  b: conv3-16(pad=same); maxpool; relu\n}\n"
    "side: @stem; conv3-4(pad=same); adaptive_avgpool1; flatten; fc-10\nhead: @body; adaptive_avgpool1; flatten; fc-10\n"
    "output aux(when=training): @side; relu\noutput y: @head; relu\n"
)
NETWORKS = {
    "residual": lambda: loads(RESIDUAL),
    "lenet5": lambda: load(ROOT / "archs/lenet5_modern.arch"),
}


def crossing(graph: ArchGraph, at: int) -> set[str]:
    """What is computed before a place and used from it on, or is an output: straight from the definition."""
    nodes = list(graph)
    before, after = [node.name for node in nodes[:at]], nodes[at:]
    used = {operand.name for node in after for operand in node.operands} | {output.node for output in graph.outputs.values()}
    return {name for name in before if name in used}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("by", ["macs", "memory"])
def test_no_other_cuts_are_better(name: str, by: str) -> None:
    """By trying all of them."""
    graph = NETWORKS[name]().graph
    setting = Setting(batch=4)
    for stages in (2, 3):
        found = cut_in(graph, stages, by, setting)
        ways = []
        nodes = list(graph)
        for chosen in combinations([cut for cut in places(graph) if crossing(graph, cut.at)], stages - 1):
            made = cut_in(graph, 0, by, setting, at=[nodes[cut.at].name for cut in chosen])
            ways.append((made.largest, sum(cut.sent for cut in chosen)))
        assert found.best == min(largest for largest, _ in ways)
        sent = sum(stage.cut.sent for stage in found.stages if stage.cut)
        assert found.largest <= SLACK * found.best
        assert sent == min(sent for largest, sent in ways if largest <= SLACK * found.best)


@pytest.mark.parametrize("path", ["resnet18", "googlenet_torchvision", "vit_b_16"])
def test_what_crosses_is_all_that_crosses(path: str) -> None:
    graph = load(ROOT / f"archs/{path}.arch").graph
    found = places(graph)
    assert found
    for cut in found:
        assert set(cut.crossing) == crossing(graph, cut.at) and list(graph)[cut.at].name.startswith(cut.label)
        done = {output.node for output in graph.outputs.values()}
        assert len(set(cut.crossing) - done) <= MOST


def test_stages_are_the_network() -> None:
    net = load(ROOT / "archs/googlenet_torchvision.arch")
    made = net.cuts(4, batch=2)
    whole, stages = cost(net.graph), made.stages
    assert sum(stage.macs for stage in stages) == whole.macs_training and sum(stage.params for stage in stages) == whole.params_training
    assert sum(stage.nodes for stage in stages) == len(net.graph) and [stage.held for stage in stages] == [4, 3, 2, 1]
    assert "aux1.fc2" in stages[3].cut.crossing  # type: ignore[union-attr]


def test_memory_of_one_stage_is_that_of_training() -> None:
    net = load(ROOT / "archs/resnet18.arch")
    (stage,) = net.cuts(1, batch=3, optimizer="momentum").stages
    assert stage.memory == usage(net.graph, batch=3, optimizer="momentum").training


def test_a_stage_counts_what_it_holds() -> None:
    """Weights, gradients and the state of Adam; and of each micro-batch what is received, kept and sent."""
    net = loads("input 1x4x4\na: conv1-2(bias=no)\nb: conv1-3(bias=no)\nc: conv1-1(bias=no)\n")
    first, second, third = net.cuts(3, at=["b", "c"], batch=5).stages
    assert (first.params, second.params, third.params) == (2, 6, 3)
    assert first.activations == 3 * 5 * 4 * 2 * 16  # the input is not counted
    assert second.activations == 2 * 5 * 4 * (2 * 16 + 3 * 16)
    assert third.activations == 5 * 4 * (3 * 16 + 16)
    assert second.memory == second.activations + 4 * 6 * 4


WRONG = [
    ("input 3x8x8\na: conv3-4; relu\nb: conv3-4\n", {"stages": 9}, "stages is 9, and .* can be cut into at most 3 stages"),
    ("input 3x8x8\nconv3-4\n", {"stages": 2}, "cannot be cut"),
    ("input 3x8x8\nfirst: conv3-4\nsecond: conv3-4\n", {"stages": 2, "at": ["secnd"]}, "no such label; did you mean `second`"),
    ("input 3x8x8\na: conv3-4\nb: conv3-4\n", {"stages": 2, "at": ["a"]}, "cannot be cut before a"),
    ("input 3x8x8\na: conv3-4\nb: conv3-4\n", {"stages": 0}, "stages is a whole number, 1 or more"),
    ("input 3x8x8\na: conv3-4\nb: conv3-4\n", {"stages": 2, "by": "time"}, "by is macs or memory"),
    ("input 3xHxW\na: conv3-4\nb: conv3-4\n", {"stages": 2}, "depends on H, W"),
    (
        "input 4x8x8\nshare s { conv3-4(pad=same) }\na: s; conv3-4(pad=same); s\n",
        {"stages": 2},
        "share their weights, which are in one stage",
    ),
]


@pytest.mark.parametrize(("text", "options", "message"), WRONG, ids=[message for _, _, message in WRONG])
def test_impossible_cuts_are_refused(text: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        loads(text).cuts(**options)  # type: ignore[arg-type]


def test_the_verb() -> None:
    shown = archc("cuts", "archs/resnet18.arch", "--stages", "3").stdout
    data = facts("cuts", "archs/resnet18.arch", "--stages", "3")
    assert [stage["cut"]["label"] for stage in data["stages"][1:]] == [line.split()[1] for line in shown.splitlines()[3:5]]
    assert all(sentence in shown for sentence in data["why"])
    by_hand: Network = load(ROOT / "archs/resnet18.arch")
    assert by_hand.cuts(9, at=["layer2", "layer4"]).cutting.starts == ("layer2.0.conv1", "layer4.0.conv1")


@pytest.mark.slow
def test_the_verb_refuses() -> None:
    assert "no such label" in archc("cuts", "archs/resnet18.arch", "--at", "layer9", code=2).stderr
    assert "give the sizes with --input" in archc("cuts", "archs/vgg16_fcn.arch", code=1).stderr
