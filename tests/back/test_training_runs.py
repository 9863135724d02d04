"""Runs of training: what they learn, that they resume to the last bit, data that is bad, several processes."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from archc import loads
from archc.compiler.errors import UsageError
from archc.compiler.files import CannotWrite
from archc.tests.support import ROOT
from archc.tests.support.training import Told, forked, samples
from archc.training import checkpoint, stored
from archc.training.data import BadData, Samples, load
from archc.training.evaluate import Evaluation
from archc.training.logs import Logs
from archc.training.loop import Plan, Trained, train
from archc.training.loss import RBF_BOUND, rbf
from archc.training.order import order
from archc.training.prepare import Preparation, Prepared, evaluating, seeded
from archc.training.recipe import Recipe, parsed

NET = 'arch net "a small network"\ninput 1x8x8\nconv3-8(pad=same, act=relu); maxpool; dropout(0.2); flatten; fc-10\n'
QUICK = 'epochs = 2\nbatch = 120\nrate = 1e-2\nseed = 3\naverage = 0.5\nclip = 1.0\noptimizer = {name = "adamw"}\n'


def plan(folder: Path, text: str = NET, recipe: str = QUICK, **changed: Any) -> Plan:
    folder.mkdir(exist_ok=True)
    parts = {"train": samples(), "test": samples(60, shift=1)} | changed
    return Plan(loads(text).graph, text, parsed(recipe, "r.toml"), folder=folder, **parts)


def run(folder: Path, told: Told | None = None, **changed: Any) -> Trained:
    return train(plan(folder, **changed), told or Told())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / checkpoint.FINAL)


def test_a_network_learns_and_is_one_file(tmp_path: Path) -> None:
    told = Told()
    found = run(tmp_path / "run", told, recipe=QUICK.replace("epochs = 2", "epochs = 12"))
    assert found.steps == 24 and found.last["top1"] > 0.6 > told.epochs[0]["top1"] and told.epochs[-1]["loss"] < told.epochs[0]["loss"]
    kept = stored.read(tmp_path / "run" / checkpoint.FINAL)
    assert kept.text == NET and kept.classes == tuple("0123456789") and Preparation.of_facts(kept.preparation).size == (8, 8)
    rows = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "top1" in row] == list(range(2, 25, 2))
    assert (tmp_path / "run/epochs.csv").read_text().count("\n") == 13


def test_an_interrupted_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """With dropout, random crops, a moving average and several passes, in the middle of an epoch."""
    recipe = QUICK.replace("batch = 120", "batch = 40\naccumulate = 2") + 'augment = [{name = "random_crop", padding = 1}]\n'
    run(tmp_path / "whole", recipe=recipe)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", Told(stop_at=5), recipe=recipe, every=2)
    state = checkpoint.load(tmp_path / "cut")
    assert state is not None and state["step"] == 4
    told = Told()
    run(tmp_path / "cut", told, recipe=recipe, every=2, resume=True)
    assert told.notes == ["resumed at step 4 of 12"]
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert whole.keys() == cut.keys() and all(torch.equal(whole[key], cut[key]) for key in whole)
    assert load_file(tmp_path / "cut" / checkpoint.BEST).keys() == whole.keys()


def test_a_run_is_resumed_only_with_what_it_had(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", Told(stop_at=2), every=1)
    with pytest.raises(UsageError, match="holds a run: --resume goes on with it"):
        run(tmp_path / "run")
    with pytest.raises(UsageError, match="had another rate of the recipe"):
        run(tmp_path / "run", recipe=QUICK.replace("1e-2", "2e-2"), resume=True)
    with pytest.raises(UsageError, match="had another network"):
        run(tmp_path / "run", text=NET.replace("-8", "-9"), resume=True)
    (tmp_path / "run" / checkpoint.LAST).write_bytes(b"PK\3\4 half of it")
    with pytest.raises(BadData, match=r"last.pt: this is no state of a run that can be read .* remove it"):
        run(tmp_path / "run", resume=True)


FITS = [
    ({"text": NET.replace("fc-10", "fc-12")}, "the data has 10 classes, and the output `output` of net has 12 values"),
    ({"text": NET.replace("fc-10", "fc-10; softmax")}, "ends with softmax, which the loss has in itself"),
    ({"text": NET.replace("flatten; fc-10", "flatten; rbf-10")}, 'needs loss = "rbf"'),
    ({"recipe": QUICK + 'loss = "rbf"\n'}, 'needs loss = "cross_entropy"'),
    ({"recipe": QUICK + "outputs = {aux = 0.3}\n"}, "weighs the loss of an output `aux`, which net does not have"),
    ({"text": NET + "output aux(when=training): fc-10\n"}, "the recipe gives its loss no weight"),
    ({"text": NET.replace("1x8x8", "2x8x8")}, "images of 2 channels"),
    ({"recipe": QUICK.replace("120", "241\naccumulate = 241")}, "a batch has 241 samples, and the data only 240"),
    ({"recipe": QUICK + 'precision = "float16"\n'}, "float16, which needs a GPU"),
]


@pytest.mark.parametrize(("changed", "message"), FITS, ids=[message for _, message in FITS])
def test_what_does_not_fit_together_is_refused(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    if "float16" in message and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UsageError) as caught:
        run(tmp_path / "run", **changed)
    assert message in str(caught.value)
    assert not list((tmp_path / "run").iterdir())


def test_further_outputs_are_weighed(tmp_path: Path) -> None:
    text = 'arch net "two heads"\ninput 1x8x8\na: conv3-4(act=relu); flatten; fc-10\noutput aux(when=training): @a; flatten; fc-10\n'
    told = [Told(), Told()]
    for each, weight in zip(told, (0.0, 0.3), strict=True):
        recipe = QUICK.replace("average = 0.5\n", "") + f"outputs = {{aux = {weight}}}\n"
        run(tmp_path / str(weight), each, text=text, recipe=recipe)
    assert told[1].epochs[0]["loss"] == pytest.approx(1.3 * told[0].epochs[0]["loss"], rel=0.1)


def test_the_rbf_loss_is_that_of_the_paper() -> None:
    """Equation 9, by its sum: with the penalty of the wrong classes and the bound."""
    distances, target = torch.rand(4, 10, dtype=torch.float64) * 9, torch.tensor([1, 2, 3, 9])
    wanted = [row[t] + torch.log(np.e**-RBF_BOUND + torch.exp(-row).sum()) for row, t in zip(distances, target, strict=True)]
    assert float(rbf(distances, target)) == pytest.approx(float(sum(wanted) / 4), rel=1e-5)


def test_every_sample_is_taken_once_an_epoch_by_one_process() -> None:
    recipe = Recipe(batch=24, accumulate=2, seed=5)
    shares = [[number for each in order(100, recipe, rank, 3).passes_of(1, 0) for _, number in each] for rank in range(3)]
    taken = [number for share in shares for number in share]
    assert len(taken) == len(set(taken)) == 96 and len({len(share) for share in shares}) == 1
    whole = list(order(100, Recipe(batch=24, seed=5), 0, 1).passes_of(1, 2))
    assert {number for _, number in whole[0]} == {
        number for rank in range(3) for each in list(order(100, recipe, rank, 3).passes_of(1, 2))[:2] for _, number in each
    }
    assert list(order(100, recipe, 0, 1).passes_of(1, 0)) != list(order(100, recipe, 0, 1).passes_of(2, 0))


# ---- data


def write_idx(path: Path, values: np.ndarray[Any, Any]) -> None:
    head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(head + values.tobytes()) if path.suffix == ".gz" else head + values.tobytes())


@pytest.mark.parametrize("end", ["", ".gz"])
def test_idx_files(end: str, tmp_path: Path) -> None:
    images, labels = np.arange(2 * 28 * 28, dtype=np.uint32).reshape(2, 28, 28).astype(np.uint8), np.array([3, 9], np.uint8)
    write_idx(tmp_path / f"train-images-idx3-ubyte{end}", images)
    write_idx(tmp_path / f"train-labels-idx1-ubyte{end}", labels)
    found = load(str(tmp_path), "train")
    assert np.array_equal(np.asarray(found.image(1)), images[1]) and found.labels == [3, 9] and len(found.classes) == 10
    with pytest.raises(BadData, match="are not both here"):
        load(str(tmp_path), "test")
    write_idx(tmp_path / f"train-labels-idx1-ubyte{end}", labels[:1])
    with pytest.raises(BadData, match="do not belong together"):
        load(str(tmp_path), "train")
    path = tmp_path / f"train-images-idx3-ubyte{end}"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadData, match="this is no whole idx file"):
        load(str(tmp_path), "train")


def test_cifar_files(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (3, 3073), dtype=np.uint8)
    rows[:, 0] = [4, 0, 9]
    for number in range(1, 6):
        (tmp_path / f"data_batch_{number}.bin").write_bytes(rows.tobytes())
    (tmp_path / "test_batch.bin").write_bytes(rows.tobytes()[:-1])
    found = load(str(tmp_path), "train")
    assert found.labels == [4, 0, 9] * 5 and np.asarray(found.image(1))[2, 5, 1] == rows[1, 1 + 1024 + 2 * 32 + 5]
    with pytest.raises(BadData, match="its length is no multiple of 3073 bytes"):
        load(str(tmp_path), "test")


def folder_of_images(folder: Path, count: int = 6) -> Path:
    for split in ("train", "val"):
        for name, value in (("dark", 20), ("light", 230)):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                noise = np.random.default_rng(number).integers(0, 20, (10, 12, 3))
                Image.fromarray((value + noise).astype(np.uint8)).save(folder / split / name / f"{number}.png")
    return folder


def test_folders_of_images(tmp_path: Path) -> None:
    folder = folder_of_images(tmp_path / "data")
    found = load(str(folder), "test")
    assert found.classes == ("dark", "light") and found.labels == [0] * 6 + [1] * 6 and "val" in found.place
    how = Preparation(3, (8, 8), resize=(9,), mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    assert evaluating(how)(found.image(11)).shape == (3, 8, 8) and float(evaluating(how)(found.image(0)).mean()) < -0.5
    (folder / "train/empty").mkdir()
    with pytest.raises(BadData, match="there are no images in the folder of this class"):
        load(str(folder), "train")
    for place, message in ((tmp_path / "nowhere", "there is no such folder"), (folder / "val/dark", "there is no data set here")):
        with pytest.raises(BadData, match=message):
            load(str(place), "train")


def test_images_that_are_none_stop_or_are_left_out(tmp_path: Path) -> None:
    folder = folder_of_images(tmp_path / "data")
    broken = folder / "train/dark/3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    parts = {
        "train": load(str(folder), "train"),
        "test": load(str(folder), "test"),
        "text": NET.replace("1x8x8", "3x8x8").replace("10", "2"),
    }
    with pytest.raises(BadData, match=r"dark/3.png: this is no image that can be read"):
        run(tmp_path / "stop", **parts)
    told = Told()
    found = run(tmp_path / "skip", told, on_bad="skip", **parts)
    assert found.skipped == 2 and "3.png" in told.notes[0] and told.notes[0].endswith("left out")


def test_a_loss_that_is_no_number_stops_or_is_left_out(tmp_path: Path) -> None:
    wild = QUICK.replace("rate = 1e-2", "rate = 1e30").replace("clip = 1.0\n", "").replace('{name = "adamw"}', '{name = "sgd"}')
    with pytest.raises(BadData, match=r"the loss of step \d+ is .*; the batch begins with made: sample \d+\. A smaller `rate`"):
        run(tmp_path / "stop", recipe=wild)
    told = Told()
    found = run(tmp_path / "skip", told, recipe=wild, on_bad="skip")
    assert found.skipped and found.skipped == sum("is left out" in note for note in told.notes)


@pytest.mark.parametrize("form", ["idx", pytest.param("cifar", marks=pytest.mark.slow)])
def test_classes_that_are_none_stop_or_are_left_out(form: str, tmp_path: Path) -> None:
    folder, text = tmp_path / "data", NET
    folder.mkdir()
    labels = np.arange(20, dtype=np.uint8) % 10
    labels[13] = 200
    if form == "idx":
        write_idx(folder / "train-images-idx3-ubyte", np.zeros((20, 8, 8), np.uint8))
        write_idx(folder / "train-labels-idx1-ubyte", labels)
        wrong = f"{folder}/train-labels-idx1-ubyte: sample 13: its class is 200, and there are 10"
    else:
        text = NET.replace("1x8x8", "3x8x8")
        rows = np.zeros((20, 3073), np.uint8)
        for number in range(1, 6):
            rows[:, 0] = labels if number == 2 else 3
            (folder / f"data_batch_{number}.bin").write_bytes(rows.tobytes())
        wrong = f"{folder}/data_batch_2.bin: sample 13: its class is 200, and there are 10"
    recipe, train_samples = QUICK.replace("batch = 120", "batch = 10"), load(str(folder), "train")
    with pytest.raises(BadData, match=re.escape(wrong)):
        run(tmp_path / "stop", text=text, recipe=recipe, train=train_samples)
    told = Told()
    assert run(tmp_path / "skip", told, text=text, recipe=recipe, train=train_samples, on_bad="skip").skipped == 2
    assert wrong in told.notes[0]


def test_data_of_another_network_is_refused_and_not_left_out(tmp_path: Path) -> None:
    given = Samples(np.zeros((40, 8, 8), np.uint8), list(range(20)) * 2, tuple(map(str, range(20))), "made", stated=False)
    with pytest.raises(UsageError, match="the data has 20 classes, and the output `output` of net has 10 values"):
        run(tmp_path / "run", recipe=QUICK.replace("120", "10"), train=given, on_bad="skip")


def test_a_step_that_is_left_out_leaves_no_trace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither in the weights, nor in the statistics of batch norms, nor in the mean of the loss."""
    usual = Prepared.__getitem__

    def spoilt(self: Prepared, index: tuple[int, int]) -> Any:
        image, label, number = usual(self, index)
        return (image * float("nan") if number == 7 and len(self) == 240 else image), label, number

    monkeypatch.setattr(Prepared, "__getitem__", spoilt)
    told = Told()
    text = NET.replace("act=relu", "norm=bn, act=relu")
    found = run(tmp_path / "skip", told, text=text, recipe=QUICK.replace("average = 0.5\n", ""), on_bad="skip")
    assert found.skipped == 2 and found.steps == 4 and all(np.isfinite(row["loss"]) for row in told.epochs)
    assert all(value.isfinite().all() for value in weights(tmp_path / "skip").values())


