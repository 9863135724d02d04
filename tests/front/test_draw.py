"""Pictures: their structure is that of the network, every format is valid, and the same network gives the same bytes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import html5lib
import pytest
from hypothesis import given

from archc import Network, load, loads
from archc.compiler.analysis.diff import diff
from archc.compiler.draw import difference as changes
from archc.compiler.draw import layout
from archc.compiler.draw import partial as failing
from archc.compiler.draw.dot import cut, graph_dot
from archc.compiler.draw.fold import PAGE, Folding, blocks, scene
from archc.compiler.draw.layout import render
from archc.compiler.draw.page import page
from archc.compiler.draw.picture import FORMATS, by_suffix, listed, picture
from archc.compiler.draw.scene import Box, Scene
from archc.compiler.draw.style import DARK, FORMS, HEAT_INK, LEGEND, LIGHT, PRINT, PRINT_VOLUMES, STEPS, STYLES, Look, heat_colour
from archc.compiler.draw.volumes import paper_dot
from archc.compiler.driver import check, check_text
from archc.compiler.elaborate.loader import ARCHS
from archc.compiler.graph import ArchGraph
from archc.compiler.ops import OPERATORS
from archc.tests.support import NETWORKS, ROOT
from archc.tests.support.commands import archc
from archc.tests.support.programs import fewer, programs

CASES = ROOT / "tests/cases/draw"
SVG = "{http://www.w3.org/2000/svg}"


def graph(name: str) -> ArchGraph:
    return load(ROOT / f"archs/{name}.arch").graph


def faithful(made: Scene, network: ArchGraph) -> None:
    """Every node is shown once for each copy, and every operand is an edge, or lies within a box or between copies."""

    def nodes(boxes: list[Box]) -> int:
        return sum(box.copies * (nodes(box.inside) if box.opened else len(box.nodes)) for box in boxes)

    assert nodes(made.boxes) == len(network)
    shown = {box.id for box in made.shown()}
    assert len(shown) == sum(1 for _ in made.shown())
    edges = {(edge.source, edge.target) for edge in made.edges}
    assert all(source in shown and target in shown for source, target in edges)
    expected = {
        (made.shown_as[operand].id, made.shown_as[node.name].id)
        for node in network
        for operand in (network.operands(node.name) if not node.operator.memory.stored else ())  # which does not depend on its operand
        if made.shown_as[operand] is not made.shown_as[node.name]
    }
    expected |= {(made.shown_as[out.node].id, f"output/{name}") for name, out in network.outputs.items()}
    assert edges <= expected
    order = {box.id: number for number, box in enumerate(made.shown())}
    assert all(order[source] < order[target] for source, target in edges)
    if all(box.copies == 1 for box in made.every()):
        assert edges == expected


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_every_network_is_drawn_as_it_is(path: Path) -> None:
    network = load(path).graph
    for folding in (Folding(), Folding(depth=0), Folding(depth=9), Folding(flat=True)):
        made = scene(network, folding)
        faithful(made, network)
        if folding.flat:
            assert sum(1 for _ in made.shown()) == len(network) + len(network.outputs)
            continue
        drawn = json.loads(render(graph_dot(made, Look(legend=False)), "json"))
        assert {thing["name"] for thing in drawn["objects"] if "pos" in thing} == {box.id for box in made.shown()}
        assert len(drawn["edges"]) == len(made.edges)


@given(programs())
@fewer
def test_random_networks_are_drawn_as_they_are(text: str) -> None:
    network = check_text(text).graph
    if len(network):
        faithful(scene(network), network)
        faithful(scene(network, Folding(flat=True)), network)


def test_copies_within_copies_have_no_edges_back() -> None:
    network = loads("input 3x8x8\nconv3-4(pad=1)\nblock two() { [ conv3-4(pad=1); [ relu; conv1-4 ] x2 ] x3 }\n[ two() ] x2\nfc-2").graph
    for depth in range(8):
        faithful(scene(network, Folding(depth=depth)), network)


def titles(made: Scene) -> list[str]:
    return [" ".join(part for part in (box.name, box.title, box.times) if part) for box in made.shown()]


def test_resnet152_folds_to_a_page() -> None:
    made = scene(graph("resnet152"))
    assert sum(1 for _ in made.shown()) <= PAGE
    assert "1 bottleneck(w=256) x35" in titles(made)
    assert "0 bottleneck(w=256, s=2)" in titles(made)
    assert "layer1" in [box.id for box in made.every() if box.opened]


def test_blocks_open_by_pattern_and_one_copy_by_name() -> None:
    resnet = graph("resnet152")
    opened = {box.id: box.copies for box in scene(resnet, Folding(expand=("layer3*",))).every() if box.opened}
    assert opened["layer3.1"] == 35
    assert opened["layer3.0"] == opened["layer3.0.downsample"] == 1
    one = scene(resnet, Folding(depth=1, expand=("layer3.7",)))
    assert [(box.id, box.copies) for box in one.every() if box.id.startswith("layer3.") and box.family == "block"] == [
        ("layer3.0", 1),
        ("layer3.1", 6),
        ("layer3.7", 1),
        ("layer3.8", 28),
    ]
    assert not any(box.id.startswith("layer2.") for box in scene(resnet, Folding(collapse=("layer2",))).every())
    with pytest.raises(KeyError):
        scene(resnet, Folding(expand=("layer9",)))


def test_training_only_parts_are_dashed_and_merges_have_their_sign() -> None:
    made = scene(graph("googlenet"), Folding(expand=("inception3a",)))
    boxes = {box.id: box for box in made.shown()}
    assert [box.id for box in boxes.values() if box.training_only] == ["aux1", "aux2", "output/aux1", "output/aux2"]
    assert boxes["inception3a.concat1"].title == "C"
    assert boxes["inception3a.concat1"].family == "merge"
    dot = graph_dot(made)
    assert all("dashed" in line for line in dot.splitlines() if line.strip().startswith(("aux1 ", '"output/aux')))
    assert titles(scene(graph("resnet18"), Folding(depth=9))).count("+") == 7  # layer1 has one twice


def test_shapes_stand_where_they_change() -> None:
    made = scene(graph("alexnet"))
    assert [edge.shape for edge in made.edges] == [
        "", "96x55x55", "96x27x27", "256x27x27", "256x13x13", "384x13x13", "", "256x13x13", "256x6x6", "9216", "4096", "", "",
    ]  # fmt: skip
    assert all(edge.spine for edge in made.edges)


def test_alexnets_streams_lie_side_by_side() -> None:
    drawn = json.loads(render(paper_dot(scene(graph("alexnet"))), "json", placed=True))
    pos = {thing["name"]: thing["pos"].split(",") for thing in drawn["objects"] if "pos" in thing}
    for layer in ("conv1", "pool1", "conv2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7"):
        (x1, y1), (x2, y2) = pos[f"{layer}/0"], pos[f"{layer}/1"]
        assert x1 == x2
        assert y1 != y2
    names = {thing["_gvid"]: thing["name"] for thing in drawn["objects"]}
    edges = {(names[edge["tail"]], names[edge["head"]]) for edge in drawn["edges"] if edge.get("style") != "invis"}
    assert ("pool1/0", "conv2/1") not in edges  # conv2 sees its own half
    assert ("pool2/0", "conv3/1") in edges  # conv3 sees both


GOLDEN = {
    "lenet5": lambda: picture(scene(graph("lenet5")), "dot"),
    "resnet18": lambda: picture(scene(graph("resnet18"), Folding(expand=("layer2.0",))), "dot"),
    "googlenet_aux": lambda: picture(scene(graph("googlenet"), Folding(depth=0, expand=("aux1",))), "dot"),
    "unet": lambda: picture(scene(graph("unet")), "mermaid"),
    "alexnet_to_zfnet": lambda: picture(difference("alexnet", "zfnet"), "dot"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    path, now = CASES / f"{name}.txt", GOLDEN[name]().decode()
    if os.environ.get("ARCHC_WRITE"):
        path.write_text(now, encoding="utf-8")
    assert now == path.read_text(encoding="utf-8")


def difference(first: str, second: str, folding: Folding = Folding()) -> Scene:  # noqa: B008 (it is frozen)
    a, b = graph(first), graph(second)
    return changes.difference(a, b, diff(a, b), folding)


def test_a_difference_shows_what_was_added_removed_and_changed() -> None:
    deeper = {box.id: box for box in difference("vgg16", "vgg19").shown()}
    assert [box.status for box in deeper.values()].count("added") == 3
    back = [box for box in difference("vgg19", "vgg16").shown() if box.status == "removed"]
    assert [box.title for box in back].count("conv3-256(pad=1)") == 1
    stride = {box.id: box.status for box in difference("resnet50_v1", "resnet50", Folding(depth=9)).shown() if box.status}
    assert stride["layer2.0.conv1"] == stride["layer2.0.conv2"] == "changed"
    assert "layer2.1.conv1" not in stride
    assert not any(box.status for box in difference("resnet18", "resnet18").shown())


def between(first: str, second: str) -> Scene:
    a, b = loads(first).graph, loads(second).graph
    return changes.difference(a, b, diff(a, b), Folding(), ("old", "new (w=4)"))


def test_a_changed_box_says_what_it_was() -> None:
    made = between(
        "input 3x32x32\na: conv3-8; b: conv3-8(pad=1); relu; c: conv1-8; bn; fc-10\n",
        "input 3x33x33\na: conv5-16/2; relu; b: conv3-8(pad=1); leaky_relu(0.1); c: conv1-8; fc-10\n",
    )
    boxes = {box.id: box for box in made.shown()}
    assert boxes["input"].changes == ["3x32x32 -> 3x33x33"]
    assert boxes["a"].changes == ["conv3 -> conv5", "8 -> 16", "/1 -> /2", "act: none -> relu"]
    assert boxes["b"].changes == ["act: relu -> leaky_relu(slope=0.1)"]
    assert boxes["c"].changes == ["norm: bn -> none"]
    assert {name: box.status for name, box in boxes.items() if box.status} == dict.fromkeys(("input", "a", "b", "c"), "changed")
    assert not any(edge.status for edge in made.edges)
    for form in ("svg", "dot", "mermaid", "tex"):
        text = picture(made, form).decode()
        for word in ("old -", "new (w=4)", "/1 -", "8 -"):
            assert word in text, (form, word)


def test_plain34_against_resnet34_shows_the_skips() -> None:
    made = difference("plain34", "resnet34")
    opened = {box.id: box.times for box in made.every() if box.opened}
    assert opened == {
        "layer1": "", "layer1.0": "x3", "layer2": "", "layer2.0": "", "layer2.1": "x3", "layer3": "", "layer3.0": "", "layer3.1": "x5",
        "layer4": "", "layer4.0": "", "layer4.1": "x2",
    }  # fmt: skip
    added = {(edge.source, edge.target) for edge in made.edges if edge.status == "added"}
    assert {("maxpool1", "layer1.0.add1"), ("layer1.0.relu2", "layer2.0.downsample"), ("layer2.0.relu2", "layer2.1.add1")} <= added
    assert {box.id for box in made.shown() if box.status} == {
        *(f"layer{n}.{k}.add1" for n in (1, 2, 3, 4) for k in (0, 1) if (n, k) != (1, 1)),
        *(f"layer{n}.0.downsample" for n in (2, 3, 4)),
    }
    assert {box.status for box in made.shown()} == {"", "added"}
    assert made.caption[0] == "plain34 -> resnet34"
    root = ElementTree.fromstring(picture(made, "svg"))
    drawn = {group.findtext(f"{SVG}title"): group.find(f"{SVG}path") for group in root.iter(f"{SVG}g") if group.get("class") == "edge"}
    skip = drawn["maxpool1 to layer1.0.add1"]
    assert skip is not None and skip.get("stroke") == LIGHT["new"]
    back = difference("resnet34", "plain34")
    gone = {(edge.source, edge.target) for edge in back.edges if edge.status == "removed"}
    assert {(source, f"removed/{target}") for source, target in (("maxpool1", "layer1.0.add1"), ("layer2.0.relu1", "layer2.1.add1"))} <= {
        (source.replace("relu2", "relu1"), target) for source, target in gone
    }
    assert next(box for box in back.shown() if box.id == "removed/layer3.0.downsample").family == "block"


def test_a_skip_that_leads_elsewhere_is_drawn_in_both_places() -> None:
    made = between(
        "input 4x8x8\nx: conv3-4(pad=1)\ny: conv3-4(pad=1)\nz: conv3-4(pad=1)\nadd<. | @x>\n",
        "input 4x8x8\nx: conv3-4(pad=1)\ny: conv3-4(pad=1)\nz: conv3-4(pad=1)\nadd<. | @y>\n",
    )
    assert {(edge.source, edge.target, edge.status) for edge in made.edges if edge.status} == {
        ("y", "add1", "added"),
        ("x", "add1", "removed"),
    }


@pytest.mark.parametrize("pair", [("resnet50", "resnext50_32x4d"), ("googlenet", "googlenet_torchvision"), ("vgg19", "resnet18")])
def test_a_difference_is_not_too_much_to_look_at(pair: tuple[str, str]) -> None:
    made = difference(*pair)
    boxes = list(made.shown())
    assert len(boxes) <= 150
    names = {box.id for box in boxes}
    assert all(edge.source in names and edge.target in names for edge in made.edges)


def test_diff_names_the_settings(tmp_path: Path) -> None:
    out = tmp_path / "d.svg"
    said = archc("diff", "archs/resnet18.arch", "archs/resnet18.arch", "--set", "classes=10", "-o", str(out), code=1).stdout
    assert "resnet18 -> resnet18 (classes=10)" in said
    assert b"resnet18 (classes=10)" in out.read_bytes()
    assert b"1000 -&gt; 10" in out.read_bytes()


def test_a_wrong_file_is_drawn_to_where_it_fails() -> None:
    report = check_text("input 3x8x8\nconv3-4; relu\nconv9-8\nrelu; fc-10\n")
    made = failing.partial(report.graph, report.failures, report.diagnostics, Folding())
    failed = next(box for box in made.shown() if box.status == "failed")
    assert failed.title == "conv9-8"
    assert "9" in failed.note
    assert failed.source == "text.arch:3"
    assert [(edge.source, edge.shape) for edge in made.edges if edge.status == "failed"] == [("conv1", "4x6x6")]
    claim = check_text("input 3x8x8\nconv3-4 => 4x8x8\nconv3-4\n")
    made = failing.partial(claim.graph, claim.failures, claim.diagnostics, Folding())
    assert [(box.id, box.status) for box in made.shown() if box.status] == [("conv1", "failed")]
    for code in (picture(made, "svg"), picture(made, "mermaid"), picture(made, "tex")):
        assert b"failed" in code or b"4x8x8" in code


# ---- formats


@pytest.mark.parametrize("name", ["lenet5", "alexnet", "googlenet", "resnet152", "unet", "mobilenet_v2"])
def test_svg_says_what_each_element_is(name: str) -> None:
    network = graph(name)
    made = scene(network)
    for style in ("graph", "paper"):
        root = ElementTree.fromstring(picture(made, "svg", style))
        ids = [element.get("id") for element in root.iter() if element.get("id")]
        assert len(ids) == len(set(ids))
        assert not list(root.iter(f"{SVG}a"))
        named = {element.get("data-name"): element for element in root.iter() if element.get("data-name")}
        boxes = {box.id: box for box in made.every()}
        assert set(named) <= set(boxes)
        assert style == "paper" or set(named) == set(boxes)
        for box_id, element in named.items():
            source, line = (element.get("data-src") or "").rsplit(":", 1)
            assert (ARCHS / source).read_text(encoding="utf-8").splitlines()[int(line) - 1].strip()
            assert (element.findtext(f"{SVG}title") or "").startswith(box_id.removeprefix("output/").partition("/")[0])
        assert "--archc-convolution" in (root.findtext(f"{SVG}style") or "")


DRAW = """
import sys
from archc.ui.verbs.app import app
for path in sys.argv[1:]:
    try:
        app(["draw", "archs/resnet18.arch", "-o", path])
    except SystemExit as end:
        assert not end.code, path
