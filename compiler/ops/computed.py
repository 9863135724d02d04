"""Weights of a layer that are computed from its trained tensors: weight standardization and spectral normalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from archc.compiler.ops.call import Call
from archc.compiler.ops.kinds import Recipe, Word
from archc.compiler.ops.record import Attr, Weights
from archc.dsl.diagnostics import Fault
from archc.dsl.vocabulary import shapes as says

PLAIN = Word("plain")
ORIGINAL = "parametrizations.weight.original"  # the keys of torch.nn.utils.parametrizations.spectral_norm
VECTORS = "parametrizations.weight.0"
MEANING = "how weights are computed from the trained ones; `plain`: they are the trained ones"

WEIGHT = Attr(
    "weight",
    Recipe({"plain": {}, "standardized": {"eps": 1e-6}, "scaled": {"gamma": 1.0, "eps": 1e-6}, "spectral": {}}),
    PLAIN,
    MEANING,
)
SPECTRAL_WEIGHT = Attr("weight", Recipe({"plain": {}, "spectral": {}}), PLAIN, MEANING)
PREFIX = {"plain": "nn.", "standardized": "archc.Standardized", "scaled": "archc.Scaled", "spectral": "archc.Spectral"}


def is_plain(attrs: Mapping[str, Any]) -> bool:
    """Return whether the weights of a layer are its trained ones, so that rewrites may compute with them."""
    return bool(attrs.get("weight", PLAIN) == PLAIN)


def check(call: Call, shape: Sequence[int]) -> None:
    """Raise Fault for weights of the given shape that cannot be computed: with a connection table, or one value to standardize."""
    word = call.attrs["weight"].text
    if word != "plain" and call.attrs.get("from") is not None:
        instead = "`from` leaves out parts of the kernels, which then have no common deviation or norm: leave one of them out"
        raise Fault(says.out_of_range("`weight`", word, "plain with a connection table", "weight", instead=instead))
    if word in ("standardized", "scaled") and prod(shape[1:]) == 1:
        instead = "each kernel is divided by the deviation of its values, which is 0 here: write `weight=plain`"
        raise Fault(says.out_of_range("the number of values in a kernel", 1, f"at least 2 for weight={word}", "weight", instead=instead))


def tensors(call: Call, shape: tuple[int, ...]) -> Weights:
    """Return the trained tensors of a weight of the given shape, with a gain for each output channel if it is `scaled`."""
    word = call.attrs["weight"].text
    if word == "spectral":
        return {ORIGINAL: shape}
    return {"weight": shape} | ({"gain": (shape[0], *(1,) * (len(shape) - 1))} if word == "scaled" else {})


def vectors(call: Call, shape: tuple[int, ...], axis: int = 0) -> Weights:
    """Return the buffers of spectral normalization: the first singular vectors of the weight as a matrix, whose rows are an axis."""
    if call.attrs["weight"].text != "spectral":
        return {}
    rows = shape[axis]
    return {f"{VECTORS}._u": (rows,), f"{VECTORS}._v": (prod(shape) // rows,)}


def values(call: Call, shape: tuple[int, ...]) -> int:
    """Count the values of a computed weight; 0 for the trained one."""
    return 0 if is_plain(call.attrs) else prod(shape)


def kept(call: Call, shape: tuple[int, ...], axis: int = 0) -> int:
    """Count the values kept for a computed weight: itself, and means, deviations and gains, or vectors and their product."""
    more = {"standardized": 2 * shape[0], "scaled": 3 * shape[0], "spectral": shape[axis] + prod(shape) // shape[axis] + 1}
    return values(call, shape) + more.get(call.attrs["weight"].text, 0)


def target(call: Call, name: str) -> str:
    """Return the target of a layer that torch.nn calls `name`."""
    return PREFIX[call.attrs["weight"].text] + name


def settings(call: Call) -> dict[str, Any]:
    """Return the arguments that the option adds to the constructor of the layer."""
    return dict(call.attrs["weight"].args)
