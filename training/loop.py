"""The loop: batches, passes, steps, epochs; states that a run is resumed from to the last bit."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.utils.data import DataLoader

from archc.compiler.errors import UsageError
from archc.compiler.files import write_text
from archc.compiler.graph import ArchGraph
from archc.training import checkpoint, processes, sharding
from archc.training.data import BadData, Samples, numbered
from archc.training.logs import Listener, Logs
from archc.training.loss import Loss, loss_of, main_output, values_of
from archc.training.measure import Counts, evaluated
from archc.training.optimizers import optimizer, set_rate
from archc.training.order import Order, order
from archc.training.prepare import Prepared, evaluating, in_turn, loaded, mixing, preparation, training
from archc.training.recipe import Recipe
from archc.training.stored import Stored

Batch = tuple[Tensor, Tensor, list[int], list[str]]  # images, classes, numbers of the samples, and why some are missing
PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
TOLD = 10  # bad samples are told one by one, up to so many
LOGGED = 50  # steps between rows of the log


@dataclass(frozen=True)
class Plan:
    """What is to be trained, and how a run goes on.

    `folder` holds all that is written. `every` is the number of steps between states, besides the one after each epoch. `on_bad` is
    `stop`, or `skip` for samples that cannot be read and steps whose loss is not a number. With `stages`, each process holds one stage of
    the network, which begin at the labels `at`, or where they balance; `schedule` is the order in which they take micro-batches. With
    `placed`, each process holds what `place` of the file says.
    """

    graph: ArchGraph
    text: str
    recipe: Recipe
    train: Samples
    test: Samples
    folder: Path
    data: str = ""
    resume: bool = False
    device: str = "auto"
    workers: int = 0
    every: int = 0
    on_bad: str = "stop"
    shard: bool = False
    board: bool = False
    weights: str = ""
    stages: int = 0
    at: tuple[str, ...] = ()
    schedule: str = "1f1b"
    placed: bool = False


@dataclass(frozen=True)
class Trained:
    """What came of a run: steps in all, and the rates on the test samples after the last epoch and at best."""

    steps: int
    last: dict[str, Any]
    best: float
    folder: Path
    skipped: int

    def facts(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"steps": self.steps, "top1": self.last.get("top1"), "best": self.best, "folder": str(self.folder), "skipped": self.skipped}


class Run:
    """A run in one process of one or several: what changes while it goes on, which a state holds, and what does not."""

    def __init__(self, plan: Plan, module: nn.Module, fabric: Fabric, listener: Listener) -> None:
        self.plan, self.fabric, self.listener = plan, fabric, listener
        self.recipe = recipe = plan.recipe
        self.how = preparation(plan.graph, recipe)
        self.loss: Loss = loss_of(plan.graph, recipe, len(plan.train.classes))
        self.order: Order = order(len(plan.train), recipe, *self.share())
        self.steps = recipe.steps(self.order.per_epoch)
        layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.keys = list(module.state_dict())  # of the whole network
        self.module = self.part(module).to(fabric.device).to(memory_format=layout)  # type: ignore[call-overload]
        self.layout = layout
        self.average = sharding.average_of(self.module, recipe.average, plan.shard)
        self.wrapped, self.optimizer = self.set_up()
        self.mixed = mixing(recipe, len(plan.train.classes))
        self.step, self.best, self.skipped = 0, -1.0, 0
        self.last: dict[str, Any] = {}

    # ---- what processes share

    def share(self) -> tuple[int, int]:
        """Return which share of the samples this process takes, and of how many."""
        return self.fabric.global_rank, self.fabric.world_size

    def part(self, module: nn.Module) -> nn.Module:
        """Return the part of the network that this process trains: all of it."""
        return module

    def set_up(self) -> tuple[Any, Any]:
        """Return the module as it is called in training, and the optimizer."""
        if self.average is not None:
            sharding.share_out(self.fabric, self.average.module, self.plan.shard)
        return sharding.set_up(self.fabric, self.module, lambda each: optimizer(each, self.recipe), self.plan.shard)

    # ---- states

    def setup(self) -> dict[str, Any]:
        """Return what a run may not change when it is resumed."""
        return {
            "network": self.plan.text,
            "recipe": self.recipe.model_dump(mode="json"),
            "data": [self.plan.data, len(self.plan.train), list(self.plan.train.classes)],
            "processes": self.fabric.world_size,
        }

    def state(self) -> dict[str, Any]:
        """Return all that decides how the run goes on."""
        weights, chosen = sharding.full_state(self.module, self.optimizer, self.plan.shard)
        average = sharding.average_state(self.average, self.plan.shard)
        return {"weights": weights, "optimizer": chosen, "average": average, **self.progress()}

    def progress(self) -> dict[str, Any]:
        """Return the part of a state that is no weights: how far the run is, and the random generators of all processes."""
        return {
            "scaler": self.fabric.strategy.precision.state_dict(),
            "random": _tensor(self.fabric.all_gather(torch.get_rng_state())).reshape(self.fabric.world_size, -1).cpu(),
            "random_cuda": torch.cuda.get_rng_state() if self.fabric.device.type == "cuda" else None,
            "step": self.step,
            "best": self.best,
            "skipped": self.skipped,
            "last": self.last,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to a state."""
        sharding.load_state(self.module, self.optimizer, state["weights"], state["optimizer"], self.plan.shard)
        if self.average is not None:
            sharding.load_average(self.average, state["average"], self.plan.shard)
        self.go_back(state)

    def go_back(self, state: Mapping[str, Any]) -> None:
        """Go back to the progress of a state."""
        self.fabric.strategy.precision.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"][self.fabric.global_rank].clone())  # torch reads it with the alignment of a tensor of its own
        if state["random_cuda"] is not None and self.fabric.device.type == "cuda":
            torch.cuda.set_rng_state(state["random_cuda"])
        self.step, self.best, self.skipped, self.last = state["step"], state["best"], state["skipped"], state["last"]

    def save(self) -> None:
        """Write the state of the run."""
        state = self.state()
        if self.fabric.is_global_zero:
            checkpoint.save(self.plan.folder, state)
        self.fabric.barrier()

    def save_network(self, name: str) -> None:
        """Write the network: the moving average of its weights, where there is one."""
        weights, _ = sharding.full_state(self.module if self.average is None else self.average.module, None, self.plan.shard)
        if self.fabric.is_global_zero:
            checkpoint.save_network(self.plan.folder / name, weights, self.stored())

    def stored(self) -> Stored:
        """Return what the trained network says of itself."""
        recipe = self.recipe.model_dump(mode="json")
        scores = -1 if self.loss.distances else 1
        return Stored(self.plan.text, self.plan.graph.name, self.plan.train.classes, self.how.facts(), recipe, scores)

    # ---- the loop

    def go(self, logs: Logs | None) -> Trained:
        """Train from the step at hand to the last one."""
        while self.step < self.steps:
            epoch, first = divmod(self.step, self.order.per_epoch)
            begin, losses, finite, images = perf_counter(), 0.0, 0, 0
            for batches in self.steps_from(epoch, first):
                loss, count = self._step(batches)
                if isfinite(loss):
                    losses, finite = losses + loss, finite + 1
                images += count
                self.step += 1
                row = {
                    "step": self.step,
                    "epoch": self.step / self.order.per_epoch,
                    "loss": loss,
                    "rate": self.optimizer.param_groups[0]["lr"],
                    "images_per_second": images * self.share()[1] / (perf_counter() - begin),
                }
                self.listener.step(row, self.steps)
                if logs is not None and (self.step % LOGGED == 0 or self.step == 1):
                    logs.step(row)
                if self.step == self.steps:
                    break
                if self.plan.every and self.step % self.plan.every == 0 and self.step % self.order.per_epoch:
                    self.save()
            mean = losses / finite if finite else loss
            self._end_of_epoch({**row, "loss": mean, "seconds": perf_counter() - begin}, logs)
        return Trained(self.step, self.last, self.best, self.plan.folder, self.skipped)

    def _end_of_epoch(self, row: dict[str, Any], logs: Logs | None) -> None:
        counts = self.test()
        self.last = {**row, "test_loss": counts.loss, "top1": counts.top1, "top5": counts.top5}
        if counts.top1 > self.best:
            self.best = counts.top1
            self.save_network(checkpoint.BEST)
        self.save_network(checkpoint.FINAL)
        self.save()
        self.listener.epoch(self.last)
        if logs is not None:
            logs.epoch(self.last)

    def test(self) -> Counts:
        """Return how the network does on the test samples, over all processes: with the buffers of the first, which are saved."""
        module = self.wrapped if self.average is None else self.average.module
        processes.share_buffers(module)
        samples = Prepared(self.plan.test, evaluating(self.how), strict=self.plan.on_bad == "stop")
        batches = in_turn(range(self.fabric.global_rank, len(samples), self.fabric.world_size), self.order.share)
        with self.fabric.autocast():
            counts = evaluated(module, self.loss, self._loaded(samples, batches), self.fabric.device)
        return counts if self.fabric.world_size == 1 else Counts.of(self.fabric.all_reduce(counts.tensor(), reduce_op="sum"))

    def steps_from(self, epoch: int, first: int) -> Iterator[list[Batch]]:
        """Yield the passes of each step from one to the end of its epoch."""
        samples = Prepared(self.plan.train, training(self.how, self.recipe), self.recipe.seed, self.plan.on_bad == "stop")
        passes = iter(self._loaded(samples, list(self.order.passes_of(epoch, first))))
        for _ in range(first, self.order.per_epoch):
            yield [next(passes) for _ in range(self.order.passes)]

    def _loaded(self, samples: Prepared, batches: Sequence[Sequence[tuple[int, int]]]) -> DataLoader[Any]:
        return loaded(samples, batches, self.plan.workers, pinned=self.fabric.device.type == "cuda")

    def _step(self, batches: list[Batch]) -> tuple[float, int]:
        """Take one step; return its loss, and the number of samples in it."""
        self.wrapped.train()
        buffers = [buffer.clone() for buffer in self.module.buffers()] if self.plan.on_bad == "skip" else []
        set_rate(self.optimizer, self.recipe.rate_at(self.step, self.order.per_epoch))
        total, count = self.backward(batches)
        value = float(total)
        if not isfinite(value):
            self._not_finite(value, batches)
            for buffer, before in zip(self.module.buffers(), buffers, strict=True):  # statistics of batch norms have taken part in it
                buffer.copy_(before)
        else:
            if self.recipe.clip:
                self.clip()
            self.optimizer.step()
            if self.average is not None:
                self.average.update_parameters(self.module)
        self.optimizer.zero_grad()
        return value, count

    def backward(self, batches: list[Batch]) -> tuple[Tensor, int]:
        """Go forward and backward through the passes of a step; return the mean loss over processes, and the number of samples here."""
        total, count = torch.zeros((), device=self.fabric.device), 0
        for number, (images, labels, numbers, bad) in enumerate(batches):
            self._tell(bad)
            if not numbers and self.fabric.world_size > 1:
                raise BadData(f"no sample of a batch of this process can be read; the last is: {bad[-1]}")
            if not numbers:
                continue
            x = images.to(self.fabric.device, memory_format=self.layout, non_blocking=True)
            target = labels.to(self.fabric.device, non_blocking=True)
            if self.mixed is not None:
                x, target = self.mixed(x, target)
            with self.fabric.no_backward_sync(self.wrapped, enabled=number < len(batches) - 1):
                loss = self.loss(self.wrapped(x), target) / len(batches)
                self.fabric.backward(loss)
            total, count = total + loss.detach(), count + len(numbers)
        return _tensor(self.fabric.all_reduce(total, reduce_op="mean")), count

    def clip(self) -> None:
        """Scale the gradients, so that their norm is no larger than the recipe says."""
        self.fabric.clip_gradients(self.wrapped, self.optimizer, max_norm=self.recipe.clip, error_if_nonfinite=False)

    def _not_finite(self, value: float, batches: list[Batch]) -> None:
        first = next((numbers[0] for _, _, numbers, _ in batches if numbers), None)
        where = "" if first is None else f"; the batch begins with {self.plan.train.name(first)}"
        text = f"the loss of step {self.step + 1} is {value}{where}"
        if self.plan.on_bad == "stop":
            raise BadData(f"{text}. A smaller `rate`, `clip`, or `warmup` may help; --on-bad skip leaves such steps out")
        self.skipped += 1
        self.listener.note(f"{text}: the step is left out")

    def _tell(self, bad: list[str]) -> None:
        for text in bad:
            self.skipped += 1
            if self.skipped <= TOLD:
                self.listener.note(f"{text}: left out{'; further ones are only counted' if self.skipped == TOLD else ''}")


