"""Pictures of style paper: what they name and fold, where everything is, and that it can be read on a slide."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import html5lib
import pytest
from hypothesis import given

from archc import Network, load, loads
from archc.compiler.draw.condense import VOLUMES, arguments, call_text, condensed, paper_scene
from archc.compiler.draw.fold import Folding, scene
from archc.compiler.draw.labels import LABELS
from archc.compiler.draw.plan import within
from archc.compiler.draw.strokes import curve, hatching
from archc.compiler.draw.style import Look
from archc.compiler.draw.volumes import Figure, figure
from archc.compiler.driver import check_text
from archc.compiler.errors import UsageError
from archc.tests.support import NETWORKS, ROOT
from archc.tests.support.programs import fewer, programs

SVG = "{http://www.w3.org/2000/svg}"
SLIDES = ("vgg16", "resnet18", "efficientnet_b0", "mobilenet_v2")
SOME = ("lenet5", "alexnet", "zfnet", *SLIDES, "googlenet", "unet", "vit_b_16", "densenet121")


def network(name: str) -> Network:
    return load(ROOT / f"archs/{name}.arch")


def made(name: str, look: Look = Look(), depth: int | None = None) -> Figure:  # noqa: B008 (it is frozen)
    return figure(paper_scene(network(name).graph, Folding(depth)), look)


def lines(name: str) -> dict[str, tuple[str, ...]]:
    return {part: spot.volume.lines for part, spot in made(name).plan.spots.items() if spot.volume}


# ---- what is shown


def test_equal_neighbours_are_one_volume() -> None:
    vgg = [text[0] for text in lines("vgg16").values()]
    assert vgg == [
        "input", "conv3-64 x2", "maxpool2", "conv3-128 x2", "maxpool2", "conv3-256 x3", "maxpool2", "conv3-512 x3", "maxpool2",
        "conv3-512 x3", "maxpool2", "fc-4096 x2", "fc-1000",
    ]  # fmt: skip
    assert [text[:2] for text in lines("resnet18").values()][3:7] == [(f"layer{n}", "basic x2") for n in (1, 2, 3, 4)]
    assert list(lines("mobilenet_v2").values())[1:4] == [
        ("conv3-32/2", "32x112x112"),
        ("features.1", "unit(t=1)", "16x112x112"),
        ("features.2\u20133", "unit(t=6) x2", "24x56x56"),
    ]
    assert lines("efficientnet_b0")["features.5.0"] == ("features.5", "unit(t=6, k=5) x3", "112x14x14")


def test_neighbours_with_names_or_other_users_stay_apart() -> None:
    text = "input 3x8x8\na: conv3-4(pad=1)\nb: conv3-4(pad=1)\nf: [ conv1-4; conv1-4 ]\nresidual<conv1-4>\n"
    shown = [(box.id, box.times) for box in condensed(scene(loads(text).graph)).shown()]
    assert shown == [("input", ""), ("a", ""), ("b", ""), ("f.0", "x2"), ("conv3", ""), ("add1", "")]


def test_folded_neighbours_count_together() -> None:
    graph = network("vgg16").graph
    folded = condensed(scene(graph))
    assert sum(box.params * box.copies for box in folded.shown()) == network("vgg16").params
    run = next(box for box in folded.shown() if box.times == "x3")
    assert run.tooltip.startswith("features.10 .. features.14, 3 together\n256x56x56\n1,475,328 parameters")


@pytest.mark.parametrize("name", SOME)
def test_every_volume_is_named_in_few_words(name: str) -> None:
    for part, text in lines(name).items():
        assert text, part
        assert all(len(line) <= 24 for line in text), text
        assert not any(re.search(r"\.\d{4}|items|@|\u2026", line) for line in text), text


def test_blocks_are_opened_as_far_as_fits_a_slide() -> None:
    for name in SOME:
        assert sum(1 for _ in condensed(paper_scene(network(name).graph, Folding())).shown()) <= VOLUMES


def test_arguments_of_calls() -> None:
    assert arguments("unit(body=f(1, 2), [a, b], s=2)") == {"body": "f(1, 2)", "1": "[a, b]", "s": "2"}
    assert arguments("unit") == arguments("unit()") == {}
    for call in ("unit(body=f(1, 2), [a, b], s=2)", "unit"):
        assert call_text("unit", arguments(call)) == call


# ---- labels


def texts(net: Network, **options: object) -> set[str]:
    root = ElementTree.fromstring(net.draw("svg", legend=False, **options))  # type: ignore[arg-type]
    return {(text.text or "").strip() for text in root.iter(f"{SVG}text")}


def test_labels_are_chosen_in_both_styles() -> None:
    net = loads("input 3x8x8\nblock unit(w) { conv3-{w}(pad=1, bias=no) }\na: unit(4)\nb: unit(8)\nc: fc-5\n")
    for style in ("graph", "paper"):
        shown = {labels: texts(net, style=style, labels=labels, depth=0) for labels in LABELS}
        assert not shown["none"], style
        assert {"a", "b", "c"} <= shown["names"], style
        assert not [text for text in shown["names"] | shown["shapes"] if "(" in text or "fc-5" in text], style
        assert "8x8x8" in shown["shapes"] & shown["all"], style
        assert "8x8x8" not in shown["names"] | shown["args"], style
        assert any("fc-5" in text for text in shown["args"] & shown["all"]), style
    with pytest.raises(ValueError, match="labels is names, args, shapes, all or none, not name"):
        net.draw(labels="name")


def test_options_are_hidden_in_both_styles_and_must_exist() -> None:
    net = loads(
        "input 3x8x8\nblock unit(w, s=1) { conv3-{w}/{s}(pad=1, bias=no) }\na: conv3-4(pad=1, bias=no); bn(eps=0.5)\nb: unit(8, s=2)\n"
    )
    for style in ("graph", "paper"):
        before, after = (" ".join(texts(net, style=style, labels="all", depth=0, hide=hide)) for hide in ("", "pad,bias, s"))
        assert "bias=no" in before
        assert "s=2" in before or style == "paper"  # where one convolution is all of the block
        assert not re.search(r"pad=|bias=|\bs=", after), style
    assert "bias" not in net.draw("html", hide=("pad", "bias"), labels="args").decode().split('"svg"')[1]
    with pytest.raises(UsageError, match="did you mean `pad`"):
        net.draw(hide="pda")


# ---- where it is


def areas(shown: Figure) -> dict[str, tuple[float, float, float, float]]:
    """The rectangles of all texts under volumes: left, low, right, high."""
    return {
        part: (spot.x - spot.wide / 2, spot.low, spot.x + spot.wide / 2, spot.y - spot.half[1])
        for part, spot in shown.plan.spots.items()
        if spot.text
    }


@pytest.mark.parametrize("name", SOME)
def test_texts_are_apart_and_nothing_leaves_the_page(name: str) -> None:
    shown = made(name)
    spots = shown.plan.spots
    for (first, a), (second, b) in combinations(areas(shown).items(), 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (first, second)
    for part, area in areas(shown).items():
        for other, spot in spots.items():
            (wide, high), inner = spot.half, 1.0
            left, low, right, top = spot.x - wide, spot.y - high, spot.x + wide, spot.y + high
            apart = area[2] <= left + inner or right <= area[0] + inner or area[3] <= low + inner or top <= area[1] + inner
            assert part == other or apart, (part, other)
    left, low, right, high = map(float, shown.laid.graph_attr["bb"].split(","))
    for stroke in shown.strokes:
        assert all(left - 1 <= x <= right + 1 and low - 1 <= y <= high + 1 for x, y in stroke.points), stroke
    for wire in shown.plan.wires:
        assert all(left - 1 <= x <= right + 1 and low - 1 <= y <= high + 1 for x, y in [*wire.points, wire.tip])
    for room in shown.plan.rooms:
        inside = [spots[part] for box in within(room.box) for part in shown.plan.parts[box]]
        here = [spot for spot in inside if room.left <= spot.x <= room.right and room.low <= spot.y <= room.high]
        assert here, room.box.id
        assert all(room.left <= spot.left and spot.right <= room.right and spot.top <= room.high and room.low <= spot.low for spot in here)


def size(svg: bytes) -> tuple[float, float]:
    wide, high = (ElementTree.fromstring(svg).get("viewBox") or "").split()[2:]
    return float(wide), float(high)


@pytest.mark.parametrize("name", SOME)
def test_figures_can_be_read_on_a_slide(name: str) -> None:
    svg = network(name).draw(style="paper")
    wide, high = size(svg)
    assert wide / high <= (16 / 9 if name in SLIDES else 2.35), (wide, high)
    smallest = min(float(points) for points in re.findall(r'font-size="([\d.]+)"', svg.decode()))
    assert smallest * min(1920 / wide, 1080 / high) >= 10


def test_kernels_are_patches_as_large_as_their_windows() -> None:
    shown = made("lenet5", Look(legend=False))
    patches = [stroke for stroke in shown.strokes if stroke.width == 0.7]
    rays = [stroke for stroke in shown.strokes if not stroke.closed]
    assert len(patches) == 5  # of c1, s2, c3, s4 and c5
    assert len(rays) == 2 * len(patches)
    heights = [stroke.points[3][1] - stroke.points[0][1] for stroke in patches]
    sides = [shown.plan.spots[name].volume for name in ("input", "c1", "s2", "c3", "s4")]
    windows = (5 / 32, 2 / 28, 5 / 14, 2 / 10, 1.0)
    for height, side, window in zip(heights, sides, windows, strict=True):
        assert side is not None
        assert height == pytest.approx(max(5.0, window * side.high), abs=0.01)
    assert not [stroke for stroke in figure(scene(loads("input 3x8x8\nconv1-4\nfc-2\n").graph), Look()).strokes if stroke.width == 0.7]


def test_streams_have_the_shape_of_one_part() -> None:
    alexnet = lines("alexnet")
    assert alexnet["conv1/0"] == ("48x55x55",)
    assert alexnet["conv1/1"] == ("conv1", "conv11-96/4", "48x55x55")
    assert alexnet["fc6/0"] == ("2048",)


def test_unet_is_a_u() -> None:
    shown = made("unet").plan
    at = shown.spots
    for level in (1, 2, 3):
        assert at[f"enc{level}"].y == at[f"dec{level}"].y > at[f"enc{level + 1}"].y
        assert at[f"enc{level}"].x < at[f"enc{level + 1}"].x < at[f"dec{level + 1}"].x < at[f"dec{level}"].x
    assert at["bottom"].y < at["enc4"].y == at["dec4"].y
    for level in (1, 2, 3):
        skip = shown.wire(f"enc{level}", f"dec{level}")
        assert skip is not None
        assert {y for _, y in [*skip.points, skip.tip]} == {at[f"enc{level}"].y}
    plain = "input 3x64x64\nconv3-4/2(pad=1)\nconv3-4/2(pad=1)\nconv3-4/2(pad=1)\n"
    assert len({spot.y for spot in figure(scene(loads(plain).graph), Look()).plan.spots.values()}) == 1


def test_tokens_are_rows_and_attention_is_maps() -> None:
    gpt = loads("input 8x12\nmultihead_attention(heads=2, causal=yes)\nchannel_fc-16\n")
    shown = figure(scene(gpt.graph), Look(legend=False))
    volumes = {name: spot.volume for name, spot in shown.plan.spots.items()}
    forms = [(volume.rows, volume.sheets, volume.causal) for volume in volumes.values() if volume]
    assert forms == [(9, 0, False), (0, 2, True), (9, 0, False)]
    masked = [stroke for stroke in shown.strokes if stroke.fill == shown.look.colours["ground"] and stroke.width == 0.4]
    assert len(masked) == 10  # above the diagonal of five rows


def test_rows_are_joined_and_frames_go_on() -> None:
    plan = made("vgg16").plan
    pieces = [room for room in plan.rooms if room.box.id == "features"]
    assert [room.first for room in pieces] == [True, False]
    assert pieces[1].high < pieces[0].low
    back = [wire for wire in plan.wires if wire.tip[0] < plan.spots[wire.source].x - 100]
    assert len(back) == 1
    assert "features \u2026" in texts(network("vgg16"), style="paper")


def test_families_differ_in_print_by_patterns() -> None:
    shown = made("vit_b_16", Look("print"))
    hatched = {entry.family for entry in shown.key if entry.family in ("dense", "learned", "shape", "pooling")}
    assert hatched == {"dense", "learned", "shape"}
    assert len([stroke for stroke in shown.strokes if not stroke.closed]) > len([s for s in made("vit_b_16").strokes if not s.closed])
    for kind in ("across", "upright", "rising", "falling"):
        drawn = list(hatching(kind, 10, 20, 40, 60))
        assert drawn
        assert all(10 <= x <= 40 and 20 <= y <= 60 for line in drawn for x, y in line)
    assert {round((b[1] - a[1]) * (b[0] - a[0])) > 0 for a, b in hatching("rising", 0, 0, 9, 9)} == {True}
    assert {round((b[1] - a[1]) * (b[0] - a[0])) > 0 for a, b in hatching("falling", 0, 0, 9, 9)} == {False}


def test_ways_begin_and_end_where_they_should() -> None:
    way = curve([(0, 0), (10, 0), (10, 30)], 4)
    assert (way[0], way[-1]) == ((0, 0), (10, 30))
    assert len(way) % 3 == 1


# ---- formats


def test_a_page_has_a_figure_of_every_closed_block() -> None:
    text = network("resnet18").draw("html", style="paper").decode()
    html5lib.HTMLParser(strict=True).parse(text)
    drawings = json.loads(text.split('<script id="drawings" type="application/json">')[1].split("</script>")[0])
    assert set(drawings) >= {"", "layer1.0", "layer2.0"}
    assert all(drawing.startswith("<svg") for drawing in drawings.values())
    assert "conv2" in drawings["layer1.0"]


def test_tikz_has_all_texts_and_strokes() -> None:
    text = network("vgg16").draw("tex", style="paper").decode()
    assert text.count("\\begin{tikzpicture}") == 1
    for line in ("\\textbf{conv3-64 x2}", "64x224x224", "fully connected", "features \\ldots{}"):
        assert line in text
    named = set(re.findall(r"\\definecolor\{([^}]*)\}", text))
    assert set(re.findall(r"(?:draw|fill|text)=(archc-[0-9a-f]+)", text)) <= named


def within_page(shown: Figure) -> None:
    left, low, right, high = map(float, shown.laid.graph_attr["bb"].split(","))
    points = [point for stroke in shown.strokes for point in stroke.points]
    assert all(left - 1 <= x <= right + 1 and low - 1 <= y <= high + 1 for x, y in points)


def test_frames_around_frames_around_the_same() -> None:
    text = (
        "input 3x8x8\nblock inner(w) { conv3-{w}(pad=1); conv1-{w} }\nblock outer(w) { inner(w) }\nf: [ [ outer(4) ] x2; outer(8) ]\nfc-2\n"
    )
    graph = loads(text).graph
    for depth in range(6):
        within_page(figure(paper_scene(graph, Folding(depth)), Look()))


@pytest.mark.slow
@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_every_network_has_a_figure_within_its_page(path: Path) -> None:
    graph = load(path).graph
    for depth in (None, 0, 1, 2, 9):
        made = paper_scene(graph, Folding(depth))
        if sum(1 for _ in condensed(made).shown()) <= 150:
            shown = figure(made, Look())
            within_page(shown)
            assert depth or shown.plan.clear()


@pytest.mark.slow
@given(programs())
@fewer
def test_random_networks_have_figures_within_their_pages(text: str) -> None:
    graph = check_text(text).graph
    if len(graph):
        for depth in (None, 9):
            within_page(figure(paper_scene(graph, Folding(depth)), Look()))
