"""Compute weights by the recipes of passes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from archc.compiler.passes.program import Folded, Joined, WeightRecipe


def computed(recipe: WeightRecipe, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Compute the `weight`, and the `bias` if there is one, of a recipe from the state_dict of the network.

    The arithmetic is in float64, and the result has the dtype of the network's weights.
    """
    if isinstance(recipe, Joined):
        parts = [computed(part, state) for part in recipe.parts]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    if isinstance(recipe, Folded):
        own = computed(recipe.conv, state)
        mean, var = (state[f"{recipe.norm}.{name}"].double() for name in ("running_mean", "running_var"))
        gamma, beta = state.get(f"{recipe.norm}.weight"), state.get(f"{recipe.norm}.bias")  # none where it is not affine
        scale = (1.0 if gamma is None else gamma.double()) / torch.sqrt(var + recipe.eps)
        weight = own["weight"]
        bias = own["bias"].double() if "bias" in own else torch.zeros_like(mean)
        shift = (bias - mean) * scale + (0.0 if beta is None else beta.double())
        shaped = scale.view(-1, *(1,) * (weight.dim() - 1))
        return {"weight": (weight.double() * shaped).to(weight.dtype), "bias": shift.to(weight.dtype)}
    return {name: state[f"{recipe.key}.{name}"] for name in ("weight", "bias") if f"{recipe.key}.{name}" in state}
