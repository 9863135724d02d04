"""Where figures of style paper place things: shortcuts of closed blocks, columns, a U of opened blocks, branches of the main path."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from archc import Network, load, loads
from archc.compiler.draw.branches import aside
from archc.compiler.draw.bridges import AFTER, KEY
from archc.compiler.draw.condense import Run, paper_scene
from archc.compiler.draw.figure import Figure as Page
from archc.compiler.draw.fold import Folding
from archc.compiler.draw.plan import MARGIN, Plan
from archc.compiler.draw.strokes import Stroke, sampled
from archc.compiler.draw.style import Look
from archc.compiler.draw.volumes import Figure, figure
from archc.compiler.errors import UsageError
from archc.tests.support import ROOT

LATEX = (
    shutil.which("pdflatex") and shutil.which("kpsewhich") and subprocess.run(["kpsewhich", "standalone.cls"], capture_output=True).stdout
)
COLUMN = Look(figure=Page(width=85 / 25.4))
FIT = ("lenet5", "alexnet", "resnet18", "unet")
FIT_TOO = ("zfnet", "vgg16", "resnet50", "googlenet", "mobilenet_v2", "efficientnet_b0", "hrnet_w18")


def network(name: str) -> Network:
    return load(ROOT / f"archs/{name}.arch")


def made(net: Network, look: Look = Look(), **folding: object) -> Figure:  # noqa: B008 (it is frozen)
    return figure(paper_scene(net.graph, Folding(**folding)), look)  # type: ignore[arg-type]


def skips(shown: Figure) -> list[Stroke]:
    return [stroke for stroke in shown.strokes if stroke.line == shown.look.colours["skip"]]


def beside(plan: Plan) -> dict[str, float]:
    """The height of every box over that of the main path."""
    path = {edge.source for edge in plan.scene.edges if edge.spine}
    level = max(plan.spots[name].y for name in path)
    return {part: spot.y - level for part, spot in plan.spots.items()}


# ---- shortcuts of closed blocks


def test_a_closed_block_has_an_arc_from_its_entry_to_its_exit() -> None:
    shown = made(network("resnet18"))
    spots = shown.plan.spots
    arcs = [stroke for stroke in skips(shown) if stroke.width == 1.3 and not stroke.closed and len(stroke.points) > 9]
    for name in ("layer1.0", "layer2.0", "layer3.0", "layer4.0"):
        spot = spots[name]
        over = [arc for arc in arcs if arc.points[0][0] < spot.x < arc.points[-1][0] and arc.points[0][1] == spot.y]
        assert len(over) == 1, name
        xs, ys = zip(*over[0].points, strict=True)
        assert min(xs) < spot.x - spot.half[0] < spot.x + spot.half[0] < max(xs)
        assert max(ys) == pytest.approx(spot.crown - 2)
        assert spot.exit[0] == spot.x + spot.half[0] + AFTER
        leaving = [wire for wire in shown.plan.wires if wire.source == name]
        assert all(wire.points[0][0] > spot.x + spot.half[0] + AFTER for wire in leaving)
    assert KEY["shortcut"] in [entry.text for entry in shown.key]
    assert KEY["shortcut"] not in [entry.text for entry in made(network("vgg16")).key]
    assert not skips(made(network("vgg16")))


def test_neighbours_say_how_many_of_them_have_a_shortcut() -> None:
    shown = made(network("mobilenet_v2"))
    runs = [spot.box for spot in shown.plan.spots.values() if isinstance(spot.box, Run)]
    assert [(box.skipping, box.members) for box in runs] == [(1, 2), (2, 3), (3, 4), (2, 3), (2, 3)]
    assert [title.text for title in shown.titles if " of " in title.text] == ["1 of 2", "2 of 3", "3 of 4", "2 of 3", "2 of 3"]
    assert "shortcut, in 2 of them" in runs[1].tooltip
    assert not [title for title in made(network("resnet18")).titles if " of " in title.text]


def test_dense_blocks_link_every_point_to_every_later_one() -> None:
    shown = made(network("densenet121"))
    spot = shown.plan.spots["features.denseblock1"]
    near = [stroke for stroke in skips(shown) if all(spot.left < x < spot.right and spot.top < y for x, y in stroke.points)]
    assert len([stroke for stroke in near if not stroke.closed]) == 1 + 3 + 2 + 1
    assert len([stroke for stroke in near if stroke.closed]) == 4
    assert KEY["connections"] in [entry.text for entry in shown.key]


def test_every_format_draws_the_shortcuts() -> None:
    net = network("resnet18")
    color = Look().colours["skip"]
    assert color in net.draw("svg", style="paper").decode()
    assert f"draw=archc-{color[1:]}" in net.draw("tex", style="paper").decode()
    assert color in net.draw("html", style="paper").decode()


def test_shares_of_a_cost_stand_under_volumes_and_the_key_says_their_colors() -> None:
    shown = made(network("vgg16"), Look(heat="params"))
    lines = {spot.volume.lines for spot in shown.plan.spots.values() if spot.volume}
    assert ("fc-4096 x2", "4096", "86 %") in lines
    keys = {entry.text: entry.fill for entry in shown.key}
    assert list(keys) == ["share of the parameters", "0 %", "5.4 %", "22 %", "49 %", "86 %"]
    fc = next(spot for spot in shown.plan.spots.values() if spot.volume and "fc-4096 x2" in spot.volume.lines)
    assert [stroke for stroke in shown.strokes if stroke.fill == keys["86 %"] and stroke.points[0][0] < fc.x < stroke.points[2][0]]
    alexnet = made(network("alexnet"), Look(heat="macs")).plan.spots
    assert alexnet["conv1/1"].volume is not None
    assert alexnet["conv1/1"].volume.lines[:3] == ("conv1", "conv11-96/4", "48x55x55")


# ---- a column


@pytest.mark.parametrize("name", [*FIT, *(pytest.param(name, marks=pytest.mark.slow) for name in FIT_TOO)])
def test_texts_can_be_read_in_a_column(name: str) -> None:
    svg = network(name).draw(style="paper", width="85mm").decode()
    scale = re.search(r'transform="scale\(([\d.]+)', svg)
    assert 9 * float(scale[1] if scale else 1) >= 5.0
    wide, high = (float((ElementTree.fromstring(svg).get(side) or "").removesuffix("pt")) for side in ("width", "height"))
    assert wide == pytest.approx(72 * 85 / 25.4, abs=1)
    assert high <= 72 * 215 / 25.4  # a page
    plan = made(network(name), COLUMN).plan
    areas = [(spot.x - spot.wide / 2, spot.low, spot.x + spot.wide / 2, spot.y - spot.half[1]) for spot in plan.spots.values() if spot.text]
    for a, b in combinations(areas, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_streams_go_into_the_next_row_without_crossing() -> None:
    plan = made(network("alexnet"), COLUMN).plan
    back = [wire for wire in plan.wires if wire.tip[0] < plan.spots[wire.source].x - 100]
    pairs = [back[start : start + 2] for start in range(0, len(back), 2)]
    assert len(back) in (2, 4, 6)
    for upper, lower in pairs:
        assert plan.spots[upper.source].y > plan.spots[lower.source].y
        assert plan.spots[upper.target].y > plan.spots[lower.target].y
        assert max(x for x, _ in upper.points) > max(x for x, _ in lower.points)
        assert min(x for x, _ in upper.points) > min(x for x, _ in lower.points)


def test_tikz_has_a_width_too() -> None:
    text = network("resnet18").draw("tex", style="paper", width="85mm").decode()
    unit = re.search(r"\[x=([\d.]+)pt, y=([\d.]+)pt", text)
    assert unit is not None
    assert 0.5 < float(unit[1]) == float(unit[2]) < 0.8
    sizes = {float(size) for size in re.findall(r"\\fontsize\{([\d.]+)\}", text)}
    assert len(sizes) == 1
    assert 5.0 <= min(sizes) == pytest.approx(8.5 * float(unit[1]), abs=0.01)
    with pytest.raises(UsageError, match="not of tex"):
        network("resnet18").draw("tex", width="85mm")  # of style graph


@pytest.mark.slow
@pytest.mark.skipif(not LATEX, reason="there is no LaTeX here, or no standalone.cls")
@pytest.mark.parametrize("theme", ["light", "print"])
@pytest.mark.parametrize("name", ["lenet5", "resnet18", "densenet121", "unet", "alexnet"])
def test_tikz_of_a_column_is_as_wide_as_one(name: str, theme: str, tmp_path: Path) -> None:
    (tmp_path / "net.tex").write_bytes(network(name).draw("tex", style="paper", theme=theme, width="85mm"))
    command = ["pdflatex", "-interaction=nonstopmode", "-jobname=net", r"\pdfobjcompresslevel=0 \input{net.tex}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)", (tmp_path / "net.pdf").read_bytes())
    assert box is not None
    assert float(box[1]) == pytest.approx(72 * 85 / 25.4, rel=0.03)  # TeX's font is a little wider or narrower than the one measured


# ---- a U


def test_opened_blocks_are_a_u_too() -> None:
    plan = made(network("unet"), depth=1).plan
    at = plan.spots
    for level in (1, 2, 3, 4):
        row = [at[name] for name in (f"enc{level}.conv1", f"enc{level}.conv2", f"dec{level}.crop1", f"dec{level}.concat1")]
        assert len({spot.y for spot in row}) == 1
        assert [spot.x for spot in row] == sorted(spot.x for spot in row)
        rising = at[f"dec{level}.convt1"]
        assert rising.x == row[-1].x
        assert rising.top < row[-1].low
    assert at["enc1.conv1"].y > at["enc2.conv1"].y > at["bottom.conv1"].y
    assert plan.clear()


def test_a_u_in_a_column_stands_upright() -> None:
    at = made(network("unet"), COLUMN).plan.spots
    assert len({round(at[name].x, 3) for name in ("enc1", "enc2", "enc3", "enc4")}) == 1
    assert len({round(at[name].x, 3) for name in ("dec1", "dec2", "dec3", "dec4")}) == 1
    assert at["dec1"].x > at["enc1"].right


# ---- beside the main path


def test_projections_lie_below_what_they_pass() -> None:
    plan = made(network("resnet18"), depth=9).plan
    assert plan.clear()
    for layer in (2, 3, 4):
        spot, first, last = (plan.spots[f"layer{layer}.0.{name}"] for name in ("downsample.0", "conv1", "conv2"))
        assert spot.top < min(first.low, last.low)
        end = next(wire for wire in plan.wires if wire.source == spot.part)
        merge = plan.spots[end.target]
        assert end.tip == pytest.approx((merge.x, merge.y - merge.half[1] - 1))


def test_parallel_branches_and_sources_stand_below_each_other() -> None:
    heights = beside(made(network("googlenet"), expand=("inception3a",)).plan)
    inner = {name: high for name, high in heights.items() if name.startswith("inception3a.conv")}
    assert len({round(high) for high in inner.values()}) == 4
    plan = made(network("bert_base")).plan
    assert plan.clear()
    at = {name.rpartition(".")[2]: spot for name, spot in plan.spots.items() if ".attention." in name}
    assert at["query"].low > at["key"].top > at["key"].low > at["value"].top
    assert at["query"].x == pytest.approx(at["key"].x, abs=20)


def test_what_is_more_than_branches_is_left_to_graphviz() -> None:
    text = (
        "input 8x16x16\nconv3-8(pad=1)\nconcat<conv1-8 | conv3-8(pad=1); conv3-8(pad=1); conv3-8(pad=1) | "
        "conv3-8(pad=1); concat<conv1-4 | conv1-4>>\nfc-2\n"
    )
    plan = made(loads(text)).plan
    path = [edge.source for edge in plan.scene.edges if edge.spine]
    assert aside(plan, [*path, "fc1"]) is None
    assert plan.clear()
    assert len({(spot.x, spot.y) for spot in plan.spots.values()}) == len(plan.spots)


def test_an_auxiliary_classifier_hangs_under_what_it_is_of() -> None:
    plan = made(network("googlenet")).plan
    for aux, block in (("aux1", "inception4a"), ("aux2", "inception4d")):
        assert plan.spots[aux].x == plan.spots[block].x
        assert plan.spots[aux].top < plan.spots[block].low


def test_frames_are_as_wide_as_their_titles() -> None:
    plan = made(network("bert_base")).plan
    room = next(room for room in plan.rooms if room.box.id == "embeddings.position_embeddings")
    assert room.right - room.left >= room.title + 2 * MARGIN - 0.01


def test_curves_are_sampled_from_end_to_end() -> None:
    points = sampled([(0, 0), (0, 1), (1, 2), (2, 2)], 4)
    assert (points[0], points[-1], len(points)) == ((0, 0), (2, 2), 5)