"""


@pytest.mark.thorough
def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    suffixes = [suffix for form in FORMATS for suffix in form.suffixes]
    for seed in ("1", "2"):
        command = [sys.executable, "-c", DRAW, *(str(tmp_path / f"{seed}{suffix}") for suffix in suffixes)]
        subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, stdout=subprocess.DEVNULL, check=True, timeout=300)
    for suffix in suffixes:
        first, second = ((tmp_path / f"{seed}{suffix}").read_bytes() for seed in ("1", "2"))
        assert first == second, suffix
        assert len(first) > 500


def test_html_is_valid_and_needs_nothing_else() -> None:
    text = page(graph("resnet50"), Look())
    html5lib.HTMLParser(strict=True).parse(text)
    assert not re.search(r"""(src|href)\s*=|@import|url\(|fetch\(|XMLHttp""", text)
    drawings = json.loads(text.split('<script id="drawings" type="application/json">')[1].split("</script>")[0])
    assert {box["id"] for box in drawings["layer3"]["boxes"]} >= {"layer3.0", "layer3.1"}
    assert next(box for box in drawings["layer3"]["boxes"] if box["id"] == "layer3.1")["copies"] == 5
    closed = [box["id"] for drawing in drawings.values() for box in drawing["boxes"] if box["opens"]]
    assert set(closed) == set(drawings) - {""}


def test_every_format_is_told_of_wherever_formats_are_listed() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert listed() in next(line for line in readme.splitlines() if "`archc draw" in line)
    assert listed() in (Network.draw.__doc__ or "")
    assert "FORMATS" in contributing
    for verb in ("draw", "diff"):
        shown = " ".join(archc(verb, "--help").stdout.replace("│", " ").split())
        assert listed(form for form in FORMATS if verb == "draw" or not form.whole) in shown
    suffixes = [suffix for form in FORMATS for suffix in form.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert by_suffix(".MERMAID") == by_suffix(".mmd") == "mermaid"


def test_a_format_that_there_is_not_is_said(tmp_path: Path) -> None:
    net = load(ROOT / "archs/lenet5.arch")
    for form, options in (("bmp", {}), ("svg", {"style": "papr"}), ("svg", {"theme": "drk"}), ("mermaid", {"style": "paper"})):
        with pytest.raises(ValueError, match=r"not (as )?(bmp|papr|drk|mermaid)"):
            net.draw(form, **options)  # type: ignore[arg-type]
    assert "not as html" in archc("draw", "archs/lenet5.arch", "--partial", "-o", str(tmp_path / "a.html"), code=2).stderr
    assert "not as html" in archc("diff", "archs/lenet5.arch", "archs/vgg16.arch", "-o", str(tmp_path / "a.html"), code=2).stderr


HOSTILE = (
    "</script><script>alert(1)</script> <img src=x onerror=alert(1)> ]]> --> %%{init: {'theme': 'dark'}}%% \\write18{id} \\N \\input{x} "
    '{{drawings}} {{style}} "end" `x` & # ~ ^ $ \u202e reversed \x1b[31m \u2028 <b>bold</b>'
)


@pytest.mark.parametrize("title", [HOSTILE, f"<{HOSTILE}>", "end", "<b>", "%%{init: {}}%%"])
@pytest.mark.parametrize(("form", "style"), [(form.name, style) for form in FORMATS for style in form.styles])
def test_titles_names_and_files_do_no_harm(form: str, style: str, title: str) -> None:
    network = check_text("input 3x8x8\nblock unit(w) { conv1-{w} }\n[ unit(4); unit(4) ]\n", f"{title.replace('/', '-')}.arch").graph
    network.name, network.title = title, title
    made = scene(network)
    if form != "html":
        made.caption = [title, title]
        for box in made.every():
            box.note, box.title, box.details, box.changes = title, title, [title], [title]
    drawn = picture(made, form, style)
    if form in ("pdf", "png"):
        assert len(drawn) > 500
        return
    text = drawn.decode()
    assert not re.search("[\u2028\u202e\x1b]", text)
    if form == "svg":
        root = ElementTree.fromstring(drawn)
        assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
            "svg", "style", "g", "title", "polygon", "path", "text", "ellipse", "polyline",
        }  # fmt: skip
    elif form == "html":
        html5lib.HTMLParser(strict=True).parse(text)
        assert text.count("<script") == 2
        assert text.count("</script") == 2
        assert "<img" not in text
        json.loads(text.split('<script id="drawings" type="application/json">')[1].split("</script>")[0])
    elif form == "mermaid":
        assert "%%{" not in text.replace(" ", "")
        assert "<script" not in text
        assert all(line.startswith(("---", "title: ", "%% ", "flowchart ", "  ")) for line in text.splitlines())
    elif form == "tex":
        body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
        assert "\\write" not in body
        assert "\\input" not in body
        assert body.count("\\begin{") == body.count("\\end{") == 2
    elif form in ("dot", "svg", "pdf", "png"):
        assert re.match(r"(?:strict )?digraph\b", text), text[:40]
        assert layout.render(text, "json", placed=style == "paper")


LATEX = (
    shutil.which("pdflatex") and shutil.which("kpsewhich") and subprocess.run(["kpsewhich", "standalone.cls"], capture_output=True).stdout
)


@pytest.mark.slow
@pytest.mark.skipif(not LATEX, reason="there is no LaTeX here, or no standalone.cls")
@pytest.mark.parametrize("name", ["googlenet", "resnet18", "mobilenet_v2", "unet", "alexnet", "vit_b_16"])
@pytest.mark.parametrize("style", STYLES)
def test_tikz_compiles(name: str, style: str, tmp_path: Path) -> None:
    (tmp_path / "net.tex").write_bytes(load(ROOT / f"archs/{name}.arch").draw("tex", style=style))
    done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "net.tex"], cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "net.pdf").stat().st_size > 5_000


def test_a_notebook_shows_the_network() -> None:
    bundle = loads("input 3x8x8\nconv3-4\n")._repr_mimebundle_()
    assert bundle["image/svg+xml"].startswith("<?xml")
    assert "parameters" in bundle["text/plain"]


# ---- labels


def told(name: str, style: str, folding: Folding = Folding()) -> dict[str, list[str]]:  # noqa: B008 (it is frozen)
    """The lines of text of every box, by its id."""
    root = ElementTree.fromstring(picture(scene(graph(name), folding), "svg", style))
    groups = {group.get("id", ""): group for group in root.iter(f"{SVG}g") if group.get("class") == "node"}
    return {box: [text.text or "" for text in group.iter(f"{SVG}text")] for box, group in groups.items()}


def test_volumes_are_named_and_say_little() -> None:
    googlenet = told("googlenet", "paper")
    assert googlenet["conv2"] == ["conv2", "192x56x56"]
    assert googlenet["conv1"] == ["conv1", "conv7-64/2", "64x112x112"]
    inceptions = [f"inception{name}" for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")]
    assert [googlenet[name][0] for name in inceptions] == inceptions
    assert googlenet["inception3a"][1] == "inception"
    assert told("unet", "paper")["dec3"] == ["dec3", "up", "256x100x100"]
    assert [lines[0] for lines in told("lenet5", "paper").values()][:4] == ["input", "c1", "s2", "c3"]
    for name in ("googlenet", "unet", "efficientnet_b0", "vgg16", "alexnet"):
        lines = [line for box, lines in told(name, "paper").items() if not box.startswith("key/") for line in lines]
        assert max(map(len, lines)) <= 22, name
        assert not [line for line in lines if re.search(r"\.\d{5}|items|@", line)], name


def test_a_call_tells_what_is_not_its_default() -> None:
    titles = {box.id: box.title for box in scene(graph("resnet50"), Folding(depth=2)).every()}
    assert titles["layer1.0"] == "bottleneck(w=64)"
    assert titles["layer2.0"] == "bottleneck(w=128, s=2)"
    vgg = next(box for box in scene(graph("vgg16"), Folding(depth=0)).every() if box.id == "features")
    assert vgg.title == "vgg_features(…)"
    assert "norm=none" in vgg.tooltip
    assert cut("unit(body=mbconv, t=6, k=3, s=2)", 24) == "unit(body=mbconv, …)"
    assert cut("unit(body=something_very_long)", 12) == "unit"


def test_volumes_in_print_differ_without_colour() -> None:
    volumes = ["input", "convolution", "dense", "pooling", "shape", "block"]
    marks = {family: (round(seen(PRINT_VOLUMES[family], EYES["all cones"])[0] / 6), family in ("dense", "block")) for family in volumes}
    assert len(set(marks.values())) == len(volumes), marks
    drawn = picture(scene(graph("lenet5")), "svg", "paper", Look("print")).decode()
    assert PRINT_VOLUMES["pooling"] in drawn
    assert 'stroke-width="1.7"' in drawn
    assert all(colour[1:3] == colour[3:5] == colour[5:7] for colour in re.findall(r'fill="(#[0-9a-f]{6})"', drawn))


# ---- styles


def test_every_family_has_a_form_and_a_colour() -> None:
    families = {operator.picture_family for operator in OPERATORS.values()} | {"input", "output", "block", "failed"}
    for family in families:
        assert family in FORMS
        assert family in LIGHT and family in DARK and family in PRINT
    assert families - {"output", "failed"} == set(LEGEND)
    assert LIGHT.keys() == DARK.keys() == PRINT.keys()


def seen(colour: str, rows: tuple[tuple[float, ...], ...]) -> tuple[float, ...]:
    """A colour in CIELAB, after a 3x3 matrix on linear RGB."""
    linear = [(c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4) for c in bytes.fromhex(colour[1:])]
    r, g, b = (min(1.0, max(0.0, sum(a * v for a, v in zip(row, linear, strict=True)))) for row in rows)
    x, y, z = 0.4124 * r + 0.3576 * g + 0.1805 * b, 0.2126 * r + 0.7152 * g + 0.0722 * b, 0.0193 * r + 0.1192 * g + 0.9505 * b
    fx, fy, fz = (v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x / 0.9505, y, z / 1.089))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


# Machado, Oliveira & Fernandes 2009, "A physiologically-based model for simulation of color vision deficiency", severity 1.0.
EYES = {
    "all cones": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
}


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_families_that_share_a_form_differ_in_colour_to_every_eye(eye: str, theme: dict[str, str]) -> None:
    told = ["convolution", "dense", "attention", "learned", "pooling", "normalization", "activation", "regularization", "shape"]
    for first, second in combinations(told, 2):
        apart = sum((a - b) ** 2 for a, b in zip(seen(theme[first], EYES[eye]), seen(theme[second], EYES[eye]), strict=True)) ** 0.5
        same_form = FORMS[first].get("shape") == FORMS[second].get("shape")
        assert apart > (8 if same_form else 4), (first, second, apart)


def test_text_can_be_read_on_every_ground() -> None:
    def light(colour: str) -> float:
        return ((seen(colour, EYES["all cones"])[0] + 16) / 116) ** 3

    def contrast(first: str, second: str) -> float:
        a, b = sorted((light(first), light(second)))
        return (b + 0.05) / (a + 0.05)

    for theme in (LIGHT, DARK, PRINT):
        for family in [*LEGEND, "output", "added", "removed", "changed", "failed", "room", "ground"]:
            assert contrast(theme[family], theme["ink"]) > 4.5, family
        assert contrast(theme["failed"], theme["wrong"]) > 4.5
        assert all(contrast(theme[ground], theme["faint"]) > 4.5 for ground in ("ground", "room"))
    assert all(contrast(heat_colour(step / STEPS), HEAT_INK) > 4.5 for step in range(STEPS + 1))


# ---- the command line


@pytest.mark.thorough
def test_what_the_command_line_says(tmp_path: Path) -> None:
    resnet = "archs/resnet18.arch"
    assert archc("draw", resnet, "--format", "dot").stdout.startswith("digraph")
    assert archc("draw", resnet, "-o", str(tmp_path / "a.svg"), "--style", "paper", "--theme", "dark", "--heat", "macs").stdout == ""
    assert "layer9" in archc("draw", resnet, "--expand", "layer9", code=2).stderr
    assert "did you mean" in archc("draw", resnet, "--expand", "layr3", code=2).stderr
    assert "pictures are svg" in archc("draw", resnet, "-o", str(tmp_path / "a.gif"), code=2).stderr
    assert "give -o" in archc("draw", resnet, "--format", "png", code=2).stderr
    assert "--style paper" in archc("draw", resnet, "--format", "mermaid", "--style", "paper", code=2).stderr
    assert "--heat is" in archc("draw", resnet, "--heat", "joules", code=2).stderr
    large = archc("draw", "archs/cifar_resnet1202.arch", "--flat", "-o", str(tmp_path / "a.png"), code=1)
    assert "32,767" in large.stderr
    assert not (tmp_path / "a.png").exists()
    wrong = tmp_path / "wrong.arch"
    wrong.write_text("input 3x8x8\nconv3-4\nconv9-8\n")
    archc("draw", str(wrong), "-o", str(tmp_path / "w.svg"), code=1)
    assert not (tmp_path / "w.svg").exists()
    assert "E0" in archc("draw", str(wrong), "--partial", "-o", str(tmp_path / "w.svg"), code=1).stderr
    assert b"conv9-8" in (tmp_path / "w.svg").read_bytes()
    found = archc("diff", "archs/alexnet.arch", "archs/zfnet.arch", "-o", str(tmp_path / "d.svg"), code=1)
    assert "changed" in found.stdout
    assert b'data-status="changed"' in (tmp_path / "d.svg").read_bytes()


@pytest.mark.thorough
def test_without_graphviz_a_drawing_says_what_to_install_and_nothing_else_breaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hidden = tmp_path / "pygraphviz.py"
    hidden.write_text("raise ImportError('no Graphviz here')")
    env = {"PYTHONPATH": str(tmp_path)}
    assert "pip install pygraphviz" in archc("draw", "archs/lenet5.arch", code=3, env=env).stderr
    assert archc("draw", "archs/lenet5.arch", "--format", "mermaid", env=env).stdout
    archc("check", "archs/lenet5.arch", env=env)
    monkeypatch.setattr(layout, "drawing", lambda dot: (_ for _ in ()).throw(layout.NoGraphviz("none")))
    assert list(load(ROOT / "archs/lenet5.arch")._repr_mimebundle_()) == ["text/plain"]


def test_blocks_are_named() -> None:
    assert "layer3.0.downsample" in blocks(graph("resnet50"))
    assert check(ROOT / "archs/lenet5.arch").failures == []
