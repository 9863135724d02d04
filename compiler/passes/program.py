"""A network between passes: its graph, and recipes for weights that differ from those of the file."""

from __future__ import annotations

from dataclasses import dataclass, field

from archc.compiler.graph import ArchGraph


@dataclass(frozen=True)
class Own:
    """The network's own weights under a key."""

    key: str

    def sources(self) -> tuple[str, ...]:
        """Return the keys of the network that the weights are computed from."""
        return (self.key,)


@dataclass(frozen=True)
class Folded:
    """A layer with the batch norm after it folded in: `W' = s*W`, `b' = s*(b - mean) + beta`, `s = gamma/sqrt(var + eps)`.

    `norm` is the key of the batch norm, and `eps` its epsilon.
    """

    conv: WeightRecipe
    norm: str
    eps: float

    def sources(self) -> tuple[str, ...]:
        """Return the keys of the network that the weights are computed from."""
        return (*self.conv.sources(), self.norm)


@dataclass(frozen=True)
class Joined:
    """Several convolutions as one: their kernels and biases, concatenated along the output channels."""

    parts: tuple[WeightRecipe, ...]

    def sources(self) -> tuple[str, ...]:
        """Return the keys of the network that the weights are computed from."""
        return tuple(key for part in self.parts for key in part.sources())


WeightRecipe = Own | Folded | Joined


@dataclass
class Program:
    """A graph, and the recipes, by key, of weights that are not the network's own under that key."""

    graph: ArchGraph
    recipes: dict[str, WeightRecipe] = field(default_factory=dict)

    def recipe(self, key: str) -> WeightRecipe:
        """Return the recipe of the weights under a key."""
        return self.recipes.get(key, Own(key))
