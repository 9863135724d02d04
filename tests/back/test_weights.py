"""Weights under other names, networks that are listed, and files that start from one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from archc import load
from archc.compiler.backends.torch import free_memory
from archc.compiler.backends.torch.files import save_tensors
from archc.compiler.backends.torch.foreign import converted, fit
from archc.compiler.backends.torch.lower import lower
from archc.compiler.backends.torch.published import Unreadable, published
from archc.compiler.backends.torch.weight_files import fitted, load_weights, read_weights
from archc.compiler.driver import check_text
from archc.tests.support import FILES, ROOT
from archc.tests.support.commands import archc, facts
from archc.tests.support.pytorch import stirred, timm_model, torchvision_models


def renamed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {key.replace("layer", "stage").replace("conv", "c").replace("downsample", "short"): tensor for key, tensor in state.items()}


def test_by_name_else_by_order_and_shapes() -> None:
    torch.manual_seed(0)
    own = load(ROOT / "archs/resnet50.arch").lower().state_dict()
    same = fit(own, own)
    assert same.whole and same.by_name == 107 and not same.by_structure
    foreign = renamed(own)
    found = fit(own, foreign)
    assert found.whole and found.by_name + len(found.by_structure) == 107
    assert found.mapping["layer3.5.conv2.weight"] == "stage3.5.c2.weight"
    assert not found.ambiguous and not found.unused
    assert all(torch.equal(tensor, own[key]) for key, tensor in converted(found, own, foreign).items())


@pytest.mark.parametrize(("name", "modules"), [("resnet50", 107), ("densenet121", 242)])
def test_timm_has_the_keys_of_torchvision(name: str, modules: int) -> None:
    with torch.device("meta"):
        own, foreign = load(ROOT / f"archs/{name}.arch").lower().state_dict(), timm_model(name).state_dict()
    found = fit(own, foreign)
    assert found.whole and not found.unused
    assert (found.by_name, found.by_structure) == (modules, [])


@pytest.mark.parametrize(
    ("name", "theirs", "modules"),
    [("efficientnet_b0", "efficientnet_b0", 131), ("mobilenet_v2", "mobilenetv2_100", 105), ("convnext_tiny", "convnext_tiny", 100)],
)
def test_timms_weights_by_structure_give_timms_outputs(name: str, theirs: str, modules: int) -> None:
    """Other names throughout; ConvNeXt's layer scales have other axes as well."""
    peer = timm_model(theirs).eval()
    state = stirred(peer)
    module = load(ROOT / f"archs/{name}.arch").lower().eval()
    own = module.state_dict()
    found = fit(own, state)
    assert found.whole and not found.unused and not found.ambiguous
    assert (found.by_name, len(found.by_structure)) == (0, modules)
    module.load_state_dict(converted(found, own, state), strict=True)
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        assert torch.equal(module(x), peer(x))


def test_a_fully_connected_layer_from_a_convolution() -> None:
    """timm's VGG runs its first layers as convolutions: the same values in the same order."""
    with torch.device("meta"):
        own, foreign = load(ROOT / "archs/vgg16_bn.arch").lower().state_dict(), timm_model("vgg16_bn").state_dict()
    found = fit(own, foreign)
    assert found.whole and not found.ambiguous
    assert ("classifier.0", "pre_logits.fc1") in found.by_structure
    assert foreign["pre_logits.fc1.weight"].shape == (4096, 512, 7, 7)
    assert converted(found, own, foreign)["classifier.0.weight"].shape == (4096, 25088)


def test_what_is_ambiguous_is_named() -> None:
    """RegNet's projections stand before the branch here, behind it in timm, and have the shapes of the branch's first convolutions."""
    with torch.device("meta"):
        own, foreign = load(ROOT / "archs/regnet_y_400mf.arch").lower().state_dict(), timm_model("regnety_004").state_dict()
    found = fit(own, foreign)
    wrong = [ours for ours, theirs in found.by_structure if (".proj." in ours) != ("downsample" in theirs)]
    assert wrong and set(wrong) <= set(found.ambiguous)
    a, b = torch.zeros(3, 2), torch.zeros(2, 3)
    sure = fit({"x.weight": a, "y.weight": b}, {"p.weight": a, "q.weight": b})
    assert sure.whole and not sure.ambiguous
    either = fit({"x.weight": a}, {"p.weight": a, "q.weight": a})
    assert either.whole and either.ambiguous == ["x"]
    turned = fit({"x.weight": torch.zeros(4, 3, 1, 7)}, {"p.weight": torch.zeros(4, 3, 7, 1)})
    assert turned.missing == ["x.weight"]  # as many values, in another order
    crossed = fit({"x.weight": a, "y.weight": b}, {"p.weight": b, "q.weight": a})
    assert crossed.whole and crossed.mapping == {"x.weight": "q.weight", "y.weight": "p.weight"}


