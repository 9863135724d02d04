"""`--partial`: operators that cannot be read become holes, of the shapes that the source states, and all others stay what they are."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

import archc
from archc import loads
from archc.compiler.errors import UsageError
from archc.compiler.frontends import CannotRead
from archc.compiler.frontends.onnx.sources import read as read_onnx
from archc.compiler.frontends.torch.sources import module_object
from archc.compiler.reading import Read, folded, read_text
from archc.tests.support import caffe, commands


class Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        sums = self.conv(x).flatten(2).cumsum(2)
        return torch.relu(x + sums.cumprod(1).unflatten(2, x.shape[2:]))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.one, self.two = Odd(), Odd()
        self.rnn = nn.RNN(8, 12, batch_first=True)
        self.first = nn.GRU(12, 6)  # which takes the batch as the second axis
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.two(self.one(self.stem(x)))
        y = self.rnn(x.flatten(2).transpose(1, 2))[0]
        return self.fc(self.first(y.transpose(0, 1))[0].mean(0))


def test_a_module_with_operators_that_are_not_known() -> None:
    with pytest.raises(CannotRead, match=r"cumsum in one \(2 of them\): no operator here computes it"):
        module_object(Network(), torch.empty(2, 3, 8, 8))
    flat = module_object(Network(), torch.empty(2, 3, 8, 8), partial=True)
    holes = {node.name: (node.attrs["what"].text, node.shape) for node in flat.graph if node.op == "hole"}
    assert holes == {
        "one.hole1": ("cumsum", (8, 64)),
        "one.hole2": ("cumprod", (8, 64)),
        "two.hole1": ("cumsum", (8, 64)),
        "two.hole2": ("cumprod", (8, 64)),
        "rnn.hole1": ("rnn_tanh, result 1 of 2", (12, 64)),
        "hole1": ("gru, result 1 of 2", (6, 64)),
    }
    assert {key.partition(".")[0] for key in flat.unread} == {"rnn", "first"} and len(flat.unread) == 8
    made = Read(flat, folded(flat))
    net = loads(made.text)
    assert net.params == sum(p.numel() for key, p in Network().named_parameters() if key not in flat.unread)
    tensors = made.tensors()
    assert tensors is not None and set(tensors) == {
        f"{name}.{part}" for name in ("stem", "one.conv", "two.conv", "fc") for part in ("weight", "bias")
    }
    assert made.text.count('"cumsum"') == 1  # in the block
    assert archc.read(Network(), torch.empty(2, 3, 8, 8), partial=True).graph.same_as(net.graph)


def test_without_an_axis_of_the_batch_there_is_no_hole() -> None:
    class Crossing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.matrix_exp(x.flatten(1).T @ x.flatten(1))

    with pytest.raises(CannotRead, match="does not say which axis is the batch"):
        module_object(Crossing(), torch.empty(2, 3, 4), partial=True)


def onnx_file(path: Path, stated: bool = True) -> Path:
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4, 3, 3, 3], [0.1] * 108)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="conv"),
        helper.make_node("Hardmax", ["a"], ["b"], name="odd", axis=1),
        helper.make_node("Conv", ["b"], ["c", "d"], name="warp", domain="com.acme"),  # not ONNX's, whatever it is called
        helper.make_node("Add", ["c", "a"], ["y"], name="sum"),
    ]
    float32 = TensorProto.FLOAT
    known = [helper.make_tensor_value_info("c", float32, ["N", 4, 6, 6]), helper.make_tensor_value_info("d", float32, ["N", 2])]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", float32, ["N", 3, 8, 8])], [helper.make_tensor_value_info("y", float32, None)],
        [weight], value_info=known if stated else [],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets), path)
    return path


def test_an_onnx_file_with_operators_that_are_not_known(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx")
    with pytest.raises(CannotRead, match=r"the domain com\.acme is not ONNX's"):
        read_onnx(path)
    graph = read_onnx(path, partial=True).graph
    found = [(node.op, node.attrs["what"].text if node.op == "hole" else "", node.shape) for node in graph]
    assert found[1:] == [
        ("conv", "", (4, 6, 6)),
        ("hole", "Hardmax", (4, 6, 6)),
        ("hole", "com.acme.Conv, result 1 of 2", (4, 6, 6)),
        ("add", "", (4, 6, 6)),
    ]
    with pytest.raises(CannotRead, match="its shape is neither in the file nor inferred"):
        read_onnx(onnx_file(tmp_path / "open.onnx", stated=False), partial=True)


def test_what_the_command_says(tmp_path: Path) -> None:
    path = onnx_file(tmp_path / "net.onnx")
    done = commands.archc("read", str(path), "--partial", "-o", str(tmp_path / "net.arch"), "--json")
    said = json.loads(done.stdout)
    assert said["holes"] == {"Hardmax": 1, "com.acme.Conv, result 1 of 2": 1} and "difference" not in said
    assert "archc read --partial" in commands.archc("read", str(path), code=1).stderr
    assert "E0617" in commands.archc("compile", str(tmp_path / "net.arch"), "-o", str(tmp_path / "net.pt2"), code=1).stderr
    assert not (tmp_path / "net.pt2").exists()
    assert "E0617" in commands.archc("bench", str(tmp_path / "net.arch"), code=1).stderr


def test_formats_that_state_no_shapes_have_no_holes(tmp_path: Path) -> None:
    (tmp_path / "lenet.prototxt").write_text(caffe.lenet())
    with pytest.raises(UsageError, match="does not state the shape of each result"):
        read_text(str(tmp_path / "lenet.prototxt"), partial=True)
