"""GRAPH -> LOWERED PROGRAM: run the passes of a mode and a level, and translate each node into a step for a backend.

`lowered` and `lowered_modes` are the entry points; `program` defines what they return.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, get_args

from archc.compiler.analysis.aliasing import in_place
from archc.compiler.analysis.regions import regions
from archc.compiler.graph import ArchGraph, Node
from archc.compiler.lowering import scopes
from archc.compiler.lowering.program import Fill, FunctionCall, Kind, LoweredProgram, Mode, Part, Step, Trained, Value
from archc.compiler.ops.kinds import Word
from archc.compiler.ops.record import Call
from archc.compiler.ops.targets import CallTarget, ModuleTarget, Operand, Operands, Target, TensorTarget
from archc.compiler.passes import INFERENCE, TRAINING, Pass, run
from archc.compiler.passes.program import Program
from archc.compiler.shapes.dim import Formula
from archc.dsl.diagnostics import Fault
from archc.dsl.errors import ArchError
from archc.dsl.vocabulary import files

PIPELINES: Mapping[Mode, tuple[tuple[Pass, ...], ...]] = {"training": TRAINING, "inference": INFERENCE}
LEVELS: Mapping[Mode, range] = {mode: range(len(PIPELINES[mode])) for mode in get_args(Mode)}
FLAT = 2  # the first level whose passes move operators out of the scopes of the file


def lowered(graph: ArchGraph, mode: Mode = "inference", level: int = 0, pipeline: tuple[Pass, ...] | None = None) -> LoweredProgram:
    """Lower a network for one mode.

    `level` is 0, as written; 1, exact rewrites, and activations that overwrite their operand where that is safe; or 2, for inference only,
    also rewrites that change the order of additions, whose weights `recipes` compute. `pipeline` replaces the passes of the level.
    Raises ArchError, at the operator, where a size is open and an argument needs a number, and ValueError for an unknown mode or level.
    """
    program = run(graph, _pipeline(mode, level) if pipeline is None else pipeline)
    overwriting = in_place(program.graph) if level else set()
    return _lowered(program, graph if level < FLAT and pipeline is None else program.graph, mode, level, overwriting)


def lowered_from(program: Program, level: int = 2) -> LoweredProgram:
    """Lower a program on which passes for inference have run. Above level 0 activations overwrite their operand where that is safe."""
    return _lowered(program, program.graph, "inference", level, in_place(program.graph) if level else set())


def lowered_modes(graph: ArchGraph, level: int = 0) -> tuple[LoweredProgram, LoweredProgram]:
    """Lower a network for a module that can switch between modes; return the program for training and the program for inference.

    Like `lowered`, for levels 0 and 1. Both programs have the same scopes. The parts for inference are a subset of those for training, and
    overwrite their operand only where that is safe in both modes. Where the modes do not differ, both programs have the same steps.
    """
    trained, inference = run(graph, _pipeline("training", level)), run(graph, _pipeline("inference", level))
    overwriting = in_place(trained.graph) & in_place(inference.graph) if level else set()
    training = _lowered(trained, graph, "training", level, overwriting)
    if inference.graph is trained.graph:
        return training, replace(training, mode="inference")
    return training, _lowered(inference, graph, "inference", level, overwriting)


def input_shapes(graph: ArchGraph) -> list[tuple[int, ...]]:
    """Return the shapes of the inputs in order, without the batch. Raises ArchError where a size is open."""
    shapes = []
    for node in graph.inputs:
        sizes = tuple(dim for dim in node.shape if isinstance(dim, int))
        if len(sizes) < len(node.shape):
            raise ArchError([files.cannot_lower(f"the input {node.name} has open sizes", "give the sizes with `--input`").at(node.span)])
        shapes.append(sizes)
    return shapes


def _pipeline(mode: Mode, level: int) -> tuple[Pass, ...]:
    if mode not in PIPELINES:
        raise ValueError(f"a mode is {' or '.join(PIPELINES)}, not {mode}")
    if level not in LEVELS[mode]:
        raise ValueError(f"the levels of a program for {mode} are {', '.join(map(str, LEVELS[mode]))}, not {level}")
    return PIPELINES[mode][level]


def _lowered(program: Program, written: ArchGraph, mode: Mode, level: int, overwriting: Collection[str]) -> LoweredProgram:
    """Lower a program with the scopes and the order of `written`: the graph of the file, or, where passes moved operators, its own."""
    graph = program.graph
    steps: dict[str, Step] = {}
    parts: dict[str, Part] = {}
    for node in graph:
        steps[node.name] = _step(graph, node, parts, overwriting)
    known = regions(written)
    body = scopes.tree(graph, known, steps)
    nodes = [node for node in written if node.name in graph]
    units = {scope.key for scope in body.scopes()} - {""}
    members = scopes.members(nodes, parts, units)
    return LoweredProgram(
        name=graph.name,
        mode=mode,
        level=level,
        steps=tuple(steps.values()),
        body=body,
        parts={key: parts[key] for key in dict.fromkeys(node.key for node in nodes) if key in parts},
        members=members,
        loose={key: known.reasons.get(key, scopes.ELSEWHERE) for key in members if key and key not in units},
        inputs=tuple(node.name for node in graph.inputs),
        outputs={name: output.node for name, output in graph.outputs.items()},
        recipes=program.recipes,
        graph=graph,
    )


def _step(graph: ArchGraph, node: Node, parts: dict[str, Part], overwriting: Collection[str]) -> Step:
    operands = tuple(graph.operands(node.name))
    values = [Value(operand) for operand in operands]
    call = node.call
    target = None if node.is_input else _target(node, call)
    part: Part | None = None
    if isinstance(target, ModuleTarget | TensorTarget):
        part = parts.get(node.key) or parts.setdefault(node.key, _part(node, call, target, node.key in overwriting))
    kind, name, args, kwargs = _call(target, values)
    return Step(
        name=node.name,
        op=node.op,
        kind=kind,
        key=node.key,
        target=name,
        args=args,
        kwargs=kwargs,
        part=part,
        operands=operands,
        operand_shapes=call.inputs,
        attrs=node.attrs,
        shape=node.shape,
        training_only=node.training_only,
        place=node.place,
        span=node.span,
        provenance=tuple(frame.text for frame in node.frame.chain()) if node.frame else (),
    )


def _call(target: Target | None, values: list[Value]) -> tuple[Kind, str, tuple[Any, ...], Mapping[str, Any]]:
    """Return the kind of a step, the name that it calls, and the arguments by position and by name."""
    match target:
        case None:
            return "input", "", (), {}
        case ModuleTarget(name):
            return "module", name, tuple(values), {}
        case TensorTarget(name, _, _, kwargs):
            return "tensor", name, (*values, Trained()), kwargs
        case CallTarget(name, args, kwargs):
            return "function", name, tuple(_argument(value, values) for value in args), kwargs


def _target(node: Node, call: Call) -> Target:
    """Return the target of a node. Raises ArchError, at the node, for a fault of its record or for an open size in an argument."""
    try:
        target = node.operator.lower(call)
    except Fault as fault:
        raise ArchError([fault.diagnostic.at(node.span)]) from None
    match target:
        case ModuleTarget(_, settings):
            arguments: tuple[Any, ...] = tuple(settings.values())
        case CallTarget(_, args, kwargs):
            arguments = (*args, *kwargs.values())
        case TensorTarget(_, shape, _, kwargs):
            arguments = (*shape, *kwargs.values())
    if _is_open(arguments):
        problem = f"{node.name} cannot be lowered while its sizes are open"
        raise ArchError([files.cannot_lower(problem, "give the sizes with `--input`").at(node.span)])
    return target


def _is_open(value: Any) -> bool:
    if isinstance(value, CallTarget):
        return _is_open(value.args) or _is_open(tuple(value.kwargs.values()))
    if isinstance(value, slice):
        return _is_open((value.start, value.stop))
    return isinstance(value, Formula) or (isinstance(value, tuple | list) and any(_is_open(item) for item in value))


def _part(node: Node, call: Call, target: ModuleTarget | TensorTarget, overwrites: bool) -> Part:
    weights, buffers = node.operator.weights(call), node.operator.buffers(call)
    if isinstance(target, TensorTarget):
        return Part(node.key, "tensor", weights=weights, initial={"": _fill(target.start)})
    options = {"weight": node.attrs.get("init"), "original": node.attrs.get("init"), "bias": node.attrs.get("bias_init")}
    words = {name: options.get(name.rpartition(".")[2]) for name in weights}  # also of a layer within it: `proj.weight`
    initial = {name: _fill(word) for name, word in words.items() if isinstance(word, Word) and word.text != "torch"}
    return Part(node.key, "module", target.name, target.settings, weights, buffers, initial, overwrites)


def _fill(word: Word) -> Fill:
    return Fill(word.text, {name: str(value) if isinstance(value, Word) else value for name, value in word.args})


def _argument(value: Any, operands: list[Value]) -> Any:
    match value:
        case Operand(index):
            return operands[index]
        case Operands():
            return list(operands)
        case CallTarget(name, args, kwargs):
            return FunctionCall(name, tuple(_argument(arg, operands) for arg in args), kwargs)
    return value
