"""Summaries: rows add up, repeats fold, receptive fields are the known ones, and every format holds the same numbers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from archc import load, loads
from archc.compiler.analysis.family import depth
from archc.compiler.analysis.receptive import receptive_fields
from archc.compiler.analysis.summary import Counts
from archc.compiler.graph import INPUT
from archc.compiler.results import summaries
from archc.tests.support import NETWORKS, ROOT
from archc.tests.support.commands import archc, facts


def summary(name: str, **options: str) -> Counts:
    return Counts(load(ROOT / f"archs/{name}.arch", **options).graph)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_rows_add_up(path: Path) -> None:
    table = Counts(load(path).graph)
    for rows in (table.rows(1), table.rows(2), table.rows(9, fold=False), table.leaves()):
        outer = [row for row in rows if not row.training_only]
        assert sum(row.params * row.copies for row in outer) == table.params
        total = 0
        for row in outer:
            total = total + row.macs * row.copies  # type: ignore[assignment]
        assert total == table.macs
        assert sum(row.nodes * row.copies for row in rows) == len(table.graph)
        for row in rows:
            if row.inside:
                assert sum(inner.params * inner.copies for inner in row.inside) == row.params
                assert sum(inner.nodes * inner.copies for inner in row.inside) == row.nodes


def test_resnet152_folds() -> None:
    rows = summary("resnet152").rows(2)
    layer3 = next(row for row in rows if row.name == "layer3")
    first, rest = layer3.inside
    assert (first.written, first.copies) == ("bottleneck(w=256, s=2)", 1)
    assert (rest.shown_name, rest.written, rest.copies, rest.params) == ("layer3.1 .. 35", "bottleneck(w=256, s=1)", 35, 1_117_184)
    assert (str(rest.receptive_field), str(rest.last_receptive_field)) == ("203", "1291")
    opened = summary("resnet18").rows(1, ["layer3.0"])
    names = [inner.name for row in opened if row.name == "layer3" for inner in row.inside]
    assert names == ["layer3.0", "layer3.1"]


def test_branches_that_look_at_different_places_are_told() -> None:
    fields = receptive_fields(loads("input 1x16x16\nconcat<conv3-1(pad=1) | conv3-1; pad(h=[0, 2], w=[0, 2])>").graph)
    assert fields["concat1"].misaligned
    table = Counts(loads("input 1x16x16\nconcat<conv3-1(pad=1) | conv3-1; pad(h=[0, 2], w=[0, 2])>").graph)
    assert "look at different places of the input meet at concat1." in str(summaries.summary(table.graph))


def test_formats_hold_the_same_numbers() -> None:
    data = facts("summary", "archs/resnet18.arch", "--depth", "1")
    rows = {row["name"]: row for row in data["rows"]}
    assert (data["params"], data["macs"]) == (11_689_512, 1_814_073_344)
    assert rows["layer4"]["output"] == [512, 7, 7]
    read = list(csv.DictReader(io.StringIO(archc("summary", "archs/resnet18.arch", "--depth", "1", "--format", "csv").stdout)))
    assert {row["name"]: int(row["parameters"]) for row in read} == {name: row["params"] for name, row in rows.items()}
    for form, part in (("text", "1,814,073,344"), ("md", "| layer4"), ("latex", "\\toprule")):
        assert part in archc("summary", "archs/resnet18.arch", "--depth", "1", "--format", form).stdout
    assert "224x224x3" in archc("summary", "archs/vgg16.arch", "--layout", "hwc").stdout
    assert json.dumps(data)


def test_vgg16_as_the_lecture_tables_it() -> None:
    """15,237,608 values: the input, and what convolutions, pools and fully-connected layers give."""
    leaves = summary("vgg16").leaves()
    kinds = {node.name: node.op for node in load(ROOT / "archs/vgg16.arch").graph}
    counted = [row for row in leaves if kinds[row.name] in (INPUT, "conv", "maxpool", "fc")]
    assert sum(int(str(row.values)) for row in counted) == 15_237_608
    assert summaries.Units().memory(15_237_608) == "58.13 MiB"


def test_wrong_usage() -> None:
    archc("summary", "archs/vgg16.arch", "--sort", "size", code=2)
    assert "no node or part layer9" in archc("summary", "archs/resnet18.arch", "--expand", "layer9", code=2).stderr


def test_largest_first() -> None:
    rows = facts("summary", "archs/vgg16.arch", "--sort", "params", "--top", "2")["rows"]
    assert [row["name"] for row in rows] == ["classifier.0", "classifier.3"]


# ---- the numbers of other counters, by these counters


# ---- families


def test_depth_is_what_papers_call_it() -> None:
    layers = {"lenet5": 4, "alexnet": 8, "vgg16": 16, "vgg19": 19, "googlenet": 22, "resnet152": 152, "plain34": 34, "cifar_resnet110": 110}
    for name, number in layers.items():  # LeNet-5's subsampling and its output units have weights of another kind
        assert depth(load(ROOT / f"archs/{name}.arch").graph) == number


def test_a_family_in_a_table() -> None:
    files = [f"archs/resnet{n}.arch" for n in (18, 34, 50)]
    data = facts("table", *files)
    assert [(e["name"], e["params"], e["depth"]) for e in data] == [
        ("resnet18", 11_689_512, 18),
        ("resnet34", 21_797_672, 34),
        ("resnet50", 25_557_032, 50),
    ]
    assert "21,797,672" in archc("table", *files).stdout
    assert "| resnet34" in archc("table", *files, "--md").stdout
    assert archc("table", *files, "--csv").stdout.startswith(
        "network,parameters,MACs,layers,field,inference (bytes),kept for backward (bytes)\nresnet18,11689512,1814073344,18,435,"
    )


def test_a_sweep_over_a_parameter() -> None:
    data = facts("table", "archs/std/cifar.arch", "--set", "n=3", "--set", "n=5", "--set", "classes=100", "--set", "unit=plain")
    assert [e["name"] for e in data] == ["cifar n=3 classes=100 unit=plain", "cifar n=5 classes=100 unit=plain"]
    assert [e["depth"] for e in data] == [20, 32]
    archc("table", "archs/resnet18.arch", "--set", "nothing=1", code=1)


@pytest.mark.thorough
def test_the_field_of_a_network_is_the_same_in_every_verb() -> None:
    for name, field in (("efficientnet_b0", None), ("mobilenet_v3_large", None), ("resnet18", [435, 435])):
        file = f"archs/{name}.arch"
        assert facts("summary", file)["receptive_field"] == facts("table", file)[0]["receptive_field"] == field
        shown = "inf" if field is None else "435"
        assert archc("summary", file).stdout.split("total")[1].splitlines()[0].split()[-1] == shown
        assert archc("table", file).stdout.splitlines()[-1].split()[4] == shown


def test_how_samples_are_prepared_is_stated_in_every_format_of_text() -> None:
    shown = loads("input left: 3x32x32(resize=40, crop=32, mean=[0.5, 0.25, 0.5])\ninput right: 3x32x32\nadd<. | @left>").summary()
    line = "Preprocessing of left: resize=40, crop=32, mean=[0.5, 0.25, 0.5]."
    assert all(f"\n{line}\n" in text for text in (shown.text(), shown.text(200), shown.markdown()))
    assert line in shown._repr_html_() and line not in shown.csv()
    assert shown.facts()["preprocess"] == {"left": {"resize": 40, "crop": 32, "mean": [0.5, 0.25, 0.5]}}
    plain = loads("input 3x32x32\nrelu").summary()
    assert "Preprocessing" not in plain.text() + plain.markdown() and "preprocess" not in plain.facts()
