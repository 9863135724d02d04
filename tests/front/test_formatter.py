"""`fmt`: every token, line break and comment stays, the network is the same, and a second time changes nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given, note
from hypothesis import strategies as st

from archc.compiler.driver import check_text, expanded_text
from archc.compiler.ops import OPERATORS
from archc.dsl import formatter
from archc.dsl.formatter import ChangedMeaningError, format_text
from archc.dsl.parser import parse
from archc.dsl.rendering import render_all
from archc.dsl.source import Source
from archc.tests.support import ARCHS, ROOT
from archc.tests.support.programs import fewer, programs
from archc.tests.support.regressions import SOUND

CLAIMS = {
    "two on a line": ("conv3-8 => 8x30x30; relu => 8x30x30", "conv3-8 => 8x30x30; relu => 8x30x30"),
    "in a group": ("{ conv3-8=>8x30x30; conv3-16=>16x28x28 }", "{ conv3-8 => 8x30x30; conv3-16 => 16x28x28 }"),
    "in branches": ("concat<conv1-8 => 8x32x32 |conv1-8 => 8x32x32>", "concat<conv1-8 => 8x32x32 | conv1-8 => 8x32x32>"),
    "in and after a group": (
        "layer: { conv1-8 => 8x32x32; relu } => 8x32x32; relu",
        "layer: { conv1-8 => 8x32x32; relu } => 8x32x32; relu",
    ),
    "three and a comment": (
        "conv1-8 => 8x32x32; relu => 8x32x32; FC-{2 * 2} => 4 # end",
        "conv1-8 => 8x32x32; relu => 8x32x32; fc-{2*2} => 4  # end",
    ),
    "under each other": (
        "conv1-8 => 8x32x32; relu => 8x32x32\nconv1-8 => 8x32x32",
        "conv1-8 => 8x32x32; relu => 8x32x32\nconv1-8                  => 8x32x32",
    ),
    "below their items": (
        "concat<conv1-8\n => 8x32x32 | conv1-8\n=> 8x32x32>\n  => 16x32x32",
        "concat<conv1-8 => 8x32x32 | conv1-8 => 8x32x32> => 16x32x32",
    ),
}


def assert_kept(text: str) -> str:
    """Format a text; its graph and claims are those of before, and a second time changes nothing."""
    formatted = format_text(Source("a", text), OPERATORS)
    assert format_text(Source("b", formatted), OPERATORS) == formatted
    before, after = (check_text(t, folder=ROOT / "archs", mend=False) for t in (text, formatted))
    assert after.graph.same_as(before.graph)
    assert [(claim.text, claim.status) for claim in after.claims] == [(claim.text, claim.status) for claim in before.claims]
    return formatted


@pytest.mark.parametrize(("text", "formatted"), CLAIMS.values(), ids=CLAIMS.keys())
def test_a_line_may_have_several_claims(text: str, formatted: str) -> None:
    assert assert_kept(f"input 3x32x32\n{text}\n") == f"input 3x32x32\n{formatted}\n"


@pytest.mark.parametrize("path", ARCHS, ids=lambda path: path.stem)
def test_files(path: Path) -> None:
    assert_kept(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("text", SOUND.values(), ids=SOUND.keys())
def test_sound_programs(text: str) -> None:
    assert_kept(text)


@fewer
@given(programs(), st.data())
def test_random_programs_with_claims(text: str, data: st.DataObject) -> None:
    """Wherever an item ends, a claim may follow it, on its line or below."""
    ends = [m.start() for m in re.finditer(r"(?<=[\w)>}\]])(?=[ ]*(?:[;|>}\]]|\n(?! *else)|$))", text)]
    for at in sorted(data.draw(st.sets(st.sampled_from(ends))), reverse=True):
        claim = data.draw(st.sampled_from([" => 8x4x4", "=>{2*3}x9", "\n  => 16x3x3", " => 7  # said\n", " => 4x4; relu => 5"]))
        changed = text[:at] + claim + text[at:]
        text = text if parse(Source("a", changed)).diagnostics else changed
    note(text)
    assume("=>" in text)
    assert_kept(text)


def test_expansion_keeps_the_claims_of_outputs() -> None:
    text = "input 3x32x32\noutput a: conv1-8; relu => 8x32x32; conv3-8 => 8x30x30\nrelu\n"
    report = check_text(text)
    assert report.ok, render_all(report.diagnostics)
    again = check_text(expanded_text(report))
    assert again.graph.same_as(report.graph)
    assert len(again.claims) == 2


@pytest.mark.parametrize("lost", ["; relu", "  # kept"])
def test_what_would_be_lost_is_a_fault_of_archc(lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the formatter ever lose something, nothing is written."""
    render = formatter._render
    monkeypatch.setattr(formatter, "_render", lambda lines: (line.replace(lost, "") for line in render(lines)))
    with pytest.raises(ChangedMeaningError):
        format_text(Source("a", "input 3x8x8\nconv1-4; relu  # kept\n"), OPERATORS)
