"""What is minimized: the loss of a network's outputs, and the scores by which its classes are ranked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F

from archc.compiler.errors import UsageError
from archc.compiler.graph import ArchGraph
from archc.training.recipe import Recipe

RBF_BOUND = 1.0  # the positive constant j of the paper, which is not stated there: the penalty of a sample far from all codes


def cross_entropy(output: Tensor, target: Tensor, smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy of logits `(N, classes)` against classes `(N,)`, or against shares `(N, classes)`."""
    return F.cross_entropy(output.float(), target, label_smoothing=smoothing)


def rbf(distances: Tensor, target: Tensor) -> Tensor:
    """Return LeNet-5's discriminative loss of squared distances `(N, classes)` to the codes of the classes `(N,)`.

    The mean of `y[target] + log(exp(-j) + sum over i of exp(-y[i]))` (LeCun et al. 1998, equation 9).
    """
    distances = distances.float()
    bound = distances.new_full((len(distances), 1), -RBF_BOUND)
    rivals = torch.logsumexp(torch.cat([bound, -distances], dim=1), dim=1)
    return (distances.gather(1, target[:, None])[:, 0] + rivals).mean()


@dataclass(frozen=True)
class Loss:
    """The loss of a network by a recipe, and how its main output ranks the classes."""

    main: str
    weights: Mapping[str, float]
    measure: Callable[[Tensor, Tensor], Tensor]
    distances: bool  # whether smaller values of the output are better

    def __call__(self, outputs: Tensor | Mapping[str, Tensor], target: Tensor) -> Tensor:
        """Return the sum of the losses of all outputs, each times its weight."""
        named = {self.main: outputs} if isinstance(outputs, Tensor) else outputs
        total = self.measure(rows(named[self.main]), target)
        for name, weight in self.weights.items():
            total = total + weight * self.measure(rows(named[name]), target)
        return total

    def scores(self, outputs: Tensor | Mapping[str, Tensor]) -> Tensor:
        """Return the scores `(N, classes)` of the main output, the largest for the likeliest class."""
        output = rows(outputs if isinstance(outputs, Tensor) else outputs[self.main]).float()
        return -output if self.distances else output


def rows(output: Tensor) -> Tensor:
    """Return an output `(N, classes)`, also where the network leaves it as a map of one place, `(N, classes, 1, 1)`."""
    return output.flatten(1)


def main_output(graph: ArchGraph) -> str:
    """Return the name of the first output in evaluation."""
    return next(name for name, output in graph.outputs.items() if not output.training_only)


def tells_distances(graph: ArchGraph) -> bool:
    """Return whether the smallest value of the main output is that of the likeliest class."""
    return graph[graph.outputs[main_output(graph)].node].op == "rbf"


def values_of(graph: ArchGraph, output: str) -> int:
    """Return the number of values of an output for one sample; 0 where a size is open."""
    return prod(size if isinstance(size, int) else 0 for size in graph[graph.outputs[output].node].shape)


def loss_of(graph: ArchGraph, recipe: Recipe, classes: int) -> Loss:
    """Return the loss of a network by a recipe. Raises UsageError where outputs, classes or the kind of the loss do not fit."""
    main = main_output(graph)
    if sum(not output.training_only for output in graph.outputs.values()) > 1:
        raise UsageError(f"{graph.name} has several outputs in evaluation: only networks with one are trained as classifiers")
    further = [name for name in graph.outputs if name != main]
    for name in recipe.outputs:
        if name not in further:
            known = f"its further outputs are {', '.join(further)}" if further else "it has one output"
            raise UsageError(f"the recipe weighs the loss of an output `{name}`, which {graph.name} does not have: {known}")
    if missing := [name for name in further if name not in recipe.outputs]:
        raise UsageError(f"{graph.name} has the output `{missing[0]}` in training, and the recipe gives its loss no weight in `outputs`")
    for name in (main, *further):
        size = values_of(graph, name)
        if size != classes:
            cure = "set the parameter that states their number, as in --set classes=10, or change the last layer"
            raise UsageError(f"the data has {classes} classes, and the output `{name}` of {graph.name} has {size} values: {cure}")
    last = graph[graph.outputs[main].node].op
    if last in ("softmax", "log_softmax"):
        raise UsageError(
            f"{graph.name} ends with {last}, which the loss has in itself: leave it out to train, and add it to what is trained"
        )
    distances = tells_distances(graph)
    if distances != (recipe.loss == "rbf"):
        wanted = "rbf" if distances else "cross_entropy"
        raise UsageError(
            f'`{main}` of {graph.name} {"holds distances" if distances else "holds scores"}: the recipe needs loss = "{wanted}"'
        )
    measure = rbf if distances else lambda output, target: cross_entropy(output, target, recipe.smoothing)
    return Loss(main, dict(recipe.outputs), measure, distances)
