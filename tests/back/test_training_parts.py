"""Runs whose processes hold parts of one network, over gloo on this machine: they arrive at the weights of one process."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from archc import load, loads
from archc.compiler.analysis.placing import layouts
from archc.compiler.backends.torch.lower import lower
from archc.compiler.errors import UsageError
from archc.compiler.graph import ArchGraph
from archc.tests.support import ROOT
from archc.tests.support.training import Told, forked, samples
from archc.training import checkpoint, processes
from archc.training.loop import Plan, train
from archc.training.recipe import WrongRecipe, parsed
from archc.training.sharding import innermost

STAGED = (
    "input 1x8x8\nstem: conv3-8(pad=same, norm=bn, act=relu)\na: residual<conv3-8(pad=same, norm=bn)>; relu\n"
    "b: maxpool; conv3-16(pad=same, norm=bn, act=relu)\noutput aux(when=training): @a; flatten; fc-10\n"
    "c: residual<conv3-16(pad=same, norm=bn)>; relu; flatten; fc-10\n"
)
STREAMS = (
    "input 1x8x8\ndefault conv(act=relu)\nconv1: conv3-8(pad=same, place=[1, 0])\nnorm1: lrn(size=5); maxpool\n"
    "conv2: conv3-16(pad=same, groups=2, place=[1, 0])\nconv3: conv3-16(pad=same, place=[0, 1])\n"
    "left: @conv3; conv3-4(place=0)\nright: @conv3; conv3-6(place=1); bn\nconcat<@left | @right>; bn\n"
    "middle: fc-12(act=tanh)\nfc6: fc-16(place=[0, 1], act=relu)\nfc7: fc-10(place=[0, 1])\n"
)
RECIPE = (
    "epochs = 2\nbatch = 80\naccumulate = 4\nrate = 0.05\nseed = 3\naverage = 0.5\nclip = 1.0\ndecay = 0.01\n"
    'optimizer = {name = "sgd", momentum = 0.9}\n'
)
AUX = RECIPE + "outputs = {aux = 0.3}\n"


def plan(folder: Path, graph: ArchGraph, recipe: str, **changed: Any) -> Plan:
    folder.mkdir(exist_ok=True)
    parts = {"train": samples(160), "test": samples(60, shift=1)} | changed
    return Plan(graph, "input 1x8x8\n", parsed(recipe, "r.toml"), folder=folder, **parts)


def weights(folder: Path, name: str = checkpoint.FINAL) -> dict[str, torch.Tensor]:
    return load_file(folder / name)


def assert_near(one: Path, other: Path, allowed: float = 1e-5, name: str = checkpoint.FINAL) -> None:
    a, b = weights(one, name), weights(other, name)
    assert list(a) == list(b)
    differences = {key: float((a[key].double() - b[key].double()).abs().max()) for key in a}
    assert max(differences.values()) < allowed, differences


def without_chance(text: str) -> str:
    """A text without claims, and without dropout."""
    return re.sub(r"=>\s*[\w ]+|^expect.*$", "", text, flags=re.MULTILINE).replace("dropout(0.5)", "dropout(0)")


def alexnet() -> ArchGraph:
    text = without_chance((ROOT / "archs/alexnet.arch").read_text()).replace("fc-1000", "fc-10")
    return loads(text, inputs="3x67x67").graph


# ---- by day: what is refused


def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    graph = loads(STAGED).graph
    cases: list[tuple[dict[str, Any], str]] = [
        ({"stages": 3}, "3 stages run in as many processes, and here is 1: torchrun --nproc-per-node 3"),
        ({"stages": 1, "on_bad": "skip"}, "--stages needs whole batches"),
        ({"stages": 1, "shard": True}, "leave out --shard"),
        ({"placed": True}, "text places nothing"),
    ]
    for changed, message in cases:
        with pytest.raises(UsageError, match=re.escape(message)):
            train(plan(tmp_path / "run", graph, AUX, **changed), Told())
    with pytest.raises(UsageError, match="`place` names 2 processes, and here is 1"):
        train(plan(tmp_path / "run", loads(STREAMS).graph, RECIPE, placed=True), Told())
    with pytest.raises(WrongRecipe, match="passes divides the recipe's batch of 80, and 3 does not"):
        parsed(RECIPE, "r.toml").in_passes(3)


PLACES = [
    (
        "conv3-8(place=[0, 1]); dropout(0.5); bn; dropout(0.5); fc-10",
        "dropout2 draws random numbers, and would draw others in every process",
    ),
    ("conv3-8(place=[0, 2]); fc-10", "a layer is shared out over all 3 processes, each named once"),
    ("conv3-7(place=[0, 1]); fc-10", "its 7 channels, or its groups, cannot be shared out evenly over 2 processes"),
    ("conv3-8; bn(place=[0, 1]); fc-10", "only conv, fc and what works channel by channel is shared out"),
    ("share s { conv3-1(pad=same, place=0) }\ns; s; fc-10(place=1)", ""),
]


@pytest.mark.parametrize(("body", "message"), PLACES, ids=[message for _, message in PLACES])
def test_places_that_cannot_be(body: str, message: str) -> None:
    graph = loads(f"input 1x8x8\n{body}\n").graph
    if not message:
        assert set(layouts(graph).values()) == {None, (0,), (1,)}
        return
    with pytest.raises(UsageError, match=re.escape(message)):
        layouts(graph)


def test_layouts_of_alexnet() -> None:
    """The streams are joined before conv3 and the layers of values, as in the paper, and by the normalization over all channels."""
    found = layouts(load(ROOT / "archs/alexnet.arch").graph)
    both = (0, 1)
    assert all(found[name] == both for name in ("conv1", "relu1", "conv2", "pool5", "flatten1", "fc6", "dropout1", "fc8"))
    assert all(found[name] is None for name in ("norm1", "pool1", "norm2", "pool2"))


# ---- at night: several processes


@pytest.mark.slow
@pytest.mark.parametrize(("stages", "schedule"), [(2, "1f1b"), (3, "1f1b"), (3, "gpipe")])
def test_stages_train_as_one_process_does(stages: int, schedule: str, tmp_path: Path) -> None:
    """With batch normalization over each micro-batch, a loss on the side, clipping and a moving average; resumed in the middle."""
    graph = loads(STAGED).graph
    train(plan(tmp_path / "one", graph, AUX), Told())
    forked(stages, lambda rank: train(plan(tmp_path / "whole", graph, AUX, stages=stages, schedule=schedule), Told()))
    assert_near(tmp_path / "one", tmp_path / "whole")
    assert_near(tmp_path / "one", tmp_path / "whole", name=checkpoint.BEST)

    def stopped(rank: int) -> None:
        with pytest.raises(KeyboardInterrupt):
            train(plan(tmp_path / "cut", graph, AUX, stages=stages, schedule=schedule, every=1), Told(stop_at=4))

    forked(stages, stopped)
    state = checkpoint.load(tmp_path / "cut")
    assert state is not None and state["step"] == 3 and sorted(state["weights"]) == sorted(weights(tmp_path / "one"))
    forked(stages, lambda rank: train(plan(tmp_path / "cut", graph, AUX, stages=stages, schedule=schedule, every=1, resume=True), Told()))
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(whole[key], cut[key]) for key in whole)


@pytest.mark.slow
def test_resnet152_in_four_stages_has_the_gradients_of_one_process(tmp_path: Path) -> None:
    """One step with rate 1 and no momentum: the weights differ by the gradients. In the order 1F1B.

    They are compared to the last bit: a network of 152 layers with fresh weights is so ill-conditioned that a change of its input by 1e-7
    changes gradients by as much as they are. So both run in processes of one thread.
    """
    graph = load(ROOT / "archs/resnet152.arch", inputs="3x32x32", classes=10).graph
    recipe = 'epochs = 1\nbatch = 16\naccumulate = 4\nrate = 1.0\nseed = 3\noptimizer = {name = "sgd"}\n'
    given: dict[str, Any] = {"train": samples(16), "test": samples(4)}
    forked(1, lambda rank: train(plan(tmp_path / "one", graph, recipe, **given), Told()))
    forked(4, lambda rank: train(plan(tmp_path / "four", graph, recipe, stages=4, **given), Told()))
    start, one, four = _fresh(graph), weights(tmp_path / "one"), weights(tmp_path / "four")
    assert sorted(one) == sorted(four) == sorted(start)
    assert all(torch.equal(one[key], four[key]) for key in one)
    assert all(not torch.equal(one[key], start[key]) for key in one if key.endswith("weight"))


def _fresh(graph: ArchGraph) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return lower(graph).state_dict()


@pytest.mark.slow
def test_placed_streams_train_as_one_process_does(tmp_path: Path) -> None:
    """Shared out, in one process, and in both; across orders of places; resumed in the middle."""
    graph = loads(STREAMS).graph
    train(plan(tmp_path / "one", graph, RECIPE), Told())
    forked(2, lambda rank: train(plan(tmp_path / "two", graph, RECIPE, placed=True), Told()))
    assert_near(tmp_path / "one", tmp_path / "two")
    assert_near(tmp_path / "one", tmp_path / "two", name=checkpoint.BEST)

    def stopped(rank: int) -> None:
        with pytest.raises(KeyboardInterrupt):
            train(plan(tmp_path / "cut", graph, RECIPE, placed=True, every=1), Told(stop_at=3))

    forked(2, stopped)
    forked(2, lambda rank: train(plan(tmp_path / "cut", graph, RECIPE, placed=True, every=1, resume=True), Told()))
    two, cut = weights(tmp_path / "two"), weights(tmp_path / "cut")
    assert all(torch.equal(two[key], cut[key]) for key in two)


@pytest.mark.slow
def test_alexnet_on_two_processes_as_in_2012(tmp_path: Path) -> None:
    graph = alexnet()
    recipe = 'epochs = 2\nbatch = 8\nrate = 0.1\nseed = 3\noptimizer = {name = "sgd", momentum = 0.9}\n'
    given: dict[str, Any] = {"train": samples(16), "test": samples(10)}
    train(plan(tmp_path / "one", graph, recipe, **given), Told())
    forked(2, lambda rank: train(plan(tmp_path / "two", graph, recipe, placed=True, **given), Told()))
    assert_near(tmp_path / "one", tmp_path / "two", 1e-6)
    start = _fresh(graph)
    assert all(not torch.equal(start[key], value) for key, value in weights(tmp_path / "two").items())


def test_processes_that_start_again_do_not_meet_those_of_before(tmp_path: Path) -> None:
    """torchrun keeps its store: what a process that was killed has left there does not make the others wait, or go on without it."""
    store = torch.distributed.FileStore(str(tmp_path / "store"), -1)
    names = []
    for _ in range(2):
        store.set("archc/joins/2", "one that was killed before it answered")
        with ThreadPoolExecutor(3) as pool:
            found = [
                pool.submit(processes.joined, torch.distributed.FileStore(str(tmp_path / "store"), -1), rank, 3, 30) for rank in range(3)
            ]
        assert len({each.result() for each in found}) == 1
        names.append(found[0].result())
    assert names[0] != names[1]
    with pytest.raises(processes.ProcessLost, match="do not come"):
        processes.joined(store, 0, 3, 0.1)


def test_a_lost_process_is_told_in_plain_words() -> None:
    said = "[/a/gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:50592"
    with (
        pytest.raises(processes.ProcessLost, match=r"another process .* has ended, .*\(Connection closed by peer"),
        processes.lost_processes(2),
    ):
        raise RuntimeError(said)
    for world, text in ((1, said), (2, "shapes do not fit")):
        with pytest.raises(RuntimeError) as caught, processes.lost_processes(world):
            raise RuntimeError(text)
        assert not isinstance(caught.value, processes.ProcessLost)


def test_blocks_whose_weights_are_shared_out() -> None:
    text = "input 1x8x8\nblock unit(n) [ residual<conv3-{n}(pad=same)> ]\nconv3-4; unit(4) x3\nshare s { conv3-4(pad=same) }\ns; s; fc-10\n"
    found = innermost(lower(loads(text).graph))
    assert len(found) == 3 and all(type(block).__name__ == "unit" for block in found)
    assert len(innermost(lower(load(ROOT / "archs/resnet18.arch").graph))) == 8
