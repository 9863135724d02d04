"""`archc explain FILE:NODE`: derivations, whose arithmetic is evaluated here."""

from __future__ import annotations

import re

import pytest

from archc import load, loads
from archc.compiler.analysis.cost import node_macs, node_params
from archc.compiler.analysis.derive import derive, size_lines
from archc.compiler.graph import INPUT
from archc.tests.support import NETWORKS, ROOT
from archc.tests.support.commands import archc, facts


def test_a_node_of_alexnet() -> None:
    shown = archc("explain", "archs/alexnet.arch:conv1").stdout
    for line in (
        "  written     conv11-96/4, on line 9 of alexnet.arch: `conv11-96/4`",
        "              height: (227 + 2*0 - 11)/4 + 1 = 55",
        "  parameters  11*11*3*96 + 96 = 34,944 (weight, bias)",
        "  MACs        11*11*3*96 weights * 55*55 positions = 105,415,200, or 210,830,400 FLOPs",
        "              init=normal(std=0.01), from line 6 of alexnet.arch",
        "              pad=0, the operator's own default",
    ):
        assert line in shown.splitlines()


def test_provenance_of_a_node_in_a_block() -> None:
    shown = archc("explain", "archs/resnet50.arch:layer2.0.conv2").stdout
    assert "bottleneck(w=128, s=2), on line 15 of std/resnet.arch" in shown
    assert "pad=1, from line 3 of std/residual.arch" in shown


def value(text: str) -> float:
    return float(eval(text.replace(",", ""), {"__builtins__": {}}))  # arithmetic that we wrote


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "googlenet", "resnet50", "unet", "mobilenet_v2", "googlenet_torchvision"])
def test_all_arithmetic_is_true(name: str) -> None:
    net = load(ROOT / f"archs/{name}.arch")
    checked = 0
    for node in net.graph:
        topics = dict(derive(net.graph, node.name)) if len(net.graph) < 60 else {}
        for line in size_lines(net.graph, node):
            if found := re.fullmatch(r"(\w+: )?([\d+*/() -]+) = ([\d.,]*\d)(?:, rounded (?:down|up) to (\d+))?.*", line):
                assert value(found[2]) == pytest.approx(value(found[3]), rel=1e-3)
                checked += 1
        if topics and node.op != INPUT:
            left, _, right = topics["parameters"][0].partition(" (")[0].partition(" = ")
            if left != "none":
                assert value(left) == value(right or left) == node_params(net.graph, node)
            left, _, right = topics["MACs"][0].partition(" = ")
            if right:
                assert value(re.sub(r"[a-z]+", "", left)) == node_macs(net.graph, node)
                checked += 1
    assert checked > 5


def test_back_and_the_whole() -> None:
    steps = facts("explain", "archs/alexnet.arch:pool5", "--back")
    assert [step["name"] for step in steps] == ["pool5", "conv5", "conv3", "pool2", "conv2", "pool1", "conv1", "input"]
    whole = facts("explain", "archs/lenet5.arch")
    assert [step["name"] for step in whole] == ["input", "c1", "s2", "c3", "s4", "c5", "flatten1", "f6", "rbf"]
    part = facts("explain", "archs/resnet18.arch:layer1.0")
    assert part[0]["name"] == "layer1.0.conv1"


def test_why_not() -> None:
    shown = archc("explain", "archs/alexnet.arch", "--why-not", "3x64x64").stdout
    assert "alexnet cannot take 3x64x64. What fails first:" in shown
    assert "error[E0301]" in shown
    shown = archc("explain", "archs/alexnet.arch", "--why-not", "3x224x224").stdout
    assert "=> 96x55x55 would be 96x54x54.\n  height: (224 + 2*0 - 11)/4 + 1 = 54.25, rounded down to 54\n" in shown
    assert "cannot be left open: fc needs the number of its inputs as a number, and it changes with the size of the input." in shown
    assert "Legal: H >= 188, W >= 188." in archc("explain", "archs/unet.arch", "--why-not", "1x200x200").stdout


def test_unknown_nodes_and_files() -> None:
    assert "did you mean `conv5`" in archc("explain", "archs/alexnet.arch:conv9", code=2).stderr
    assert "E0608" in archc("explain", "archs/nothing.arch:conv1", code=1).stderr


@pytest.mark.parametrize("path", NETWORKS[:12], ids=lambda path: path.stem)
def test_every_network_is_explained(path: object) -> None:
    assert archc("explain", str(path)).stdout


def test_statistics_over_positions_are_said_not_to_be_counted() -> None:
    graph = loads("input 8x9x9\nconv3-8; group_norm(2); instance_norm; bn; layer_norm").graph
    said = {node.op: dict(derive(graph, node.name))["field"] for node in graph}
    line = "mean and variance, over all positions, are not counted"
    assert [op for op, lines in said.items() if line in lines] == ["group_norm", "instance_norm"]
    assert said["group_norm"][:-1] == said["conv"] == said["bn"]
