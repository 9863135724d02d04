"""Profiles of networks: rows add up, memory is what the allocator counts, folding is the summary's; flame graphs, pictures, sweeps."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import torch

from archc import Network, UsageError, load, loads
from archc.compiler.backends.torch.measure import activations
from archc.compiler.backends.torch.profile import layers
from archc.compiler.results.profiles import HEADS, Profile, seconds_of
from archc.compiler.results.timings import middle, quantile
from archc.tests.support import ROOT
from archc.tests.support.commands import archc, facts

NET = """arch net "a test"
input 3x24x24
default conv(pad=same, bias=no, norm=bn, act=relu)
block basic(w) { residual<conv3-{w}; conv3-{w}(act=none)>; relu }
conv1: conv3-8
layer1: { basic(8) x3 }
mixed: concat<conv1-4 | conv1-4; conv3-4>
adaptive_avgpool1; fc: fc-5
"""


@pytest.fixture(scope="module")
def net() -> Network:
    return loads(NET)


@pytest.fixture(scope="module", params=[0, 1, 2])
def found(net: Network, request: pytest.FixtureRequest) -> Profile:
    return net.profile(level=request.param, runs=3, device="cpu", threads=1)


def test_rows_add_up(found: Profile) -> None:
    assert found.layers == pytest.approx(sum(row.seconds or 0 for row in found.rows))
    assert found.layers == pytest.approx(sum(leaf.seconds or 0 for leaf in found.leaves))
    assert found.peak == sum(row.held for row in found.rows)
    for row in found:
        if row.inside:
            assert row.seconds == pytest.approx(sum(inner.seconds or 0 for inner in row.inside))
            assert (row.allocated, row.held) == tuple(sum(getattr(inner, name) for inner in row.inside) for name in ("allocated", "held"))
            assert row.macs == sum(inner.macs or 0 for inner in row.inside)
    assert {name for name, seconds in found.seconds.items() if seconds > 0} <= {node.name for node in found.graph}
    shares = [row[HEADS.index(">share")] for row in found.cells() if not row[0].startswith(" ")]
    assert sum(float(share.rstrip("%")) for share in shares if share) == pytest.approx(100, abs=0.1 * len(shares))


def test_memory_is_that_of_a_whole_run(net: Network, found: Profile) -> None:
    module = net.lower(level=min(found.setting.level, 1)).eval()
    if found.setting.level < 2:
        assert found.peak == activations(module, (torch.randn(1, 3, 24, 24),), training=False)
    if not found.setting.level:  # nothing is done in place: a layer allocates its output
        assert {leaf.name: leaf.allocated for leaf in found.leaves}["conv1"] == 4 * 8 * 24 * 24


def test_rows_are_those_of_the_summary(net: Network) -> None:
    found = net.profile(runs=1, device="cpu", depth=2)
    summary = net.summary(depth=2)
    assert [(row.shown_name, row.copies) for row in found] == [(row.shown_name, row.copies) for row in summary]
    [layer] = [row for row in found.rows if row.name == "layer1"]
    assert [(row.name, row.copies, len(row.nodes)) for row in layer.inside] == [("layer1.basic1", 3, len(layer.nodes))]
    deep = net.profile(runs=1, device="cpu", depth=3)  # what is inside one copy stands for all of them
    [conv] = [row for row in deep if row.name == "layer1.basic1.conv1"]
    assert conv.nodes == ("layer1.basic1.conv1", "layer1.basic2.conv1", "layer1.basic3.conv1")


def test_what_a_level_removes_has_no_time(net: Network) -> None:
    found = net.profile(level=2, runs=1, device="cpu")
    assert "bn1" not in found.seconds and "conv1" in found.seconds
    assert "Layers without a time were removed" in found.text()
    assert [row[2] for row in found.cells() if row[0] == "bn1"] == [""]


def test_slices_of_a_batch_are_one_layer() -> None:
    """At level 2 a large batch runs in slices: their times are summed, under the names of the file."""
    found = layers(load(ROOT / "archs/resnet18.arch", inputs="3x64x64").graph, "cpu", "float32", 8, (1,), 2, 1)
    assert {"conv1", "layer1.0.conv1", "layer4.1.conv2", "fc"} <= set(found.seconds)
    assert sum(found.held.values()) == found.peak


def test_a_profile_says_how_it_compares_with_the_whole(found: Profile) -> None:
    text = found.text()
    assert f"The whole network at once takes {1e3 * found.whole:.4g}"[:38] in text
    apart = 100 * (found.layers / found.whole - 1)
    assert f"{abs(apart):.1f} % {'more' if apart >= 0 else 'less'} than the whole" in text
    assert found.facts()["layers"] == found.layers and "1 thread, float32, batch 1" in text


def test_flame_graphs_are_of_speedscope(net: Network) -> None:
    found = net.profile(runs=1, device="cpu")
    data = json.loads(json.dumps(found.flames()))
    assert data["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    assert set(data) == {"$schema", "exporter", "name", "activeProfileIndex", "shared", "profiles"} and set(data["shared"]) == {"frames"}
    frames = data["shared"]["frames"]
    for frame in frames:  # the fields of the format, and no others
        assert frame["name"] and set(frame) <= {"name", "file", "line", "col"}
        assert all(isinstance(frame.get(key, 1), int) and frame.get(key, 1) > 0 for key in ("line", "col"))
    assert data["activeProfileIndex"] in range(len(data["profiles"]))
    for profile, unit, total in zip(
        data["profiles"], ("seconds", "bytes"), (found.layers, sum(row.allocated for row in found.rows)), strict=True
    ):
        assert (profile["type"], profile["unit"], profile["startValue"]) == ("sampled", unit, 0)
        assert set(profile) == {"type", "name", "unit", "startValue", "endValue", "samples", "weights"}
        assert len(profile["samples"]) == len(profile["weights"]) > 0
        assert all(isinstance(weight, (int, float)) and weight >= 0 for weight in profile["weights"])
        assert profile["endValue"] == pytest.approx(sum(profile["weights"])) == pytest.approx(total)
        assert all(0 <= index < len(frames) for stack in profile["samples"] for index in stack)
    stack = next(stack for stack in data["profiles"][0]["samples"] if frames[stack[-1]]["name"].startswith("layer1.basic2.conv1"))
    assert [frames[index]["name"].split()[0] for index in stack] == ["layer1", "layer1.basic2", "layer1.basic2.conv1"]
    assert frames[stack[-1]]["line"] == 4


def test_a_profile_has_the_forms_of_a_table(net: Network) -> None:
    found = net.profile(runs=1, device="cpu")
    rows = list(csv.DictReader(io.StringIO(found.csv())))
    assert [row["name"] for row in rows] == [row.name for row in found]
    assert sum(float(row["share"]) for row in rows if row["depth"] == "0" and row["share"]) == pytest.approx(1, abs=1e-4)
    assert "| all layers" in found.markdown() and r"\toprule" in found.latex() and "<table>" in found._repr_html_()


def test_the_verb_writes_a_flame_graph_a_picture_and_a_profile(tmp_path: Path) -> None:
    file = tmp_path / "net.arch"
    file.write_text(NET)
    names = [str(tmp_path / name) for name in ("net.speedscope.json", "net.json", "net.svg")]
    data = facts("profile", str(file), "--runs", "1", *(part for name in names for part in ("-o", name)))
    assert json.loads(Path(names[1]).read_text()) == data
    assert json.loads(Path(names[0]).read_text())["exporter"].startswith("archc ")
    picture = Path(names[2]).read_text()
    assert "share of the measured time" in picture and 'id="conv1"' in picture
    archc("draw", str(file), "--heat", "time", "--profile", names[1], "-o", str(tmp_path / "again.svg"))
    assert (tmp_path / "again.svg").read_text() == picture


def test_profiles_are_those_of_the_network(net: Network, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(net.profile(runs=1, device="cpu").facts()))
    assert set(seconds_of(path, net.graph)) <= {node.name for node in net.graph}
    with pytest.raises(UsageError, match=r"p.json is of another network: text has no"):
        seconds_of(path, loads("input 3x8x8\nconv3-4\n").graph)
    for text in ("[]", "{", '{"nodes": 3}', '{"nodes": {"conv1": "x"}}'):
        path.write_text(text)
        with pytest.raises(UsageError, match="is no profile: `archc profile FILE -o"):
            seconds_of(path, net.graph)
    with pytest.raises(UsageError, match="time is measured: give --profile"):
        net.draw(heat="time")


def test_spread_of_few_and_many_runs() -> None:
    assert [quantile([3.0, 1.0, 2.0, 4.0], share) for share in (0.25, 0.5, 0.75, 0.95, 1.0)] == [1.0, 2.0, 3.0, 4.0, 4.0]
    assert quantile(list(range(1, 21)), 0.95) == 19 and quantile([7.0], 0.95) == 7.0
    assert (middle([1.0, 3.0]), middle([0.123456, 9.0, 0.0])) == (2.0, 0.1235)
