"""Networks of keras.applications, saved by Keras and read with their weights, compute what Keras computes."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import pytest
import torch

from archc import loads
from archc.compiler.backends.torch.lower import lower
from archc.compiler.frontends.keras import read
from archc.compiler.reading import read_text

NAMES = (
    *("VGG16", "ResNet50", "ResNet50V2", "MobileNet", "MobileNetV2", "MobileNetV3Small", "InceptionV3", "Xception", "DenseNet121"),
    "EfficientNetB0",
)
SIZES = {"InceptionV3": 107, "Xception": 107}


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ["KERAS_BACKEND"] = "torch"
    return pytest.importorskip("keras")


def stir(model: Any) -> None:
    """Let every variable have an influence: a fresh network normalizes by 0 and 1."""
    import numpy as np

    for variable in model.variables:
        draw, shape = np.random.default_rng(zlib.crc32(variable.path.encode())), variable.shape
        if "variance" in variable.path or "gamma" in variable.path:
            variable.assign(draw.uniform(0.5, 1.5, shape))
        elif len(shape) <= 1:
            variable.assign(draw.normal(0, 0.1, shape))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_application(name: str, keras: Any, tmp_path: Path) -> None:
    size = SIZES.get(name, 96)
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=1000)
    stir(model)
    model.save(tmp_path / "net.keras")
    network = read(tmp_path / "net.keras")
    assert network.weights is not None
    net = lower(network.graph).eval()
    net.load_state_dict({key: torch.tensor(value) for key, value in network.weights().items()}, strict=True)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs, ours = model(x.permute(0, 2, 3, 1)), net(x)
    spread = float(theirs.max() - theirs.min())
    assert spread > 1e-4
    assert float((ours - theirs).abs().max()) < 1e-5 * spread


@pytest.mark.slow
def test_shared_layers_and_constants(keras: Any, tmp_path: Path) -> None:
    """Two images that one normalization by constants, one tower and one projection read, called several times."""
    layers = keras.layers
    image = keras.Input((12, 12, 3))
    hidden = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, activation="relu", name="conv")(image))
    tower = keras.Model(image, hidden, name="tower")
    normalize = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[0.5, 0.6, 0.7], name="normalize")
    pool, project = layers.GlobalAveragePooling2D(name="pool"), layers.Dense(5, activation="tanh", name="project")
    left, right = keras.Input((12, 12, 3), name="left"), keras.Input((12, 12, 3), name="right")
    one, two = (project(pool(tower(normalize(each)))) for each in (left, right))
    out = layers.Dense(3, name="fc")(layers.Concatenate(name="both")([one, project(layers.Dense(4, name="back")(two))]))
    model = keras.Model([left, right], out)
    stir(model)
    model.save(tmp_path / "net.keras")
    made = read_text(str(tmp_path / "net.keras"))
    assert {"share tower", "share project"} <= {line.partition(" {")[0] for line in made.text.splitlines()}
    tensors = made.tensors()
    assert tensors is not None
    net = lower(loads(made.text).graph).eval()
    net.load_state_dict({key: torch.tensor(value) for key, value in tensors.items()}, strict=True)
    xs = [torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    with torch.no_grad():
        theirs, ours = model([x.permute(0, 2, 3, 1) for x in xs]), net(*xs)
    assert float(theirs.max() - theirs.min()) > 1e-3
    assert torch.allclose(ours, theirs, atol=1e-6)
