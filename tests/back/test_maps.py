"""What a network computes of an image: maps as hooks see them, fields as gradients say, Grad-CAM computed by hand, and the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from archc import UsageError, load, loads
from archc.compiler.backends.torch.arch_module import ArchModule
from archc.compiler.backends.torch.maps import Maps, default_layers, last_map
from archc.compiler.errors import UnknownName
from archc.compiler.plots.map_figure import GAP, drawn, fitted, suited
from archc.compiler.plots.map_pages import Band, Page
from archc.compiler.results.maps import Asked, Shown, Taken
from archc.tests.support import ROOT
from archc.tests.support.chromium import BROWSER, areas, opened_page, overlapping, within
from archc.tests.support.commands import archc, facts
from archc.training.prepare import as_taken, preparation
from archc.training.recipe import Recipe
from archc.training.stored import Stored

SMALL = """arch small "a test"
input 3x16x16
conv1: conv3-4(pad=1, act=relu)
pool1: maxpool2
block pair(w) { residual<conv3-{w}(pad=1, act=relu); conv3-{w}(pad=1)>; relu }
body: pair(4)
flatten; fc: fc-3; softmax
"""
# Networks whose units see: windows that meet at the border, gaps, strides, upsampling, branches of several sizes, and a gate.
SEEN = {
    "padded": ("conv3-4(pad=1); conv3-4(pad=1)", [(0, 0), (7, 15), (15, 15)]),
    "strided": ("conv5-4/2(pad=2); maxpool3/2(pad=1); conv3-4(pad=1)", [(0, 0), (1, 2), (3, 3)]),
    "dilated": ("conv3-4(pad=2, dilation=2); conv3-4(pad=4, dilation=4)", [(0, 15), (8, 8), (3, 12)]),
    "upsampled": ("conv3-4/2(pad=1); upsample2(mode=nearest); conv3-4(pad=1)", [(0, 1), (7, 6), (15, 15)]),
    "oblong": ("conv1x5-3; avgpool2", [(0, 0), (7, 5), (3, 2)]),
    "branches": ("concat<conv1-2 | conv5-2(pad=2) | maxpool3/1(pad=1); conv3-2(pad=1)>", [(0, 0), (8, 8), (15, 3)]),
    "whole": ("mul<. | adaptive_avgpool1; conv1-3>", [(0, 0), (9, 4)]),
}


def stirred(module: ArchModule, positive: bool = False) -> ArchModule:
    """The module in evaluation with weights that no accident makes 0; if positive, so that gradients cancel nowhere."""
    drawn = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(
                torch.rand(parameter.shape, generator=drawn) + 0.1 if positive else torch.randn(parameter.shape, generator=drawn)
            )
    return module.eval()


def image(channels: int = 3, size: int = 16) -> Tensor:
    return torch.rand(channels, size, size, generator=torch.Generator().manual_seed(2))


@pytest.fixture(scope="module")
def small() -> ArchModule:
    return stirred(loads(SMALL).lower())


def test_maps_are_what_a_hook_sees(small: ArchModule) -> None:
    seen: dict[str, Tensor] = {}
    hooks = [
        small.get_submodule(name).register_forward_hook(lambda part, given, out, name=name: seen.update({name: out[0].detach().clone()}))
        for name in ("conv1", "pool1", "body")
    ]
    x = image()
    with torch.no_grad():
        output = small(x[None])
    for hook in hooks:
        hook.remove()
    maps = Maps(small, x)
    assert len(seen) == 3
    for name, values in seen.items():
        assert torch.equal(maps.of(name), values), name
    torch.testing.assert_close(maps.scores(1).softmax(0), output[0])
    assert torch.equal(maps.filters()[1], small.get_submodule("conv1").weight.detach())


@pytest.mark.parametrize(("items", "places"), SEEN.values(), ids=SEEN)
def test_the_field_of_a_unit_is_where_its_gradient_is(items: str, places: list[tuple[int, int]]) -> None:
    net = loads(f"input 3x16x16\n{items}\n")
    module = stirred(net.lower(), positive=True)
    end = list(net.graph)[-1].name
    maps = Maps(module, image())
    for row, column in places:
        x = image()[None].requires_grad_()
        # A maximum passes its gradient to one value: many images find all of the pixels.
        x = torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(3)).requires_grad_()
        reached = torch.autograd.grad(module(x)[:, :, row, column].sum(), x)[0].abs().sum((0, 1)) > 0
        rows, columns = (torch.nonzero(reached.any(1 - axis))[:, 0].tolist() for axis in (0, 1))
        unit = maps.unit(end, row, column)
        assert (unit.rows, unit.columns) == ((rows[0], rows[-1]), (columns[0], columns[-1])), (row, column)


@pytest.mark.parametrize("sign", [1, -1])
def test_grad_cam_is_that_of_its_paper(small: ArchModule, sign: int) -> None:
    """By a backward hook on the block, on scores before the softmax."""
    kept: dict[str, Any] = {}
    hook = small.get_submodule("body").register_forward_hook(lambda part, given, out: kept.update(out=out, _=out.retain_grad()))
    scores: dict[str, Tensor] = {}
    other = small.get_submodule("fc").register_forward_hook(lambda part, given, out: scores.update(all=out))
    small(image()[None].requires_grad_())
    hook.remove()
    other.remove()
    (sign * scores["all"][0, 2]).backward()
    weights = kept["out"].grad[0].mean(dim=(1, 2))
    expected = sum(weight * values for weight, values in zip(weights, kept["out"][0], strict=True)).clamp(min=0).detach()
    found = Maps(small, image()).cam(2, sign)
    assert found.layer == "body.relu2"
    torch.testing.assert_close(found.map, expected)
    assert not torch.equal(found.map, Maps(small, image()).cam(0, sign).map)


def test_layers_are_chosen_where_stages_end() -> None:
    assert default_layers(load(ROOT / "archs/lenet5.arch").graph) == ["scaled_tanh1", "scaled_tanh2", "scaled_tanh3", "scaled_tanh4"]
    resnet = load(ROOT / "archs/resnet18.arch").graph
    assert default_layers(resnet) == ["relu1", "layer1.1.relu2", "layer2.1.relu2", "layer3.1.relu2", "layer4.1.relu2"]
    assert last_map(load(ROOT / "archs/vgg16.arch").graph).shape == (512, 14, 14)  # before the last pooling, as in the paper


REFUSED = {
    "unknown layer": (Asked(layers=("conv2",)), "small has no node or part conv2; did you mean `conv1`?"),
    "no near layer": (
        Asked(layers=("zz",)),
        "no node or part zz; layers with maps are relu1, body.relu2, and others that `archc summary` lists",
    ),
    "flat layer": (Asked(layers=("fc",)), "layer fc has no maps of rows and columns: it is 3; layers with maps are relu1, body.relu2"),
    "no unit": (Asked(units=("conv1",)), "unit is LABEL:ROW,COLUMN, as in conv2:4,4, not conv1"),
    "unit outside": (Asked(units=("pool1:8,0",)), "unit is a place in pool1, which is 8x8, not 8,0: rows are 0 to 7, columns 0 to 7"),
    "class number": (Asked(cams=("3",)), "cam is one of 3 classes, 0 to 2, not 3"),
    "class name": (Asked(cams=("catt",)), "cam is one of 3 classes, not catt; did you mean `cat`?"),
    "cam at the input": (Asked(cams=("cat",), cam_layer="fc"), "cam-layer fc has no maps of rows and columns"),
}


@pytest.mark.parametrize(("asked", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_shown_is_refused(small: ArchModule, asked: Asked, message: str) -> None:
    with pytest.raises((UsageError, UnknownName)) as caught:
        Shown(small, Taken("x.png", image(), image()), asked, ("cat", "dog", "cow"))
    assert message in str(caught.value)


def test_what_scores_no_classes_has_none() -> None:
    """The values of a map are no classes, which a network that segments would have a thousand of."""
    module = stirred(loads("input 3x16x16\nconv1: conv3-4(pad=1, act=relu)\nconv1-5\n").lower())
    taken = Taken("x.png", image(), image())
    shown = Shown(module, taken, Asked(filters=True))
    assert shown.likeliest == shown.facts()["classes"] == [] and shown.page().classes == ()
    assert not [text for text in drawn(shown.page("column")).texts if text.get_text().endswith("%")]
    with pytest.raises(UsageError, match="cam is for networks that score classes, and the output of text is 5x16x16"):
        Shown(module, taken, Asked(cams=("1",)))
    vector = stirred(loads("input 3x16x16\nconv1-5\nadaptive_avgpool1\n").lower())  # 5x1x1 are five scores
    assert len(Shown(vector, taken, Asked(filters=True)).likeliest) == 3


def test_filters_of_many_channels_are_no_pictures() -> None:
    module = loads("input 8x8x8\nconv3-4\n").lower().eval()
    with pytest.raises(UsageError, match="filters are shown where they look at 1 or 3 channels; conv1 has weights of 4x8x3x3"):
        Maps(module, image(8, 8)).filters()


# ---- the page


def test_a_network_is_shown_with_the_same_bytes_every_time(small: ArchModule, tmp_path: Path) -> None:
    asked = Asked(("conv1", "body"), True, ("pool1:2,3",), ("dog",), channels=3)
    shown = Shown(small, Taken("a <b> $x$.png", image(), image()), asked, ("cat", "dog", "cow"))
    for form in ("svg", "pdf"):
        shown.write(tmp_path / f"a.{form}")
        shown.write(tmp_path / f"b.{form}")
        assert (tmp_path / f"a.{form}").read_bytes() == (tmp_path / f"b.{form}").read_bytes()
    shown.write(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").size == (1920, 1080)
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    ids = re.findall(r' id="((?:map|image|unit|cam|key|class)[^"]*)"', text)
    maps = [f"map/{name}/{number}" for name in ("filters", "conv1", "body") for number in range(3)]
    assert sorted(ids) == sorted(
        [
            *maps,
            *("image", "unit/pool1:2,3", "unit/pool1:2,3/box", "unit/pool1:2,3/rim", "cam/dog", "cam/dog/heat", "key/conv1", "key/body"),
            *("class/cat", "class/dog", "class/cow"),
        ]
    )
    assert text.count("<image") == len(maps) + 1 + 1 + 2 + 2  # the image alone, with the box, under the heat; and scales of values
    assert "<!-- small · a &lt;b&gt; $x$.png -->" in text
    ElementTree.fromstring(text)


ASKED = {
    "stages": Asked(),
    "all": Asked(("conv1",), True, ("pool1:0,0", "conv1:15,15"), ("cow",)),
    "images": Asked(units=("pool1:0,0",), cams=("cow", "dog")),
    "many bands": Asked(("conv1", "body", "pool1", "relu1", "body.relu2"), True, channels=1),
}


NIGHT = [
    pytest.param(width, name, marks=pytest.mark.slow)
    for width in ("page", "column")
    for name in ASKED
    if (width, name) != ("column", "all")
]


@pytest.mark.parametrize(("width", "name"), [*(("slide", name) for name in ASKED), ("column", "all"), *NIGHT])
def test_nothing_on_a_page_leaves_it_or_meets(small: ArchModule, width: str, name: str) -> None:
    """Boxes of matplotlib, for few maps and for many."""
    asked = ASKED[name]
    classes = ("a class of a long name " * 3, "dog", "cow")
    figure = drawn(Shown(small, Taken("x" * 300, image(), image()), asked, classes).page(width))
    assert figure.get_size_inches()[0] == pytest.approx(
        {"slide": figure.get_size_inches()[0], "page": 6.89, "column": 3.346}[width], abs=1e-3
    )
    boxes = [axes.get_position() for axes in figure.axes]
    texts = [text.get_window_extent().transformed(figure.transFigure.inverted()) for text in figure.texts]
    for box in (*boxes, *texts):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 1.0 and box.y1 <= 1.0, (asked, box)
    pairs = [(a, b) for number, a in enumerate((*boxes, *texts)) for b in (*boxes, *texts)[number + 1 :]]
    assert not [(a, b) for a, b in pairs if a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1]


def test_as_many_maps_as_suit_the_page() -> None:
    assert suited(64, 1.0, 8.3, 0.83) == 9  # large ones in one row
    assert suited(64, 1.0, 8.3, 1.35) == 22  # a row would hold 5
    assert suited(4, 1.0, 8.3, 1.35) == 4 and suited(1, 1.0, 8.3, 0.1) == 1 and suited(64, 9.0, 2.0, 0.2) <= 64
    values = np.zeros((64, 8, 8))
    page = Page("", np.zeros((8, 8)), (("a", 1.0),), (), (Band("b0", "b", "note", values),))
    for width, count in (("slide", 12), ("column", 6)):
        figure = drawn(replace(page, width=width))
        ids = [str(found.get_gid()) for found in figure.findobj() if str(found.get_gid()).startswith("map/b0/")]
        assert len(ids) == count and any(text.get_text() == f"note   the first {count}" for text in figure.texts)


@pytest.mark.parametrize(("count", "aspect", "across"), [(6, 1.0, 6), (16, 1.0, 8), (1, 1.0, 1), (16, 4.0, 4)])
def test_maps_are_as_large_as_their_space_allows(count: int, aspect: float, across: int) -> None:
    found, size = fitted(count, aspect, 8.0, 1.5)
    assert found == across
    down = -(-count // across)
    assert down * (size + GAP) - GAP <= 1.5 + 1e-9 and across * (size * aspect + GAP) - GAP <= 8.0 + 1e-9


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")
@pytest.mark.parametrize("width", ["slide", "column"])
def test_a_browser_shows_maps_apart_and_within_the_page(small: ArchModule, tmp_path: Path, width: str) -> None:
    Shown(small, Taken("x.png", image(), image()), ASKED["all"], ("cat", "dog", "cow")).write(tmp_path / "a.svg", width)
    with opened_page() as page:
        page.goto((tmp_path / "a.svg").as_uri())
        maps = areas(page, "[id^='map/'], [id='image'], [id^='key/']")
        texts = areas(page, "svg [id^='text_']")
        (whole,) = areas(page, "svg")
    assert len(maps) == 4 + 4 + 1 + 1  # filters, maps, the image, a scale
    assert len(texts) > 8
    found = [*maps, *texts]
    assert within(whole, found)
    assert not overlapping(found, by=0.5)


# ---- the command line


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network in one file, and an image that it has not the size of."""
    folder = tmp_path_factory.mktemp("maps")
    net = loads(SMALL)
    how = preparation(net.graph, Recipe())
    state = {name: tensor.contiguous() for name, tensor in stirred(net.lower()).state_dict().items()}
    save_file(state, folder / "model.safetensors", Stored(SMALL, "small", ("cat", "dog", "cow"), how.facts()).metadata())
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    (folder / "no.png").write_text("nothing")
    return folder


