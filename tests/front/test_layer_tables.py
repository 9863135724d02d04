"""Tables of layers: those of the papers of ResNet and VGG, cell by cell, and what any such table must hold."""

from __future__ import annotations

import csv
import io
import re

import pytest

import archc
from archc.compiler.analysis.cost import weights
from archc.compiler.analysis.parts import nodes_of
from archc.compiler.analysis.printed import Bracket, Entry, Line, printed
from archc.compiler.results.layer_rows import aligned
from archc.compiler.zoo import networks
from archc.tests.support import ROOT
from archc.tests.support.commands import archc as run
from archc.tests.support.commands import facts

RESNETS = {
    "18-layer": "resnet18_a",
    "34-layer": "resnet34_a",
    "50-layer": "resnet50_v1",
    "101-layer": "resnet101_v1",
    "152-layer": "resnet152_v1",
}
VGGS = {"A": "vgg11", "A-LRN": "vgg11_lrn", "B": "vgg13", "C": "vgg16_c", "D": "vgg16", "E": "vgg19"}


def with_softmax(name: str) -> archc.Network:
    """Return a network as its paper prints it, which ends in a softmax: the network of archs/ and this one operator."""
    text = (ROOT / f"archs/{name}.arch").read_text()
    (base, settings) = re.findall(r'use "std/(\w+)\.arch"\narch \w+ = \w+\((.*)\) "', text)[0]
    body = (ROOT / f"archs/std/{base}.arch").read_text()
    given = dict(re.findall(r"(\w+)=(\[\[.*?\]\]|\[.*?\]|\w+)", settings))
    return archc.loads(body + "\nsoftmax\n", settings=given)


def cells(table: archc.LayerTable) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table.csv())))


def basic(width: int, copies: str) -> list[str]:
    return [f"[3×3, {width}; 3×3, {width}] ×{n}" for n in copies.split()]


def bottleneck(width: int, copies: str) -> list[str]:
    return [f"[1×1, {width}; 3×3, {width}; 1×1, {4 * width}] ×{n}" for n in copies.split()]


def test_table_1_of_resnet_as_printed() -> None:
    """He, Zhang, Ren & Sun 2016, arXiv:1512.03385, table 1. A cell of all columns is read once for each."""
    table = archc.layer_table((title, with_softmax(name)) for title, name in RESNETS.items())
    names = {"stage": "layer name", "output": "output size", "macs": "FLOPs", "fc": ""}
    names |= {f"layer{n}": f"conv{n + 1}_x" for n in (1, 2, 3, 4)}
    shown = table.shown(columns=("macs",), units={"macs": "e9"}, rename=names)
    every = 5
    assert cells(shown) == [
        ["layer name", "output size", *RESNETS],
        ["conv1", "112×112", *["7×7, 64, stride 2"] * every],
        ["conv2_x", "56×56", *["3×3 max pool, stride 2"] * every],
        ["conv2_x", "56×56", *basic(64, "2 3"), *bottleneck(64, "3 3 3")],
        ["conv3_x", "28×28", *basic(128, "2 4"), *bottleneck(128, "4 4 8")],
        ["conv4_x", "14×14", *basic(256, "2 6"), *bottleneck(256, "6 23 36")],
        ["conv5_x", "7×7", *basic(512, "2 3"), *bottleneck(512, "3 3 3")],
        ["", "1×1", *["average pool; 1000-d fc; softmax"] * every],
        ["FLOPs", "", "1.8×10⁹", "3.6×10⁹", "3.9×10⁹", "7.6×10⁹", "11.3×10⁹"],  # 3.858 for 50 layers: the paper prints 3.8 (docs/papers.md)
    ]
    assert "average pool, 1000-d fc, softmax" in shown.text() and r"\multicolumn{5}{c}{7$\times$7, 64, stride 2}" in shown.latex()
    assert shown.notes[0] == "Blocks with stride 2: layer2.0, layer3.0 and layer4.0."  # the paper: conv3_1, conv4_1 and conv5_1
    assert "(50-layer, 101-layer and 152-layer)" in shown.notes[1] and "18" not in shown.notes[1]  # option A has no weights


