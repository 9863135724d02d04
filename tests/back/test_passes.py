"""Rewrites: each gives the program that it should, with the same outputs, keys and shapes; levels agree, and train alike."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from archc import UsageError, load, loads
from archc.compiler.analysis.chunking import slices
from archc.compiler.analysis.fusion import Fusion, fusions
from archc.compiler.analysis.printing import listing
from archc.compiler.backends.torch import cpu, optimize, timing, winograd
from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.lower import lower, random_inputs
from archc.compiler.backends.torch.measure import activations
from archc.compiler.backends.torch.optimize import DIFFERENT, optimized, realized
from archc.compiler.driver import check, check_text, parse_overrides
from archc.compiler.graph import ArchGraph
from archc.compiler.lowering import lowered, lowered_from
from archc.compiler.passes import INFERENCE, TRAINING, Pass, Unsound, run
from archc.compiler.passes.program import Folded, Own, Program
from archc.tests.support import NETWORKS, ROOT
from archc.tests.support.commands import archc, facts
from archc.tests.support.programs import fewer, programs
from archc.tests.support.pytorch import torchvision_models

CASES = sorted((ROOT / "tests/cases/passes").glob("*.arch"))
EVERY = {rewrite.__name__: rewrite for pipeline in (*INFERENCE, *TRAINING) for rewrite in pipeline}
LIVELY = ["lenet5", "alexnet", "googlenet", "googlenet_torchvision", "resnet18", "resnet50_v1", "mobilenet_v2", "cifar_resnet20"]
SMALLER = {"resnet18": "3x64x64", "mobilenet_v2": "3x64x64"}  # by day
SIZED = [
    *(pytest.param(n, None, id=n, marks=[] if n in ("lenet5", "cifar_resnet20", "googlenet") else [pytest.mark.slow]) for n in LIVELY),
    *(pytest.param(name, size, id=f"{name}-{size}") for name, size in SMALLER.items()),
]


def pipeline_of(path: Path) -> tuple[Pass, ...]:
    words = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# passes: ")
    return tuple(EVERY[word.strip()] for word in words.split(","))


def network(path: Path) -> ArchGraph:
    report = check(path)
    assert report.ok, report.diagnostics
    return report.graph


def lively(graph: ArchGraph) -> ArchModule:
    """In evaluation, with statistics and scales of batch norms that are not those of the start."""
    torch.manual_seed(0)
    module = lower(graph)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_(0, 0.3)  # type: ignore[union-attr, operator]
            part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr, operator]
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, 0, 0.3)
    return module.eval()


def values(result: object) -> list[Tensor]:
    return list(result.values()) if isinstance(result, dict) else [result]  # type: ignore[list-item]


def apart(got: object, expected: object) -> float:
    """The largest difference of any output, in parts of its largest value."""
    pairs = zip(values(got), values(expected), strict=True)
    return max(float((a.double() - b.double()).abs().max() / b.double().abs().max().clamp(min=1e-30)) for a, b in pairs)


def has_training_outputs(graph: ArchGraph) -> bool:
    return any(output.training_only for output in graph.outputs.values())


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    now = listing(run(network(path), pipeline_of(path)).graph)
    beside = path.with_suffix(".txt")
    if os.environ.get("ARCHC_WRITE"):
        beside.write_text(now, encoding="utf-8")
    assert now == beside.read_text(encoding="utf-8")
    assert listing(network(path)) != now, "the pass has done nothing"
    again = check_text(now)
    assert again.ok, again.diagnostics


def test_every_pass_has_a_golden_case() -> None:
    assert set(EVERY) == {rewrite.__name__ for path in CASES for rewrite in pipeline_of(path)}
    assert set(EVERY) <= {path.stem for path in CASES}


@pytest.mark.parametrize(("name", "size"), [*(pytest.param(path, None, id=path.stem) for path in CASES), *SIZED])
def test_the_program_behind_every_pass_is_the_same_network(name: str | Path, size: str | None) -> None:
    graph = load(name if isinstance(name, Path) else ROOT / f"archs/{name}.arch", inputs=size).graph
    module = lively(graph).double()
    inputs = random_inputs(graph, 2, dtype=torch.float64)
    with torch.no_grad():
        expected = module(*inputs)
    behind: list[Program] = []
    for pipeline in (*INFERENCE, *(pipeline for pipeline in TRAINING if not has_training_outputs(graph))):
        run(graph, pipeline, lambda name, program: behind.append(program))
    for program in behind:
        made = realized(module, lowered_from(program))
        if not program.recipes:
            assert set(made.state_dict()) <= set(module.state_dict())
        with torch.no_grad():
            got = made(*inputs)
        got = {name: got[name] for name in expected} if isinstance(got, dict) and isinstance(expected, dict) else got
        got = next(iter(got.values())) if isinstance(got, dict) and not isinstance(expected, dict) else got
        assert apart(got, expected) < DIFFERENT / 1000


@pytest.mark.parametrize(("name", "size"), SIZED)
def test_levels_agree_and_leave_the_network_as_it_is(name: str, size: str | None) -> None:
    graph = load(ROOT / f"archs/{name}.arch", inputs=size).graph
    module = lively(graph)
    before = {key: (tensor.clone(), tensor.stride()) for key, tensor in module.state_dict().items()}
    inputs = random_inputs(graph, 2)
    with torch.no_grad():
        exact = copy.deepcopy(module).double()(*(x.double() for x in inputs))
        plain = module(*inputs)
        first = lower(graph, level=1).eval()
        first.load_state_dict(module.state_dict())
        assert apart(first(*inputs), plain) == 0
        assert apart(optimized(module, graph, inputs, 1)(*inputs), plain) == 0
        second = optimized(module, graph, inputs, 2)
        assert apart(second(*inputs), exact) < max(DIFFERENT, 4 * apart(plain, exact))
        larger = [torch.cat([x, x]) for x in inputs]
        assert apart(second(*larger), module(*larger)) < 1e-4
    for key, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[key][0])
        assert tensor.stride() == before[key][1]


@given(programs())
@fewer
def test_random_networks_agree_at_every_level(text: str) -> None:
    report = check_text(text, mend=False)
    if not report.ok:
        return
    graph = report.graph
    module = lively(graph)
    inputs = random_inputs(graph, 2)
    with torch.no_grad():
        expected = module(*inputs)
        if any(not value.isfinite().all() or value.abs().max() > 1e4 for value in values(expected)):
            return
        first = lower(graph, level=1).eval()
        first.load_state_dict(module.state_dict())
        assert apart(first(*[x.clone() for x in inputs]), expected) == 0
        assert apart(optimized(module, graph, inputs, 1)(*[x.clone() for x in inputs]), expected) == 0
        program, doubles = lowered(graph, level=2), [x.double() if x.is_floating_point() else x for x in inputs]
        assert apart(realized(module.double(), program)(*doubles), module(*doubles)) < DIFFERENT / 1000
        second = optimized(module.float(), graph, inputs, 2)(*inputs)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cpu, "slices", partial(slices, limit=1))
            sliced = optimized(module, graph, inputs, 2)(*inputs)
        for got in (second, sliced):
            for one, value in zip(values(got), values(expected), strict=True):
                assert torch.allclose(one, value, rtol=1e-3, atol=1e-3 * float(value.abs().max()))


def test_convolutions_take_what_follows_into_one_call() -> None:
    graph = run(network(ROOT / "archs/resnet50.arch"), INFERENCE[2]).graph
    found = fusions(graph)
    assert len(found) == 53 + 1  # and the fully-connected layer
    assert sum(bool(fusion.add) for fusion in found.values()) == 16
    assert sum(fusion.activation == "relu" for fusion in found.values()) == 49  # all but the four projections
    shortcut = found["layer1.1.conv3"]
    assert (shortcut.add, shortcut.overwrites, shortcut.result) == ("layer1.0.relu3", True, "layer1.1.relu3")


def test_what_is_still_needed_is_not_overwritten() -> None:
    text = "input 4x8x8\na: conv3-4(pad=1)\nb: conv3-4(pad=1)\nadd<@a | .>\nlast: relu\nconcat<. | @a>\n"
    graph = check_text(text).graph
    assert not fusions(graph)["b"].overwrites
    inputs = random_inputs(graph, 2)
    module = lively(graph)
    kept = [x.clone() for x in inputs]
    with torch.no_grad():
        assert apart(optimized(module, graph, inputs, 2)(*inputs), module(*inputs)) < DIFFERENT
        lower(graph, level=1).eval()(*inputs)
    assert all(torch.equal(x, y) for x, y in zip(inputs, kept, strict=True))


def test_a_batch_goes_in_slices_as_far_as_its_values_are_large() -> None:
    graph = run(network(ROOT / "archs/vgg16.arch"), INFERENCE[2]).graph
    mebi = 2**20
    assert slices(graph, 1, 4) is None  # one sample is one slice
    assert slices(graph, 4, 4, limit=64 * mebi) is None
    parts = slices(graph, 4, 4, limit=32 * mebi)
    assert parts is not None
    assert (parts.last, parts.size) == ("features.4", 2)  # a map of 64x224x224 has 12.25 MiB, and behind the pool are 128x112x112
    assert "features.4" in parts.nodes and "features.5" not in parts.nodes
    smaller = slices(graph, 4, 4, limit=16 * mebi)
    assert smaller is not None and (smaller.last, smaller.size) == ("features.9", 1)
    hidden = slices(graph, 4, 4, {"features.9"}, limit=16 * mebi)
    assert hidden is not None and hidden.last == "features.10"
    whole = slices(graph, 4, 4, limit=1)
    assert whole is not None and (whole.last, whole.size) == ("classifier.6", 1)


def test_a_slice_ends_where_one_value_leads_on() -> None:
    text = "input 8x64x64\na: conv3-8(pad=1)\nresidual<conv3-8(pad=1); b: conv3-8(pad=1)>\nmaxpool8\nadd<. | conv1-8>\nlast: relu\n"
    graph = check_text(text).graph
    parts = slices(graph, 2, 4, limit=8 * 64 * 64 * 4)
    assert parts is not None and parts.last == "maxpool1"
    both = check_text("input x: 3x32x32\ninput y: 3x32x32\nconcat<@x | @y>\n").graph
    assert len(both.inputs) == 2 and slices(both, 4, 4, limit=1) is None


def test_the_first_part_of_a_network_in_slices() -> None:
    graph = network(ROOT / "archs/resnet18.arch")
    module, x = lively(graph), torch.randn(8, 3, 224, 224)
    fast = optimized(module, graph, [x])
    assert isinstance(fast, nn.Module)
    head = fast.get_submodule("+packed.sliced")
    assert isinstance(head, cpu.Sliced) and head.size == 4
    with torch.no_grad():
        expected = module(x)
        assert apart(fast(x), expected) < 1e-4
        assert apart(fast(x[:3]), expected[:3]) < 1e-4  # other batches run as well
    peaks = [activations(net, (x,), training=False) for net in (module, fast)]
    assert peaks[1] < 0.7 * peaks[0]


def test_slices_are_few_and_even() -> None:
    graph = check_text("input 1x64x64; conv3-16(pad=1); maxpool8; fc-3").graph
    sample = 4 * 16 * 64 * 64
    found = [slices(graph, batch, 4, limit=3 * sample) for batch in (3, 4, 7, 32)]
    assert [parts and parts.size for parts in found] == [None, 2, 3, 3]
    late = check_text("input 1x8x8\na: conv3-1(pad=1)\nb: conv3-256(pad=1)\noutput a: @a\noutput b: @b\n").graph
    assert slices(late, 4, 4, limit=256 * 64 * 4) is None  # what is large is behind the last place to join


@pytest.mark.parametrize(
    "text",
    [
        "input 3x9x9\na: { b: conv3-4(pad=1) }\na_b: conv3-4(pad=1)\n",  # names that are one when dots are lines
        "input 3x64x64\nconv3-64(pad=1); relu; adaptive_avgpool1\nhead: fc-10\nsliced: fc-10\npacked: fc-3\n",
        "input 3x9x9\nconv3-8; bn(affine=no); relu\nfc-5; bn(affine=no)\n",
        "input 4x9x9\na: conv1-4\nd: dropout(0.5)\nadd<conv3-4(pad=1) | @a>\nlast: relu\nconcat<. | @d>\n",
    ],
)
def test_found_networks(text: str) -> None:
    graph = check_text(text).graph
    module, inputs = lively(graph), random_inputs(graph, 4)
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(cpu, "slices", partial(slices, limit=2**20))
        for pipeline in (INFERENCE[2], INFERENCE[2][:1]):
            assert apart(optimized(module, graph, inputs, 2, pipeline)(*inputs), module(*inputs)) < DIFFERENT


@pytest.mark.parametrize("size", [(2, 128, 6, 6), (1, 128, 7, 9), (2, 130, 5, 8), (1, 128, 3, 3)], ids=str)
@pytest.mark.parametrize("padding", [0, 1, (2, 1)], ids=str)
@pytest.mark.parametrize("activation", ["", "relu"])
def test_winograds_algorithm(size: tuple[int, ...], padding: int | tuple[int, int], activation: str) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(size[1], 140, 3, padding=padding, bias=not activation)
    fusion = Fusion(activation=activation)
    assert winograd.suits(conv, fusion)
    x = torch.randn(size).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        exact = copy.deepcopy(conv).double()(x.double())
        exact = exact.relu() if activation else exact
        assert apart(winograd.WinogradConv(conv, fusion)(x), exact) < 2e-6


def test_where_winograds_algorithm_is_not_tried() -> None:
    plain = Fusion()
    assert not winograd.suits(nn.Conv2d(128, 128, 3, stride=2), plain)
    assert not winograd.suits(nn.Conv2d(128, 128, 3, dilation=2), plain)
    assert not winograd.suits(nn.Conv2d(256, 256, 3, groups=2), plain)
    assert not winograd.suits(nn.Conv2d(128, 64, 3), plain)
    assert not winograd.suits(nn.Conv2d(128, 128, 3).bfloat16(), plain)
    assert not winograd.suits(nn.Conv2d(128, 128, 3), Fusion(add="x"))
    assert not winograd.suits(nn.Conv2d(128, 128, 3), Fusion(activation="silu"))


def test_the_first_stays_unless_another_is_faster_by_a_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "in_turn", lambda runs, *rest: [[3.0, 3.0, 9.0], [2.6, 2.6, 1.0], [2.8, 2.8, 2.8]][: len(runs)])
    inputs = [torch.zeros(1)]
    assert timing.fastest([abs, min, max], inputs) is min
    assert timing.fastest([abs, min, max], inputs, margin=1.2) is abs
    assert timing.fastest([abs, min, max], inputs, margin=1.1) is min


def test_level_3_keeps_winograds_algorithm_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = check_text("input 128x12x12\nconv3-128(pad=1, act=relu) x2\nmaxpool\nfc-10\n").graph
    module, inputs = lively(graph), random_inputs(graph, 2)
    asked: list[int] = []

    def last(candidates: Sequence[Any], inputs: Sequence[Tensor], margin: float = 1.0) -> Any:
        asked.append(len(candidates))
        return candidates[-1]

    monkeypatch.setattr(optimize, "fastest", last)
    monkeypatch.setattr(cpu, "fastest", last)
    fast = optimized(module, graph, inputs, 3)
    assert isinstance(fast, nn.Module)
    assert sum(isinstance(part, winograd.WinogradConv) for part in fast.modules()) == 2
    assert asked == [2, 2, 2]  # two convolutions; and the network, compiled or not
    with torch.no_grad():
        assert apart(fast(*inputs), module(*inputs)) < DIFFERENT


def test_a_pass_that_breaks_a_network_is_found() -> None:
    graph = network(ROOT / "archs/lenet5_modern.arch")

    def wrong_shape(program: Program) -> Program:
        broken = copy.deepcopy(program.graph)
        next(node for node in broken if node.op == "conv").shape = (1, 1, 1)
        return Program(broken)

    def wrong_key(program: Program) -> Program:
        broken = copy.deepcopy(program.graph)
        next(node for node in broken if node.op == "conv").key = "elsewhere"
        return Program(broken)

    def wrong_recipe(program: Program) -> Program:
        key = next(node.key for node in program.graph if node.op == "conv")
        return Program(copy.deepcopy(program.graph), {key: Folded(Own(key), "nowhere", 1e-5)})

    for wrong, text in ((wrong_shape, "does not return"), (wrong_key, "elsewhere"), (wrong_recipe, "nowhere")):
        with pytest.raises(Unsound, match=f"{wrong.__name__}.*{text}"):
            run(graph, (wrong,))


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_every_network_goes_through_every_pipeline(path: Path) -> None:
    graph = network(path)
    for pipeline in INFERENCE:
        after = run(graph, pipeline).graph
        names = {name for name, output in graph.outputs.items() if not output.training_only}
        assert set(after.outputs) == names
        assert check_text(listing(after), mend=False).ok


def losses(model: nn.Module, batches: Sequence[tuple[Tensor, Tensor]]) -> list[float]:
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    found = []
    for x, y in batches:
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(float(loss))
    return found


def test_levels_0_and_1_train_as_torchvision_does() -> None:
    torch.manual_seed(0)
    peer = torchvision_models().resnet18(num_classes=10)
    graph = check(ROOT / "archs/resnet18.arch", parse_overrides({"classes": "10"}, {"": "3x64x64"})).graph
    batches = [(torch.randn(4, 3, 64, 64), torch.randint(0, 10, (4,))) for _ in range(8)]
    mine = [lower(graph, level=level) for level in (0, 1)]
    for module in mine:
        module.load_state_dict(peer.state_dict())
    expected = losses(peer, batches)
    assert losses(mine[0], batches) == expected
    assert losses(mine[1], batches) == pytest.approx(expected, rel=1e-5)
    assert expected[-1] != expected[0]


@pytest.mark.slow  # by day the test of Winograd's algorithm compiles a network
def test_the_compiler_of_torch_gives_the_same() -> None:
    graph = network(ROOT / "archs/lenet5_modern.arch")
    module, inputs = lively(graph), random_inputs(graph, 2)
    with torch.no_grad():
        assert apart(optimized(module, graph, inputs, 3)(*inputs), module(*inputs)) < DIFFERENT


def test_the_command_line_optimizes(tmp_path: Path) -> None:
    found = facts("compile", "archs/resnet18.arch", "--optimize", "2")
    assert found["ran_outputs"] == {"output": [1000]}
    assert "optimize" in found["seconds"]
    shown = archc("compile", "archs/resnet18.arch", "--optimize", "2", "--print-after", "fold_batch_norm").stdout
    program = shown[: shown.index("resnet18  ")].split("\n", 1)[1]
    assert "bn" not in program
    assert check_text(program).ok
    assert "drop_training" in archc("compile", "archs/resnet18.arch", "--print-after", "fold_batch_norm", "--optimize", "1", code=2).stderr
    assert "level 0 or 1" in archc("compile", "archs/lenet5.arch", "--optimize", "2", "-o", str(tmp_path / "a.pt2"), code=2).stderr
    table = facts("bench", "archs/lenet5.arch", "--runs", "2")
    assert [row["level"] for row in table["levels"]] == [0, 1, 2]
    assert table["levels"][0]["ratio"] == 1


def test_the_interface_of_python() -> None:
    net = load(ROOT / "archs/resnet18.arch", inputs="3x64x64")
    model = net.lower().eval()
    x = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        assert apart(net.optimize(model, batch=3)(x), model(x)) < 1e-4
        assert torch.equal(net.optimize(model, level=1)(x), model(x))
        half = copy.deepcopy(model).bfloat16()
        assert net.optimize(half)(x.bfloat16()).dtype == torch.bfloat16


def test_only_modules_of_the_network_are_optimized() -> None:
    net, other = (loads(f"input 3x8x8\nconv3-{width}\n") for width in (4, 5))
    with pytest.raises(UsageError, match="module is what `lower` returned, not a Conv2d"):
        net.optimize(torch.nn.Conv2d(3, 4, 3))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="module was lowered from another network, text"):
        net.optimize(other.lower())
    again = loads("input 3x8x8\nconv3-4\n").lower().eval()
    x = torch.randn(1, 3, 8, 8)
    with torch.no_grad():
        assert torch.equal(net.optimize(again, level=1)(x), again(x))


@pytest.mark.slow
def test_the_script_for_passes_runs(tmp_path: Path) -> None:
    out = tmp_path / "passes.json"
    options = ["--networks", "resnet18", "--batch", "1", "--lowered", "8:float32", "--runs", "1", "--out", str(out)]
    done = subprocess.run([sys.executable, "bench/passes.py", *options], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text())["rows"]
    found = {(row["level"], row["pass"]) for row in rows}
    assert found >= {(2, "fold_batch_norm"), ("training", "relu_after_pool"), (3, "slices")}  # the others where they are faster


@pytest.mark.parametrize(
    "act",
    [
        "relu",
        "relu6",
        "leaky_relu(slope=0.2)",
        "gelu",
        "gelu(approximate=tanh)",
        "sigmoid",
        "tanh",
        "hardsigmoid",
        "hardswish",
        "silu",
        "elu",
    ],
)
def test_activations_within_the_call_of_a_layer(act: str) -> None:
    graph = check_text(f"input 3x9x9\nconv3-4\n{act}\nfc-5\n{act}\n").graph
    found = fusions(graph)
    assert [fusion.activation for fusion in found.values()] == ([""] * 2 if act == "elu" else [act.partition("(")[0]] * 2)
    module, inputs = lively(graph), random_inputs(graph, 3)
    with torch.no_grad():
        assert apart(optimized(module, graph, inputs, 2)(*inputs), module(*inputs)) < DIFFERENT


@pytest.mark.parametrize("body", ["channel_fc-32; gelu; channel_fc-8", "channel_fc-8(bias=no)"])
def test_layers_per_position_take_what_follows_into_one_call(body: str) -> None:
    graph = check_text(f"input 8x7\nresidual<layer_norm; {body}>\nchannel_fc-4; sigmoid\n").graph
    found = list(fusions(graph).values())
    assert [(fusion.activation, bool(fusion.add)) for fusion in found[:2]] == [("sigmoid", False), ("", True)]
    module, inputs = lively(graph), random_inputs(graph, 3)
    with torch.no_grad():
        assert apart(optimized(module, graph, inputs, 2)(*inputs), module(*inputs)) < DIFFERENT
