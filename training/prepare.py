"""Images as tensors: the preprocessing that a network states, what a recipe says where it states none, and random changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from archc.compiler.backends.torch.published import torchvision_models
from archc.compiler.errors import UsageError
from archc.compiler.graph import ArchGraph
from archc.training.data import BadSample, Samples, opened
from archc.training.recipe import Recipe

torchvision_models()  # imported so, torchvision works where its operators in C++ do not fit torch

from torchvision.transforms import v2  # noqa: E402

Transform = Any  # of torchvision, a function of one image
MODES = {"nearest": "nearest", "bilinear": "bilinear", "bicubic": "bicubic", "lanczos": "lanczos", "area": "box"}


@dataclass(frozen=True)
class Preparation:
    """How an image becomes an input `(C, H, W)`: plain data, which is stored with a trained network.

    `resize` is the size of the shorter side, or both sides; then the middle of size `size` is cut out. Without `resize`, `fit` resizes
    the image to `size`, or pads it with black. Values from 0 to 1 are standardized by `mean` and `std` of each channel.
    """

    channels: int
    size: tuple[int, int]
    resize: tuple[int, ...] = ()
    interpolation: str = "bilinear"
    fit: str = "resize"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return the preparation as plain data."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Preparation:
        """Return the preparation that `facts` has described."""
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}
        return cls(**values)


def preparation(graph: ArchGraph, recipe: Recipe) -> Preparation:
    """Return how the images of a network are prepared: as its file says, and as the recipe does where the file says nothing.

    Raises UsageError for a network that takes no single image of known size, and where the recipe has other numbers of channels.
    """
    if len(graph.inputs) != 1:
        raise UsageError(f"{graph.name} has {len(graph.inputs)} inputs: only networks of one image are trained and shown")
    source = graph.inputs[0]
    shape = source.shape
    if len(shape) != 3 or not all(isinstance(size, int) for size in shape) or graph.whole_numbers(source.name) is not None:
        raise UsageError(f"{graph.name} takes no image CxHxW of known size: only such networks are trained and shown; --input sets a size")
    channels, *size = (int(size) for size in shape if isinstance(size, int))
    facts = graph.preprocess.get(source.name, {})
    if channels not in (1, 3):
        raise UsageError(f"{graph.name} takes images of {channels} channels: only grey ones and RGB are read from files")
    if "mean" not in facts and len(recipe.mean) not in (0, 1, channels):
        raise UsageError(f"the recipe has a `mean` of {len(recipe.mean)} channels, and {graph.name} takes {channels}")
    spread = channels // max(1, len(recipe.mean))
    resize = facts.get("resize", ())
    return Preparation(
        channels,
        (size[0], size[1]),
        tuple(resize) if isinstance(resize, Sequence) else (resize,),
        facts.get("interpolation", "bilinear"),
        recipe.fit,
        tuple(facts["mean"]) if "mean" in facts else recipe.mean * spread,
        tuple(facts["std"]) if "std" in facts else recipe.std * spread,
    )


def evaluating(how: Preparation) -> Transform:
    """Return the function that prepares an image without chance."""
    return v2.Compose([*_colors(how), *_sized(how), *_values(how)])


def as_taken(how: Preparation, path: Path) -> tuple[Tensor, Tensor]:
    """Return the image of a file as a network takes it, `(C, H, W)`: standardized, and with values from 0 to 1. Raises BadSample."""
    image = opened(path)
    return evaluating(how)(image), evaluating(replace(how, mean=(), std=()))(image)


def training(how: Preparation, recipe: Recipe) -> Transform:
    """Return the function that prepares an image for training, with the random changes of a recipe."""
    geometry: list[Transform] = []
    colors: list[Transform] = []
    last: list[Transform] = []
    sized = False
    for change in recipe.augment:
        options = change.model_dump(exclude={"name"})
        match change.name:
            case "random_crop":
                geometry.extend(
                    [*([] if sized else _resized(how)), v2.RandomCrop(how.size, padding=options["padding"], pad_if_needed=True)]
                )
                sized = True
            case "random_resized_crop":
                geometry.append(v2.RandomResizedCrop(how.size, interpolation=_mode(how), antialias=True, **options))
                sized = True
            case "horizontal_flip":
                geometry.append(v2.RandomHorizontalFlip(**options))
            case "rotation":
                geometry.append(v2.RandomRotation(**options, interpolation=v2.InterpolationMode.BILINEAR))
            case "color_jitter":
                colors.append(v2.ColorJitter(**options))
            case "trivial_augment":
                colors.append(v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR))
            case "rand_augment":
                colors.append(v2.RandAugment(**options, interpolation=v2.InterpolationMode.BILINEAR))
            case "random_erasing":
                last.append(v2.RandomErasing(**options))
    return v2.Compose([*_colors(how), *geometry, *([] if sized else _sized(how)), *colors, *_values(how), *last])


def mixing(recipe: Recipe, classes: int) -> Any:
    """Return what mixes the samples of a batch (mixup, Zhang et al. 2018; CutMix, Yun et al. 2019); None where nothing does."""
    chosen = [v2.MixUp(alpha=recipe.mixup, num_classes=classes)] if recipe.mixup else []
    chosen += [v2.CutMix(alpha=recipe.cutmix, num_classes=classes)] if recipe.cutmix else []
    return v2.RandomChoice(chosen) if chosen else None


def _mode(how: Preparation) -> Any:
    return v2.InterpolationMode(MODES[how.interpolation])


def _colors(how: Preparation) -> list[Transform]:
    return [v2.Grayscale(1) if how.channels == 1 else v2.RGB()]


def _resized(how: Preparation) -> list[Transform]:
    """Return what brings an image to the size from which a part is cut out."""
    if not how.resize:
        return [] if how.fit == "pad" else [v2.Resize(list(how.size), interpolation=_mode(how), antialias=True)]
    return [v2.Resize(list(how.resize), interpolation=_mode(how), antialias=True)]


def _sized(how: Preparation) -> list[Transform]:
    return [*_resized(how), v2.CenterCrop(list(how.size))]  # which pads an image that is smaller


def _values(how: Preparation) -> list[Transform]:
    scaled = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)]
    return [*scaled, v2.Normalize(list(how.mean), list(how.std))] if how.mean else scaled


@dataclass(frozen=True)
class Prepared(Dataset[tuple[Tensor, int, int]]):
    """Samples as inputs, classes, and numbers in the data set.

    The random changes of a sample depend on the seed, the epoch and its number alone: neither on the worker nor on where a run was
    resumed. An index is `(epoch, number)`. A sample that is bad is None, or raises BadSample if `strict`.
    """

    samples: Samples
    transform: Transform
    seed: int = 0
    strict: bool = True

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: tuple[int, int]) -> Any:
        epoch, number = index
        try:
            label, image = self.samples.label(number), self.samples.image(number)
        except BadSample as error:
            if self.strict:
                raise
            return str(error)
        with seeded(self.seed * 1_000_003 + epoch * 1_000_000_007 + number):
            return self.transform(image), label, number


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the random generator of the CPU; afterwards it is as before.

    `torch.manual_seed` would also keep the seed, and the stack of the call, for a GPU that is not in use yet: at each call, for good.
    """
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed % 2**63)
    try:
        yield
    finally:
        torch.set_rng_state(before)


def collated(items: Sequence[Any]) -> tuple[Tensor, Tensor, list[int], list[str]]:
    """Return the inputs, classes and numbers of a batch, and why samples are missing in it."""
    kept = [item for item in items if not isinstance(item, str)]
    bad = [item for item in items if isinstance(item, str)]
    if not kept:
        return torch.empty(0), torch.empty(0, dtype=torch.long), [], bad
    images, labels, numbers = zip(*kept, strict=True)
    return torch.stack(images), torch.tensor(labels), list(numbers), bad


def in_turn(numbers: Sequence[int], size: int) -> list[list[tuple[int, int]]]:
    """Return samples in their order, in batches of a size, as `Prepared` takes them."""
    return [[(0, number) for number in numbers[begin : begin + size]] for begin in range(0, len(numbers), size)]


def loaded(samples: Prepared, batches: Sequence[Sequence[tuple[int, int]]], workers: int, pinned: bool = False) -> DataLoader[Any]:
    """Return what loads batches of samples. It has a random generator of its own, or each one would move on the global one."""
    return DataLoader(
        samples,
        batch_sampler=batches,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=collated,
        pin_memory=pinned,
        generator=torch.Generator(),
    )
