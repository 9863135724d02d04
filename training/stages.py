"""A network in stages, each in a process of its own, by torch.distributed.pipelining: micro-batches follow one another through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, fx, nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleGPipe

from archc.compiler.analysis.cuts import cut_in
from archc.compiler.backends.torch.pieces import piece_module
from archc.compiler.errors import UsageError
from archc.compiler.lowering import lowered_modes
from archc.compiler.lowering.pieces import Piece, pieces
from archc.compiler.lowering.program import LoweredProgram
from archc.training.logs import Listener
from archc.training.loop import Batch, Plan
from archc.training.measure import Counts, evaluated
from archc.training.prepare import Prepared
from archc.training.together import Together, refuse

SCHEDULES: dict[str, Any] = {"1f1b": Schedule1F1B, "gpipe": ScheduleGPipe}


NOTHING: Any = (None, None, None, None)  # what a stage between the first and the last loads


class Wired(nn.Module):
    """A stage as the schedule calls it: it computes in the precision of the run, and sends contiguous tensors of float32."""

    def __init__(self, piece: nn.Module, fabric: Fabric, layout: torch.memory_format) -> None:
        super().__init__()
        self.piece, self.fabric, self.layout = piece, fabric, layout

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Take and return the tensors of the piece."""
        laid = (x.to(memory_format=self.layout) if x.ndim == 4 else x for x in tensors)
        with self.fabric.autocast():
            found = self.piece(*laid)
        return tuple((x.float() if x.is_floating_point() else x).contiguous() for x in found)


class StagedRun(Together):
    """A run whose processes are the stages of a pipeline."""

    def __init__(self, plan: Plan, module: nn.Module, fabric: Fabric, listener: Listener) -> None:
        self.rank, self.stages = fabric.global_rank, fabric.world_size
        self.starts = _starts(plan, fabric.world_size)
        names = [node.name for node in plan.graph]
        self.programs = lowered_modes(plan.graph)
        self.cut = [pieces(program, names, self.starts) for program in self.programs]
        self.reads = self.rank in (0, self.stages - 1)
        super().__init__(plan, module, fabric, listener)
        self.schedule = self._schedule()

    def part(self, module: nn.Module) -> nn.Module:
        """Return the stage of this process."""
        return self._piece(0, module)

    def _piece(self, mode: int, parts: nn.Module) -> fx.GraphModule:
        return piece_module(self.programs[mode], self.cut[mode][self.rank], parts, f"Stage{self.rank}")

    def setup(self) -> dict[str, Any]:
        """Return what a run may not change when it is resumed: also where it is cut."""
        return {**super().setup(), "stages": list(self.starts)}

    def _schedule(self) -> Any:
        program, piece = self.programs[0], self.cut[0][self.rank]
        inputs = piece.takes or program.inputs
        stage = PipelineStage(
            Wired(self.module, self.fabric, self.layout),
            self.rank,
            self.stages,
            self.fabric.device,
            input_args=tuple(self._shape(program, name, bool(piece.takes)) for name in inputs),
            output_args=tuple(self._shape(program, name, True) for name in piece.returns),
        )
        return SCHEDULES[self.plan.schedule](stage, self.order.passes, loss_fn=self._loss, scale_grads=False)

    def _shape(self, program: LoweredProgram, name: str, differentiated: bool) -> Tensor:
        sizes = [size for size in program.graph[name].shape if isinstance(size, int)]
        return torch.empty(self.order.share, *sizes, device="meta", requires_grad=differentiated)

    def _loss(self, outputs: tuple[Tensor, ...], target: Tensor) -> Tensor:
        return self.loss(dict(zip(self.programs[0].outputs, outputs, strict=True)), target) / self.order.passes

    def losses(self, batches: list[Batch]) -> Tensor:
        """Send the passes of a step through the stages as micro-batches."""
        images, labels = [], []
        for number, (x, target, _, _) in enumerate(batches):
            x, target = self.mix(x, target, number)
            images.append(x)
            labels.append(target)
        given = [torch.cat(images).to(self.fabric.device)] if self.rank == 0 else []
        last = self.rank == self.stages - 1
        found: list[Tensor] = []
        self.schedule.step(
            *given,
            target=torch.cat(labels).to(self.fabric.device) if last else None,
            losses=found if last else None,
            return_outputs=False,
        )
        total = torch.stack([loss.detach() for loss in found]).sum() if last else torch.zeros((), device=self.fabric.device)
        distributed.broadcast(total, self.stages - 1)
        return total

    def evaluated(self, batches: Sequence[Sequence[tuple[int, int]]], samples: Prepared, module: nn.Module) -> Counts:
        """Send the batches through the stages in evaluation; the last one counts."""
        program, piece = self.programs[1], self.cut[1][self.rank]
        stage = Wired(self._piece(1, module), self.fabric, self.layout).eval()
        loaded = iter(self._loaded(samples, batches)) if self.reads else None
        sums = torch.zeros(4, dtype=torch.float64, device=self.fabric.device)
        for batch in batches:
            images, labels, numbers, _ = next(loaded) if loaded is not None else NOTHING
            given = [images.to(self.fabric.device)] if self.rank == 0 else self._received(program, piece, len(batch))
            found = stage(*given)
            if self.rank < self.stages - 1:
                for tensor in found:
                    distributed.send(tensor, self.rank + 1)
            else:
                counted = evaluated(
                    _Given(dict(zip(program.outputs, found, strict=True))), self.loss, [(images, labels, numbers, [])], images.device
                )
                sums += counted.tensor().to(sums.device)
        distributed.broadcast(sums, self.stages - 1)
        return Counts.of(sums)

    def _received(self, program: LoweredProgram, piece: Piece, samples: int) -> list[Tensor]:
        received = []
        for name in piece.takes:
            sizes = [size for size in program.graph[name].shape if isinstance(size, int)]
            tensor = torch.empty(samples, *sizes, device=self.fabric.device)
            distributed.recv(tensor, self.rank - 1)
            received.append(tensor)
        return received


class _Given:
    """Outputs that are known, in the place of a network that computes them."""

    def __init__(self, outputs: dict[str, Tensor]) -> None:
        self.outputs = outputs

    def eval(self) -> None:
        """Do nothing: they were computed in evaluation."""

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        return self.outputs


def _starts(plan: Plan, processes: int) -> tuple[str, ...]:
    """Return the nodes with which stages after the first begin. Raises UsageError where network, recipe and processes do not fit."""
    refuse(plan, "--stages")
    if plan.stages != processes:
        raise UsageError(
            f"{plan.stages} stages run in as many processes, and here {'is' if processes == 1 else 'are'} {processes}: "
            f"torchrun --nproc-per-node {plan.stages} ..."
        )
    passes = plan.recipe.accumulate
    if plan.schedule == "1f1b" and passes < processes:
        raise UsageError(
            f"the recipe takes a batch in {passes} pass{'es' * (passes > 1)}, its micro-batches, and {processes} stages in the order 1F1B "
            f"need {processes} or more: --passes {processes}, or --schedule gpipe"
        )
    return cut_in(plan.graph, processes, at=plan.at).starts
