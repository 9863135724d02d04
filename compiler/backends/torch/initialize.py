"""Initialize the tensors of a part as the file states, such as by `init=he_normal`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from archc.compiler.lowering.program import Fill

# He et al. 2015, arXiv:1502.01852, section 2.2; Glorot & Bengio 2010, equation 16.
FILLS: dict[str, Callable[[Tensor, Mapping[str, Any]], object]] = {
    "he_normal": lambda t, a: nn.init.kaiming_normal_(t, mode=a["mode"], nonlinearity="relu"),
    "he_uniform": lambda t, a: nn.init.kaiming_uniform_(t, mode=a["mode"], nonlinearity="relu"),
    "xavier_normal": lambda t, a: nn.init.xavier_normal_(t),
    "xavier_uniform": lambda t, a: nn.init.xavier_uniform_(t),
    "normal": lambda t, a: nn.init.normal_(t, 0.0, a["std"]),
    "trunc_normal": lambda t, a: nn.init.trunc_normal_(t, 0.0, a["std"], -2 * a["std"], 2 * a["std"]),
    "uniform": lambda t, a: nn.init.uniform_(t, -a["bound"], a["bound"]),
    "constant": lambda t, a: nn.init.constant_(t, a["value"]),
}


def initialize(tensors: Mapping[str, Tensor], initial: Mapping[str, Fill]) -> None:
    """Fill tensors, given by name, in place; those that `initial` does not name keep their values."""
    for name, fill in initial.items():
        FILLS[fill.name](tensors[name], fill.settings)