def test_the_verb_shows_a_trained_network(trained: Path, tmp_path: Path, small: ArchModule) -> None:
    model, photo, out = trained / "model.safetensors", trained / "photo.png", tmp_path / "maps.svg"
    asked = ["--image", str(photo), "--layer", "pool1", "--cam", "dog", "--unit", "pool1:0,0", "--filters"]
    found = facts("show", str(model), *asked, "-o", str(out))
    given, _ = as_taken(preparation(loads(SMALL).graph, Recipe()), photo)
    values = Maps(small, given).of("pool1")
    assert found["layers"] == [
        {
            "name": "pool1",
            "shape": [4, 8, 8],
            "least": float(values.min()),
            "largest": float(values.max()),
            "mean": pytest.approx(float(values.mean())),
            "silent": 0,
        }
    ]
    assert found["units"] == [{"layer": "pool1", "row": 0, "column": 0, "rows": [0, 2], "columns": [0, 2], "size": [4, 4]}]
    assert found["filters"] == {"name": "conv1", "shape": [4, 3, 3, 3]}
    assert {name for name, _ in found["classes"]} == {"cat", "dog", "cow"}
    with torch.no_grad():
        assert sum(share for _, share in found["classes"]) == pytest.approx(1)
        assert found["classes"][0][1] == pytest.approx(float(small(given[None]).max()))
    assert [found["cams"][0][key] for key in ("layer", "class", "number")] == ["body.relu2", "dog", 1]
    assert "map/pool1/3" in out.read_text(encoding="utf-8")
    assert json.loads(json.dumps(found)) == found


