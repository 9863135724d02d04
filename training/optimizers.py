"""The optimizer of a recipe, of torch.optim."""

from __future__ import annotations

from torch import nn, optim

from archc.training.recipe import Recipe

CLASSES: dict[str, type[optim.Optimizer]] = {"sgd": optim.SGD, "adam": optim.Adam, "adamw": optim.AdamW, "rmsprop": optim.RMSprop}


def optimizer(module: nn.Module, recipe: Recipe) -> optim.Optimizer:
    """Return the optimizer of a network's parameters; with `no_decay`, those of one axis are a group without weight decay."""
    settings = recipe.optimizer.model_dump(exclude={"name"})
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [{"params": trained, "weight_decay": recipe.decay}]
    if recipe.no_decay:
        flat = [parameter for parameter in trained if parameter.ndim < 2]
        groups = [{"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": recipe.decay}]
        groups.append({"params": flat, "weight_decay": 0.0})
    return CLASSES[recipe.optimizer.name]([group for group in groups if group["params"]], lr=recipe.rate, **settings)  # type: ignore[call-arg]


def set_rate(chosen: optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in chosen.param_groups:
        group["lr"] = rate
