"""RECIPE.toml -> Recipe: how a network is trained. Free of torch; every wrong setting is refused with its line."""

from __future__ import annotations

import re
import tomllib
from math import cos, pi
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from archc.compiler.errors import UsageError
from archc.compiler.files import read_regular, reason
from archc.dsl.vocabulary.spelling import did_you_mean

MAX_BYTES = 2**20
RECIPES = Path(__file__).parent / "recipes"

Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class WrongRecipe(UsageError):
    """A recipe cannot be used; the message has the file, the line, what is wrong and what was expected."""


class Settings(BaseModel):
    """A table of a recipe: its settings are typed, and no other is accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Schedule(Settings):
    """The learning rate over time, as a factor of the base rate.

    It rises linearly over `warmup` epochs. Then it is `constant`; or follows `steps`: from each epoch of `at` on it is multiplied by
    `gamma`, or by the number at that place in a list; or `cosine` to the factor `floor`; or `polynomial` to `floor`, with `power`.
    """

    kind: Literal["constant", "steps", "cosine", "polynomial"] = "constant"
    warmup: Weight = 0.0
    at: tuple[Weight, ...] = ()
    gamma: Positive | tuple[Positive, ...] = 0.1
    power: Positive = 1.0
    floor: Share = 0.0

    @model_validator(mode="after")
    def _one_for_each(self) -> Self:
        if isinstance(self.gamma, tuple) and len(self.gamma) != len(self.at):
            raise ValueError(f"`gamma` is a number, or a list of {len(self.at)}, one for each epoch of `at`")
        if list(self.at) != sorted(self.at):
            raise ValueError("the epochs of `at` are in ascending order")
        return self

    def factor(self, epoch: float, epochs: float) -> float:
        """Return the factor at a time in epochs from the start; `epochs` is the length of the whole run."""
        if epoch < self.warmup:
            return epoch / self.warmup
        if self.kind == "steps":
            gammas = self.gamma if isinstance(self.gamma, tuple) else (self.gamma,) * len(self.at)
            factor = 1.0
            for at, gamma in zip(self.at, gammas, strict=True):
                factor *= gamma if epoch >= at else 1.0
            return factor
        left = 1 - min(1.0, (epoch - self.warmup) / max(epochs - self.warmup, 1e-12))
        if self.kind == "cosine":
            return self.floor + (1 - self.floor) * (1 - cos(pi * left)) / 2
        if self.kind == "polynomial":
            return float(self.floor + (1 - self.floor) * left**self.power)
        return 1.0


class Sgd(Settings):
    """Stochastic gradient descent, torch.optim.SGD."""

    name: Literal["sgd"] = "sgd"
    momentum: Share = 0.0
    nesterov: bool = False


class Adam(Settings):
    """Adam, or AdamW with decoupled weight decay: torch.optim.Adam and AdamW."""

    name: Literal["adam", "adamw"]
    betas: tuple[Share, Share] = (0.9, 0.999)
    eps: Positive = 1e-8


class RmsProp(Settings):
    """RMSprop, torch.optim.RMSprop."""

    name: Literal["rmsprop"]
    alpha: Share = 0.99
    momentum: Share = 0.0
    eps: Positive = 1e-8


class RandomCrop(Settings):
    """A crop of the network's size, of the image with `padding` pixels on every side."""

    name: Literal["random_crop"]
    padding: Annotated[int, Field(ge=0)] = 0


class RandomResizedCrop(Settings):
    """A part of the image with `scale` of its area and a side `ratio`, resized to the network's size."""

    name: Literal["random_resized_crop"]
    scale: tuple[Positive, Positive] = (0.08, 1.0)
    ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)


class HorizontalFlip(Settings):
    """The mirrored image, with probability `p`."""

    name: Literal["horizontal_flip"]
    p: Share = 0.5


class Rotation(Settings):
    """The image turned by up to so many `degrees` to either side."""

    name: Literal["rotation"]
    degrees: Weight


class ColorJitter(Settings):
    """Changed brightness, contrast, saturation and hue, by factors of up to 1 plus or minus each."""

    name: Literal["color_jitter"]
    brightness: Weight = 0.0
    contrast: Weight = 0.0
    saturation: Weight = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0


class TrivialAugment(Settings):
    """One random change of random strength (Müller and Hutter 2021)."""

    name: Literal["trivial_augment"]


class RandAugment(Settings):
    """`num_ops` random changes of one strength (Cubuk et al. 2020)."""

    name: Literal["rand_augment"]
    num_ops: Annotated[int, Field(ge=0)] = 2
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9


class RandomErasing(Settings):
    """A rectangle set to 0 after the values are standardized, with probability `p` (Zhong et al. 2020)."""

    name: Literal["random_erasing"]
    p: Share = 0.25


