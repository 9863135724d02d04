"""Pictures on a page: shortcuts of closed blocks, directions, titles, sizes, numbers, names, heat, differences side by side, steps."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest

from archc import load, loads
from archc.compiler.analysis.diff import diff
from archc.compiler.analysis.parts import nodes_of
from archc.compiler.analysis.skips import Skips, skips
from archc.compiler.draw.arcs import SIGN, glyph
from archc.compiler.draw.beside import side_by_side
from archc.compiler.draw.figure import Figure, figure, percent, renamed, short
from archc.compiler.draw.fold import Folding, scene
from archc.compiler.draw.key import entries
from archc.compiler.draw.layout import TooLarge, render
from archc.compiler.draw.pages import NotCairos, joined
from archc.compiler.draw.placing import placed
from archc.compiler.draw.steps import step_of
from archc.compiler.draw.style import LIGHT, Look, heat_colour
from archc.compiler.errors import UsageError
from archc.compiler.graph import ArchGraph
from archc.tests.support import ROOT
from archc.tests.support.commands import archc

SVG = "{http://www.w3.org/2000/svg}"
SMALL = "input 3x8x8\nblock unit(w) { residual<conv3-{w}(pad=1); relu; conv3-{w}(pad=1)> }\nconv3-4(pad=1)\na: unit(4)\nfc-2\n"


def graph(name: str) -> ArchGraph:
    return load(ROOT / f"archs/{name}.arch").graph


def of(name: str, block: str) -> Skips:
    network = graph(name)
    return skips(network, nodes_of(network, block))


def merges(found: Skips) -> list[tuple[str, bool]]:
    return [(skip.op, skip.projected) for skip in found.all]


# ---- shortcuts


def test_shortcuts_are_found_by_structure() -> None:
    assert merges(of("resnet18", "layer1.0")) == [("add", False)]
    assert merges(of("resnet18", "layer2.0")) == [("add", True)]
    assert merges(of("resnet18", "layer2")) == [("add", True), ("add", False)]
    assert merges(of("mobilenet_v2", "features.3")) == [("add", False)]
    dense = of("densenet121", "features.denseblock1")
    assert merges(dense) == [("concat", False)] * 6
    assert dense.dense
    assert merges(of("vit_b_16", "encoder.layers.encoder_layer_0")) == [("add", False)] * 2
    features = of("mobilenet_v2", "features")
    assert (len(features.all), features.lead, features.trail) == (10, True, True)


def test_what_is_no_shortcut_is_not_called_one() -> None:
    for name, block in (
        ("plain34", "layer1.0"),
        ("googlenet", "inception3a"),  # parallel branches
        ("mobilenet_v2", "features.1"),  # changes its channels
        ("unet", "dec3"),  # its concatenation takes a tensor from elsewhere
        ("bert_base", "embeddings"),  # a sum of three tables
        ("hrnet_w18", "stage3"),  # several exits
    ):
        assert not of(name, block), (name, block)


def test_a_closed_block_draws_its_shortcut() -> None:
    root = ElementTree.fromstring(load(ROOT / "archs/resnet18.arch").draw())
    ids = {element.get("id", "") for element in root.iter()}
    closed = [f"layer{n}.{k}" for n in (2, 3, 4) for k in (0, 1)] + ["layer1.0"]
    assert {name.split("/")[1] for name in ids if name.startswith("skip/")} == set(closed)
    named = {element.get("data-name"): element.get("data-skips") for element in root.iter() if element.get("data-name")}
    assert {name for name, kinds in named.items() if kinds} == set(closed)
    arcs = [each for each in root.iter(f"{SVG}g") if each.get("class") == "edge skip"]
    assert len(arcs) == len(closed)
    assert all(arc.find(f".//{SVG}path").get("stroke") == LIGHT["skip"] for arc in arcs)  # type: ignore[union-attr]
    assert {arc.findtext(f"{SVG}title") for arc in arcs} == {"1 shortcut", "1 shortcut, 1 by projection"}
    said = [text.text for text in root.iter(f"{SVG}text")]
    assert said.count("+") == len(closed)
    assert "shortcut: +" in said
    assert "projection" in said


def test_an_open_block_has_no_arc_and_a_plain_one_neither() -> None:
    opened = loads(SMALL).draw(depth=9)
    assert b"skip/" not in opened
    assert b"skip/a" in loads(SMALL).draw(depth=0)
    assert b"skip/" not in load(ROOT / "archs/plain34.arch").draw()


@pytest.mark.parametrize("direction", ["TB", "LR"])
@pytest.mark.parametrize(
    ("name", "block"), [("resnet18", "layer1.0"), ("resnet18", "layer2.0"), ("resnet50", "layer3"), ("densenet121", "features")]
)
def test_arcs_lie_within_their_boxes(name: str, block: str, direction: str) -> None:
    made = glyph(of(name, block), (100.0, 50.0), 120.0, 44.0, direction)
    points = [*(point for arc in made.arcs for point in arc), *made.dots, *made.marks, *(at for at, _ in made.signs)]
    assert all(40 <= x <= 160 and 28 - SIGN <= y <= 72 for x, y in points)
    assert all(len(arc) % 3 == 1 for arc in made.arcs)
    if len(of(name, block).all) == 1:  # round the text, not through it
        (arc,) = made.arcs
        assert max(abs(x - 100) for x, _ in arc) > 45 if direction == "TB" else max(y - 50 for _, y in arc) > 14


def test_every_format_tells_of_shortcuts() -> None:
    net = loads(SMALL)
    assert b"1 shortcut" in net.draw("dot", depth=0)
    assert b"1 shortcut" in net.draw("mermaid", depth=0)
    assert b"archc-skip" in net.draw("tex", depth=0)
    drawings = json.loads(net.draw("html").decode().split('<script id="drawings" type="application/json">')[1].split("</script>")[0])
    box = next(box for box in drawings[""]["boxes"] if box["id"] == "a")
    assert LIGHT["skip"] in box["svg"]


def test_frames_that_say_nothing_are_left_out_by_default() -> None:
    boxes = {box.id: box for box in scene(graph("mobilenet_v2")).every()}
    assert [name for name, box in boxes.items() if box.opened] == ["features", "classifier"]
    assert boxes["features.0.0"].name == "0"  # a convolution in a frame of its own
    assert boxes["features.5"].copies == 2
    assert [name for name, box in boxes.items() if box.skips] == [f"features.{n}" for n in (3, 5, 8, 12, 15)]
    deep = {box.id for box in scene(graph("mobilenet_v2"), Folding(depth=2)).every() if box.opened}
    assert {"features.0", "features.3"} <= deep  # what is asked for is opened


# ---- the page


def test_left_to_right() -> None:
    drawn = json.loads(render(placed(scene(graph("resnet18")), "graph", Look(figure=Figure("LR")), "json"), "json", placed=True))
    at = {thing["name"]: tuple(map(float, thing["pos"].split(","))) for thing in drawn["objects"] if "pos" in thing}
    main = ["input", "conv1", "maxpool1", "layer1.0", "layer2.0", "layer4.1", "fc", "output/output"]
    places = [at[name][0] for name in main]
    assert places == sorted(places)
    assert max(at[name][1] for name in main) - min(at[name][1] for name in main) < 12
    root = ElementTree.fromstring(loads(SMALL).draw(direction="LR"))
    box = next(each for each in root.iter(f"{SVG}g") if each.get("id") == "conv1")
    assert "4x8x8" in [text.text for text in box.iter(f"{SVG}text")]  # on the box, since edges are short
    assert loads(SMALL).draw("mermaid", direction="LR").decode().count("flowchart LR") == 1


def test_a_title_brings_the_counts() -> None:
    net = load(ROOT / "archs/resnet18.arch")
    texts = [text.text for text in ElementTree.fromstring(net.draw(title="Deep <b> & wide")).iter(f"{SVG}text")]
    assert "Deep <b> & wide" in texts
    assert "11.7 M parameters, 1.81 G MACs" in texts
    for form, style in (("dot", "graph"), ("mermaid", "graph"), ("tex", "graph"), ("svg", "paper")):
        assert "11.7 M parameters" in net.draw(form, style=style, title="ResNet").decode(), (form, style)


def test_sizes() -> None:
    net = loads(SMALL)

    def sides(**options: object) -> tuple[float, float]:
        root = ElementTree.fromstring(net.draw(**options))  # type: ignore[arg-type]
        return tuple(float(root.get(side, "").removesuffix("pt")) for side in ("width", "height"))  # type: ignore[return-value]

    wide, high = sides()
    assert sides(scale=2.0) == pytest.approx((2 * wide, 2 * high), rel=0.02)
    narrow, low = sides(width="85mm")
    assert narrow == pytest.approx(85 / 25.4 * 72, abs=2)
    assert low / narrow == pytest.approx(high / wide, rel=0.03)
    assert sides(style="paper", width="85mm")[0] == pytest.approx(85 / 25.4 * 72, abs=2)

    def pixels(**options: object) -> int:
        return int.from_bytes(net.draw("png", **options)[16:20], "big")  # type: ignore[arg-type]

    assert pixels() == pytest.approx(192 / 72 * wide, abs=6)
    assert pixels(dpi=300, width="85mm") == pytest.approx(300 * 85 / 25.4, abs=8)
    with pytest.raises(TooLarge, match="fewer dpi"):
        net.draw("png", dpi=2400, scale=20)


@pytest.mark.parametrize("style", ["graph", "paper"])
def test_every_font_of_a_pdf_is_in_it(style: str) -> None:
    data = load(ROOT / "archs/lenet5.arch").draw("pdf", style=style)
    fonts = set(re.findall(rb"/BaseFont /([A-Z]{6}\+\S+)", data))  # subsets, which are named so
    assert fonts
    assert len(set(re.findall(rb"/BaseFont /(\S+)", data))) == len(fonts)
    assert len(re.findall(rb"/FontFile[23]? [0-9]+ 0 R", data)) == len(fonts)


def test_numbers_on_boxes() -> None:
    made = {}
    root = ElementTree.fromstring(load(ROOT / "archs/resnet18.arch").draw(show="params,macs,memory,field"))
    for group in root.iter(f"{SVG}g"):
        if group.get("class") == "node":
            made[group.get("id")] = " ".join(text.text or "" for text in group.iter(f"{SVG}text"))
    assert "9.54 k params · 118 M MACs · 9.19 MiB · field 7" in made["conv1"]
    assert "513 k params" in made["fc"]
    assert "each" in made["layer1.0"]
    assert "field 11" in made["maxpool1"]
    assert "params" not in made["maxpool1"]
    assert (short(11_689_512), short(999_600), short(512), short(1.814e9)) == ("11.7 M", "1.00 M", "512", "1.81 G")
    assert (percent(0.268), percent(0.029), percent(0.0001), percent(0)) == ("27 %", "2.9 %", "< 0.1 %", "0 %")


def test_other_names() -> None:
    made = scene(graph("resnet18"))
    renamed(made, [("layer1", "stage 1"), ("basic", "Basic block"), ("layer2.0", "first")])
    boxes = {box.id: box for box in made.every()}
    assert boxes["layer1"].name == "stage 1"
    assert boxes["layer2.0"].name == "first"
    assert boxes["layer4.1"].title == "Basic block(w=512)"
    with pytest.raises(UsageError, match="no box lyer1"):
        renamed(made, [("lyer1", "x")])


@pytest.mark.parametrize(
    "options",
    [
        {"direction": "BT"},
        {"scale": 0.0},
        {"scale": float("nan")},
        {"width": "85"},
        {"width": "85mm", "scale": 2.0},
        {"width": "0mm"},
        {"dpi": -1},
        {"dpi": 9999},
        {"show": "flops"},
        {"rename": ["layer1"]},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        figure(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("svg", {"style": "paper", "direction": "LR"}),
        ("svg", {"style": "paper", "show": "params"}),
        ("svg", {"dpi": 300}),
        ("html", {"title": "x"}),
        ("mermaid", {"width": "85mm"}),
        ("pdf", {"animate": True}),
    ],
    ids=str,
)
def test_what_a_format_lacks_is_said(form: str, options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        loads(SMALL).draw(form, **options)  # type: ignore[arg-type]


# ---- heat


def test_heat_tells_boxes_apart() -> None:
    made = scene(graph("resnet50"))
    scale = Look(heat="macs").total(made)
    boxes = {box.id: box for box in made.shown()}
    colours = {name: scale.colour(boxes[name]) for name in ("conv1", "layer1.0", "layer2.0", "layer2.1", "layer3.1", "maxpool1")}
    assert len(set(colours.values())) == len(colours)
    assert colours["layer3.1"] == heat_colour(1)
    assert sum(map(scale.share, made.shown())) == pytest.approx(1)
    shares = [share for share, _ in scale.key()]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(scale.share(boxes["layer3.1"]))
    texts = [text.text for text in ElementTree.fromstring(load(ROOT / "archs/resnet50.arch").draw(heat="macs")).iter(f"{SVG}text")]
    assert "share of the MACs" in texts
    assert texts.count(percent(shares[-1])) == 2  # on the box, and in the key


def test_the_key_of_a_figure_has_the_colors_of_its_volumes() -> None:
    shown, look = scene(graph("resnet50"), Folding(1)), Look(heat="macs", volumes=True)
    title, *swatches = entries(shown, look)
    scale = look.total(shown)
    assert title.text == "share of the MACs"
    assert [(entry.text, entry.fill) for entry in swatches] == [(percent(share), colour) for share, colour in scale.key()]
    most = max(shown.shown(), key=scale.share)
    assert (swatches[-1].text, swatches[-1].fill) == (percent(scale.share(most)), scale.colour(most))


# ---- differences


def test_side_by_side() -> None:
    a, b = graph("plain34"), graph("resnet34")
    made = side_by_side(a, b, diff(a, b), Folding(), ("plain34", "resnet34 (r=4)"))
    assert [(box.id, box.name) for box in made.boxes] == [("first", "plain34"), ("second", "resnet34 (r=4)")]
    status = {box.id: box.status for box in made.shown() if box.status}
    assert status
    assert all(name.startswith("second/") and value == "added" for name, value in status.items())
    assert {("second/maxpool1", "second/layer1.0.add1")} <= {(edge.source, edge.target) for edge in made.edges if edge.status == "added"}
    assert ("first/layer3.1.conv2", "second/layer3.1.conv2") in made.level
    drawn = json.loads(render(placed(made, "graph", Look(), "json"), "json", placed=True))
    at = {thing["name"]: tuple(map(float, thing["pos"].split(","))) for thing in drawn["objects"] if "pos" in thing}
    assert len(made.level) > 20
    assert all(at[x][1] == at[y][1] and at[x][0] < at[y][0] for x, y in made.level)


def test_the_old_value_is_on_the_left_and_what_was_removed_is_red() -> None:
    a, b = (loads(text).graph for text in ("input 3x8x8\nx: conv3-4/2\nrelu\ny: conv1-4; fc-2", "input 3x8x8\nx: conv3-4\nrelu\nfc-2"))
    boxes = {box.id: box for box in side_by_side(a, b, diff(a, b), Folding()).shown()}
    assert (boxes["first/x"].title, boxes["first/x"].status, boxes["first/x"].changes) == ("conv3-4/2", "changed", [])
    assert (boxes["second/x"].title, boxes["second/x"].changes) == ("conv3-4", ["/2 -> /1"])
    assert boxes["first/y"].status == "removed"
    assert "second/y" not in boxes


def test_networks_whose_main_paths_cross_are_drawn_all_the_same() -> None:
    a, b = (loads(f"input 4x8x8\n{text}").graph for text in ("p: conv3-4(pad=1); q: maxpool2", "q: maxpool2; p: conv3-4(pad=1)"))
    made = side_by_side(a, b, diff(a, b), Folding())
    assert render(placed(made, "graph", Look(), "json"), "json", placed=True)


# ---- steps


def test_a_network_grows_in_its_place() -> None:
    net = load(ROOT / "archs/resnet18.arch")
    appears = step_of(scene(net.graph))
    pictures = [ElementTree.fromstring(each) for each in net.draw_steps(depth=1)]
    seen = [{each.get("data-name") or "" for each in root.iter() if each.get("data-name")} for root in pictures]
    assert len(pictures) == max(appears.values())
    assert all(fewer < more for fewer, more in pairwise(seen))
    assert seen[0] == {"input"}
    assert seen[-1] == {box.id for box in scene(net.graph, Folding(depth=1)).every()}
    assert len({(root.get("width"), root.get("height"), root.get("viewBox")) for root in pictures}) == 1
    places = [{box.get("id"): ElementTree.tostring(box) for box in root.iter(f"{SVG}g") if box.get("class") == "node"} for root in pictures]
    assert all(places[-1][name] == drawn for some in places for name, drawn in some.items())
    fourth = {each.get("id", "").split("/")[1] for each in pictures[3].iter() if each.get("id", "").startswith("skip/")}
    assert fourth == {"layer1.0"}  # an arc comes with its box


def test_steps_are_pages_of_one_pdf() -> None:
    pictures = loads(SMALL).draw_steps("pdf", width="85mm")
    document = joined(pictures)
    assert len(pictures) > 2
    assert document.count(b"/Type /Page ") + document.count(b"/Type /Page\n") == len(pictures)
    assert b"/Count %d" % len(pictures) in document
    places = [int(place) for place in re.findall(rb"([0-9]{10}) 00000 n \n", document)]
    assert all(document.startswith(b"%d 0 obj" % number, place) for number, place in enumerate(places, start=1))
    numbers = {int(number) for number in re.findall(rb"\b([0-9]+) 0 R", b"".join(re.split(rb"(?s)stream\n.*?endstream", document)))}
    assert numbers <= set(range(1, len(places) + 1))
    assert joined(pictures) == document
    with pytest.raises(NotCairos):
        joined([pictures[0], b"%PDF-1.7\n<< /Type /ObjStm >>"])
    with pytest.raises(NotCairos):
        joined([pictures[0], pictures[1].replace(b"startxref\n", b"startxref\n1")])


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no LaTeX here")
def test_latex_includes_every_page_of_steps(tmp_path: Path) -> None:
    pictures = load(ROOT / "archs/lenet5.arch").draw_steps("pdf")
    (tmp_path / "steps.pdf").write_bytes(joined(pictures))
    pages = "\n".join(rf"\includegraphics[page={number}]{{steps.pdf}}\newpage" for number in range(1, len(pictures) + 1))
    source = (
        rf"\documentclass{{article}}\usepackage{{graphicx}}\begin{{document}}{pages}\includegraphics[page=%d]{{steps.pdf}}\end{{document}}"
    )
    for last, code in ((1, 0), (len(pictures) + 1, 1)):  # the second asks for a page that does not exist
        (tmp_path / "talk.tex").write_text(source % last)
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "talk.tex"]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120).returncode == code


def test_steps_are_of_some_styles_and_formats() -> None:
    with pytest.raises(UsageError, match="not of paper"):
        loads(SMALL).draw_steps(style="paper")
    with pytest.raises(UsageError, match="not as mermaid"):
        loads(SMALL).draw_steps("mermaid")


def test_a_picture_that_moves_stands_still_where_that_is_wanted() -> None:
    root = ElementTree.fromstring(loads(SMALL).draw(animate=True))
    rules = "".join(style.text or "" for style in root.iter(f"{SVG}style"))
    stepped = {word for group in root.iter(f"{SVG}g") for word in (group.get("class") or "").split() if word.startswith("step")}
    assert stepped == {f"step{n}" for n in range(2, max(step_of(scene(loads(SMALL).graph)).values()) + 1)}
    assert all(f"@keyframes archc-{word}" in rules for word in stepped)
    assert "prefers-reduced-motion" in rules


# ---- geometry


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "mobilenet_v2", "googlenet"])
@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_nothing_overlaps_or_leaves_the_page(name: str, direction: str) -> None:
    look = Look(figure=figure(direction, title=name))
    made = scene(graph(name))
    made.heading = ["A title", "its counts"]
    drawn = json.loads(render(placed(made, "graph", look, "json"), "json", placed=True))
    left, low, right, high = map(float, drawn["bb"].split(","))
    shown = {box.id for box in made.shown()}
    places = {}
    for thing in drawn["objects"]:
        if thing["name"] in shown:
            x, y = map(float, thing["pos"].split(","))
            w, h = (36 * float(thing[side]) for side in ("width", "height"))
            places[thing["name"]] = (x - w, y - h, x + w, y + h)
    assert set(places) == shown
    for name_, (x1, y1, x2, y2) in places.items():
        assert left - 1 <= x1 and x2 <= right + 1 and low - 1 <= y1 and y2 <= high + 1, name_
    for (first, p), (second, q) in combinations(places.items(), 2):
        assert min(p[2], q[2]) - max(p[0], q[0]) <= 0.5 or min(p[3], q[3]) - max(p[1], q[1]) <= 0.5, (first, second)


# ---- the command line


@pytest.mark.thorough
def test_what_the_command_line_takes(tmp_path: Path) -> None:
    file = tmp_path / "small.arch"
    file.write_text(SMALL)
    options = ["--direction", "LR", "--title", "Small", "--width", "85mm", "--show", "params", "--rename", "unit=Unit", "--no-legend"]
    archc("draw", str(file), *options, "-o", str(tmp_path / "a.svg"))
    text = (tmp_path / "a.svg").read_text()
    assert all(word in text for word in ("Small", "Unit", "params"))
    steps = max(step_of(scene(loads(SMALL).graph)).values())
    assert f"s.pdf, {steps} pages" in archc("draw", str(file), "--steps", "-o", str(tmp_path / "s.pdf")).stderr
    assert [path.name for path in sorted(tmp_path.glob("s*.pdf"))] == ["s.pdf"]
    archc("draw", str(file), "--steps", "-o", str(tmp_path / "s.svg"))
    assert [path.name for path in sorted(tmp_path.glob("s*.svg"))] == [f"s-{n}.svg" for n in range(1, 1 + steps)]
    assert "give -o" in archc("draw", str(file), "--steps", code=2).stderr
    assert "--width" in archc("draw", str(file), "--width", "85", code=2).stderr
    archc("diff", str(file), str(ROOT / "archs/lenet5.arch"), "--side-by-side", "-o", str(tmp_path / "d.svg"), code=1)
    assert 'id="second/c1"' in (tmp_path / "d.svg").read_text()
