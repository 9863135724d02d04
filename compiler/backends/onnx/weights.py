"""Compute weights by the recipes of passes, as numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from archc.compiler.passes.program import Folded, Joined, WeightRecipe

Arrays = Mapping[str, Any]


def applied(recipes: Mapping[str, WeightRecipe], weights: Arrays) -> dict[str, Any]:
    """Return the weights of a program: those of the network as written, and over them those that recipes compute."""
    changed = {f"{key}.{name}": array for key, recipe in recipes.items() for name, array in computed(recipe, weights).items()}
    return {**weights, **changed}


def computed(recipe: WeightRecipe, state: Arrays) -> dict[str, Any]:
    """Compute the `weight`, and the `bias` if there is one, of a recipe from the weights of the network.

    The arithmetic is in float64, and the result has the dtype of the network's weights.
    """
    if isinstance(recipe, Joined):
        parts = [computed(part, state) for part in recipe.parts]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if isinstance(recipe, Folded):
        own = computed(recipe.conv, state)
        mean, var = _double(state[f"{recipe.norm}.running_mean"]), _double(state[f"{recipe.norm}.running_var"])
        gamma, beta = state.get(f"{recipe.norm}.weight"), state.get(f"{recipe.norm}.bias")  # none where it is not affine
        scale = (1.0 if gamma is None else _double(gamma)) / np.sqrt(var + recipe.eps)
        weight = own["weight"]
        bias = _double(own["bias"]) if "bias" in own else np.zeros_like(mean)
        shift = (bias - mean) * scale + (0.0 if beta is None else _double(beta))
        shaped = scale.reshape(-1, *(1,) * (weight.ndim - 1))
        return {"weight": (_double(weight) * shaped).astype(weight.dtype), "bias": shift.astype(weight.dtype)}
    return {name: state[f"{recipe.key}.{name}"] for name in ("weight", "bias") if f"{recipe.key}.{name}" in state}


def _double(array: Any) -> Any:
    return array.astype(np.float64)
