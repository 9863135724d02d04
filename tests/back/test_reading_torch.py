"""Networks of torch, read: the operators are those that a person would write, keys and results are the source's, the rest is refused."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import archc
from archc.compiler.frontends import CannotRead, read
from archc.compiler.frontends.torch.sources import module_object
from archc.compiler.reading import folded
from archc.tests.support import commands
from archc.tests.support.pytorch import torchvision_models
from archc.tests.support.torch_reading import compared, read_module


class Shuffle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        one, two = x.chunk(2, dim=1)
        x = torch.cat((one, self.branch(two)), dim=1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def test_a_split_and_a_shuffle() -> None:
    found = read_module(
        nn.Sequential(nn.Conv2d(3, 16, 3), Shuffle(), Shuffle(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)), (3, 12, 12)
    )
    half = ["slice", "slice", "conv", "bn", "relu", "concat", "channel_shuffle"]
    assert sorted(found.ops) == sorted(["conv", *half, *half, "adaptive_avgpool", "flatten", "fc"])
    assert found.difference == 0


class Last(nn.Module):
    """A block that works with the channels last, as in ConvNeXt, with factors of one axis."""

    def __init__(self) -> None:
        super().__init__()
        self.dw = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.LayerNorm(8, eps=1e-6)
        self.fc = nn.Linear(8, 16)
        self.out = nn.Linear(16, 8)
        self.gamma = nn.Parameter(torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        y = self.out(nn.functional.gelu(self.fc(self.norm(self.dw(x).permute(0, 2, 3, 1)))))
        return x + (self.gamma * y).permute(0, 3, 1, 2)


def test_layouts_make_no_operators() -> None:
    found = read_module(Last(), (8, 6, 6))
    assert found.ops == ["conv", "layer_norm", "channel_fc", "gelu", "channel_fc", "layer_scale", "add"]
    assert found.difference == 0
    assert {"dw", "norm", "fc", "out", "gamma"} <= found.flat.named


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 24, 4, 4)
        self.cls = nn.Parameter(torch.zeros(1, 1, 24))
        self.pos = nn.Parameter(torch.zeros(1, 10, 24))
        self.attn = nn.MultiheadAttention(24, 3, batch_first=True)
        self.norm = nn.LayerNorm(24)
        self.qkv = nn.Linear(24, 72)
        self.proj = nn.Linear(24, 24)
        self.head = nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls.expand(x.shape[0], -1, -1), x), dim=1) + self.pos
        y = self.norm(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        q, k, v = self.qkv(x).reshape(x.shape[0], 10, 3, 4, 6).permute(2, 0, 3, 1, 4).unbind(0)
        y = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape[0], 10, 24)
        return self.head((x + self.proj(y))[:, 0])


def test_attention_with_its_projections() -> None:
    found = read_module(Tokens(), (3, 12, 12))
    assert found.ops == (
        [
            "conv",
            "learned",
            "tokens",
            "concat",
            "learned",
            "add",
            "layer_norm",
            "multihead_attention",
            "add",
            "channel_fc",
            "attention",
            "channel_fc",
            "add",
            "token",
            "fc",
        ]
    )
    assert found.difference < 1e-6


def test_windows_with_their_projections() -> None:
    torchvision_models()
    from torchvision.models.swin_transformer import PatchMerging, SwinTransformerBlock, SwinTransformerBlockV2

    for block in (SwinTransformerBlock, SwinTransformerBlockV2):
        network = nn.Sequential(block(12, 2, [4, 4], [0, 0]), block(12, 2, [4, 4], [2, 2], stochastic_depth_prob=0.25), PatchMerging(12))
        found = read_module(Channels(network), (12, 10, 8))
        assert found.ops.count("window_attention") == 2 and "rearrange" in found.ops and "roll" not in found.ops
        assert found.ops.count("stochastic_depth") == 2
        assert found.difference == 0


class Channels(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Heads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3)
        self.head = nn.Linear(8, 5)
        self.aux = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Any:
        x = self.body(x)
        y = self.head(nn.functional.dropout(x.mean((2, 3)), 0.25, self.training))
        return {"out": y, "aux": self.aux(x.amax((2, 3)))} if self.training else y


def test_a_head_of_training_is_read_too() -> None:
    found = module_object(Heads(), torch.empty(2, 3, 8, 8))
    assert {name: output.training_only for name, output in found.graph.outputs.items()} == {"aux": True, "output": False}
    assert [node.name for node in found.graph if node.training_only] == ["reduce_max1", "flatten2", "aux"]
    assert [node.attrs["p"] for node in found.graph if node.op == "dropout"] == [0.25]
    assert compared(found, Heads()).difference == 0


def test_standardized_kernels() -> None:
    class Standard(nn.Conv2d):
        def forward(self, input: Tensor) -> Tensor:
            rows = self.weight.reshape(1, self.out_channels, -1)
            weight = nn.functional.batch_norm(rows, None, None, training=True, momentum=0.0, eps=1e-5).reshape_as(self.weight)
            return self._conv_forward(input, weight, self.bias)

    found = read_module(nn.Sequential(Standard(3, 8, 3), nn.GroupNorm(2, 8)), (3, 8, 8))
    assert str(next(node for node in found.flat.graph if node.op == "conv").attrs["weight"]) == "standardized(eps=1e-05)"
    assert found.difference == 0


def test_scopes_come_in_one_piece() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lateral = nn.ModuleList([nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)])
            self.down = nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            y = self.lateral[0](x)
            return self.lateral[1](self.down(y)) + self.lateral[0](x) if False else self.down(y) + self.lateral[1](y)

    assert read_module(Mixed(), (3, 4, 4)).difference == 0


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.fc2(torch.relu(self.fc1(x)))


class Again(nn.Module):
    """A layer that is called with its own results, and one that is called side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.tower, self.head = Layer(), nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4)), nn.Linear(8, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        for _ in range(3):
            x = self.layer(x)
        return self.head(torch.cat((self.tower(x), self.tower(y)), 1))


def test_norms_with_a_scale_and_no_shift() -> None:
    class Norms(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.last = nn.LayerNorm(8, bias=False), nn.GroupNorm(2, 8)
            self.last.bias = None  # type: ignore[assignment]

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))

    found = read_module(Norms(), (8, 4, 4))
    assert found.ops == ["layer_norm", "layer_scale", "group_norm", "layer_scale"] and found.difference < 1e-6
    assert {"norm.weight", "last.weight"} <= {node.name for node in found.flat.graph}


