"""`--unfold`: where a batch norm was folded into a convolution there is one again, and the network computes the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archc import load, loads
from archc.compiler.analysis.diff import diff
from archc.compiler.backends.torch.lower import lower
from archc.compiler.frontends.onnx.sources import read
from archc.compiler.frontends.torch.proof import proved
from archc.compiler.frontends.torch.sources import module_object
from archc.compiler.frontends.unfolding import unfolded
from archc.compiler.passes import run
from archc.compiler.passes.drop_identities import drop_identities
from archc.compiler.reading import Read, folded
from archc.tests.support import ROOT, commands
from archc.tests.support.onnx_reading import difference


class Unit(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 2, 1), nn.ReLU(), nn.Conv2d(2, 8, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(torch.relu(self.conv1(x)))
        return torch.relu(x + y * self.gate(y))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 1), nn.ReLU())
        self.unit, self.shortcut = Unit(), nn.Conv2d(8, 8, 1)
        self.head = nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.unit(self.stem(x))
        return self.head(self.shortcut(x) + x)


def test_batch_norms_are_where_networks_have_them() -> None:
    module = Network()
    flat = unfolded(module_object(module, torch.empty(2, 3, 9, 9)))
    assert flat.unfolded == ("stem.bn0", "stem.bn2", "stem.bn3", "unit.bn1", "shortcut_bn")
    made = Read(flat, folded(flat))
    graph = loads(made.text).graph
    assert proved(flat, graph).difference < 1e-6
    tensors = made.tensors()
    assert tensors is not None
    net = lower(graph).eval()
    net.load_state_dict({key: torch.as_tensor(np.asarray(value)) for key, value in tensors.items()}, strict=True)
    x = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        assert torch.allclose(net(x), module.eval()(x), atol=1e-6)
    assert "unit.gate.1.bias" in tensors and "head.bias" in tensors and "unit.conv2.bias" in tensors


@pytest.mark.parametrize("name", [pytest.param("cifar_resnet20"), pytest.param("mobilenet_v3_small", marks=pytest.mark.slow)])
def test_a_network_that_was_folded_is_as_it_was(name: str, tmp_path: Path) -> None:
    source = f"archs/{name}.arch"
    commands.archc("compile", source, "-o", str(tmp_path / "net.onnx"), "--optimize", "2")
    flat = read(tmp_path / "net.onnx")
    assert "bn" not in {node.op for node in flat.graph}
    again = unfolded(flat)
    ours = run(load(ROOT / source).graph, (drop_identities,)).graph
    assert len(again.unfolded) == sum(node.op == "bn" for node in ours)
    changes = [change for change in diff(ours, again.graph).changes if change.kind != "renamed"]
    assert {change.kind for change in changes} <= {"changed"}  # options that only training has
    assert difference(tmp_path / "net.onnx", again) < 1e-5
