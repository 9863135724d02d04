"""Weights under other names, networks that are listed, and files that start from one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from compiler import load
from compiler.backends.foreign import converted, fit
from compiler.backends.torch_fx import lower
from compiler.backends.torch_run import fitted
from compiler.driver import check_text
from tests.support import FILES, ROOT, stirred, timm_model, torchvision_models
from tests.test_cli import archc, facts


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


def test_weights_of_torchvision_that_cannot_be_had() -> None:
    said = archc("compile", "archs/resnet18.arch", "--weights", "torchvision:IMAGENET1K_V1", code=1).stderr
    assert "torchvision" in said and "--weights FILE.pth" in said


def test_weights_of_torchvision_by_name(tmp_path: Path) -> None:
    """torch.hub looks into its cache first; a file that lies there is what a download would have left."""
    torch.manual_seed(3)
    state = torchvision_models().resnet18().state_dict()
    weights = torchvision_models().ResNet18_Weights.IMAGENET1K_V1
    cache = tmp_path / "hub/checkpoints"
    cache.mkdir(parents=True)
    torch.save(state, cache / weights.url.rpartition("/")[2])
    out = tmp_path / "out.safetensors"
    program = (
        "import sys; from tests.support import torchvision_models; torchvision_models(); import cli; "
        "sys.argv = ['archc', 'compile', 'archs/resnet18.arch', '--weights', 'torchvision:IMAGENET1K_V1', '-o', sys.argv[1]]; cli.main()"
    )
    environment = {**os.environ, "TORCH_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program, str(out)], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(torch.equal(tensor, state[key]) for key, tensor in load_file(out).items())


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
        assert "there already" in archc("new", f"my_{base}", "--from", base, "-o", str(path), code=2).stderr
    assert "did you mean" in archc("new", "mine", "--from", "resnet55", code=2).stderr
    assert "by a word" in archc("new", "my-net", "--from", "resnet50", code=2).stderr
