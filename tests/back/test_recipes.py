"""The recipes of the package train the networks that they are for: a few steps, on few and small images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from archc import load
from archc.compiler.graph import ArchGraph
from archc.tests.support import ROOT
from archc.tests.support.training import Told
from archc.training import checkpoint, recipe
from archc.training.data import Samples
from archc.training.loop import Plan, train

# The network, a small input that it takes, and its number of classes.
NETWORKS = {
    "alexnet": ("alexnet", "3x99x99", 1000),
    "digits": ("lenet5_modern", None, 10),
    "googlenet": ("googlenet", None, 1000),
    "lenet5_1998": ("lenet5", None, 10),
    "resnet_cifar": ("cifar_resnet20", None, 10),
    "resnet_imagenet": ("resnet18", "3x64x64", 1000),
    "vgg": ("vgg11", "3x64x64", 1000),
    "vit": ("vit_b_32", "3x64x64", 1000),
}
COUNT = 8  # samples


def network(name: str, inputs: str | None) -> ArchGraph:
    return load(ROOT / f"archs/{name}.arch", inputs=inputs).graph


def pictures(channels: int, classes: int) -> Samples:
    sizes = (COUNT, 40, 36) if channels == 1 else (COUNT, 40, 36, 3)
    images = np.random.default_rng(0).integers(0, 256, sizes, dtype=np.uint8)
    return Samples(images, [number % classes for number in range(COUNT)], tuple(map(str, range(classes))), "made")


def test_every_recipe_has_its_network() -> None:
    assert set(NETWORKS) == set(recipe.known())


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_recipes_train(name: str, tmp_path: Path) -> None:
    """With all that a recipe says, but of fewer samples: gradients reach all weights, the losses are finite, the network is written."""
    file, inputs, classes = NETWORKS[name]
    graph = network(file, inputs)
    chosen = recipe.read(name)
    batch = min(chosen.batch, 4)
    small = chosen.model_copy(update={"epochs": 1.0, "batch": batch, "accumulate": min(chosen.accumulate, 2)})
    small = small.model_copy(update={"schedule": chosen.schedule.model_copy(update={"warmup": 0.0})})
    given = pictures(int(str(graph.inputs[0].shape[0])), classes)
    told = Told()
    found = train(Plan(graph, "input 1x1x1\n", small, given, given, tmp_path), told)
    assert found.steps == COUNT // batch and found.skipped == 0 and np.isfinite(told.epochs[0]["loss"])
    kept = load_file(tmp_path / checkpoint.FINAL)
    assert all(value.isfinite().all() for value in kept.values())


def test_googlenet_weighs_its_sides() -> None:
    """Szegedy et al. 2015, section 5."""
    from archc.training.loss import loss_of

    found = loss_of(network("googlenet", None), recipe.read("googlenet"), 1000)
    assert dict(found.weights) == {"aux1": 0.3, "aux2": 0.3}
    outputs = {name: torch.randn(2, 1000) for name in (found.main, "aux1", "aux2")}
    target = torch.tensor([3, 4])
    parts = {name: torch.nn.functional.cross_entropy(output, target) for name, output in outputs.items()}
    assert torch.allclose(found(outputs, target), parts[found.main] + 0.3 * (parts["aux1"] + parts["aux2"]))
