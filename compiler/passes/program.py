"""A network on its way to a backend: its graph, and how weights are made that the file does not have."""

from __future__ import annotations

from dataclasses import dataclass, field

from archc.compiler.graph import ArchGraph


@dataclass(frozen=True)
class Own:
    """The weights that the network has under a key."""

    key: str

    def sources(self) -> tuple[str, ...]:
        """The keys of the network from which weights are made; so for every recipe."""
        return (self.key,)


@dataclass(frozen=True)
class Folded:
    """A convolution with a batch norm behind it, as one: `W' = s*W`, `b' = s*(b - mean) + beta`, `s = gamma/sqrt(var + eps)`."""

    conv: WeightRecipe
    norm: str
    eps: float

    def sources(self) -> tuple[str, ...]:
        return (*self.conv.sources(), self.norm)


@dataclass(frozen=True)
class Joined:
    """Convolutions side by side as one: their kernels, and biases, one behind the other along the outputs."""

    parts: tuple[WeightRecipe, ...]

    def sources(self) -> tuple[str, ...]:
        return tuple(key for part in self.parts for key in part.sources())


WeightRecipe = Own | Folded | Joined


@dataclass
class Program:
    """`recipes` is for the keys whose weights are not those of the file."""

    graph: ArchGraph
    recipes: dict[str, WeightRecipe] = field(default_factory=dict)

    def recipe(self, key: str) -> WeightRecipe:
        return self.recipes.get(key, Own(key))
