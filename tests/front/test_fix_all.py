"""What `check --fix --all` writes unasked: only where there is one network that can be meant."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from archc.compiler.driver import check_text
from archc.dsl.diagnostics import Repair
from archc.tests.support import ROOT
from archc.tests.support.mutations import TEXTS
from archc.tests.support.programs import EXAMPLES
from archc.ui.show.fixing import fixed

START = "input 3x32x32\n"
PATH = Path("net.arch")

# The text, and what may be written in its place; None where nothing is.
UNASKED: list[tuple[str, str | None]] = [
    # slips
    ("maxpol", "maxpool"),
    ("mapxool", "maxpool"),
    ("avgpoool2", "avgpool2"),
    ("dropuot(0.5)", "dropout(0.5)"),
    ("conv3-8(strde=2)", "conv3-8(stride=2)"),
    ("conv3-8(paddding=1)", "conv3-8(pad=1)"),
    ("conv3-8(padding=1)", "conv3-8(pad=1)"),
    ("conv3-8(bias=True)", "conv3-8(bias=yes)"),
    ("conv3-8(act=None)", "conv3-8(act=none)"),
    ("conv3-8(act=leaky_rleu)", "conv3-8(act=leaky_relu)"),
    ("conv3-8(init=kaiming_normal)", "conv3-8(init=he_normal)"),
    ("upsample2(mode=bilnear)", "upsample2(mode=bilinear)"),
    ("conv3-8, relu", "conv3-8; relu"),
    ("conv3-8 -> relu", "conv3-8; relu"),
    ("conv3-8(pad=1))", "conv3-8(pad=1)"),
    ("stem = conv3-8", "stem: conv3-8"),
    # a label that something refers to
    ("x: conv1-8\nrelu\nx: conv3-8(pad=1)\nrelu\nadd<. | @x>", None),
    ("x: conv1-8\nx: conv3-8\nx: conv3-8", None),
    # branches are no chain
    ("conv1-8 | conv3-8(pad=1)>", None),
    ("conv1-8 | conv3-8(pad=1) | maxpool3/1(pad=1); conv1-8>", None),
    ("concat\nconv1-8 | conv3-8(pad=1)", None),
    ("conv1-8 | conv3-8(pad=1)", None),
    ("conv3-8(pad=1)>", None),
    ("conv3-8; relu } x2", None),
    ("residual conv3-3(pad=1)>", "residual< conv3-3(pad=1)>"),
    # words with a meaning of their own
    ("dropout(keep_prob=0.8)", None),
    ("conv3-8(no_bias=yes)", None),
    ("conv3-8(nobias=yes)", None),
    ("avgpool3(pad=1, no_count_pad=yes)", None),
    ("avgpool3(pad=1, count_exclude_pad=yes)", None),
    ("avgpool3(pad=1, exclude_pad=yes)", None),
    ("upconv2-32/2", None),
    ("min_pool3/2", None),
    ("minpool3/2", None),
    ("swiglu", None),
    ("conv3-8(act=swiglu)", None),
    ("log_sigmoid", "logsigmoid"),
    ("hard_tanh", "hardtanh"),
    ("gelu_new", None),
    ("conv3-8(init=normal(sd=0.1))", None),
    ("conv3-8(init=normal(var=0.1))", None),
    ("group_norm(group_size=3)", None),
    ("pads(1)", None),
    ("Upsample(None, 2)", None),
    ("upsample2(mode=trilinear)", None),
    # several names that may be meant
    ("block plain(w) { conv3-{w} }\nblock plan9(w) { conv5-{w} }\nplan(8)", None),
    ("cnv3-16", None),
    ("cnv3-8\ncnv3-16", None),
    ("adaptive_avgpool1; fc-10\nconv3-8\ncnv3-16", None),
    ("conv3-8(act=rleu)\nconv3-8(act=rleu)", None),
    # several places that a bracket may stand at
    ("residual<conv3-3(pad=1)\nrelu\nconv3-3(pad=1)\nrelu", None),
    ("if in.c > 4 { conv3-8(pad=1)\nrelu", None),
    ("layer2: [ conv3-8\nrelu\nlayer3: conv3-4", None),
    ("concat<conv1-8 | conv3-8(pad=1)", "concat<conv1-8 | conv3-8(pad=1)>"),
    ("conv3-8(pad=1\nrelu", "conv3-8(pad=1)\nrelu"),
    # kernel and channels
    ("conv 64, 3", None),
    ("conv 64 3", None),
    ("conv 5 3", None),
    ("conv 3, 64", "conv3-64"),
    ("conv3 8", "conv3-8"),
    # half a repair
    ("skip = x\nrelu", None),
    ("model = Sequential()\nconv3-8", None),
]


def written(text: str) -> str | None:
    """What is written unasked; None where nothing is."""
    return fixed(check_text(text), PATH)[0] or None


def repairs(text: str) -> list[Repair]:
    report = check_text(text)
    return [repair for d in (*report.diagnostics, *report.warnings) for repair in d.repairs]


@pytest.mark.parametrize(("text", "whole"), UNASKED)
def test_only_what_can_be_meant_is_written_unasked(text: str, whole: str | None) -> None:
    assert written(START + text) == (None if whole is None else START + whole)


@pytest.mark.parametrize(
    ("text", "offers"),
    [
        ("conv1-8 | conv3-8(pad=1)>", ["`concat<`", "`add<`"]),
        ("residual<conv3-3(pad=1)\nrelu\nconv3-3(pad=1)", ["`>` on line 2", "`>` on line 3", "`>` on line 4"]),
        ("conv 5 3", ["`conv5-3`", "`conv3-5`"]),
        ("upconv2-32/2", ["`conv`"]),
        ("cnv3-16", ["`conv`", "`convt`"]),
    ],
)
def test_every_reading_is_offered(text: str, offers: list[str]) -> None:
    found = repairs(START + text)
    assert [repair.what for repair in found] == offers
    assert not any(repair.safe for repair in found)


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("dropout(keep_prob=0.8)", "`p` is the opposite: it is the fraction that is dropped, 1 minus this"),
        ("conv3-8(no_bias=yes)", "`bias` is the opposite: `bias=no` for `no_bias=yes`"),
        ("avgpool3(pad=1, exclude_pad=yes)", "`count_pad` is the opposite: `count_pad=no` for `exclude_pad=yes`"),
    ],
)
def test_an_option_that_says_the_opposite_is_told_and_not_renamed(text: str, here: str) -> None:
    (found,) = check_text(START + text).diagnostics
    assert (found.help, found.repairs) == (here, ())


def test_equal_labels_get_different_names() -> None:
    assert [repair.edits[0].text for repair in repairs(f"{START}x: conv1-8\nx: conv1-8\nx: conv1-8")] == ["x2", "x3"]


@pytest.mark.parametrize(
    ("text", "idle"),
    [
        ("default conv(norm=bn, act=relu, pad=same)\nconv3-8; conv3-8\nconv1-10(norm=none, act=none)", 16),
        ("default conv(norm=bn, act=relu, pad=same)\nconv3-8; conv3-8", 16),
        ("block c(w) { conv3-{w}(pad=1) }\nc(8); bn; relu\nc(16); relu", 0),  # the bias of the second does something
        ("block c(w) { conv3-{w}(pad=1); bn }\nc(8); relu\nc(16); relu", 24),
    ],
)
def test_only_idle_biases_are_removed(text: str, idle: int) -> None:
    found = [repair for repair in repairs(START + text) if "bias" in repair.what]
    assert len(found) == bool(idle)
    for repair in found:
        assert repair.effect is not None and repair.effect.before is not None
        assert repair.effect.before[0] - repair.effect.params == idle


def slipped(text: str, chance: random.Random) -> str:
    """A text with one letter of a word added, dropped, replaced, or swapped with the next one."""
    code = [(begin, line.split("#")[0]) for begin, line in zip(_starts(text), text.splitlines(), strict=True)]
    words = [(begin + m.start(), m.group()) for begin, line in code for m in re.finditer(r"[A-Za-z_]{3,}", line)]
    begin, word = chance.choice(words)
    at, letter = chance.randrange(len(word) - 1), chance.choice("abcdefghijklmnopqrstuvwxyz_")
    new = [
        word[:at] + word[at + 1 :],
        word[:at] + letter + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    ]
    return text[:begin] + chance.choice(new) + text[begin + len(word) :]


def _starts(text: str) -> list[int]:
    lines = text.splitlines(keepends=True)
    return [sum(map(len, lines[:number])) for number in range(len(lines))]


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("name", sorted(name for name, text in TEXTS.items() if len(text) < 2500))
def test_a_slip_is_mended_into_the_network_that_was_there_or_left(name: str) -> None:
    text, folder = TEXTS[name], (ROOT / "archs" / name).parent
    right = check_text(text, name=name, folder=folder)
    chance = random.Random(name)
    for _ in range(SLIPS):
        wrong = slipped(text, chance)
        report = check_text(wrong, name=name, folder=folder)
        if report.ok:  # another file that is right
            continue
        after, left = fixed(report, folder / "net.arch")
        if left.ok and right.has_network:
            assert left.graph.same_as(right.graph), (wrong, after)


SLIPS = max(EXAMPLES // 125, 2)  # of each file