def test_names_count_before_places() -> None:
    """Two layer scales of one module, in a file that has them the other way round."""
    own = {"b": torch.zeros(3, 1, 1), "a": torch.ones(3, 1, 1)}
    assert fit(own, {"a": own["a"], "b": own["b"]}).mapping == {"b": "b", "a": "a"}


def test_a_file_without_an_order_is_ambiguous_where_shapes_are_equal(tmp_path: Path) -> None:
    """safetensors sorts its tensors, `body.10` before `body.2`."""
    graph = check_text("arch eleven\ninput 8x9x9\nbody: [ conv3-8(pad=1) x11 ]\nlast: conv1-5\n").graph
    own = lower(graph).state_dict()
    save_file(
        {key.replace("body", "trunk").replace("last", "head"): tensor for key, tensor in own.items()}, tmp_path / "foreign.safetensors"
    )
    found, tensors = fitted(graph, tmp_path / "foreign.safetensors")
    assert found.whole and found.ambiguous == [f"body.{number}" for number in range(11)]
    assert all(torch.equal(tensor, own[key]) for key, tensor in tensors.items())


def test_what_does_not_fit_is_told() -> None:
    own = load(ROOT / "archs/resnet18.arch").lower().state_dict()
    foreign = renamed(own)
    del foreign["stage2.0.c1.weight"]
    foreign["head.extra.weight"] = torch.zeros(3, 5)
    found = fit(own, foreign)
    assert not found.whole
    assert found.unused == ["head.extra.weight"]
    assert found.missing == ["layer2.0.conv1.weight"]
    # Four convolutions of 128 x 128 remain for four places, but none of 128 x 64: nothing is taken that does not fit.
    assert all(own[ours].shape == foreign[theirs].shape for ours, theirs in found.mapping.items())
    fewer = renamed(own)
    del fewer["stage1.0.c1.weight"]
    assert fit(own, fewer).mapping["layer1.0.conv2.weight"] == "stage1.0.c2.weight"  # the batch norms between tell which is gone
    assert not fit(own, fewer).ambiguous
    for key in [key for key in fewer if key.startswith("stage1.0.bn1.")]:
        del fewer[key]
    # One of four equal pairs is gone, and nothing says which.
    assert {"layer1.0.conv2", "layer1.1.conv1"} <= set(fit(own, fewer).ambiguous)
    assert "layer1.1.conv2.weight" in fit(own, fewer).missing


