"""Measure each layer of a network at inference: its time, in turn with runs of the whole network, and what it allocates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.node import map_arg

from archc.compiler.analysis.fusion import fusions
from archc.compiler.backends.torch.cpu import Sliced
from archc.compiler.backends.torch.free_memory import check_memory, memory_errors
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.measure import Tracker
from archc.compiler.backends.torch.optimize import optimized, realized
from archc.compiler.backends.torch.run import DTYPES, SEED, pick_device
from archc.compiler.backends.torch.timing import device_text, in_turn, on_threads
from archc.compiler.backends.torch.weight_files import load_weights
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered
from archc.compiler.lowering.program import LoweredProgram, Step

WARM = 3  # runs that are not counted


@dataclass
class Layers:
    """What was measured: times in seconds, sizes in bytes; a list has an entry for each run.

    `seconds` are those of the nodes that were run, by name, and `whole` those of runs of the whole network at once. `allocated` is what
    the operators of a node allocate, `held` the part of it that is alive when the `peak` of all activations is reached. Inputs and weights
    are not counted.
    """

    device: str
    threads: int
    whole: list[float] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    allocated: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    peak: int = 0


def layers(
    graph: ArchGraph, device: str, dtype: str, batch: int, threads: Sequence[int], level: int, runs: int, weights: str = ""
) -> Layers:
    """Measure a network in evaluation at a level from 0 to 2, on seeded random input.

    The whole network, as `lower` or `optimize` returns it, and the network layer by layer run in turn, `runs` times
    each. At level 2 what runs as one call is measured as one, under the name of its first layer.
    Raises NoDevice, NoMemory, Unfit and Unreadable.
    """
    where = pick_device(device)
    check_memory(graph, dtype, batch, where, copies=2)
    with memory_errors(graph), on_threads(threads[0] if threads else torch.get_num_threads()), torch.no_grad():
        torch.manual_seed(SEED)
        module = lower(graph, min(level, 1)).eval()
        if weights:
            load_weights(module, weights, graph.name)
        module.to(device=where, dtype=DTYPES[dtype])
        inputs = random_inputs(graph, batch, where, DTYPES[dtype])
        program = lowered(graph, "inference", level)
        if level < 2:
            flat = realized(module, program).requires_grad_(True)  # as trained modules are: see `optimized`
            return _measured(module, flat, inputs, _Names(graph, {}, _held(program)), runs)
        fast: Any = optimized(module, graph, inputs, level)  # below level 3, a GraphModule
        homes = {fusion.result: name for name, fusion in fusions(program.graph).items()}
        return _measured(fast, fast, inputs, _Names(graph, homes, {}), runs)


def _held(program: LoweredProgram) -> dict[str, str]:
    """Return, for each value that enters a module of a block, the last step that it lives for: whoever calls a module holds its inputs."""
    order = {step.name: number for number, step in enumerate(program.steps)}
    ends: dict[str, str] = {}
    for scope in program.body.scopes():
        last = max((step for inner in scope.scopes() for step in inner.body if isinstance(step, Step)), key=lambda step: order[step.name])
        for name in scope.takes:
            ends[name] = max(ends.get(name, last.name), last.name, key=order.__getitem__)
    return ends


def _measured(whole: Callable[..., Any], flat: fx.GraphModule, inputs: list[Tensor], names: _Names, runs: int) -> Layers:
    on_gpu = inputs[0].is_cuda
    found = Layers(device_text(inputs[0].device), torch.get_num_threads())
    clock: _Clock = _GpuClock() if on_gpu else _Clock()
    stepwise = _Stepwise(flat, names, clock)
    runs_of_layers: list[dict[str, float]] = []

    def by_layer() -> None:
        stepwise.run(inputs)
        runs_of_layers.append(clock.read())

    found.whole, _ = in_turn([partial(whole, *inputs), by_layer], runs, WARM, on_gpu)
    counted = runs_of_layers[WARM:]
    found.seconds = {name: [seconds[name] for seconds in counted] for name in counted[0]}
    ledger = _Ledger([*flat.parameters(), *flat.buffers(), *inputs])
    with ledger:
        _Stepwise(flat, names, ledger).run(inputs)
    found.allocated, found.held, found.peak = dict(ledger.made), ledger.at_peak, ledger.peak
    return found


@dataclass
class _Names:
    """The node of the file under which something is measured that is executed."""

    graph: ArchGraph
    homes: dict[str, str]  # the last node of what runs as one call -> the first
    held: dict[str, str]  # a value -> the last step that it lives for, where that is after its last use

    def of(self, node: fx.Node) -> str:
        """Return the name of a node of the file; a pass writes `conv1+2` where it has merged `conv1` and two others."""
        name = node.meta["arch"]["name"] if "arch" in node.meta else ""
        name = self.homes.get(name, name)
        return name if name in self.graph or "+" not in name else name[: name.index("+")]


class _Clock:
    """Adds up the seconds of each name in one run."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = defaultdict(float)

    def begin(self, name: str) -> Any:
        return perf_counter()

    def end(self, name: str, begun: Any) -> None:
        self._sums[name] += perf_counter() - begun

    def read(self) -> dict[str, float]:
        """Return the sums, and begin again."""
        sums, self._sums = dict(self._sums), defaultdict(float)
        return sums