def test_maps_are_resized_by_factors_that_fit() -> None:
    class Resizes(nn.Module):
        def __init__(self, *factors: float) -> None:
            super().__init__()
            self.factors = factors

        def forward(self, x: Tensor) -> Tensor:
            for factor in self.factors:
                x = nn.functional.interpolate(x, scale_factor=factor, mode="bilinear")
            return x

    found = read_module(Resizes(0.5, 1.5, 2), (3, 8, 8))
    assert found.ops == ["upsample"] * 3 and found.difference == 0
    with pytest.raises(CannotRead, match=r"enlarges by 0\.5 and 0\.5, and the size that follows is rounded"):
        read_module(Resizes(0.5), (3, 7, 7))


def test_modules_that_are_called_again_are_shared_parts() -> None:
    found = read_module(Again(), (8,), (8,))
    assert found.difference == 0
    assert [node.name for node in found.flat.graph if node.key == "layer.fc1"] == ["layer1.fc1", "layer2.fc1", "layer3.fc1"]
    assert [node.name for node in found.flat.graph if node.key == "tower.2"] == ["tower1.2", "tower2.2"]
    text = folded(found.flat).text
    assert "share layer {" in text and "share tower {" in text and "layer x3" in text


def test_calls_that_compute_otherwise_are_no_shared_part() -> None:
    class Other(Again):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.head(torch.cat((self.tower(x), self.tower[2](self.tower[0](y))), 1)) + self.head(self.layer(x))

    flat = module_object(Other(), (torch.empty(2, 8), torch.empty(2, 8)))
    with pytest.raises(archc.compiler.errors.UnreadableError, match="the weights of tower"):
        folded(flat)


