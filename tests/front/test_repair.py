"""Repairs: each makes the network that was meant, says what it changes, and costs a bounded effort."""

from __future__ import annotations

import pytest

from archc.compiler.driver import check_text
from archc.compiler.repair import trial
from archc.compiler.report import Report
from archc.dsl.diagnostics import CLAIM, NETWORK, WRITING, Repair
from archc.dsl.rendering import edited
from archc.tests.support import ROOT

CASES = ROOT / "tests/cases/errors"


def wrong(name: str) -> str:
    return (CASES / f"{name}.arch").read_text(encoding="utf-8")


def repairs(text: str) -> list[Repair]:
    found = check_text(text, folder=ROOT / "archs/std")
    return [repair for d in (*found.diagnostics, *found.warnings) for repair in d.repairs]


def mended(text: str, number: int = 0) -> tuple[str, Report]:
    repair = repairs(text)[number]
    text = edited(repair.edits[0].span.source, repair.edits)
    return text, check_text(text, folder=ROOT / "archs/std")


@pytest.mark.parametrize(
    ("name", "params"), [("e0302_resnet18_without_projections", 11_689_512), ("e0302_resnet50_without_projections", 25_557_032)]
)
@pytest.mark.parametrize("claimed", [True, False])
def test_a_residual_gets_the_projections_of_the_paper(name: str, params: int, claimed: bool) -> None:
    text = "\n".join(line for line in wrong(name).splitlines() if not line.startswith("expect"))
    written, report = mended(text + f"\nexpect params == {params}\n" * claimed)
    assert report.ok
    assert report.cost().params == params
    assert written.count("(act=none)") == text.count("(act=none)") + 1, "what was written stays"
    projections = [node for node in report.graph if node.op == "conv" and node.attrs["kernel"] == (1, 1) and "conv3" in node.name]
    after = {report.graph[user].op for node in projections for bn in report.graph.users(node.name) for user in report.graph.users(bn)}
    assert "18" not in name or after == {"add"}, "no activation on a shortcut"


def test_a_single_residual_needs_no_condition() -> None:
    written, report = mended("input 64x56x56\nblock unit(w, s) { residual<conv3-{w}/{s}(pad=1)> }\nunit(128, 2)\n")
    assert "| conv1-{w}/{s}>" in written
    assert report.ok


def test_the_effect_is_part_of_the_record() -> None:
    found = check_text(wrong("e0302_resnet18_without_projections")).diagnostics[0].to_json()
    effect = found["repairs"][0]["effect"]
    assert effect == {
        "params": 11_689_512,
        "macs": 1_814_073_344,
        "before": None,
        "places": "3 of 8 get it, 5 stay as they are",
        "legal": "",
    }
    assert found["repairs"][0]["changes"] == NETWORK


def test_counts_before_are_told_where_there_was_a_network() -> None:
    (repair,) = repairs("input 3x32x32\nconv3-64; bn\n")
    assert str(repair) == "no bias (1,920 -> 1,856 parameters, MACs as before)"


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("input 3x32x32\nmaxpol\n", WRITING),
        ("input 3x32x32\nconv3-8(strde=2)\n", WRITING),
        ("input 3x32x32\nFC10\n", WRITING),
        ("input 3x32x32\nconv3-8, relu\n", WRITING),
        ("input 3x32x32\nconv3-8 x4\nconcat<. | @conv5>\n", NETWORK),  # another tensor is no other spelling
        ("input 3x4x4\nmaxpool7\n", NETWORK),
        ("input 3x32x32\nconv3-8\nexpect params == 225\n", CLAIM),
        ("input 3x32x32\nconv3-8 => 8x31x31\n", CLAIM),
    ],
)
def test_what_a_repair_changes(text: str, changes: str) -> None:
    found = repairs(text)
    assert (found[-1] if changes == CLAIM else found[0]).changes == changes


def test_two_readings_of_a_bracket_are_no_matter_of_writing() -> None:
    found = repairs("input 8x32x32\nconcat<conv1-8 | add<conv1-8 | .; relu>\n")
    assert len(found) < 2 or not any(repair.safe for repair in found)


@pytest.mark.parametrize("name", sorted(path.stem for path in CASES.glob("e050[12]_*.arch")))
def test_a_claim_comes_last(name: str) -> None:
    for found in check_text(wrong(name), folder=ROOT / "archs/std").diagnostics:
        assert CLAIM not in [repair.changes for repair in found.repairs[:-1]]


@pytest.mark.parametrize(
    ("old", "new"), [("conv3-256 x2", "conv3-265 x2"), ("conv3-256 x2", "conv3-256 x3"), ("FC-1000", "FC-999"), ("conv3-64", "conv3-72")]
)
def test_the_one_number_that_makes_every_claim_true(old: str, new: str) -> None:
    text = wrong("e0502_digits_exchanged").replace("conv3-265", "conv3-256")
    assert check_text(text).ok
    written, report = mended(text.replace(old, new))
    assert written == text
    assert report.ok


def test_no_repair_empties_a_merge() -> None:
    for repair in repairs("input 8x32x32\nresidual<\n  concat<conv1-4 | conv1-4\n>\n"):
        assert "residual<>" not in edited(repair.edits[0].span.source, repair.edits)


def test_the_effort_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = wrong("e0302_resnet50_without_projections").replace("bottleneck(256) x5", "bottleneck(256) x35").replace("25_557_032", "1")
    many = "input 3x32x32\n" + "\n".join(f"conv3-{8 + i}(pad=1) => {9 + i}x32x32" for i in range(30))
    right = deep.replace("(act=none)>", "(act=none) | if s != 1 or in.c != 4*w { conv1-{4*w}/{s}(act=none) }>")
    for text in (deep, many, right):
        spent: list[int] = []
        made = trial.Trials.of_text

        def counting(self: trial.Trials, text: str, made: object = made, spent: list[int] = spent) -> trial.Tried | None:
            found: trial.Tried | None = made(self, text)  # type: ignore[operator]
            spent.append(self.effort)
            return found

        monkeypatch.setattr(trial.Trials, "of_text", counting)
        assert not check_text(text).ok
        assert spent
        assert min(spent) > -5_000
        monkeypatch.setattr(trial.Trials, "of_text", made)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("alexnet", "-256(", "-265("),  # digits exchanged, where groups no longer divide
        ("unet", "convt2-{w}/2", "convt2-{w}"),  # a stride within a block
        ("mobilenet_v2", "[ conv3-32/2 ]", "[ conv3-32 ]"),  # a stride within a group
        ("mobilenet_v2", "conv1-1280", "conv1-1281"),
        ("googlenet", "default conv(pad=same", "default conv(pad=0"),
        ("inception_v3", "branch3x3_1: unit1-192", "branch3x3_1: unit1-193"),
    ],
)
def test_the_first_repair_restores_a_network_of_the_zoo(name: str, old: str, new: str) -> None:
    text = (ROOT / "archs" / f"{name}.arch").read_text(encoding="utf-8")
    assert old in text
    _, report = mended(text.replace(old, new, 1))
    right = check_text(text, folder=ROOT / "archs/std")
    assert report.ok
    assert report.graph.same_as(right.graph)