def test_seeding_a_sample_keeps_nothing() -> None:
    """`torch.manual_seed` would keep a stack for every sample, where there is a build for GPUs and none in use."""
    before, kept = torch.get_rng_state(), len(torch.cuda._queued_calls)
    with seeded(5):
        one = torch.rand(3)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        assert torch.equal(one, torch.rand(3))
    assert torch.equal(before, torch.get_rng_state()) and len(torch.cuda._queued_calls) == kept


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    """The old files stay. A limit on the size of files stands for the disk."""
    run(tmp_path / "run")
    names = (checkpoint.LAST, checkpoint.FINAL)
    before = {name: (tmp_path / "run" / name).read_bytes() for name in names}
    state, tensors = checkpoint.load(tmp_path / "run"), weights(tmp_path / "run")
    assert state is not None

    def full(rank: int) -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        for write in (
            lambda: checkpoint.save(tmp_path / "run", state),
            lambda: checkpoint.save_network(tmp_path / "run" / checkpoint.FINAL, tensors, stored.Stored(NET, "net")),
        ):
            with pytest.raises(CannotWrite, match="cannot write"):
                write()
        row = {"step": 1, "text": "x" * 3000}
        with pytest.raises(CannotWrite, match=r"cannot write .*log.jsonl"):
            Logs(tmp_path / "run", 9, False).step(row)

    forked(1, full)
    assert before == {name: (tmp_path / "run" / name).read_bytes() for name in names}


