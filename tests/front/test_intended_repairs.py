"""Wrong files as people write them: the repair that is offered first makes the network that was meant, and none is made unasked."""

from __future__ import annotations

import pytest

from archc.compiler.driver import check, check_text
from archc.dsl.diagnostics import CLAIM
from archc.dsl.rendering import edited
from archc.tests.support import ROOT
from archc.ui.show.fixing import fixed

CASES = ROOT / "tests/cases/errors"
H4, W4 = "((H-1)//4+1)", "((W-1)//4+1)"

# Of each case: the lines that are new in the repaired file, and the parameters and MACs of the network that was meant.
MEANT: list[tuple[str, list[str], int, int | str]] = [
    ("e0202_stride_of_a_block", ["basic(256, s=2); basic(256, 1)"], 11_689_512, 1_814_073_344),
    ("e0203_misspelt_skip", ["concat<@enc2 | .>; conv3-64 x2"], 518_498, 8_516_534_272),
    ("e0214_output_left_over", [], 1_722_677, 1_831_600_128),
    ("e0214_second_auxiliary_head", ["output aux2(when=training): side(classes)"], 554_306, 218_349_312),
    ("e0216_block_at_the_end", [], 722_496, 262_623_936),
    ("e0301_halved_too_often", ["{ conv3-64; maxpool } x5      => 64x1x1"], 196_426, 52_061_440),
    ("e0301_lenet_on_mnist", ["conv5-6(pad=2)"], 61_706, 416_520),
    ("e0301_vgg_batch_first", ["input 3x224x224"], 132_863_336, 7_609_090_048),
    ("e0301_vgg_channels_last", ["input 3x224x224"], 132_863_336, 7_609_090_048),
    ("e0302_bottleneck_of_resnet50", ["conv1-{4*w}(act=none)"], 25_557_032, 4_089_184_256),
    ("e0302_call_with_digits_exchanged", ["unit(64)\t# 16x16"], 150_474, 96_141_952),
    (
        "e0302_inverted_residuals",
        ["if s == 1 and in.c == c { residual<inverted(t, c, s)> } else { inverted(t, c, s) }"],
        3_504_872,
        300_774_272,
    ),
    ("e0302_squeeze_and_excitation", ["mul< . | adaptive_avgpool1; conv1-{c//r}; relu; conv1-{c}; sigmoid >"], 45_800, 39_525_120),
    (
        "e0302_stages_without_projections",
        ["residual<conv3-{w}/{s}; conv3-{w}(act=none) | if s != 1 or in.c != w { conv1-{w}/{s}(act=none) }>"],
        11_689_512,
        1_814_073_344,
    ),
    ("e0303_crop_off_by_one", ["convt2-256/2; concat<@enc3; crop(104) | .>; conv3-256 x2"], 31_030_658, 150_428_424_448),
    ("e0303_densenet_without_padding", ["bn; relu; conv3-{k}(pad=1)"], 7_978_856, 2_834_161_664),
    ("e0303_inception_padding", ["| conv1-16; b5: conv5-32(pad=2)"], 163_696, 128_049_152),
    ("e0303_unet_of_250", ["input 3x252x252"], 472_325, 7_088_062_464),
    ("e0304_groups_of_resnext", ["residual< conv1-{w}; conv3-{w}/{s}(groups=8); conv1-{out}(act=none)"], 34_426_698, 5_387_266_048),
    (
        "e0306_half_of_the_channels",
        ["{ concat< slice(0, 58) | slice(58, 116); branch(58, 1) >; channel_shuffle(2) } x3"],
        30_192,
        25_724_608,
    ),
    (
        "e0307_layer_on_any_size",
        ["adaptive_avgpool1; FC-256(act=relu)"],
        131_636,
        f"864*((H-1)//2+1)*((W-1)//2+1)+18432*{H4}*{W4}+73728*((H-1)//8+1)*((W-1)//8+1)+37888",
    ),
    ("e0308_branches_of_any_size", ["| conv3-16(act=relu, pad=same) >"], 5_258, "2736*H*W+2304*(H//2)*(W//2)+160"),
    ("e0309_siamese_inputs", ["input right: 1x105x105"], 38_955_841, 1_817_255_936),
    ("e0401_third_of_the_width", ["let s = width//3"], 34_292, 48_070_656),
    ("e0406_row_without_its_stride", ["[6, 96, 3, 1],"], 3_504_872, 300_774_272),
    ("e0501_alexnet_of_the_paper", ["input 3x227x227"], 62_378_344, 1_135_256_096),
    (
        "e0501_autoencoder",
        ["convt3-32/2(out_pad=1)    => 32x14x14", "convt3-1/2(act=none, out_pad=1)    => 1x28x28"],
        74_497,
        3_725_568,
    ),
    (
        "e0501_pools_of_caffe",
        ["pool1: maxpool3/2(ceil=yes)               => 64x56x56", "pool2: maxpool3/2(ceil=yes)               => 192x28x28"],
        676_848,
        909_991_936,
    ),
    ("e0501_stage_without_its_stride", ["basic(256, s=2); basic(256)    => 256x14x14"], 11_689_512, 1_814_073_344),
    ("e0501_widths_of_inception", ["| conv1-32; conv5-96"], 552_432, 432_316_416),
    ("e0605_hourglass_without_an_end", ["if n > 1 { hourglass(n - 1, w) } else { unit(w) }"], 718_928, 631_439_360),
]
WRITING = ("e0216_block_at_the_end",)  # moves a text, and leaves every meaning as it is
WITHOUT = ("e0401_no_channels_left", "e0603_head_and_trunk")  # what is meant cannot be told, or stands in another file


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "lines", "params", "macs"), MEANT, ids=[case[0] for case in MEANT])
def test_the_first_repair_makes_what_was_meant(name: str, lines: list[str], params: int, macs: int | str) -> None:
    path = CASES / f"{name}.arch"
    first = check(path).diagnostics[0].repairs[0]
    source = first.edits[0].span.source
    text = edited(source, first.edits)
    assert first.complete
    assert [line.strip() for line in text.splitlines() if line not in source.text.splitlines()] == lines
    report = check_text(text, path.name, CASES)
    assert report.ok
    count = report.cost()
    assert (count.params, count.macs if isinstance(macs, int) else str(count.macs)) == (params, macs)


