"""Errors: every code has a page whose examples hold, several mistakes come in one run, and one mistake gives one message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from archc.compiler.driver import check, check_text, parse_overrides
from archc.compiler.elaborate.elaboration import Limits
from archc.compiler.ops import OPERATORS
from archc.compiler.pages import Page, manual, pages
from archc.dsl.diagnostics import CODES
from archc.dsl.errors import ArchError
from archc.dsl.rendering import mended_lines, render, render_all
from archc.dsl.vocabulary import foreign
from archc.tests.support import ROOT

PAGES = list(pages())
# no text alone has these; each has a test below
SHOWN_ELSEWHERE = {"E0106", "E0107", "E0111", "E0211", "E0603", "E0608", "E0609", "E0315", "E0614", "E0612", "E0615", "E0616", "E0617"}


def codes(text: str, limits: Limits | None = None) -> list[str]:
    return [found.code for found in check_text(text, limits=limits).diagnostics]


@pytest.mark.parametrize("entry", PAGES, ids=lambda entry: entry.code)
def test_page(entry: Page) -> None:
    assert entry.title
    if entry.code in SHOWN_ELSEWHERE:
        return
    limits = Limits(max_nodes=100_000)
    wrong = check_text(entry.wrong, limits=limits)
    if entry.code == "E0607":
        assert not wrong.has_network
    else:
        found = [*wrong.diagnostics, *(wrong.warnings if entry.code.startswith("W") else ())]
        assert [d.code for d in found] == [entry.code], render_all(found)
        assert found[0].span is not None
    right = check_text(entry.right, limits=limits)
    assert right.ok, render_all(right.diagnostics)
    assert right.has_network
    if entry.code.startswith("W"):
        assert not right.warnings, render_all(right.warnings)


def test_pages_are_current() -> None:
    assert (ROOT / "docs/errors.md").read_text(encoding="utf-8") == manual(), "run `make docs`"


def test_every_code_is_in_order_and_has_a_page() -> None:
    assert [entry.code for entry in PAGES] == sorted(CODES)


def test_the_residual_of_the_design() -> None:
    block = "block bottleneck(w, s=1) {\n  conv1-{w}\n  conv3-{w}/{s}(pad=1)\n  conv1-{4*w}\n}\n"
    text = f"input 256x56x56\n{block}residual<bottleneck(128, s=2)> x4\n"
    (found,) = check_text(text, "net.arch").diagnostics
    assert render(found) == (
        "error[E0302]: the two sides of this residual have different shapes\n"
        " --> net.arch:7:1\n"
        "  |\n"
        "7 | residual<bottleneck(128, s=2)> x4\n"
        "  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "  |\n"
        "  = body: 256x56x56 -conv1-> 128x56x56 -conv3/2-> 128x28x28 -conv1-> 512x28x28\n"
        "  = shortcut: 256x56x56 (identity)\n"
        "  = differs in: channels 512 vs 256, height 28 vs 56, width 28 vs 56\n"
        "  = in copy 1 of 4, line 7 of net.arch\n"
        "help: this makes the whole file check: a 1x1 projection with stride 2 on the shortcut "
        "(in 4 copies or calls; 2,003,968 parameters, 563,953,664 MACs)\n"
        "7 | residual<bottleneck(128, s=2) | conv1-512/2> x4"
    )
    data = found.to_json()
    assert data["place"] == {"file": "net.arch", "line": 7, "column": 1, "start": 94, "end": 124}
    assert data["notes"] == list(found.notes)


def test_the_alexnet_trap() -> None:
    text = (ROOT / "archs/alexnet.arch").read_text(encoding="utf-8").replace("3x227x227", "3x224x224")
    found, *rest = check_text(text).diagnostics
    assert not rest, "one mistake gives one message"
    assert found.message == "conv1 produces 96x54x54, but the file claims 96x55x55"
    assert "height: (224 + 2*0 - 11)/4 + 1 = 54.25, rounded down to 54" in found.notes


def test_independent_mistakes_come_in_one_run_and_none_twice() -> None:
    text = """