def test_rates_of_empty_classes_are_json() -> None:
    found = Evaluation("net", "made", ("a", "b"), 1.0, 1.0, 0.0, ((3, 0), (0, 0)))
    assert json.loads(json.dumps(found.facts(), allow_nan=False))["per_class"][1] == {
        "class": "b",
        "samples": 0,
        "recall": None,
        "precision": None,
    }


def test_what_is_no_trained_network_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "run")
    path = tmp_path / "run" / checkpoint.FINAL
    data = path.read_bytes()
    for changed, message in (
        (data.replace(b"conv3-8", b"conv3-9"), "is not the one that was trained"),
        (data[:40], "no .safetensors file"),
        (b"\xff" * 64, "no .safetensors file"),
        (data.replace(b'"arch"', b'"acrh"'), "holds weights alone"),
    ):
        path.write_bytes(changed)
        with pytest.raises(Exception, match=message):
            stored.read(path)


# ---- the command line


def archc(*args: object, cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "cli.py"), *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600, **options)


@pytest.mark.slow
def test_the_verbs(tmp_path: Path) -> None:
    """Train, evaluate, predict and compile: the trained network needs no second file, and as ONNX it tells the same."""
    (tmp_path / "net.arch").write_text(NET)
    (tmp_path / "r.toml").write_text(QUICK.replace("epochs = 2", "epochs = 8"))
    done = archc("train", "net.arch", "--data", "digits", "--recipe", "r.toml", "-o", "run", "--tensorboard", cwd=tmp_path)
    assert done.returncode == 0 and "top-1" in done.stdout, done.stderr
    assert list((tmp_path / "run/tensorboard").iterdir())
    found = json.loads(archc("evaluate", "run/model.safetensors", "--data", "digits", "--json", cwd=tmp_path).stdout)
    assert found["samples"] == 360 and f"{100 * found['top1']:.2f} %" in done.stdout
    load("digits", "test").image(5).save(tmp_path / "image.png")
    guess = json.loads(archc("predict", "run/model.safetensors", "image.png", "--json", cwd=tmp_path).stdout)
    assert len(guess[0]["classes"]) == 3
    bad = archc("predict", "run/model.safetensors", "r.toml", cwd=tmp_path)
    assert bad.returncode == 1 and "no image that can be read" in bad.stderr
    assert archc("compile", "run/model.safetensors", "-o", "net.onnx", "--verify", cwd=tmp_path).returncode == 0
    assert top1_of_onnx(tmp_path / "net.onnx") == pytest.approx(found["top1"], abs=1e-6)


