"""The initialisation that a file states, `init=he_normal`, carried out on a module's tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from archc.compiler.ops.kinds import Word

Fill = Callable[[Tensor, dict[str, Any]], object]

# He et al. 2015, arXiv:1502.01852, section 2.2; Glorot & Bengio 2010, equation 16.
FILLS: dict[str, Fill] = {
    "he_normal": lambda t, a: nn.init.kaiming_normal_(t, mode=a["mode"], nonlinearity="relu"),
    "he_uniform": lambda t, a: nn.init.kaiming_uniform_(t, mode=a["mode"], nonlinearity="relu"),
    "xavier_normal": lambda t, a: nn.init.xavier_normal_(t),
    "xavier_uniform": lambda t, a: nn.init.xavier_uniform_(t),
    "normal": lambda t, a: nn.init.normal_(t, 0.0, a["std"]),
    "trunc_normal": lambda t, a: nn.init.trunc_normal_(t, 0.0, a["std"], -2 * a["std"], 2 * a["std"]),
    "uniform": lambda t, a: nn.init.uniform_(t, -a["bound"], a["bound"]),
    "constant": lambda t, a: nn.init.constant_(t, a["value"]),
}


def initialize(module: nn.Module, attrs: Mapping[str, Any]) -> None:
    """Draw weight and bias anew where the options say how; `torch` leaves what the constructor drew."""
    for option, name in (("init", "weight"), ("bias_init", "bias")):
        recipe = attrs.get(option)
        tensor = getattr(module, name, None)
        if isinstance(recipe, Word) and recipe.text != "torch" and isinstance(tensor, Tensor):
            settings = {key: str(value) if isinstance(value, Word) else value for key, value in recipe.args}
            FILLS[recipe.text](tensor, settings)