class _GpuClock(_Clock):
    """The same by events in the stream of a GPU, which does not wait for what it is told to do."""

    def __init__(self) -> None:
        super().__init__()
        self._pairs: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    def begin(self, name: str) -> Any:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def end(self, name: str, begun: Any) -> None:
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        self._pairs.append((name, begun, event))

    def read(self) -> dict[str, float]:
        torch.cuda.synchronize()
        for name, begin, end in self._pairs:
            self._sums[name] += begin.elapsed_time(end) / 1e3
        self._pairs.clear()
        return super().read()


class _Ledger(Tracker):  # type: ignore[no-untyped-call]
    """Notes for each name the bytes that it allocates, and those of them that are alive at the peak."""

    def __init__(self, tensors: list[Tensor]) -> None:
        super().__init__([tensor for tensor in tensors if not tensor.is_mkldnn])  # packed ones have no storage of their own
        self.made: dict[str, int] = defaultdict(int)
        self.at_peak: dict[str, int] = {}
        self._alive: dict[str, int] = defaultdict(int)
        self._owner: dict[int, str] = {}
        self._name = ""

    def begin(self, name: str) -> Any:
        self._name = name
        return name

    def end(self, name: str, begun: Any) -> None:
        """Do nothing: what is freed later is noted when it is."""

    def entered(self, key: int, size: int) -> None:
        self.made[self._name] += size
        self._alive[self._name] += size
        self._owner[key] = self._name
        if self.live == self.peak:
            self.at_peak = {name: alive for name, alive in self._alive.items() if alive}

    def left(self, key: int, size: int) -> None:
        self._alive[self._owner.pop(key)] -= size


@dataclass(frozen=True)
class _Step:
    node: fx.Node
    name: str
    call: Callable[..., Any]
    dead: tuple[fx.Node, ...]  # what nothing needs after it


class _Stepwise:
    """Runs a flat module node by node under a clock, and frees every value after its last use, as the module itself does."""

    def __init__(self, flat: fx.GraphModule, names: _Names, clock: _Clock | _Ledger) -> None:
        self._clock = clock
        self._graph = flat.graph
        self._steps: list[_Step] = []
        last: dict[fx.Node, fx.Node] = {}
        for node in flat.graph.nodes:
            for operand in node.all_input_nodes:
                last[operand] = node
        steps = {names.of(node): node for node in flat.graph.nodes}
        for value, step in names.held.items():
            if value in steps and steps[value] in last and last[steps[value]].op != "output":
                last[steps[value]] = max(last[steps[value]], steps[step])
        name = ""
        of: dict[fx.Node, str] = {}
        for node in reversed(flat.graph.nodes):  # an argument that is computed by itself belongs to the node that takes it
            of[node] = name = names.of(node) or name
        ends: dict[fx.Node, list[fx.Node]] = defaultdict(list)
        for operand, end in last.items():
            ends[end].append(operand)
        for node in flat.graph.nodes:
            if node.op == "call_module":
                part = flat.get_submodule(str(node.target))
                call: Callable[..., Any] = _InSlices(part, of[node], names, clock) if isinstance(part, Sliced) else part
            elif node.op == "call_function":
                call = node.target
            elif node.op == "get_attr":
                call = partial(attrgetter(str(node.target)), flat)
            else:
                continue
            dead = ends[node] if node in last else [*ends[node], node]
            self._steps.append(_Step(node, of[node], call, tuple(dead)))

    def run(self, inputs: Sequence[Tensor]) -> Any:
        """Return what the module returns."""
        places = (node for node in self._graph.nodes if node.op == "placeholder")
        values: dict[fx.Node, Any] = dict(zip(places, inputs, strict=True))
        for step in self._steps:
            args = map_arg(step.node.args, values.__getitem__)
            kwargs = map_arg(step.node.kwargs, values.__getitem__)
            begun = None if isinstance(step.call, _InSlices) else self._clock.begin(step.name)
            values[step.node] = step.call(*args, **kwargs)
            del args, kwargs
            for node in step.dead:
                del values[node]
            if begun is not None:
                self._clock.end(step.name, begun)
        output = next(iter(reversed(self._graph.nodes)))
        return map_arg(output.args[0], values.__getitem__)


class _InSlices:
    """Runs a part of a network slice by slice; its layers have the sum of the slices."""

    def __init__(self, sliced: Sliced, last: str, names: _Names, clock: _Clock | _Ledger) -> None:
        assert isinstance(sliced.part, fx.GraphModule)
        self._size, self._last, self._clock = sliced.size, last, clock
        self._part = _Stepwise(sliced.part, names, clock)

    def __call__(self, x: Tensor) -> Tensor:
        parts = [self._part.run([samples]) for samples in torch.split(x, self._size)]
        begun = self._clock.begin(self._last)
        whole = torch.cat(parts)
        self._clock.end(self._last, begun)
        return whole
