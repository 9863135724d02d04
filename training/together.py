"""Runs in which each process holds a part of one network: they take the same samples, and what is saved is the whole network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from archc.compiler.errors import UsageError
from archc.training import checkpoint
from archc.training.data import BadData
from archc.training.loop import Batch, Run
from archc.training.measure import Counts
from archc.training.optimizers import optimizer
from archc.training.prepare import Prepared, evaluating, in_turn, seeded

Named = dict[str, Any]


class Together(Run):
    """A run whose processes hold parts of one network. A part's keys are those of the whole network."""

    reads = True  # whether this process needs samples

    # ---- what the ways to part a network differ in

    def merged(self, parts: Sequence[Mapping[str, Any]]) -> Named:
        """Return the state of the whole network, from those of all processes by key."""
        return {key: value for part in parts for key, value in part.items()}

    def own(self, key: str, value: Any) -> Any:
        """Return the share of this process of what is saved under a key."""
        return value

    def squares(self) -> Tensor:
        """Return the sum of the squares of the gradients in this process, without those that another one counts."""
        return _squares(list(self.module.parameters()))

    def losses(self, batches: list[Batch]) -> Tensor:
        """Go forward and backward through the passes of a step; return the loss, the same in all processes."""
        raise NotImplementedError

    def evaluated(self, batches: Sequence[Sequence[tuple[int, int]]], samples: Prepared, module: nn.Module) -> Counts:
        """Return how a network does on batches of samples, the same in all processes."""
        raise NotImplementedError

    # ---- the run

    def share(self) -> tuple[int, int]:
        """Take all samples, as one process does."""
        return 0, 1

    def set_up(self) -> tuple[Any, Any]:
        """Return the part that this process trains, and its optimizer."""
        return self.module, optimizer(self.module, self.recipe)

    def weights(self, average: bool = False) -> Mapping[str, Tensor]:
        """Return the whole state of the network, in the first process; in others, nothing."""
        module = self.average.module if average and self.average is not None else self.module
        return self._together(module.state_dict())

    def state(self) -> dict[str, Any]:
        """Return all that decides how the run goes on; whole in the first process."""
        mine = {
            name: self.optimizer.state[parameter] for name, parameter in self.module.named_parameters() if parameter in self.optimizer.state
        }
        average = None if self.average is None else self._together(self.average.module.state_dict())
        return {
            **self.progress(),
            "weights": self.weights(),
            "optimizer": self._together(mine),
            "average": average,
            "averaged": 0 if self.average is None else int(self.average.n_averaged),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state: take from it what belongs to this process."""
        self._load(self.module, state["weights"])
        if self.average is not None:
            self._load(self.average.module, state["average"])
            self.average.n_averaged.fill_(state["averaged"])
        for name, parameter in self.module.named_parameters():
            if name in state["optimizer"]:
                saved = state["optimizer"][name]
                self.optimizer.state[parameter] = {
                    key: self._part(name, value, parameter) if isinstance(value, Tensor) else value for key, value in saved.items()
                }
        self.go_back(state)

    def _part(self, name: str, value: Tensor, parameter: Tensor) -> Tensor:
        """Return the share of a state of the optimizer: a tensor for each weight, or one number."""
        part = self.own(name, value) if value.ndim else value
        return part.clone().to(parameter.device if value.ndim else value.device)

    def _load(self, module: nn.Module, whole: Mapping[str, Tensor]) -> None:
        module.load_state_dict({key: self.own(key, whole[key]) for key in module.state_dict()})

    def _together(self, part: Mapping[str, Any]) -> Named:
        """Gather by key what the processes hold; in others than the first, nothing comes."""
        plain = {key: _on_cpu(value) for key, value in part.items()}
        found: list[Any] | None = [None] * self.fabric.world_size if self.fabric.is_global_zero else None
        distributed.gather_object(plain, found)
        return self.merged(found) if found is not None else {}

    def backward(self, batches: list[Batch]) -> tuple[Tensor, int]:
        """Go forward and backward through the passes of a step; return the loss, and the number of samples."""
        for _, _, numbers, bad in batches:
            if bad or len(numbers) != self.order.share:
                raise BadData(f"{bad[0] if bad else 'a batch is not full'}: processes that hold parts of a network need whole batches")
        return self.losses(batches), self.order.share * self.order.passes

    def mix(self, x: Tensor, target: Tensor, number: int) -> tuple[Tensor, Tensor]:
        """Mix the samples of a pass, by chance that is the same in all processes."""
        if self.mixed is None:
            return x, target
        with seeded(self.recipe.seed * 1_000_003 + self.step * 1_009 + number):
            return self.mixed(x, target)  # type: ignore[no-any-return]

    def clip(self) -> None:
        """Scale the gradients, so that the norm of all of them is no larger than the recipe says."""
        total = self.squares()
        distributed.all_reduce(total)
        parameters = [parameter for parameter in self.module.parameters() if parameter.grad is not None]
        nn.utils.clip_grads_with_norm_(parameters, self.recipe.clip, total.sqrt())

    def steps_from(self, epoch: int, first: int) -> Iterator[list[Batch]]:
        """Yield the passes of each step; nothing to processes that need none."""
        if self.reads:
            yield from super().steps_from(epoch, first)
        else:
            yield from ([] for _ in range(first, self.order.per_epoch))

    def test(self) -> Counts:
        """Return how the network does on the test samples."""
        samples = Prepared(self.plan.test, evaluating(self.how), strict=True)
        module = self.module if self.average is None else self.average.module
        batches = in_turn(range(len(samples)), self.order.share)
        with torch.no_grad():
            module.eval()
            return self.evaluated(batches, samples, module)

    def save_network(self, name: str) -> None:
        """Write the whole network: the moving average of its weights, where there is one."""
        whole = self.weights(average=True)
        if self.fabric.is_global_zero:
            ordered = {key: whole[key] for key in self.keys}
            checkpoint.save_network(self.plan.folder / name, ordered, self.stored())


def refuse(plan: Any, what: str) -> None:
    """Refuse what is not done for processes that hold parts of one network. Raises UsageError."""
    if plan.shard:
        raise UsageError(f"{what} gives each process a part of the network already: leave out --shard")
    if plan.on_bad == "skip":
        raise UsageError(f"{what} needs whole batches: with it, --on-bad is stop", option="on_bad", given="skip")
    if plan.recipe.precision == "float16":
        raise UsageError(f"the recipe trains in float16, whose scale of the loss {what} does not share: take bfloat16 or float32")


def _squares(parameters: Sequence[Tensor]) -> Tensor:
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    device = parameters[0].device if parameters else None
    return nn.utils.get_total_norm(grads).square() if grads else torch.zeros((), device=device)


def _on_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu()
    return {key: _on_cpu(each) for key, each in value.items()} if isinstance(value, dict) else value
