"""The distributions that weights are drawn from, with their settings."""

from __future__ import annotations

from archc.compiler.ops.kinds import Recipe, Word

INIT = Recipe(
    {
        "torch": {},
        "he_normal": {"mode": Word("fan_in")},
        "he_uniform": {"mode": Word("fan_in")},
        "xavier_normal": {},
        "xavier_uniform": {},
        "normal": {"std": 0.01},
        "trunc_normal": {"std": 0.02},
        "uniform": {"bound": 0.1},
        "constant": {"value": 0.0},
    }
)