def _tensor(result: Any) -> Tensor:
    """Return a result of Fabric, which declares that it may be a collection, too."""
    assert isinstance(result, Tensor)
    return result


def connected(plan: Plan) -> Fabric:
    """Return devices, precision and processes: those that torchrun states, or one. Raises UsageError."""
    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    cuda = torch.cuda.is_available() if plan.device == "auto" else plan.device == "cuda"
    if cuda and not torch.cuda.is_available():
        raise UsageError("cuda: torch finds no GPU here; --device cpu works", option="device", given="cuda")
    if plan.recipe.precision == "float16" and not cuda:
        raise UsageError("the recipe trains in float16, which needs a GPU: on a CPU, bfloat16 and float32 are trained")
    fabric = Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=local,
        num_nodes=max(1, world // local),
        strategy=sharding.strategy(plan.shard, world),
        precision=PRECISIONS[plan.recipe.precision],  # type: ignore[arg-type]
    )
    processes.connect(cuda)
    fabric.launch()
    return fabric


def _kind(plan: Plan) -> type[Run]:
    """Return the class of a run by how its processes share the network."""
    if plan.stages:
        from archc.training.stages import StagedRun

        return StagedRun
    if plan.placed:
        from archc.training.placed import PlacedRun

        return PlacedRun
    return Run