def top1_of_onnx(path: Path) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    there, prepare = load("digits", "test"), evaluating(Preparation(1, (8, 8)))
    x = torch.stack([prepare(there.image(number)) for number in range(len(there))]).numpy()
    scores = session.run(None, {session.get_inputs()[0].name: x})[0]
    return float((scores.argmax(1) == np.array(there.labels)).mean())


@pytest.mark.slow
def test_lenet5_learns_digits(tmp_path: Path) -> None:
    """README's command: above 98 %."""
    done = archc("train", ROOT / "archs/lenet5_modern.arch", "--data", "digits", "--json", cwd=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["top1"] > 0.98, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("again", range(3))
def test_a_killed_run_goes_on_to_the_same_bits(again: int, tmp_path: Path) -> None:
    """By SIGKILL at any moment, also while a state is written."""
    (tmp_path / "net.arch").write_text(NET)
    (tmp_path / "r.toml").write_text(QUICK)
    command = ["train", "net.arch", "--data", "digits", "--recipe", "r.toml", "--every", 1]
    assert archc(*command, "-o", "whole", cwd=tmp_path).returncode == 0
    process = subprocess.Popen([sys.executable, ROOT / "cli.py", *map(str, command), "-o", "cut"], cwd=tmp_path, stderr=subprocess.DEVNULL)
    while not (tmp_path / "cut" / checkpoint.LAST).exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3 * again)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = archc(*command, "-o", "cut", "--resume", cwd=tmp_path)
    assert done.returncode == 0 and "resumed at step" in done.stderr, done.stderr
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert all(torch.equal(whole[key], cut[key]) for key in whole)