def test_the_command_writes_mapping_and_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    own = load(ROOT / "archs/lenet5_modern.arch").lower().state_dict()
    torch.save({f"net.{key}": tensor for key, tensor in own.items()}, tmp_path / "foreign.pth")
    out, mapping = tmp_path / "ours.safetensors", tmp_path / "map.json"
    command = ("weights", "archs/lenet5_modern.arch", "--from", str(tmp_path / "foreign.pth"))
    said = archc(*command, "-o", str(out), "--map", str(mapping)).stdout
    assert "0 modules by name, 5 by order and shapes, 0 tensors missing" in said
    assert json.loads(mapping.read_text()) == {key: f"net.{key}" for key in own}
    assert all(torch.equal(tensor, own[key]) for key, tensor in load_file(out).items())
    archc("compile", "archs/lenet5_modern.arch", "--weights", str(out))
    torch.save({"a.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    wrong = archc(
        "weights", "archs/lenet5_modern.arch", "--from", str(tmp_path / "other.pth"), "-o", str(tmp_path / "no.safetensors"), code=1
    )
    assert "missing" in wrong.stdout
    assert not (tmp_path / "no.safetensors").exists()
    assert "cannot read" in archc(*command[:3], str(tmp_path / "nothing.pth"), code=1).stderr


def cached(folder: Path, state: dict[str, torch.Tensor]) -> dict[str, str]:
    """An environment in which torch.hub's cache holds the weights of ResNet-18, as a download would have left them."""
    checkpoints = folder / "hub/checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save(state, checkpoints / torchvision_models().ResNet18_Weights.IMAGENET1K_V1.url.rpartition("/")[2])
    return {**os.environ, "TORCH_HOME": str(folder)}


def test_weights_of_torchvision_by_name(tmp_path: Path) -> None:
    torch.manual_seed(3)
    state = torchvision_models().resnet18().state_dict()
    out = tmp_path / "out.safetensors"
    archc(
        *("compile", "archs/resnet18.arch", "--weights", "torchvision:IMAGENET1K_V1", "-o", str(out)),
        env=cached(tmp_path, state),
    )
    assert all(torch.equal(tensor, state[key]) for key, tensor in load_file(out).items())


def test_weights_of_torchvision_that_cannot_be_had() -> None:
    said = archc("compile", "archs/resnet18.arch", "--weights", "torchvision:IMAGENET_V1", code=1).stderr
    assert "no weights IMAGENET_V1 for resnet18 (did you mean IMAGENET1K_V1?)" in said
    with pytest.raises(Unreadable, match=r"no network resnet19 \(did you mean resnet"):
        published("resnet19", "IMAGENET1K_V1")
    said = archc("compile", "archs/lenet5.arch", "--weights", "torchvision:DEFAULT", code=1).stderr
    assert "no network lenet5" in said and "--weights FILE.pth" in said


LENET = ("compile", "archs/lenet5_modern.arch", "--weights")


def test_weights_under_other_names_are_a_few_lines_and_the_way_out(tmp_path: Path) -> None:
    own = load(ROOT / "archs/resnet18.arch").lower().state_dict()
    torch.save({f"module.{key}": tensor for key, tensor in own.items()}, tmp_path / "ddp.pth")
    said = archc("compile", "archs/resnet18.arch", "--weights", str(tmp_path / "ddp.pth"), code=1).stderr
    assert len(said.splitlines()) < 16 and "as DistributedDataParallel saves them" in said
    assert f"archc weights archs/resnet18.arch --from {tmp_path / 'ddp.pth'} -o fitted.safetensors" in said


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda tensor: tensor.to_sparse(), "is sparse (torch.float32)"),
        (lambda tensor: tensor.to("meta"), "on the meta device"),
        (lambda tensor: tensor.to(torch.complex64), "is torch.complex64, and the network has torch.float32"),
        (lambda tensor: tensor > 0, "is torch.bool, and the network has torch.float32"),
        (lambda tensor: tensor.to(torch.int64), "is torch.int64"),
        (lambda tensor: tensor / 0 * 0, "contains NaN; --allow-nan loads it"),
        (lambda tensor: tensor / 0, "contains an infinite value"),
    ],
    ids=["sparse", "meta", "complex", "bool", "int", "nan", "inf"],
)
def test_weights_that_would_be_changed_in_silence_are_refused(
    change: Callable[[torch.Tensor], torch.Tensor], word: str, tmp_path: Path
) -> None:
    net = load(ROOT / "archs/lenet5_modern.arch")
    state = net.lower().state_dict()
    key = list(state)[2]
    torch.save({**state, key: change(state[key])}, tmp_path / "odd.pth")
    module = net.lower()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(Unreadable, match=re.escape(word)) as caught:
        load_weights(module, str(tmp_path / "odd.pth"))
    assert str(caught.value).startswith(f"{key} of ")
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    if "--allow-nan" in word:
        load_weights(module, str(tmp_path / "odd.pth"), any_value=True)
        archc(*LENET, str(tmp_path / "odd.pth"), "--allow-nan")


