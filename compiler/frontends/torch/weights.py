"""Weights that are computed from trained ones: what a kernel is computed from."""

from __future__ import annotations

from typing import Any

from archc.compiler.frontends.torch.reader import Reader


def kernels(reader: Reader, weight: Any) -> tuple[dict[str, Any], dict[str, tuple[int, ...]]]:
    """Return the options that say how a kernel is computed, and the weights that it is computed from."""
    return {}, reader.weights(weight)