# ---- refusals


class Sorts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        return torch.sort(x, dim=1).values + torch.sort(x, dim=2).values


def test_an_operator_that_is_not_known_is_refused() -> None:
    with pytest.raises(CannotRead, match=r"sort \(2 of them\): no operator here computes it"):
        module_object(Sorts(), torch.empty(2, 3, 4, 4))


class Overwrites(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = x * 2
        rows = x.transpose(2, 3)
        x.relu_()
        return x + rows


def test_a_view_of_what_is_overwritten_is_refused() -> None:
    with pytest.raises(CannotRead, match="another view of it reads later"):
        module_object(Overwrites(), torch.empty(2, 3, 4, 4))


class Unused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


def test_a_weight_that_nothing_uses_is_refused() -> None:
    with pytest.raises(CannotRead, match=r"spare\.weight \(4x3x1x1\) is stored and used by no operator"):
        module_object(Unused(), torch.empty(2, 3, 4, 4))


def test_an_input_that_a_network_is_not_for_is_refused() -> None:
    for source, says in (("squeezenet1_1", "with an input of 4x64x64: .*channels"), ("vit_b_32", "3x64x64: Wrong image height")):
        with pytest.raises(CannotRead, match=says):
            read(f"torchvision:{source}", [(4 if source == "squeezenet1_1" else 3, 64, 64)])


def test_samples_must_not_be_mixed() -> None:
    class Mixes(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x - x.mean(0, keepdim=True)

    with pytest.raises(CannotRead, match="reduces the batch"):
        module_object(Mixes(), torch.empty(2, 3, 4, 4))


# ---- exported programs


def exported(folder: Path, module: nn.Module, **given: Any) -> Path:
    path = folder / "net.pt2"
    torch.export.save(torch.export.export(module.eval(), (torch.randn(2, 3, 8, 8),), **given), path)
    return path


SMALL = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))


@pytest.mark.parametrize("given", [{}, {"dynamic_shapes": ({0: torch.export.Dim("batch", min=1, max=8)},)}], ids=["fixed", "open batch"])
def test_an_exported_program_brings_its_weights(tmp_path: Path, given: dict[str, Any]) -> None:
    found = read(str(exported(tmp_path, SMALL, **given)))
    assert [node.op for node in found.graph] == ["input", "conv", "bn", "relu", "flatten", "fc"]
    assert found.weights is not None
    weights = found.weights()
    assert {key: (weights[key] == tensor.numpy()).all() for key, tensor in SMALL.state_dict().items()} == dict.fromkeys(
        SMALL.state_dict(), True
    )


class Bomb:
    def __reduce__(self) -> Any:
        return open, (str(Path(__file__).parent / "executed"), "w")