Optimizer = Annotated[Sgd | Adam | RmsProp, Field(discriminator="name")]
Augmentation = Annotated[
    RandomCrop | RandomResizedCrop | HorizontalFlip | Rotation | ColorJitter | TrivialAugment | RandAugment | RandomErasing,
    Field(discriminator="name"),
]


class Recipe(Settings):
    """How a network is trained.

    `batch` is the number of samples of one step, over all processes and `accumulate` passes. `rate` is the base learning rate. `decay` is
    the weight decay, which with `no_decay` leaves out tensors of one axis, such as biases. `outputs` weighs the losses of further
    outputs, by name. `average` is the decay of a moving average of the weights, 0 for none. `clip` is the largest norm of the gradient,
    0 for no limit. `mixup` and `cutmix` are the parameters of their Beta distributions, 0 for none. `fit` is how images come to the
    network's size where the network does not say; `mean` and `std` by channel, on values from 0 to 1, likewise.
    """

    epochs: Positive = 10.0
    batch: Annotated[int, Field(ge=1)] = 64
    accumulate: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    optimizer: Optimizer = Sgd()
    rate: Weight = 0.1
    schedule: Schedule = Schedule()
    decay: Weight = 0.0
    no_decay: bool = False
    loss: Literal["cross_entropy", "rbf"] = "cross_entropy"
    smoothing: Share = 0.0
    outputs: dict[str, Weight] = {}
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    clip: Weight = 0.0
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    channels_last: bool = False
    augment: tuple[Augmentation, ...] = ()
    mixup: Weight = 0.0
    cutmix: Weight = 0.0
    fit: Literal["resize", "pad"] = "resize"
    mean: tuple[Finite, ...] = ()
    std: tuple[Positive, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.batch % self.accumulate:
            raise ValueError(f"`accumulate` divides `batch`, and {self.accumulate} does not divide {self.batch}")
        if len(self.mean) != len(self.std):
            raise ValueError("`mean` and `std` both have a number for each channel")
        if self.schedule.warmup > self.epochs:
            raise ValueError("`warmup` is no longer than `epochs`")
        if self.loss == "rbf" and (self.smoothing or self.mixup or self.cutmix):
            raise ValueError("the loss `rbf` has one right class: `smoothing`, `mixup` and `cutmix` are for `cross_entropy`")
        return self

    def in_passes(self, passes: int) -> Recipe:
        """Return the recipe with another number of passes for a batch. Raises WrongRecipe where they do not divide it."""
        if self.batch % passes:
            raise WrongRecipe(f"divides the recipe's batch of {self.batch}, and {passes} does not", option="passes", given=passes)
        return self.model_copy(update={"accumulate": passes})

    def rate_at(self, step: int, per_epoch: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        return self.rate * self.schedule.factor(step / per_epoch, self.epochs)

    def steps(self, per_epoch: int) -> int:
        """Return the number of steps of the whole run, at least one."""
        return max(1, round(self.epochs * per_epoch))


def known() -> list[str]:
    """Return the names of the recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def read(name: str) -> Recipe:
    """Return a recipe: a .toml file, or one that comes with the package, by its name. Raises WrongRecipe."""
    path = Path(name)
    if path.suffix != ".toml":
        if name not in known():
            raise WrongRecipe(f"is a .toml file or one of {', '.join(known())}, not {name}", option="recipe", given=name, known=known())
        path = RECIPES / f"{name}.toml"
    try:
        text = read_regular(path, MAX_BYTES).decode()
    except (OSError, ValueError) as error:
        raise WrongRecipe(f"{name}: {reason(error)}") from None
    return parsed(text, path.name)


def parsed(text: str, name: str) -> Recipe:
    """Return the recipe that a text states. Raises WrongRecipe."""
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise WrongRecipe(f"{name} is not TOML: {error}") from None
    except ValidationError as error:
        problems = [_problem(text, name, dict(found)) for found in error.errors(include_url=False)]
        raise WrongRecipe("\n".join(problems)) from None


def _problem(text: str, name: str, found: dict[str, Any]) -> str:
    """Return one problem as a line of text, with the place of the setting."""
    place = [str(part) for part in found["loc"]]
    key = next((part for part in reversed(place) if re.search(rf"\b{re.escape(part)}\b", text) and not part.isdigit()), "")
    line = next((number for number, each in enumerate(text.split("\n"), 1) if key and re.search(rf"\b{re.escape(key)}\b", each)), 1)
    message = str(found["msg"]).removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        model = {"schedule": Schedule}.get(place[0], Recipe)
        known = list(model.model_fields) if len(place) == 1 or model is not Recipe else []
        meant = known and (did_you_mean(place[-1], known) or f"the settings are {', '.join(known)}")
        return f"{name}:{line}: there is no setting `{'.'.join(place)}`{f'; {meant}' if meant else ''}"
    return f"{name}:{line}: {f'`{key}`: ' if key else ''}{message[:1].lower()}{message[1:]}"
