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
    *("vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14", "maxvit_t"),
    *("swin_t", "swin_s", "swin_b", "swin_v2_t", "swin_v2_s", "swin_v2_b"),
    *(f"densenet{depth}" for depth in (121, 161, 169, 201)),
    *("squeezenet1_0", "squeezenet1_1", "mnasnet0_5", "mnasnet1_0", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"),
)
PRESETS = {"vit_h_14": "IMAGENET1K_SWAG_LINEAR_V1"}  # of images of 224; the first weights of all others are IMAGENET1K_V1


@pytest.mark.parametrize("name", NAMES)
def test_images_are_prepared_as_torchvision_does(name: str) -> None:
    theirs = torchvision_models().get_model_weights(name)[PRESETS.get(name, "IMAGENET1K_V1")].transforms()
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
