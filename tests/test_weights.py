"""Weights under other names, networks that are listed, and files that start from one."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from compiler import load
from compiler.backends.foreign import converted, fit
from tests.support import FILES, ROOT
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
    assert all(torch.equal(tensor, own[key]) for key, tensor in converted(found, foreign).items())


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
    assert fit(own, fewer).ambiguous  # one of four equal ones is gone, and nothing says which


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
