"""`archc diff`: the same is the same, known pairs differ as known, and the effects of all changes add up."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archc import load, loads
from archc.compiler.analysis.diff import Difference, diff
from archc.compiler.driver import check, check_text, expanded_text
from archc.compiler.ops import OPERATORS
from archc.dsl.formatter import format_text
from archc.dsl.source import Source
from archc.tests.support import NETWORKS, ROOT
from archc.tests.support.commands import archc, facts
from archc.tests.support.programs import fewer, programs


def between(first: str, second: str) -> Difference:
    return diff(load(ROOT / f"archs/{first}.arch").graph, load(ROOT / f"archs/{second}.arch").graph)


def effects(found: Difference) -> tuple[int, object]:
    macs: object = 0
    for change in found.changes:
        macs = macs + change.macs  # type: ignore[operator]
    return sum(change.params for change in found.changes), macs


@pytest.mark.thorough
@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_a_file_is_the_same_as_itself_formatted_and_expanded(path: Path) -> None:
    report = check(path)
    assert diff(report.graph, report.graph).same
    text = format_text(Source(path.name, path.read_text(encoding="utf-8")), OPERATORS)
    assert diff(report.graph, check_text(text, folder=path.parent).graph).same
    assert diff(report.graph, check_text(expanded_text(report)).graph).same


def test_the_stride_of_resnet50_moves() -> None:
    found = between("resnet50_v1", "resnet50")
    assert {(c.kind, c.what, c.macs) for c in found.changes} == {
        ("changed", "stride 2 -> 1", 231_211_008),
        ("changed", "stride 1 -> 2", 0),
    }
    assert [c.before for c in found.changes] == [[f"layer{n}.0.conv{k}" for n in (2, 3, 4)] for k in (1, 2)]


def test_vgg19_has_three_convolutions_more() -> None:
    found = between("vgg16", "vgg19")
    added = [c for c in found.changes if c.kind == "added"]
    assert sum(c.places for c in added if c.what.startswith("conv")) == 3
    assert sum(c.places for c in added if c.what == "relu") == 3
    assert not [c for c in found.changes if c.kind in ("removed", "changed", "rewired", "renamed")]


def test_alexnet_to_zfnet() -> None:
    changes = {c.before[0]: c for c in between("alexnet", "zfnet").changes if c.kind == "changed"}
    assert changes["conv1"].what.startswith("kernel 11 -> 7, stride 4 -> 2, pad 0 -> 1")
    assert changes["conv1"].subject == "conv11-96/4 -> conv7-96/2(pad=1)"
    assert "groups 2 -> 1" in changes["conv4"].what


def test_googlenet_to_torchvisions() -> None:
    found = between("googlenet", "googlenet_torchvision")
    whats = [c.what for c in found.changes]
    assert any(what.startswith("kernel 5 -> 3, pad 2 -> 1") for what in whats)
    assert any(c.kind == "added" and c.what == "bn(eps=0.001)" for c in found.changes)
    assert any(c.kind == "removed" and c.what == "lrn" for c in found.changes)
    assert "p 0.4 -> 0.2" in whats


PAIRS = list(
    itertools.combinations(("lenet5", "alexnet", "zfnet", "vgg11", "vgg13_bn", "resnet18", "resnet34_a", "plain18", "googlenet"), 2)
)


@pytest.mark.thorough
@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda name: name)
def test_effects_add_up(first: str, second: str) -> None:
    for a, b in ((first, second), (second, first)):
        found = between(a, b)
        (params, params_b), (macs, macs_b) = found.params, found.macs
        assert effects(found) == (params_b - params, macs_b - macs)
        assert not found.same


@fewer
@given(programs(), st.data())
def test_an_edit_is_found_and_its_effect_is_the_difference(text: str, data: st.DataObject) -> None:
    """A random program against itself with one line more."""
    first = check_text(text, mend=False)
    lines = text.splitlines()
    places = [number for number in range(len(lines) + 1) if number > next(i for i, line in enumerate(lines) if line.startswith("input"))]
    at = data.draw(st.sampled_from(places))
    second = check_text("\n".join([*lines[:at], "conv1-{in.c}(bias=no)", *lines[at:]]), mend=False)
    if not (first.ok and second.ok) or re.search(r"^(?:FC|\s)", "\n".join(lines[at - 1 : at])):
        return
    found = diff(first.graph, second.graph)
    (params, params_b), (macs, macs_b) = found.params, found.macs
    assert effects(found) == (params_b - params, macs_b - macs)
    assert not found.same
    assert diff(second.graph, first.graph).params == (params_b, params)


def test_exit_codes_and_json() -> None:
    assert "are the same network" in archc("diff", "archs/vgg16.arch", "archs/vgg16.arch").stdout
    data = facts("diff", "archs/resnet50_v1.arch", "archs/resnet50.arch", code=1)
    assert data["params"] == [25_557_032, 25_557_032]
    assert data["macs"] == [3_857_973_248, 4_089_184_256]
    assert not data["same"]
    archc("diff", "archs/vgg16.arch", "archs/nothing.arch", code=2)


def test_the_second_network_may_be_set_otherwise() -> None:
    alexnet = "archs/alexnet.arch"
    found = facts("diff", alexnet, alexnet, "--set", "groups=1", "--set", "gpus=0", code=1)
    assert found["changes"] == facts("diff", alexnet, "archs/alexnet_ungrouped.arch", code=1)["changes"]
    assert "E0" in archc("diff", alexnet, alexnet, "--set", "grupes=1", code=2).stderr


def test_what_is_found() -> None:
    def kinds(first: str, second: str) -> list[str]:
        return [c.kind for c in diff(check_text(first).graph, check_text(second).graph).changes]

    base = "input 3x8x8\na: conv1-3\nb: conv1-3\nadd<@a | @b>\n"
    assert kinds(base, base.replace("add<@a | @b>", "add<@b | @a>")) == ["rewired"]
    assert kinds(base, base.replace("b: conv1-3", "c: conv1-3").replace("@b", "@c")) == ["renamed"]
    assert kinds(base, base + "output x\n") == ["output", "output"]
    assert kinds("input 3x8x8\nrelu; conv1-3; tanh", "input 3x8x8\nconv1-3; tanh; relu") == ["moved"]


def test_preparation_of_samples_is_compared() -> None:
    first = loads("input 3x32x32(resize=40, crop=32)\nconv3-8")
    second = loads("input 3x32x32(resize=36, crop=32, interpolation=bicubic)\nconv3-8")
    (change,) = first.diff(second).changes
    assert (change.kind, change.subject, change.before) == ("changed", "preprocessing", ["input"])
    assert change.what == "resize 40 -> 36, interpolation none -> bicubic"
    assert change.what in first.diff(second).text() and first.diff(second).facts()["changes"][0]["what"] == change.what
    assert first.diff(first).same
    sized = first.diff(loads("input 3x48x48(resize=40, crop=none)\nconv3-8"))
    assert [c.what for c in sized.changes if c.kind == "changed"] == ["crop 32 -> none", "3x32x32 -> 3x48x48"]
