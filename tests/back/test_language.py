"""The language as lowered: keys, modes, shared weights, initialisation, and the Python of the README."""

from __future__ import annotations

import re

import pytest
import torch

from archc import loads
from archc.tests.support import ROOT


def test_labels_are_keys() -> None:
    module = loads("input 3x8x8\nlayer1: { conv1: conv3-64 } x2\n").lower()
    assert [name for name, _ in module.named_parameters()] == [
        "layer1.0.conv1.weight",
        "layer1.0.conv1.bias",
        "layer1.1.conv1.weight",
        "layer1.1.conv1.bias",
    ]
    assert module.layer1[0].conv1.out_channels == 64
    assert "self.layer1(" in module.code and "self.conv1(" in module.layer1[1].code
    meta = next(node for node in module.layer1[1].graph.nodes if node.name == "conv1").meta["arch"]
    assert meta["name"] == "layer1.1.conv1"
    assert (meta["line"], meta["text"], meta["provenance"][-1]) == (2, "conv3-64", "copy 2 of 2")


def test_keys_do_not_move_for_cosmetic_reasons() -> None:
    plain = "input 3x32x32\nconv3-8; maxpool; conv3-8; layer: { conv3-4 } x2; FC-3\n"
    dressed = "input 3x32x32\nfirst: conv3-8(act=relu) => 8x30x30 # a comment\nmaxpool; relu; conv3-8; layer: { conv3-4; relu } x2; FC-3\n"
    keys = [{name.replace("first", "conv1") for name in loads(text).lower().state_dict()} for text in (plain, dressed)]
    assert keys[0] == keys[1]


def test_outputs_follow_the_mode() -> None:
    module = loads("input 3x8x8\nconv3-4; stem: relu\noutput side(when=training): FC-2\noutput map\noutput top: FC-5\n").lower().eval()
    x = torch.randn(2, 3, 8, 8)
    assert {name: tuple(t.shape) for name, t in module(x).items()} == {"map": (2, 4, 6, 6), "top": (2, 5)}
    assert set(module.train()(x)) == {"side", "map", "top"}
    assert set(module.eval()(x)) == {"map", "top"}


def test_lowering_is_deterministic() -> None:
    text = (ROOT / "archs/mobilenet_v2.arch").read_text(encoding="utf-8")
    modules = []
    for _ in range(2):
        torch.manual_seed(3)
        modules.append(loads(text).lower())
    first, second = modules
    assert first.code == second.code
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True))


def test_stated_initialisation_is_carried_out() -> None:
    torch.manual_seed(0)
    module = loads("input 64x8x8\nconv3-256(init=he_normal(mode=fan_out), bias_init=constant(0.5))\nFC-100(init=normal(0.01))").lower()
    assert module.conv1.weight.std().item() == pytest.approx((2 / (256 * 9)) ** 0.5, rel=0.02)
    assert module.conv1.bias.eq(0.5).all()
    assert module.fc1.weight.std().item() == pytest.approx(0.01, rel=0.02)


def test_the_python_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(program, names)
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) > 3
    assert all(f"# {line}\n" in program for line in printed), printed
    assert isinstance(names["model"], torch.fx.GraphModule)


def test_shared_weights_run_twice() -> None:
    module = loads("share tower { conv3-8; relu }\ninput left: 3x8x8\ninput right: 3x8x8\nconcat<@left; tower | @right; tower>\n").lower()
    assert [name for name, _ in module.named_parameters()] == ["tower.conv1.weight", "tower.conv1.bias"]
    x = torch.randn(1, 3, 8, 8)
    first, second = module(x, x).chunk(2, dim=1)
    assert torch.equal(first, second)


def test_a_label_with_a_dash_is_a_key() -> None:
    module = loads("input 3x8x8\nblock: [ conv1-4; relu ]\nfor i in range(2) { unit{i + 1}-{i}: conv1-4 }\n").lower()
    assert list(module.state_dict())[2] == "unit1-0.weight"
