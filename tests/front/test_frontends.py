"""What front ends share: tensors as views of operators, the operators that arrange axes, names, and the table of sources."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from archc.compiler.errors import UsageError
from archc.compiler.frontends import FRONTENDS, CannotRead, find, read
from archc.compiler.frontends.arranging import arrange
from archc.compiler.frontends.flat import Flat
from archc.compiler.frontends.views import Atom, Axes, NotAligned, View, fresh, size
from archc.compiler.ops.kinds import Word
from archc.tests.support import ROOT

# ---- views


def over(*sizes: int) -> View:
    """A tensor of a batch of 2 over an operator of the given shape."""
    axes = fresh(sizes)
    return View(0, axes, ((Atom(2),), *axes))


def test_a_reshape_splits_and_joins_axes() -> None:
    view = over(96, 56, 56)
    windows = view.with_dims((view.dims[0], *view.dims[2:], view.dims[1])).reshaped((2, 8, 7, 8, 7, 96))
    cut = windows.with_dims(windows.dims[place] for place in (0, 1, 3, 2, 4, 5)).reshaped((128, 49, 96))
    assert cut.shape == (128, 49, 96)
    assert [size(axis) for axis in cut.axes] == [96, 56, 56]
    assert [atom.size for atom in cut.dims[0]] == [2, 8, 8]
    back = cut.reshaped((2, 8, 8, 7, 7, 96))
    assert back.with_dims(back.dims[place] for place in (0, 1, 3, 2, 4, 5)).reshaped((2, 56, 56, 96)).dims[1:3] == cut.axes[1:]


def test_a_reshape_across_axes_is_none() -> None:
    with pytest.raises(NotAligned):
        over(6, 4).reshaped((2, 4, 6)).reshaped((2, 9, -1))
    turned = over(6, 4).with_dims([over(6, 4).dims[0]])
    with pytest.raises(NotAligned):
        turned.reshaped((3,))


def test_parts_of_an_axis_join_again() -> None:
    view = over(64, 56, 56).reshaped((2, 64, 8, 7, 8, 7))
    with pytest.raises(NotAligned):
        view.reshaped((2, 64, 56, 56)).reshaped((2, 64, 7, 8, 7, 8))
    assert view.reshaped((2, 64, 56, 56)).coalesced().reshaped((2, 64, 7, 8, 7, 8)).shape == (2, 64, 7, 8, 7, 8)


def test_one_sample_is_a_batch_too() -> None:
    axes = fresh((12, 4))
    batch = Atom(1)
    view = View(0, axes, ((batch,), *axes)).reshaped((3, 4, 4))
    assert batch in view.dims[0] and view.shape == (3, 4, 4)


def test_the_same_part_is_the_same_atom() -> None:
    view = over(12, 5).reshaped((2, 3, 4, 5))
    one, two = (view.picked(1, index).reshaped((2, 2, 2, 5)) for index in (0, 1))
    assert one.dims == two.dims and one.axes == two.axes
    assert one.picks != two.picks


# ---- arranging


def made(have: Axes, want: Axes) -> list[tuple[str, dict[str, Any]]]:
    steps: list[tuple[str, dict[str, Any]]] = []

    def add(op: str, item: int, given: dict[str, Any]) -> int:
        steps.append((op, given))
        return item

    arrange(add, 0, have, want)
    return steps


def test_the_operator_that_arranges_axes() -> None:
    c, h, w = fresh((8, 6, 4))
    i, j, k, g = (Atom(number) for number in (2, 2, 3, 4))
    assert made((c, h, w), (c, h, w)) == []
    assert made((c, h, w), (c + h + w,)) == [("flatten", {})]
    assert made((c, h, w), (c, h + w)) == [("tokens", {})]
    assert made((c, h + w), (c, h, w)) == [("map", {"sizes": (6, 4)})]
    assert made((c, h), (h, c)) == [("transpose", {"first": "c", "second": "w"})]
    assert made(((g, *c), h), ((*c, g), h)) == [("channel_shuffle", {"groups": 4})]
    assert made(((*c, i, j), h, w), (c, (*h, i), (*w, j))) == [("pixel_shuffle", {"block": 2})]
    assert made((c, (*h, i), (*w, j)), ((*c, i, j), h, w)) == [("space_to_depth", {"block": 2})]
    assert made(((), ()), ((), ())) == []
    ((op, given),) = made((c, (*h, i), (*w, k)), ((k, i, *c), h, w))
    assert (
        op == "rearrange" and str(given["pattern"]) == '"c (h i) (w j) -> (j i c) h w"' and given["sizes"] == Word("", (("i", 2), ("j", 3)))
    )
    assert made((c, (), ()), (c, h, w)) == [("expand", {"h": 6, "w": 4})]


def test_what_no_operator_arranges_is_refused() -> None:
    c, h, w, d, t = fresh((8, 6, 4, 3, 2))
    with pytest.raises(CannotRead, match="5 axes for each sample, 8x6x4x3x2; here there are at most 4"):
        made((c, h, w, d + t), (c, h, w, d, t))
    with pytest.raises(CannotRead, match="repeats values"):
        made((c, h, w), (c, (*h, *d), (*w, *t)))


def test_a_part_of_an_axis_is_repeated_as_an_axis_of_its_own() -> None:
    c, h, w = fresh((8, 6, 4))
    assert [op for op, _ in made((c, h), (c, (*h, *w)))] == ["map", "expand", "tokens"]
    assert [op for op, _ in made((c, h), ((*w, *c), h))] == ["rearrange", "expand", "rearrange"]


# ---- names


def a_network() -> Flat:
    flat = Flat("test")
    x = flat.add_input("input", (3, 8, 8))
    x = flat.add(
        "conv", [x], {"kernel": 3, "out": 4, "pad": 1}, path="a.conv", weights={"a.conv.weight": (4, 3, 3, 3), "a.conv.bias": (4,)}
    )
    x = flat.add("relu", [x], path="a.act", leaf=True)
    x = flat.add("bn", [x], path="a.bn", weights={"a.bn.weight": (4,), "a.bn.bias": (4,)})
    x = flat.add("relu", [x], path="a.bn.act", leaf=True)
    y = flat.add("relu", [x], path="a.act", leaf=True)
    flat.add("add", [x, y], path="a")
    return flat


STATE = {"a.conv.weight": (4, 3, 3, 3), "a.conv.bias": (4,), "a.bn.weight": (4,), "a.bn.bias": (4,)}
BUFFERS: dict[str, tuple[int, ...]] = {"a.bn.running_mean": (4,), "a.bn.running_var": (4,), "a.bn.num_batches_tracked": ()}


def test_names_are_the_sources_where_they_can_be() -> None:
    graph, named = a_network().finished("net", "a test", {"output": 6}, {**STATE, **BUFFERS})
    assert [node.name for node in graph] == ["input", "a.conv", "a.relu1", "a.bn", "a.relu2", "a.relu3", "a.add1"]
    assert named == {"input", "a.conv", "a.bn"}
    assert graph["a.conv"].key == "a.conv"


def test_what_nothing_takes_is_dropped() -> None:
    with pytest.raises(CannotRead, match=r"a\.bn\.weight \(4\) is stored and used by no operator"):
        a_network().finished("net", "", {"output": 2}, {**STATE, **BUFFERS})
    graph, _ = a_network().finished("net", "", {"output": 2}, {key: shape for key, shape in STATE.items() if "conv" in key})
    assert len(graph) == 3


def test_each_tensor_is_held_once_and_by_its_shape() -> None:
    with pytest.raises(CannotRead, match=r"the source does not store a\.bn\.running_mean and 2 more"):
        a_network().finished("net", "", {"output": 6}, STATE)
    with pytest.raises(CannotRead, match=r"a\.conv\.bias is stored as 5, and here as 4"):
        a_network().finished("net", "", {"output": 6}, {**STATE, **BUFFERS, "a.conv.bias": (5,)})


def test_what_a_record_says_is_held_against_the_source() -> None:
    flat = Flat("test")
    x = flat.add_input("input", (3, 8, 8))
    with pytest.raises(CannotRead, match="`conv` makes 4x6x6 of it, the source 4x8x8"):
        flat.add("conv", [x], {"kernel": 3, "out": 4, "bias": False}, expected=(4, 8, 8), weights={"c.weight": (4, 3, 3, 3)})
    with pytest.raises(CannotRead, match=r"`conv` holds weight 4x3x3x3, and the source c\.weight 4x2x3x3"):
        flat.add("conv", [x], {"kernel": 3, "out": 4, "bias": False}, weights={"c.weight": (4, 2, 3, 3)})
    with pytest.raises(CannotRead, match="`maxpool` does not accept it"):
        flat.add("maxpool", [x], {"kernel": 9})
    number = flat.add_pseudo("half of a pattern", [x], (3, 8, 8), path="a.b")
    with pytest.raises(CannotRead, match="used in a way that is not known"):
        flat.finished("net", "", {"output": number}, {})


def test_a_key_that_cannot_be_a_label_is_refused() -> None:
    flat = Flat("test")
    x = flat.add_input("input", (3, 8, 8))
    x = flat.add("conv", [x], {"kernel": 1, "out": 4, "bias": False}, weights={"_hidden.weight": (4, 3, 1, 1)})
    with pytest.raises(CannotRead, match="cannot be written as a label here: _hidden"):
        flat.finished("net", "", {"output": x}, {"_hidden.weight": (4, 3, 1, 1)})


def test_scopes_are_put_in_one_piece() -> None:
    flat = Flat("test")
    x = flat.add_input("input", (3, 8, 8))
    a = flat.add("relu", [x], path="a.one", leaf=True)
    b = flat.add("relu", [a], path="b", leaf=True)
    c = flat.add("relu", [x], path="a.two", leaf=True)
    graph, _ = flat.finished("net", "", {"output": flat.add("add", [b, c])}, {})
    assert [node.name for node in graph] == ["input", "a.relu1", "a.relu2", "relu1", "add1"]


# ---- the table


def test_the_front_end_of_a_source() -> None:
    assert find("torchvision:resnet50")[0].name == "torchvision"
    assert find("timm:resnet50?num_classes=10&act_layer=gelu")[2] == {"num_classes": 10, "act_layer": "gelu"}
    assert find("some/net.pt2")[0].name == "export"
    assert find("package.models:make")[0].name == "python"


@pytest.mark.parametrize(
    ("source", "shapes", "says"),
    [
        ("net.docx", (), "a source is torchvision:NAME"),
        ("timm:x?wide", (), "an option is written NAME=VALUE"),
        ("torchvision:x?a=1", (), "takes no options"),
        ("models:make", (), "--call"),
        ("net.pt2", ((3, 8, 8),), "states the shapes of its inputs itself"),
        ("torchvision:x", ((3, 8, 8), (3, 8, 8)), "has one input"),
    ],
)
def test_a_source_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, source: str, shapes: Any, says: str) -> None:
    monkeypatch.setattr("archc.compiler.frontends.find_spec", lambda name: object())
    with pytest.raises(UsageError, match=says):
        read(source, shapes)


def test_a_missing_framework_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archc.compiler.frontends.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"needs torch, which is not installed: pip install 'archc\[read\]'"):
        read("timm:resnet18")


def test_extras_bring_what_front_ends_need() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for row in FRONTENDS:
        brought = " ".join(extras[row.extra]) if row.needs else ""
        brought = brought.replace("archc[torch]", " ".join(extras["torch"]))
        assert all(name in brought for name in row.needs), row.name