def test_the_verb_refuses_in_words(trained: Path, tmp_path: Path) -> None:
    model, photo = str(trained / "model.safetensors"), str(trained / "photo.png")
    said = archc("show", model, "--image", photo, code=2).stderr
    assert said == "archc: give the page that is to be written, -o maps.svg, or --json\n"
    said = archc("show", model, "--image", photo, "-o", str(tmp_path / "x.gif"), code=2).stderr
    assert said == "archc: maps are .svg, .png or .pdf, not x.gif\n"
    said = archc("show", model, "--image", photo, "-o", str(tmp_path / "x.svg"), "--width", "colum", code=2).stderr
    assert said == "archc: --width is slide, page or column, not colum; did you mean `column`?\n"
    save_file({"a": torch.zeros(1)}, trained / "other.safetensors")
    said = archc("show", "archs/lenet5.arch", "--image", photo, "--weights", str(trained / "other.safetensors"), "--json", code=1).stderr
    assert "missing    c1.weight" in said and "does not fit the network in" in said and "`archc weights FILE --from WEIGHTS" in said
    said = archc("show", model, "--image", str(trained / "no.png"), "--json", code=1).stderr
    assert "this is no image that can be read" in said
    said = archc("show", model, "--image", photo, "--layer", "fc", "-o", str(tmp_path / "x.svg"), code=2).stderr
    assert said.startswith("archc: --layer fc has no maps of rows and columns")
    said = archc("show", "archs/lenet5.arch", "--image", photo, "--json", code=1).stderr
    assert "lenet5.arch has no weights: give them with --weights" in said
    assert not list(tmp_path.iterdir())