def test_table_1_of_vgg_as_printed() -> None:
    """Simonyan & Zisserman 2015, arXiv:1409.1556, tables 1 and 2; what the paper sets in bold is in bold here.

    A network holds the channels of its input, and not that they are red, green and blue: the paper's words for two layers are given.
    """
    table = archc.layer_table(((title, with_softmax(name)) for title, name in VGGS.items()), notation="layers")
    words = {"input (3×224×224)": "input (224 × 224 RGB image)", "softmax": "soft-max"}
    shown = table.shown(hide=("stage", "output"), columns=("layers", "params"), units={"params": "M"}, digits=0, bold=True, rename=words)
    rows = [line.strip("| ").split("|") for line in shown.markdown().splitlines()]
    head, _, weight_layers, *rest = [[cell.strip() for cell in row] for row in rows]
    assert head == list(VGGS)
    assert weight_layers == [f"{n} weight layers" for n in (11, 11, 13, 16, 16, 19)]
    columns = [[line for row in rest for line in row[number].split("<br>")] for number in range(6)]
    for column in columns:
        column[-1] = column[-1].removeprefix("parameters (M): ")
    start, end = ["input (224 × 224 RGB image)"], ["maxpool", "FC-4096", "FC-4096", "FC-1000", "soft-max"]
    two = {n: [f"conv3-{n}", f"conv3-{n}"] for n in (64, 128, 256, 512)}
    deep = [two[256], two[512], two[512]]
    printed_ = {
        "A": [["conv3-64"], ["conv3-128"], *deep, "133"],
        "A-LRN": [["conv3-64", "**LRN**"], ["conv3-128"], *deep, "133"],
        "B": [["conv3-64", "**conv3-64**"], ["conv3-128", "**conv3-128**"], *deep, "133"],
        "C": [two[64], two[128], *([*two[n], f"**conv1-{n}**"] for n in (256, 512, 512)), "134"],
        "D": [two[64], two[128], *([*two[n], f"**conv3-{n}**"] for n in (256, 512, 512)), "138"],
        "E": [two[64], two[128], *([*two[n], f"conv3-{n}", f"**conv3-{n}**"] for n in (256, 512, 512)), "144"],
    }
    for column, (*stages, params) in zip(columns, printed_.values(), strict=True):
        wanted = [*start]
        for number, stage in enumerate(stages):
            wanted += ["maxpool"] * bool(number) + list(stage)
        assert column == [*wanted, *end, params]
    latex = shown.latex()
    assert r" & \textbf{LRN} & \textbf{conv3-64} & conv3-64 &" in latex and latex.count(r"\multicolumn{6}{c}{maxpool}") == 5


def test_the_verb_prints_it() -> None:
    files = [f"archs/resnet{n}.arch" for n in (18, 50)]
    done = run("table", "--layers", *files, "--rename", "resnet18=18-layer", "--rename", "layer1=conv2_x", "--columns", "none")
    assert re.search(r"^conv2_x +56×56 +3×3 max pool, stride 2$", done.stdout, re.MULTILINE)
    assert re.search(r"^ +\[3×3, 64\] ×2 +\[1×1, 64 \]$", done.stdout, re.MULTILINE) and "18-layer" in done.stdout
    assert "parameters" not in done.stdout
    data = facts("table", "--layers", *files)
    assert data["stages"][1]["rows"][1]["cells"][1] == [{"block": ["1×1, 64", "3×3, 64", "1×1, 256"], "copies": 3}]
    latex = run("table", "--layers", *files, "--latex", "--caption", "Ours.", "--label", "tab:ours").stdout
    assert latex.startswith(
        "\\begin{table}\n\\centering\n\\caption{Ours.}\n\\label{tab:ours}\n\\smallskip\n\\begin{tabular}{lccc}\n\\toprule\n"
    )
    assert r"$\left[\,\begin{array}{@{}c@{}}\mbox{3$\times$3, 64}\\\mbox{3$\times$3, 64}\end{array}\,\right]\times 2$" in latex
    assert all(latex.count(f"\\begin{{{name}}}") == latex.count(f"\\end{{{name}}}") > 0 for name in ("table", "tabular", "array"))


