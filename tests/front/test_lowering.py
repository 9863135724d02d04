"""The lowered program between graph and backend: complete, plain, and refused at its place where it cannot be."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from archc import load, loads
from archc.compiler.lowering import lowered, lowered_modes
from archc.compiler.lowering.program import Fill, FunctionCall, LoweredProgram, Scope, Step, Trained, Value
from archc.dsl.errors import ArchError
from archc.tests.support import ROOT

SHARED = "share tower { conv3-8; relu }\ninput left: 3x8x8\ninput right: 3x8x8\nconcat<@left; tower | @right; tower>\n"


def program(name: str, **options: Any) -> LoweredProgram:
    return lowered(load(ROOT / f"archs/{name}.arch").graph, **options)


def values(arguments: Any) -> Iterator[str]:
    """The steps whose values are in some arguments."""
    match arguments:
        case Value(step):
            yield step
        case FunctionCall(_, args, kwargs):
            yield from values([*args, *kwargs.values()])
        case list() | tuple():
            for argument in arguments:
                yield from values(argument)


def flat(scope: Scope) -> Iterator[Step]:
    for item in scope.body:
        if isinstance(item, Scope):
            yield from flat(item)
        else:
            yield item


@pytest.mark.parametrize("name", ["googlenet", "densenet121", "lenet5", "convnext_tiny", "fcn_resnet50"])
@pytest.mark.parametrize(("mode", "level"), [("training", 0), ("training", 1), ("inference", 0), ("inference", 1), ("inference", 2)])
def test_a_program_holds_together(name: str, mode: Any, level: int) -> None:
    found = program(name, mode=mode, level=level)
    seen: set[str] = set()
    for step in found.steps:
        assert set(values(step.args)) == set(step.operands) <= seen, step.name
        assert (step.kind in ("module", "tensor")) == (step.part is not None)
        assert step.part is None or found.parts[step.key] is step.part
        assert (Trained() in step.args) == (step.kind == "tensor")
        assert len(step.operand_shapes) == len(step.operands)
        assert step.span.text and step.shape
        seen.add(step.name)
    assert list(flat(found.body)) == list(found.steps), "the tree of scopes is the same program"
    assert set(found.outputs.values()) <= seen
    assert [step.name for step in found.steps if step.kind == "input"] == list(found.inputs)
    assert {step.part.key for step in found.steps if step.part} == set(found.parts)
    held = [key for members in found.members.values() for key in members.values()]
    scopes = {scope.key for scope in found.body.scopes()} - {""}
    assert len(held) == len(set(held)) and set(held) == set(found.parts) | scopes | set(found.loose)
    assert not scopes & set(found.loose)
    for scope in found.body.scopes():
        inside = {step.name for step in flat(scope)}
        taken = {operand for step in flat(scope) for operand in step.operands} - inside
        assert taken == set(scope.takes) and set(scope.returns) <= inside


def test_scopes_are_blocks_with_what_enters_and_leaves() -> None:
    found = program("resnet18")
    first = next(scope for scope in found.body.scopes() if scope.path == "layer1.0")
    assert (first.key, first.block, first.returns) == ("layer1.0", "basic", ("layer1.0.relu2",))
    assert first.takes == ("maxpool1",)
    assert list(found.members["layer1"]) == ["0", "1"]
    assert found.loose == {}
    assert "backbone" in program("fcn_resnet50", mode="training").loose


def test_calls_of_a_shared_part_have_one_part() -> None:
    found = lowered(loads(SHARED).graph)
    calls = [step for step in found.steps if step.op == "conv"]
    assert len(calls) == 2 and calls[0].part is calls[1].part and calls[0].name != calls[1].name
    assert set(found.parts) == {"tower.conv1", "tower.relu1"}
    first, second = (scope for scope in found.body.scopes() if scope.key == "tower")
    assert first.path != second.path and (first.takes, second.takes) == (("left",), ("right",))


def test_initialization_is_part_of_the_program() -> None:
    text = "input 3x8x8\nconv3-4(init=he_normal(mode=fan_out), bias_init=constant(0.5))\nlayer_scale(start=0.1)\n"
    text += "conv1-4(bias=no, bias_init=normal)\nfc-2\n"
    parts = lowered(loads(text).graph).parts
    assert parts["conv1"].initial == {"weight": Fill("he_normal", {"mode": "fan_out"}), "bias": Fill("constant", {"value": 0.5})}
    assert (parts["conv1"].weights, parts["conv1"].buffers) == ({"weight": (4, 3, 3, 3), "bias": (4,)}, {})
    assert parts["layer_scale1"].kind == "tensor" and parts["layer_scale1"].weights == {"": (4, 1, 1)}
    assert parts["layer_scale1"].initial == {"": Fill("constant", {"value": 0.1})}
    assert parts["conv2"].initial == parts["fc1"].initial == {}, "there is no bias; and the constructor's own choice"


def test_functions_have_their_operands_in_place() -> None:
    text = "input x: 4x6x6\na: conv3-4(pad=1)\nb: conv3-4(pad=1)\nadd<@a | @b | @x>\nconcat<. | @a>\n"
    steps = {step.op: step for step in lowered(loads(text).graph).steps}
    assert steps["add"].args == (FunctionCall("operator.add", (Value("a"), Value("b"))), Value("x"))
    assert (steps["concat"].target, steps["concat"].args) == ("torch.cat", ([Value("add1"), Value("a")],))
    assert steps["concat"].kwargs == {"dim": 1}


def test_what_overwrites_may_do_so_in_both_modes() -> None:
    # In training `a` is read by a side output, too, after the activation.
    text = "input 4x6x6\na: conv3-4(pad=1)\nb: relu\noutput side(when=training): { @a; conv1-2 }\n@b\nc: conv1-4\nd: relu\n"
    graph = loads(text).graph
    assert lowered(graph, level=1).parts["b"].overwrites
    training, inference = lowered_modes(graph, 1)
    assert [part.key for part in training.parts.values() if part.overwrites] == ["d"]
    assert not inference.parts["b"].overwrites
    assert not any(part.overwrites for part in lowered(graph).parts.values())
    assert set(inference.parts) < set(training.parts)


def test_equal_modes_share_their_steps() -> None:
    training, inference = lowered_modes(load(ROOT / "archs/resnet18.arch").graph)
    assert training.steps is inference.steps and (training.mode, inference.mode) == ("training", "inference")


def test_passes_are_those_of_the_mode_and_level() -> None:
    assert {step.op for step in program("resnet18", level=0).steps} >= {"bn"}
    second = program("resnet18", level=2)
    assert "bn" not in {step.op for step in second.steps}
    assert set(second.recipes) == {step.key for step in second.steps if step.op == "conv"}
    kinds = [[step.op for step in program("resnet18", mode="training", level=level).steps[:6]] for level in (0, 1)]
    assert kinds[0].index("relu") < kinds[0].index("maxpool") and kinds[1].index("relu") > kinds[1].index("maxpool")
    assert list(program("resnet18", mode="training", level=1).members[""]) == list(program("resnet18").members[""]), "the file's order"
    assert len(program("googlenet", mode="training").outputs) == 3 and len(program("googlenet").outputs) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("input 3xHxW\ncrop(size=[H - 2, W - 2])\n", "crop needs the sizes"),
        ("input 3xHxW\nupsample(size=[2*H, 2*W])\n", "cannot be lowered while its sizes are open"),
    ],
)
def test_open_sizes_are_refused_at_their_place(text: str, words: str) -> None:
    graph = loads(text).graph
    with pytest.raises(ArchError, match=words) as caught:
        lowered(graph)
    (found,) = caught.value.diagnostics
    assert found.span is not None and found.span.line == 2


def test_open_sizes_that_no_argument_needs_stay() -> None:
    found = lowered(loads("input 3xHxW\nconv3-4\nadaptive_avgpool1\nfc-2\n").graph)
    assert [str(dim) for dim in found.steps[1].shape] == ["4", "H-2", "W-2"]


@pytest.mark.parametrize(
    ("mode", "level", "words"),
    [
        ("training", 2, "a program for training are 0, 1, not 2"),
        ("inference", 3, "are 0, 1, 2, not 3"),
        ("inference", -1, "not -1"),
        ("eval", 0, "a mode is training or inference, not eval"),
    ],
)
def test_modes_and_levels_that_there_are_not(mode: Any, level: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        program("lenet5", mode=mode, level=level)


def test_lowering_needs_no_torch() -> None:
    code = (
        "import sys\nfrom archc import load\nfrom archc.compiler import backends\n"
        "from archc.compiler.lowering import lowered, lowered_modes\n"
        "graph = load('archs/googlenet.arch').graph\nlowered_modes(graph, 1)\nprint(len(lowered(graph, level=2).steps))\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