input 3x32x32
conv3-8(strde=2)
maxpol
=> broken
relu
a: { conv3-{widht} }
concat<conv1-64 | @conv9>
add<conv1-8>
conv3-8(groups=3)
"""
    found = check_text(text).diagnostics
    assert [d.code for d in found] == ["E0101", "E0202", "E0201", "E0204", "E0203", "E0310"]


def test_unknown_shapes_stay_silent_until_a_claim_says_them() -> None:
    assert codes("input 3x32x32\nmaxpol\nconv99-8\nFC-10 => 11") == ["E0201"]
    assert codes("input 3x32x32\nmaxpol\nconv3-{7/2}\nconv3-8(bias=1)\nconv3") == ["E0201", "E0401", "E0401", "E0207"]
    assert codes("input 3x32x32\nconv3-8 => 8x32x32\nconv3-8 => 8x30x30\nmaxpool31") == ["E0501", "E0301"]


def test_limits() -> None:
    small = Limits(max_nodes=100, max_nesting=20)
    assert codes("input 1x4x4\nrelu x1000", small) == ["E0604"]
    assert codes("input 1x4x4\nfor i in range(1000) { for j in range(1000) { } }", small) == ["E0604"]
    assert codes("input 1x4x4\nlet a = range(900)\nlet b = a + a", small) == ["E0613"]
    assert codes("input 1x4x4\nblock f() { f() }\nf()", small) == ["E0605"]
    assert codes("input 1x4x4\n" + "{" * 30 + "relu" + "}" * 30, small) == ["E0107"]
    assert codes("input 1x4x4\nblock f(n) { relu; if n > 1 { f(n - 1) } }\nf(150)") == []


def test_files_that_use(tmp_path: Path) -> None:
    (tmp_path / "a.arch").write_text('use "b.arch"\ninput 1x4x4\nrelu\n')
    (tmp_path / "b.arch").write_text('use "a.arch"\n')
    assert [d.code for d in check(tmp_path / "a.arch").diagnostics] == ["E0603"]
    (tmp_path / "b.arch").write_text('use "a.arch"\nblock part() { relu }\ninput 1x4x4\npart()\n')
    assert [d.code for d in check(tmp_path / "b.arch").diagnostics] == ["E0603"]
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "secret.arch").write_text("block secret() { relu }\n")
    (inner / "link.arch").symlink_to(tmp_path / "secret.arch")
    (inner / "c.arch").write_text("")
    for path in ("../secret.arch", str(tmp_path / "secret.arch"), "link.arch", "x/../../secret.arch"):
        (inner / "c.arch").write_text(f'use "{path}"\ninput 1x4x4\nsecret()\n')
        assert [d.code for d in check(inner / "c.arch").diagnostics] == ["E0601"]


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    path = tmp_path / "net.arch"
    path.write_bytes(b"input 1x4x4\nrelu \xff\n")
    assert [d.code for d in check(path).diagnostics] == ["E0106"]
    path.write_bytes(b"\xef\xbb\xbfinput 1x4x4\r\nrelu\r\n# no newline at the end")
    assert check(path).ok
    assert [d.code for d in check(tmp_path / "none.arch").diagnostics] == ["E0608"]
    for empty in (b"", b"\n\n", b"# only a comment"):
        path.write_bytes(empty)
        assert [d.code for d in check(path).diagnostics] == ["E0607"]


def test_settings_that_do_not_exist() -> None:
    path = ROOT / "archs/resnet50.arch"
    assert [d.code for d in check(path, parse_overrides({"depth": "[1]"}, {})).diagnostics] == ["E0211"]
    assert [d.code for d in check(path, parse_overrides({}, {"left": "3x4x4"})).diagnostics] == ["E0211"]
    with pytest.raises(ArchError, match="E0102"):
        parse_overrides({"depths": "[3,"}, {})


# What a newcomer types, and a word that the message must hold for it to be enough.
NEWCOMER = [
    ("input 3x32x32\nconv3-64 x", "E0104", "x2"),
    ("input 3x32x32\nresidual<conv3-3(pad=1)", "E0102", ">"),
    ("input 3x32x32\nmaxpol", "E0201", "maxpool"),
    ("input 3x32x32\nconv3-64(strde=2)", "E0202", "stride"),
    ("input 3x32x32\nresidual<conv3-64/2>", "E0302", "1x1"),
    ("input 3x32x32\nFC4096", "E0210", "FC-4096"),
    ("input 3x32x32\nconcat<conv1-64 | conv3-64/2>", "E0303", "height 32 vs 15"),
    ("block inception(a, b, c, d) { relu }\ninput 3x32x32\ninception(64, 96, 128)", "E0207", "`d`"),
    ("block a() { a() }\ninput 3x32x32\na()", "E0605", "calls itself"),
    ("input 3x32x32\nconcat<. | @conv9>", "E0203", "conv9"),
    ("input 3x32x32\na: relu; a: relu", "E0205", "a2: relu"),
    ("input 3x32x32\nconv1-8\nexpect params == 60M", "E0502", "difference"),
    ("input 64x28x28\nconv3-64(groups=3)", "E0304", "64 = 21*3 + 1"),
    ("input 3x4x4\nmaxpool7", "E0301", "7 over 4"),
    ("input 3x32x32\nconv3-8(bias=true)", "E0401", "yes"),
]


@pytest.mark.parametrize(("text", "code", "word"), NEWCOMER, ids=[text.splitlines()[-1] for text, _, _ in NEWCOMER])
def test_a_newcomers_mistake(text: str, code: str, word: str) -> None:
    (found,) = check_text(text).diagnostics
    assert found.code == code
    assert word in render(found)
    assert json.dumps(found.to_json())


def test_foreign_words_lead_to_operators_and_options() -> None:
    assert {here.rstrip("0123456789") for here in foreign.OPERATORS.values()} <= {*OPERATORS, "residual", "."}
    options = {option for operator in OPERATORS.values() for option in operator.option_names}
    assert {option for known in foreign.OPTIONS.values() for option in known} <= options
    assert not set(foreign.OPERATORS) & set(OPERATORS)


@pytest.mark.parametrize(
    ("written", "mended"),
    [
        ("Conv2d(3, 64, 3)", "conv3-64"),
        ("Conv2D(64, 3)", "conv3-64"),
        ("ConvTranspose2d(3, 8, 2, 2)", "convt2-8/2"),
        ("BatchNorm2d(3)", "bn"),
        ("MaxPool2d(2)", "maxpool2"),
        ("Linear(3072, 10)", "fc-10"),
        ("flatten; Dense(10)", "flatten; fc-10"),
        ("conv3-w", "conv3-{w}"),
        ("nn.relu", "relu"),
        ("maxpool 2 2", "maxpool2/2"),
        ("conv3-8(pad=1) x n", "conv3-8(pad=1) x{n}"),
        ("conv3-8 // a comment", "conv3-8 # a comment"),
        ("if !yes { relu }", "if not yes { relu }"),
        ("maxpool(kernel=(3, 3))", "maxpool(kernel=3x3)"),
        ("concat<conv1-8, conv1-8>", "concat<conv1-8 | conv1-8>"),
        ("conv3\u201316", "conv3-16"),
    ],
)
def test_what_other_frameworks_write_is_mended_to_what_it_means(written: str, mended: str) -> None:
    text = f"input 3x32x32\nlet w = 3\nlet n = 2\n{written}\n"
    (found,) = check_text(text).diagnostics
    assert mended_lines(found.repairs[0].edits) == [(4, mended)]


@pytest.mark.parametrize("text", ['arch a "\u202eeman"\ninput 3x8x8', "input 3x8x8\nrelu # \u2067 hidden", "input 3x8x8\n\u2066relu"])
def test_characters_that_turn_the_text_are_refused_everywhere(text: str) -> None:
    (found,) = check_text(text).diagnostics
    assert found.code == "E0111"
    assert "U+20" in found.message
    assert found.span is not None
    assert found.span.text in "\u202e\u2066\u2067"