def test_layers_are_renamed_and_notes_hidden() -> None:
    nets = [archc.load(ROOT / "archs/resnet18.arch", settings={"classes": 10}), archc.load(ROOT / "archs/resnet50.arch")]
    words = {"7×7, 64, stride 2": "a 7×7 stem", "3×3, 64": "3×3 conv, 64"}
    table = archc.layer_table(nets).shown(rename=words, hide=("notes",), bold=True)
    assert table.shown(columns=("macs",)).rows == table.rows  # words of the file are known, whatever they are shown as
    for text in (
        table.text(),
        table.markdown(),
        table.latex().replace(r"$\times$", "×"),
        table.csv(),
        table._repr_html_(),
        str(table.facts()),
    ):
        assert "a 7×7 stem" in text and "3×3 conv, 64" in text and "7×7, 64" not in text
    assert table.notes == ["resnet18: Settings or inputs are not those of the file, whose claims on params and macs are waived."]
    assert len(table.shown(hide=()).notes) == 1 and len(archc.layer_table(nets).notes) == 3
    page = table._repr_html_()
    assert '<td colspan="2" style="text-align: center; white-space: pre">a 7×7 stem</td>' in page and page.count(" ×2<") == 4
    assert page.count("<span") == page.count("</span>") == 8 and all(note in page for note in table.notes)


def test_a_narrow_terminal_gets_several_tables() -> None:
    table = archc.layer_table([archc.load(ROOT / f"archs/{name}.arch") for name in ("resnet18", "vgg11", "resnet18")])
    assert table.text(60).count("stage ") == 3 and max(map(len, table.text(60).splitlines())) <= 60
    assert table.text(200).count("stage ") == 1


BRANCHES = """input 3x8x8
block unit(w) { add<conv3-{w}(pad=1); relu; conv3-{w}(pad=1) | conv1-{w}> }
block mixed(w) { concat<conv1-{w} | conv3-{w}(pad=1); conv3-{w}(pad=1)> }
block gate() { mul<. | avgpool8; conv1-2; conv1-8; sigmoid> }
conv3-8(pad=1); lrn
unit(8); unit(8)
mixed(4)
gate()
conv3-16/2(pad=1, groups=4)
fc-10
sigmoid
"""


def test_branches_are_printed_named_or_told() -> None:
    found = printed(archc.loads(BRANCHES).graph)
    first, second, last = found.stages
    unit = Bracket((Line("3×3, 8"), Line("3×3, 8")), 2)
    mixed = Line("mixed(w=4)")
    assert first.entries[:4] == (Line("3×3, 8"), Line("LRN", False), unit, mixed)
    assert [each.text for each in first.entries[4].body if isinstance(each, Line)] == ["8×8 average pool", "1×1, 2", "1×1, 8"]  # type: ignore[union-attr]
    assert second.entries == (Line("3×3, 16, stride 2, groups 4"),)
    assert last.entries == (Line("10-d fc"), Line("sigmoid", False))
    assert len(found.beside) == 2 and found.closed == ["mixed1"]


def lines(entry: Entry) -> int:
    return int(entry.layer) if isinstance(entry, Line) else entry.copies * sum(map(lines, entry.body))


def check_that_all_layers_are_told(net: archc.Network) -> None:
    """Every layer with weights is in a cell, in a block that is named, or among those that are said to be beside."""
    quiet = ("normalization", "activation")
    held = {
        node.name for node in net.graph if node.operator.linear or (node.operator.picture_family not in quiet and weights(net.graph, node))
    } - {node.name for node in net.graph if node.training_only}
    for form in ("kernels", "layers"):
        found = printed(net.graph, form)
        named = {node.name for part in found.closed for node in nodes_of(net.graph, part)} & held
        shown = sum(lines(entry) for stage in found.stages for entry in stage.entries) - len(found.closed)
        assert shown + len(named) + len(found.beside) == len(held), net.name
        assert all(stage.entries for stage in found.stages)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v3_small", "vit_b_32", "unet"])
def test_all_layers_are_told(name: str) -> None:
    check_that_all_layers_are_told(archc.load(ROOT / f"archs/{name}.arch"))


@pytest.mark.slow
def test_all_layers_of_all_networks_are_told() -> None:
    for path in networks():
        net = archc.load(path)
        check_that_all_layers_are_told(net)
        table = archc.layer_table([net])
        assert table.text() and table.markdown() and table.latex() and table.csv() and table.facts()


def test_stages_are_in_one_order() -> None:
    """Stages of one resolution share a row, and no network's order is changed, also where a resolution comes again."""
    nets = [archc.load(ROOT / f"archs/{name}.arch") for name in ("unet", "alexnet", "resnet18")]
    columns = [printed(net.graph).stages for net in nets]
    rows = aligned(columns)
    for number, stages in enumerate(columns):
        assert [row[number] for row in rows if row[number] is not None] == stages
    assert all(len({stage.size for stage in row if stage is not None}) == 1 for row in rows)