def train(plan: Plan, listener: Listener) -> Trained:
    """Train a network by a plan; tell the listener what happens.

    A run in the folder is resumed if the plan says so. Raises UsageError where network, recipe and data do not fit together, BadData for
    data that cannot be used, CannotWrite where the folder cannot be written to.
    """
    size = values_of(plan.graph, main_output(plan.graph))
    plan = replace(plan, train=numbered(plan.train, size), test=numbered(plan.test, size))
    fabric = connected(plan)
    with processes.lost_processes(fabric.world_size):
        return _trained(plan, fabric, listener)


def _trained(plan: Plan, fabric: Fabric, listener: Listener) -> Trained:
    """Train in the processes that are connected."""
    from archc.compiler.backends.torch.lower import lower
    from archc.compiler.backends.torch.weight_files import load_weights

    torch.manual_seed(plan.recipe.seed)
    module = lower(plan.graph)
    if plan.weights:
        load_weights(module, plan.weights, plan.graph.name)
    torch.manual_seed(plan.recipe.seed + fabric.global_rank)  # dropout differs from process to process
    run = _kind(plan)(plan, module, fabric, listener)
    before: dict[str, Any] | None = fabric.broadcast(checkpoint.load(plan.folder) if fabric.is_global_zero else None)
    if before is not None and not plan.resume:
        raise UsageError(f"{plan.folder} holds a run: --resume goes on with it, or give another folder")
    if before is not None:
        if changed := fabric.broadcast(checkpoint.same_setup(plan.folder, run.setup()) if fabric.is_global_zero else ""):
            raise UsageError(f"the run in {plan.folder} had another {changed}: it cannot be resumed with these; give another folder")
        run.restore(before)
        listener.note(f"resumed at step {run.step} of {run.steps}")
    logs = None
    if fabric.is_global_zero:
        write_text(plan.folder / checkpoint.SETUP, json.dumps(run.setup(), indent=1))
        logs = Logs(plan.folder, run.step, plan.board)
    fabric.barrier()
    try:
        return run.go(logs)
    finally:
        if logs is not None:
            logs.close()
