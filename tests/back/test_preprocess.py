"""What files state of the samples before they enter, against torchvision's presets."""

from __future__ import annotations

import pytest

import archc
from archc.tests.support import ROOT
from archc.tests.support.pytorch import torchvision_models

NAMES = (
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    *(f"convnext_{size}" for size in ("tiny", "small", "base", "large")),
    *(f"efficientnet_b{number}" for number in range(8)),
)


@pytest.mark.parametrize("name", NAMES)
def test_images_are_prepared_as_torchvision_does(name: str) -> None:
    theirs = torchvision_models().get_model_weights(name)["IMAGENET1K_V1"].transforms()
    ours = archc.load(ROOT / f"archs/{name}.arch").preprocess["input"]
    assert ours == {
        "resize": theirs.resize_size[0],
        "interpolation": theirs.interpolation.value,
        "crop": theirs.crop_size[0],
        "mean": list(theirs.mean),
        "std": list(theirs.std),
        "labels": "imagenet",
    }


def test_other_classes_have_no_labels() -> None:
    text = 'use "std/resnet.arch"\narch other = resnet(classes=10) "ten classes"\n'
    assert "labels" not in archc.loads(text).preprocess["input"]