def torchrun(processes: int, *args: object, restarts: int = 0) -> list[str]:
    """The command that runs archc in several processes on this machine."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [*run, "--max-restarts", str(restarts), str(ROOT / "cli.py"), *map(str, args)]


ALONE = os.environ | {"OMP_NUM_THREADS": "1"}


def together(processes: int, *args: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(torchrun(processes, *args), cwd=cwd, capture_output=True, text=True, timeout=600, env=ALONE)


@pytest.mark.slow
@pytest.mark.parametrize("shard", [(), ("--shard",)], ids=["ddp", "fsdp2"])
def test_two_processes_train_as_one_does(shard: tuple[str, ...], tmp_path: Path) -> None:
    """With the same batch over all processes, and no chance in the network, up to rounding."""
    (tmp_path / "net.arch").write_text(NET.replace("dropout(0.2); ", ""))
    (tmp_path / "r.toml").write_text(QUICK.replace("average = 0.5\n", "").replace('"adamw"', '"sgd", momentum = 0.9'))
    command = ["train", "net.arch", "--data", "digits", "--recipe", "r.toml"]
    assert archc(*command, "-o", "one", cwd=tmp_path).returncode == 0
    done = together(2, *command, *shard, "-o", "two", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert one.keys() == two.keys() and max(float((one[key] - two[key]).abs().max()) for key in one) < 1e-5


def children(process: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the processes of torchrun are found in /proc")
@pytest.mark.parametrize("how", [(), ("--shard",), ("--stages", 2)], ids=["ddp", "fsdp2", "stages"])
def test_a_killed_worker_is_started_again_by_torchrun(how: tuple[object, ...], tmp_path: Path) -> None:
    """SIGKILL to one worker in the middle: all start again from the last state, and arrive at the weights of a run without that."""
    (tmp_path / "net.arch").write_text(NET.replace("dropout(0.2); ", "conv3-8(pad=same); "))
    (tmp_path / "r.toml").write_text(QUICK.replace("epochs = 2", "epochs = 6\naccumulate = 2").replace("average = 0.5\n", ""))
    command = ["train", "net.arch", "--data", "digits", "--recipe", "r.toml", "--every", 1, "--resume", *how]
    whole = together(2, *command, "-o", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr[-3000:]
    with open(tmp_path / "stderr", "w+") as heard:
        run = subprocess.Popen(torchrun(2, *command, "-o", "cut", restarts=1), cwd=tmp_path, stderr=heard, stdout=heard, env=ALONE)
        while (state := checkpoint.load(tmp_path / "cut")) is None or state["step"] < 3:
            assert run.poll() is None, (tmp_path / "stderr").read_text()[-3000:]
            time.sleep(0.05)
        worker = children(run.pid)[-1]
        os.kill(worker, signal.SIGKILL)
        run.wait(timeout=300)
    told = (tmp_path / "stderr").read_text()
    assert run.returncode == 0 and re.search(r"resumed at step \d+ of 66", told), told[-3000:]
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
