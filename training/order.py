"""Which samples a step takes: a function of seed, epoch and step alone, so that a resumed run goes on with the next one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from archc.compiler.errors import UsageError
from archc.training.recipe import Recipe


@dataclass(frozen=True)
class Order:
    """The batches of one process among several.

    A batch of the recipe is shared out over processes and passes evenly. What is left over at the end of an epoch is left out of it;
    every epoch has another order.
    """

    samples: int
    batch: int  # over all processes and passes
    passes: int
    rank: int
    world: int
    seed: int

    @property
    def per_epoch(self) -> int:
        """The number of steps of an epoch."""
        return self.samples // self.batch

    @property
    def share(self) -> int:
        """The number of samples that one process takes in one pass."""
        return self.batch // (self.passes * self.world)

    def passes_of(self, epoch: int, first_step: int) -> Iterator[list[tuple[int, int]]]:
        """Yield the samples of each pass of this process, from a step of an epoch to its end, as `(epoch, number)`."""
        drawn = torch.Generator().manual_seed((self.seed * 1_000_003 + epoch) % 2**63)
        numbers = torch.randperm(self.samples, generator=drawn).tolist()
        for step in range(first_step, self.per_epoch):
            for part in range(self.passes):
                begin = step * self.batch + (part * self.world + self.rank) * self.share
                yield [(epoch, number) for number in numbers[begin : begin + self.share]]


def order(samples: int, recipe: Recipe, rank: int, world: int) -> Order:
    """Return the order of a run. Raises UsageError where a batch cannot be shared out, or the data has no whole batch."""
    batch = min(recipe.batch, samples) if recipe.accumulate * world == 1 else recipe.batch
    if batch > samples:
        raise UsageError(f"a batch has {batch} samples, and the data only {samples}: make `batch` in the recipe smaller")
    if batch % (recipe.accumulate * world):
        raise UsageError(f"a batch of {batch} cannot be shared out evenly over {world} processes with {recipe.accumulate} passes each")
    return Order(samples, batch, recipe.accumulate, rank, world, recipe.seed)
