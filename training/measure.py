"""How well a trained network does: rates over a whole data set, with torchmetrics for all that is more than a count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from archc.training.loss import Loss


@dataclass(frozen=True)
class Counts:
    """Sums over samples, which add up over processes."""

    samples: float = 0
    losses: float = 0.0
    first: float = 0  # the likeliest class is right
    among: float = 0  # the right class is among the five likeliest

    def tensor(self) -> Tensor:
        """Return the sums, to be added up."""
        return torch.tensor([self.samples, self.losses, self.first, self.among], dtype=torch.float64)

    @classmethod
    def of(cls, sums: Any) -> Counts:
        """Return counts from such sums."""
        return cls(*sums.tolist())

    @property
    def loss(self) -> float:
        """The mean loss of the main output."""
        return self.losses / max(1, self.samples)

    @property
    def top1(self) -> float:
        """The share of samples whose likeliest class is right."""
        return self.first / max(1, self.samples)

    @property
    def top5(self) -> float:
        """The share of samples whose class is among the five likeliest."""
        return self.among / max(1, self.samples)


@torch.no_grad()
def evaluated(module: Any, loss: Loss, batches: Iterable[Any], device: torch.device) -> Counts:
    """Return how a network does on batches of samples, in evaluation."""
    sums = torch.zeros(4, dtype=torch.float64)
    module.eval()
    for images, labels, numbers, _ in batches:
        if not numbers:
            continue
        outputs = module(images.to(device))
        target = labels.to(device)
        scores = loss.scores(outputs)
        best = scores.topk(min(5, scores.shape[1]), dim=1).indices
        right = best == target[:, None]
        value = loss.measure(-scores if loss.distances else scores, target)
        sums += torch.tensor(
            [len(numbers), float(value) * len(numbers), float(right[:, 0].sum()), float(right.any(dim=1).sum())], dtype=torch.float64
        )
    return Counts.of(sums)
