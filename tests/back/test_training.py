"""Compiled networks learn: a step of every one of them, and LeNet-5 on handwritten digits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from archc import ArchError, Network, load
from archc.tests.support import NETWORKS, ROOT

SIZES = (32, 64, 96, 188, 224, 227)


def smallest(path: Path) -> Network:
    """The network at the smallest of some sizes that it takes; at its own where it takes none of them."""
    channels = load(path).graph.inputs[0].shape[0]
    for size in SIZES:
        try:
            return load(path, inputs=f"{channels}x{size}x{size}")
        except ArchError:
            continue
    return load(path)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_a_training_step_has_finite_gradients(path: Path) -> None:
    torch.manual_seed(0)
    net = smallest(path)
    module = net.lower()
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-3)
    outputs = module(torch.randn(2, *net.graph.inputs[0].shape))
    tensors = list(outputs.values()) if isinstance(outputs, dict) else [outputs]
    assert len(tensors) == len(net.graph.outputs)
    torch.stack([tensor.square().mean() for tensor in tensors]).sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    assert any(parameter.grad.abs().max() > 0 for parameter in module.parameters())
    before = [parameter.detach().clone() for parameter in module.parameters()]
    optimizer.step()
    assert any(not torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


# ---- LeNet-5, as published and as today, on the 8x8 digits that scikit-learn carries


def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images of 1x32x32 and labels, for training and for the test. Background -0.1, foreground 1.175, as LeCun et al. set them."""
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1) / 16
    images = F.pad(F.interpolate(images, size=24, mode="bilinear"), (4, 4, 4, 4)) * 1.275 - 0.1
    labels = torch.tensor(data.target)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    train, test = order[:1400], order[1400:]
    return images[train], labels[train], images[test], labels[test]


def modern_loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels)


def map_loss(distances: Tensor, labels: Tensor) -> Tensor:
    """The distance to the right code, against that to all others and to a constant; LeCun et al. 1998, equation 9, j = 0.1."""
    right = distances.gather(1, labels[:, None]).squeeze(1)
    others = torch.cat([-distances, torch.full_like(right, -0.1)[:, None]], dim=1)
    return (right + others.logsumexp(1)).mean()


@pytest.mark.parametrize(("name", "loss", "rate"), [("lenet5_modern", modern_loss, 2e-3), ("lenet5", map_loss, 2e-3)])
def test_lenet5_learns_digits(name: str, loss: nn.Module, rate: float) -> None:
    torch.manual_seed(0)
    x, y, test_x, test_y = digits()
    module = load(ROOT / f"archs/{name}.arch").lower()
    optimizer = torch.optim.Adam(module.parameters(), lr=rate)
    for _ in range(15):
        for batch in torch.randperm(len(x)).split(50):
            optimizer.zero_grad()
            loss(module(x[batch]), y[batch]).backward()
            optimizer.step()
    module.eval()
    with torch.no_grad():
        scores = module(test_x) if name == "lenet5_modern" else -module(test_x)
        accuracy = (scores.argmax(1) == test_y).float().mean().item()
    assert accuracy > 0.97, accuracy
