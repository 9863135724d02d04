"""A network on several processes as `place` in its file says: layers whose channels are shared out, and parts that are in one process.

Each process computes what it holds. Where a value is needed elsewhere, all processes take part in sending it. A value that is whole in
every process has in each only a part of its gradient: the sum over the processes is all of it. So the loss is shared out evenly, what is
sent forward is summed up on its way back, and so are gradients of weights that all processes hold.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, fx, nn
from torch.autograd import Function

from archc.compiler.analysis.placing import Layout, layouts, processes_of, wanted
from archc.compiler.backends.torch.nodes import Modules, fx_name, fx_node, tree_of
from archc.compiler.errors import UsageError
from archc.compiler.lowering import lowered_modes
from archc.compiler.lowering.program import LoweredProgram
from archc.training.logs import Listener
from archc.training.loop import Batch, Plan
from archc.training.measure import Counts, evaluated
from archc.training.prepare import Prepared
from archc.training.together import Named, Together, refuse

SLICED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
WIRES = "__wires__"  # where a process holds what sends and receives; it has no weights


class _Gathered(Function):
    """Parts as a whole, along the channels; its gradients are summed up over the processes, of which each takes its part."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, places: tuple[int, ...]) -> Tensor:
        ctx.places, ctx.channels = places, x.shape[1]
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in places]
        distributed.all_gather(parts, x.contiguous())
        return torch.cat([parts[place] for place in places], dim=1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        total = grads[0].contiguous()
        distributed.all_reduce(total)
        own = ctx.places.index(distributed.get_rank()) * ctx.channels
        return total.narrow(1, own, ctx.channels), None, None


class _Spread(Function):
    """The value of one process, in all of them; its gradients are summed up there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor, source: int) -> Tensor:
        ctx.source = source
        whole = x.detach().clone(memory_format=torch.contiguous_format)
        distributed.broadcast(whole, source)
        return whole

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, None, None]:
        total = grads[0].contiguous()
        distributed.all_reduce(total)
        return total if distributed.get_rank() == ctx.source else None, None, None


class _Tied(Function):
    """The loss, with everything that was received tied to it.

    So the way back of each value is taken in every process, also where nothing depends on it. Automatic differentiation takes the last
    operation first, so the processes take the ways back in one order: that of the ways forth, backwards.
    """

    @staticmethod
    def forward(ctx: Any, loss: Tensor, *received: Tensor) -> Tensor:
        ctx.like = [(x.shape, x.dtype, x.device) for x in received]
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        return grads[0], *(torch.zeros(shape, dtype=dtype, device=device) for shape, dtype, device in ctx.like)


class Wire(nn.Module):
    """A value on its way from where it is to all processes. `layout` is where it is, `shape` that of the whole, for one sample."""

    def __init__(self, layout: tuple[int, ...], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.layout, self.shape = layout, shape
        self.received: Tensor | None = None

    def forward(self, like: Tensor, x: Tensor | None = None) -> Tensor:
        """Take the input of the network, for the number of samples, and the value or its part, where this process has it."""
        anchor = torch.zeros((), device=like.device, requires_grad=True)  # so that there is a way back in every process
        if len(self.layout) > 1:
            assert x is not None
            result: Tensor = _Gathered.apply(x, anchor, self.layout)  # type: ignore[no-untyped-call]
        else:
            sent = torch.empty(len(like), *self.shape, device=like.device) if x is None else x.float()
            result = _Spread.apply(sent, anchor, self.layout[0])  # type: ignore[no-untyped-call]
        self.received = result if torch.is_grad_enabled() else None
        return result


def part_of(x: Tensor, number: int, count: int) -> Tensor:
    """Return one of `count` even parts of the channels of a batch."""
    return x.chunk(count, dim=1)[number]


def tied(loss: Tensor, module: nn.Module) -> Tensor:
    """Return the loss of a pass, tied to all that was received in it."""
    wires = [each for each in module.modules() if isinstance(each, Wire)]
    received = [wire.received for wire in wires if wire.received is not None]
    for wire in wires:
        wire.received = None
    result: Tensor = _Tied.apply(loss, *received)  # type: ignore[no-untyped-call]
    return result


def held(program: LoweredProgram, found: Mapping[str, Layout], whole: nn.Module, rank: int) -> Modules:
    """Return the modules and trained tensors that a process holds, by key: those of `whole`, or their share of the channels."""
    modules: Modules = {}
    for step in program.steps:
        layout = found[step.name]
        if step.part is None or step.key in modules or (layout is not None and rank not in layout):
            continue
        around, _, name = step.key.rpartition(".")
        part = getattr(whole.get_submodule(around), name)
        modules[step.key] = _share(step.name, part, layout.index(rank), len(layout)) if layout is not None and len(layout) > 1 else part
    return modules


def _share(name: str, module: nn.Module, number: int, count: int) -> nn.Module:
    """Return a layer with one of `count` even parts of its channels."""
    if not list(module.parameters()):
        return module
    if type(module) not in SLICED:
        raise UsageError(f"{name} is shared out by `place`, and its weights are no plain ones: place it on one process")
    part = copy.deepcopy(module)
    for key, parameter in module.named_parameters():
        setattr(part, key, nn.Parameter(parameter.detach().chunk(count)[number].clone()))
    if isinstance(part, nn.Linear):
        part.out_features //= count
    else:
        part.out_channels //= count  # type: ignore[operator, assignment]
        if part.groups % count == 0:  # type: ignore[operator]
            part.groups, part.in_channels = part.groups // count, part.in_channels // count  # type: ignore[operator, assignment]
    return part


def placed_module(program: LoweredProgram, found: dict[str, Layout], modules: Modules, rank: int, name: str) -> fx.GraphModule:
    """Return what a process computes of a network, as a module that takes the input and returns a tuple of the whole outputs."""
    graph = fx.Graph()
    values: dict[str, fx.Node] = {}
    wholes: dict[str, fx.Node] = {}
    wires: dict[str, nn.Module] = {}

    def whole(of: str) -> fx.Node:
        layout = found[of]
        if layout is None:
            return values[of]
        if of not in wholes:
            key = fx_name(of)
            sizes = tuple(size for size in program.graph[of].shape if isinstance(size, int))
            wires[key] = Wire(layout, sizes)
            own = (values[of],) if of in values else ()
            wholes[of] = graph.call_module(f"{WIRES}.{key}", (values[program.inputs[0]], *own))
        return wholes[of]

    for step in program.steps:
        node, layout = program.graph[step.name], found[step.name]
        operands: dict[str, fx.Node] = {}
        for operand, want in zip(step.operands, wanted(node, found), strict=True):
            if want == found[operand] and want is not None:
                if operand in values:
                    operands[operand] = values[operand]
                continue
            value = whole(operand)  # in every process, since all take part in sending it
            if want is not None and len(want) > 1:
                value = graph.call_function(part_of, (value, want.index(rank), len(want)))
            operands[operand] = value
        if layout is None or rank in layout:
            values[step.name] = fx_node(graph, step, operands, program.body)
    graph.output(tuple(whole(result) for result in program.outputs.values()))
    root = tree_of(modules)
    root.add_module(WIRES, nn.ModuleDict(wires))
    return fx.GraphModule(root, graph, name)


class PlacedRun(Together):
    """A run whose processes hold what `place` says."""

    def __init__(self, plan: Plan, module: nn.Module, fabric: Fabric, listener: Listener) -> None:
        refuse(plan, "--place")
        self.found = layouts(plan.graph)
        self.rank, self.count = fabric.global_rank, processes_of(plan.graph)
        if self.count != fabric.world_size:
            there = f"here {'is' if fabric.world_size == 1 else 'are'} {fabric.world_size}"
            raise UsageError(f"`place` names {self.count} processes, and {there}: torchrun --nproc-per-node {self.count} ...")
        self.programs = lowered_modes(plan.graph)
        by_key = {step.key: self.found[step.name] for step in self.programs[0].steps if step.part is not None}
        self.shared = {key: layout for key, layout in by_key.items() if layout is not None and len(layout) > 1}
        self.everywhere = {key for key, layout in by_key.items() if layout is None}
        super().__init__(plan, module, fabric, listener)

    def part(self, module: nn.Module) -> nn.Module:
        """Return what this process holds."""
        modules = held(self.programs[0], self.found, module, self.rank)
        return placed_module(self.programs[0], self.found, modules, self.rank, f"Place{self.rank}")

    def setup(self) -> dict[str, Any]:
        """Return what a run may not change when it is resumed."""
        return {**super().setup(), "placed": True}

    def _layout_of(self, name: str) -> Layout:
        """Return the layout of a tensor that is shared out, by its name; None for others."""
        return self.shared.get(name.rpartition(".")[0])

    def merged(self, parts: Sequence[Mapping[str, Any]]) -> Named:
        """Return the whole state: parts of a layer one after another, the same tensors of all processes once."""
        whole: Named = {}
        for key in dict.fromkeys(key for part in parts for key in part):
            layout = self._layout_of(key)
            if layout is None:
                whole[key] = next(part[key] for part in parts if key in part)
            else:
                whole[key] = _joined([parts[place][key] for place in layout])
        return whole

    def own(self, key: str, value: Any) -> Any:
        """Return the share of this process of a tensor."""
        layout = self._layout_of(key)
        return value if layout is None else value.chunk(len(layout))[layout.index(self.rank)]

    def _common(self) -> list[nn.Parameter]:
        return [parameter for name, parameter in self.module.named_parameters() if self._is_common(name)]

    def _is_common(self, name: str) -> bool:
        return name in self.everywhere or name.rpartition(".")[0] in self.everywhere

    def squares(self) -> Tensor:
        """Return the sum of the squares of the gradients here; the first process counts those that all have."""
        grads = [
            parameter.grad
            for name, parameter in self.module.named_parameters()
            if parameter.grad is not None and (self.rank == 0 or not self._is_common(name))
        ]
        return nn.utils.get_total_norm(grads).square() if grads else torch.zeros((), device=self.fabric.device)

    def losses(self, batches: list[Batch]) -> Tensor:
        """Go forward and backward through each pass; each process has an even share of the loss."""
        total = torch.zeros((), device=self.fabric.device)
        for number, (images, labels, _, _) in enumerate(batches):
            x, target = self.mix(images.to(self.fabric.device, memory_format=self.layout), labels.to(self.fabric.device), number)
            with self.fabric.autocast():
                outputs = self.module(x)
            named = dict(zip(self.programs[0].outputs, outputs, strict=True))
            loss = self.loss(named, target) / len(batches)
            tied(loss / self.count, self.module).backward()  # type: ignore[no-untyped-call]
            total += loss.detach()
        for parameter in self._common():
            if parameter.grad is not None:
                distributed.all_reduce(parameter.grad)
        distributed.broadcast(total, 0)
        return total

    def evaluated(self, batches: Sequence[Sequence[tuple[int, int]]], samples: Prepared, module: nn.Module) -> Counts:
        """Compute each batch in all processes; what the first counts is what all know."""
        modules: Modules = {}
        for step in self.programs[1].steps:
            if step.part is not None and step.key not in modules:
                around, _, name = step.key.rpartition(".")
                place = self.found[step.name]
                if place is None or self.rank in place:
                    modules[step.key] = getattr(module.get_submodule(around), name)
        here = placed_module(self.programs[1], self.found, modules, self.rank, f"Place{self.rank}").eval()
        names = list(self.programs[1].outputs)

        class Whole:
            """The network as what counts calls it."""

            def eval(self) -> None:
                here.eval()

            def __call__(self, x: Tensor) -> dict[str, Tensor]:
                return dict(zip(names, here(x), strict=True))

        with self.fabric.autocast():
            sums = evaluated(Whole(), self.loss, self._loaded(samples, batches), self.fabric.device).tensor().to(self.fabric.device)
        distributed.broadcast(sums, 0)
        return Counts.of(sums)


def _joined(parts: Sequence[Any]) -> Any:
    """Return tensors joined along their first axis, numbers once; dicts by key."""
    first = parts[0]
    if isinstance(first, dict):
        return {key: _joined([part[key] for part in parts]) for key in first}
    return torch.cat(list(parts)) if isinstance(first, Tensor) and first.ndim else first