def rewritten(path: Path, change: Any, compression: int = zipfile.ZIP_STORED) -> Path:
    """The archive with the bytes of its members changed by a function of name and bytes."""
    made = path.with_name("changed.pt2")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(made, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return made


def test_code_in_an_exported_program_is_not_executed(tmp_path: Path) -> None:
    path = exported(tmp_path, SMALL)
    held = io.BytesIO()
    torch.save(Bomb(), held)
    read(str(rewritten(path, lambda name, text: held.getvalue() if "sample_inputs" in name else text)))  # which nothing needs

    def pickled(name: str, text: bytes) -> bytes:
        return text.replace(b'"use_pickle": false', b'"use_pickle": true') if "weights_config" in name else text

    def opaque(name: str, text: bytes) -> bytes:
        if "constants_config" not in name:
            return text
        return json.dumps({"config": {"x": {"path_name": "opaque_0", "is_param": False, "use_pickle": True, "tensor_meta": None}}}).encode()

    for change, reason in (
        (pickled, "pickled tensor"),
        (opaque, "pickled tensor"),
        (lambda name, text: text.replace(b"torch.ops.aten.relu.default", b"os.system"), "no operator of aten"),
        (lambda name, text: text.replace(b'"0.weight"', b'"0.we\\"ight"'), "has the name"),
    ):
        with pytest.raises(CannotRead, match=reason):
            read(str(rewritten(path, change)))
    assert not (Path(__file__).parent / "executed").exists()
    assert pickle.dumps(Bomb())


def test_what_is_no_exported_program_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.pt2"
    other.write_bytes(b"no archive")
    with pytest.raises(CannotRead, match="no zip archive"):
        read(str(other))
    with pytest.raises(CannotRead, match="compressed"):
        read(str(rewritten(exported(tmp_path, SMALL), lambda name, text: text, zipfile.ZIP_DEFLATED)))
    with pytest.raises(CannotRead, match="No such file"):
        read(str(tmp_path / "none.pt2"))


# ---- the library and the command line


def test_the_library_reads_modules_and_sources(tmp_path: Path) -> None:
    net = archc.read(SMALL, torch.empty(2, 3, 8, 8))
    ours = net.lower().eval()
    ours.load_state_dict(SMALL.state_dict(), strict=True)
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(ours(x), SMALL.eval()(x))
    assert archc.read(str(exported(tmp_path, SMALL))).params == net.params
    for arguments, says in (
        ((SMALL,), "example is needed"),
        (("net.pt2", x), "example is for a module"),
        ((3, x), "source is text or a module"),
    ):
        with pytest.raises(archc.UsageError, match=says):
            archc.read(*arguments)


def test_the_verb_proves_what_it_reads(tmp_path: Path) -> None:
    made = exported(tmp_path, SMALL)
    done = commands.archc("read", str(made), "-o", str(tmp_path / "net.arch"))
    assert "9 keys, difference 0" in done.stderr, done.stderr
    assert archc.load(tmp_path / "net.arch").params == sum(tensor.numel() for tensor in SMALL.parameters())
    assert "cannot read none.pt2" in commands.archc("read", str(tmp_path / "none.pt2"), code=1).stderr
    commands.archc("read", "models:make", code=2)


# ---- networks


@pytest.mark.parametrize("name", ["squeezenet1_1", pytest.param("mobilenet_v3_small", marks=pytest.mark.slow)])
def test_a_network_of_torchvision(name: str) -> None:
    models = torchvision_models()
    found = compared(read(f"torchvision:{name}"), models.get_model(name, weights=None), batch=1)
    assert found.difference == 0
    assert "torchvision" in found.flat.title


def test_names_that_are_not_known() -> None:
    for source, nearest in (("torchvision:resnt18", "resnet18"), ("timm:resnet18x", "resnet18")):
        with pytest.raises(CannotRead, match=f"did you mean {nearest}"):
            read(source)


CLASSIFIERS = torchvision_models().list_models(module=torchvision_models())
DENSE = ["fcn_resnet50", "deeplabv3_resnet50", "deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large"]
VIDEO = ["r3d_18", "mc3_18", "r2plus1d_18", "swin3d_t"]


DETECTORS = {"retinanet_resnet50_fpn": 256, "retinanet_resnet50_fpn_v2": 256, "ssd300_vgg16": 300, "ssdlite320_mobilenet_v3_large": 320}


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_of_one_stage_are_read_up_to_their_predictions(name: str) -> None:
    flat = read(f"torchvision:{name}", [(3, DETECTORS[name], DETECTORS[name])])
    assert flat.oracle is not None
    assert compared(flat, flat.oracle(), batch=1).difference == 0
    folded(flat)


def test_detectors_of_two_stages_are_refused() -> None:
    with pytest.raises(CannotRead, match="two stages"):
        read("torchvision:fasterrcnn_mobilenet_v3_large_320_fpn")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*CLASSIFIERS, *DENSE, *VIDEO])
def test_every_network_of_torchvision(name: str) -> None:
    models = torchvision_models()
    backbone = {"weights_backbone": None} if name in DENSE else {}
    found = compared(read(f"torchvision:{name}"), models.get_model(name, weights=None, **backbone), batch=1)
    assert found.difference == 0