@pytest.mark.parametrize("name", [*(case[0] for case in MEANT), *WITHOUT, "e0501_two_claims_mistyped"])
def test_no_network_is_changed_unasked(name: str) -> None:
    path = CASES / f"{name}.arch"
    report = check(path)
    text, left = fixed(report, path)
    assert left.ok is bool(text) is (name in WRITING)


@pytest.mark.parametrize("name", WITHOUT)
def test_what_cannot_be_told_is_said_in_words(name: str) -> None:
    (found,) = check(CASES / f"{name}.arch").diagnostics
    assert found.help and not found.repairs


def test_the_use_that_brings_nothing_goes_where_it_stands() -> None:
    (found,) = check(CASES / "e0603_trunk_and_head.arch").diagnostics
    text = edited(found.repairs[0].edits[0].span.source, found.repairs[0].edits)
    assert text.startswith("# the trunk, shared with the classifier\n\nblock trunk(w)")


def test_two_claims_are_two_mistakes() -> None:
    found = check(CASES / "e0501_two_claims_mistyped.arch").diagnostics
    assert [(d.code, [repair.changes for repair in d.repairs]) for d in found] == [("E0501", [CLAIM]), ("E0502", [CLAIM])]
    edits = [edit for d in found for edit in d.repairs[0].edits]
    assert check_text(edited(edits[0].span.source, edits)).ok


def test_a_count_that_comes_of_a_failed_claim_is_no_mistake() -> None:
    text = "input 3x32x32\nconv3-64(pad=1) => 64x32x32\nconv3-182(pad=1) => 128x32x32\nFC-10\nexpect params == 1_386_378\n"
    (found,) = check_text(text).diagnostics
    assert found.code == "E0501"
    assert found.repairs[0].complete


@pytest.mark.parametrize("count", [1, 40])
def test_one_message_for_one_definition(count: int) -> None:
    text = "input 8x32x32\n" + "unit(8); " * count + "\n# what is repeated\nblock unit(w) { conv3-{w}(pad=1) }\n"
    (found,) = check_text(text).diagnostics
    assert len(found.repairs) == 1 and found.repairs[0].safe
    assert edited(found.repairs[0].edits[0].span.source, found.repairs[0].edits).startswith("input 8x32x32\n# what is repeated\nblock unit")


def test_a_definition_is_not_moved_over_a_default_unasked() -> None:
    text = "input 8x32x32\nunit(8)\ndefault conv(act=relu)\nblock unit(w) { conv3-{w}(pad=1) }\n"
    assert not any(repair.safe for d in check_text(text).diagnostics for repair in d.repairs)