def test_a_pickle_of_objects_is_refused_in_our_words(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pth")
    (tmp_path / "text.pth").write_text("weights")
    said = archc(*LENET, str(tmp_path / "module.pth"), code=1).stderr
    assert "holds Python objects, which could run code; save the state_dict" in said and "weights_only" not in said
    assert len(said.splitlines()) == 1
    said = archc(*LENET, str(tmp_path / "text.pth"), code=1).stderr
    assert "not written by torch.save or safetensors" in said and "weights_only" not in said


# ---- memory


def test_weights_that_do_not_fit_into_memory_are_told_before(tmp_path: Path) -> None:
    path = tmp_path / "huge.arch"
    path.write_text("input 3x224x224\nFC-1000000000\n")
    said = archc("compile", str(path), code=1).stderr
    assert re.search(r"huge needs 602\.1 TB for its weights, and [\d.]+ [GM]B of memory are free", said)
    assert len(said.splitlines()) == 1
    assert "3 times 602.1 TB" in archc("bench", str(path), code=1).stderr


def test_a_batch_that_may_not_fit_is_told_and_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(free_memory, "free_memory", lambda: 50_000_000)
    graph = load(ROOT / "archs/resnet18.arch").graph
    cpu = torch.device("cpu")
    assert free_memory.check_memory(graph, "float32", 1, cpu).startswith("resnet18 needs 46.8 MB for its weights and 6.4 MB for values")
    assert free_memory.check_memory(load(ROOT / "archs/lenet5.arch").graph, "float32", 1, cpu) == ""
    with pytest.raises(free_memory.NoMemory, match=r"at batch 10, .*, and 50\.0 MB are free; take a smaller batch"):
        free_memory.check_memory(graph, "float32", 10, cpu)
    with pytest.raises(free_memory.NoMemory, match=r"2 times 46\.8 MB for its weights, and 50\.0 MB"):
        free_memory.check_memory(graph, "float32", 1, cpu, copies=2)
    with pytest.raises(free_memory.NoMemory, match="not enough memory for resnet18"), free_memory.memory_errors(graph):
        torch.empty(2**55)


def test_files_of_weights_that_are_broken_are_told_in_words(tmp_path: Path) -> None:
    module = load(ROOT / "archs/lenet5.arch").lower().eval()
    whole = {"a.pt": tmp_path / "whole.pt", "a.safetensors": tmp_path / "whole.safetensors", "old.pt": tmp_path / "old.pt"}
    torch.save(module.state_dict(), whole["a.pt"])
    save_tensors(module.state_dict(), whole["a.safetensors"])
    torch.save(module.state_dict(), whole["old.pt"], _use_new_zipfile_serialization=False)
    for name, path in whole.items():
        data = path.read_bytes()
        for half, words in ((data[: len(data) // 2], "it is truncated or damaged"), (data[:100], "it is"), (b"", "the file is empty")):
            (tmp_path / name).write_bytes(half)
            with pytest.raises(Unreadable, match=f"cannot read weights from .*{words}") as caught:
                read_weights(tmp_path / name)
            assert "Errno" not in str(caught.value) and "miniz" not in str(caught.value)
    torch.export.save(torch.export.export(module, (torch.randn(1, 1, 32, 32),)), tmp_path / "net.pt2")
    with pytest.raises(Unreadable, match=r"as torch.export writes; save the state_dict"):
        read_weights(tmp_path / "net.pt2")


def test_free_memory_is_the_least_of_machine_groups_and_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    free = free_memory.free_memory()
    assert free is not None and 0 < free < 2**50
    files = {
        "/proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 8000 kB\n",
        "/proc/self/cgroup": "4:memory:/jobs/one\n3:cpuset:/\n0::/user/two\n",
        f"{tmp_path}/memory/jobs/one/memory.limit_in_bytes": str(2**63 - 4096),
        f"{tmp_path}/memory/jobs/memory.limit_in_bytes": "6000000",
        f"{tmp_path}/memory/jobs/memory.usage_in_bytes": "1000000",
        f"{tmp_path}/memory/jobs/memory.stat": "total_inactive_file 500\n",
        f"{tmp_path}/user/memory.max": "max",
        f"{tmp_path}/user/two/memory.max": "5000000",
        f"{tmp_path}/user/two/memory.current": "2000000",
        f"{tmp_path}/user/two/memory.stat": "anon 7\ninactive_file 1000\n",
    }
    monkeypatch.setattr(free_memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(free_memory, "_read", lambda path: files.get(str(path), ""))
    monkeypatch.setattr(free_memory, "_limit", lambda: None)
    assert free_memory._machine() == 8000 * 1024
    assert list(free_memory._control_groups()) == [5_000_500, 3_001_000]
    assert free_memory.free_memory() == 3_001_000


def test_networks_are_listed() -> None:
    rows = {row["name"]: row for row in facts("list")}
    assert set(rows) == {path.stem for path in FILES}
    assert rows["resnext50_32x4d"]["family"] == "resnet"
    assert rows["convnext_tiny"]["params"] == 28_589_128
    assert all(row["source"] for row in rows.values())


def test_a_new_file_starts_from_a_network(tmp_path: Path) -> None:
    for base in ("resnet50", "alexnet", "efficientnet_b0"):
        path = tmp_path / f"my_{base}.arch"
        archc("new", f"my_{base}", "--from", base, "-o", str(path))
        mine, net = load(path), load(ROOT / f"archs/{base}.arch")
        assert mine.name == f"my_{base}"
        assert (mine.params, mine.macs) == (net.params, net.macs)
        assert "exists already" in archc("new", f"my_{base}", "--from", base, "-o", str(path), code=2).stderr
    assert "did you mean" in archc("new", "mine", "--from", "resnet55", code=2).stderr
    assert "by a word" in archc("new", "my-net", "--from", "resnet50", code=2).stderr
