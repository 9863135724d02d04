"""Errors of writing: what is mended while a file is read, brackets, and layers of other frameworks transcribed into items."""

from __future__ import annotations

import pytest

from archc.compiler.driver import check, check_text
from archc.compiler.ops import OPERATORS
from archc.compiler.ops.record import Like, Required
from archc.dsl.brackets import loose
from archc.dsl.cutting import pieces
from archc.dsl.diagnostics import Diagnostic
from archc.dsl.parser import parse
from archc.dsl.rendering import edited
from archc.dsl.source import Source
from archc.dsl.transcribe import defaults_in, explicit, transcribed
from archc.tests.support import NETWORKS, ROOT
from archc.tests.support.work import work
from archc.ui.show import fixing

CASES = ROOT / "tests/cases/errors"


def mended(text: str, most: int = 20) -> str:
    """The text with the first repair of the first mistake that has one, again and again."""
    for _ in range(most):
        report = check_text(text)
        repairs = [d.repairs[0] for d in report.diagnostics if d.repairs]
        if not repairs:
            return text
        text = edited(repairs[0].edits[0].span.source, repairs[0].edits)
    return text


def found(text: str) -> list[Diagnostic]:
    return check_text(text).diagnostics


# ---- brackets


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("residual<\n  conv3-3(pad=1)\n  concat<conv1-1 | conv1-2\n>", "residual<\n  conv3-3(pad=1)\n  concat<conv1-1 | conv1-2>\n>"),
        ("block b() {\n  conv3-8\n  relu\n\nb()\nFC-10", "block b() {\n  conv3-8\n  relu\n}\n\nb()\nFC-10"),
        ("if 1 < 2 {\n  conv3-8(pad=1\n  relu\n}\nFC-10", "if 1 < 2 {\n  conv3-8(pad=1)\n  relu\n}\nFC-10"),
        ("features: [\n  conv3-8\n  maxpool\nFC-10", "features: [\n  conv3-8\n  maxpool\n]\nFC-10"),
        ("concat<\n    conv1-8\n  | conv1-4\nFC-10", "concat<\n    conv1-8\n  | conv1-4\n>\nFC-10"),
        ("block b() {\nconv3-8\nrelu\n\nb()\nFC-10", "block b() {\nconv3-8\nrelu\n}\n\nb()\nFC-10"),
        ("for i in range(2) {\nconv3-8", "for i in range(2) {\nconv3-8\n}"),
        ("residual<conv3-3(pad=1\nFC-10", "residual<conv3-3(pad=1)>\nFC-10"),
        ("block b() {\n  residual<conv3-3(pad=1\n\nb()", "block b() {\n  residual<conv3-3(pad=1)>\n}\n\nb()"),
        ("{ residual<conv3-3(pad=1)", "{ residual<conv3-3(pad=1)> }"),
        ("conv3-{2*4(pad=1)", "conv3-{2*4}(pad=1)"),
        ("conv3-8(pad=1]", "conv3-8(pad=1)"),
        ("{ residual<conv3-3(pad=1) } x2", "{ residual<conv3-3(pad=1)> } x2"),
        ("concat<conv1-8 | conv3-8(pad=1>", "concat<conv1-8 | conv3-8(pad=1)>"),
        ("conv3-8(pad=1;relu", "conv3-8(pad=1);relu"),
        ("let rows = [[1, 2], [3, 4]\nconv3-{rows[0][1]}", "let rows = [[1, 2], [3, 4]]\nconv3-{rows[0][1]}"),
    ],
)
def test_the_bracket_without_a_partner_is_mended_where_the_indent_says(text: str, whole: str) -> None:
    start = "input 3x32x32\n"
    assert len([d for d in found(start + text) if d.code < "E02"]) == 1
    assert mended(start + text) == start + whole


def test_brackets_that_are_missing_at_two_places_are_two_mistakes() -> None:
    text = "input 3x32x32\nconcat<conv1-8(pad=0 | residual<conv3-3(pad=1\nFC-10\n"
    assert [(d.code, [related.text for related in d.related]) for d in found(text)] == [
        ("E0102", ["nor is this `residual<`", "nor is this `(`"]),
        ("E0102", []),
    ]
    assert mended(text) == "input 3x32x32\nconcat<conv1-8(pad=0) | residual<conv3-3(pad=1)>>\nFC-10\n"


def test_a_bracket_of_no_certain_place_has_no_edit_and_no_other_message() -> None:
    for text in ("block b() {\nconv3-3\nrelu\nb()", "residual<\nconv3-3(pad=1)\nrelu\nFC-10"):
        (only,) = found(f"input 3x32x32\n{text}\n")
        assert only.code == "E0102"
        assert not only.repairs


def test_an_edit_never_empties_a_merge_or_a_body() -> None:
    for text in ("residual<\nconv3-3\nrelu\nFC-10", "block b() {\nconv3-3\nb()", "residual<\n  concat<conv3-8 |\n  relu\n>\nFC-10"):
        for d in found(f"input 3x32x32\n{text}\n"):
            for repair in d.repairs:
                after = edited(repair.edits[0].span.source, repair.edits)
                assert "<>" not in after
                assert "{}" not in after.replace(" ", "").replace("\n", "")


def test_brackets_that_match_are_never_loose() -> None:
    for path in NETWORKS + sorted((ROOT / "archs/std").glob("*.arch")):
        text = path.read_text(encoding="utf-8")
        assert not loose(text)
        assert "".join(text[begin:end] for begin, end in pieces(text)) == text


# ---- reading on


def test_one_mistake_of_writing_hides_nothing_else() -> None:
    text = """
input 3x32x32
defualt conv(pad=same)
conv3-16(act=relu norm=bn)
conv3-16(paddding=1)
residual<conv3-16 | conv1-16
maxpol
conv3-8 -> 8x15x15
conv3-8(gruops=2)
"""
    assert [d.code for d in found(text)] == ["E0110", "E0101", "E0102", "E0101", "E0202", "E0201", "E0202"]


def test_claims_of_the_whole_are_checked_where_every_mistake_is_mended() -> None:
    assert [d.code for d in found("input 3x8x8\nconv3-8(pad=1 bias=no)\nexpect params == 217")] == ["E0101", "E0502"]
    assert [d.code for d in found("input 3x8x8\nconv3-8 $ relu\nexpect params == 217")] == ["E0105"]


def test_what_is_mended_has_its_place_in_the_file() -> None:
    text = "input 3x32x32\nconv3-16(act=relu norm=bn bias=no); conv3-8(gruops=2) => 8x9x9\n"
    for d in found(text):
        assert d.span is not None
        assert d.span.text in text
    assert [d.span.text for d in found(text) if d.span] == ["norm", "gruops"]
    (first, *_) = found("input 3x32x32\nconv3-8 -> conv3-8 -> relu -> conv3-8 => 8x9x9\n")[1:]
    assert first.span is not None
    assert first.span.text == "conv3-8"


def test_a_word_of_the_field_is_never_taken_for_another_operator() -> None:
    for word in ("transformer", "einsum", "swiglu", "conv_lstm"):
        (only,) = found(f"input 3x32x32\n{word}\n")
        assert not only.repairs
        assert f"archc has no `{word}` yet" in only.help
    (only,) = found("input 3x32x32\ncrelu\n")
    assert only.repairs[0].edits[0].text == "concat<relu | neg; relu>"


@pytest.mark.thorough
def test_many_lines_with_mistakes_are_read_in_linear_work() -> None:
    def calls(lines: int) -> int:
        rows = [f"c{i}: relu" for i in range(lines)]
        for i in range(30):
            rows[lines // 30 * i] = "conv3-3(pad=1 act=relu)" if i % 2 else "relu relu"
        source = Source("net", "\n".join(["input 3x32x32", "block b() {", *rows, "}"]))
        assert len(parse(source).diagnostics) == 30
        return work(lambda: parse(source))

    assert calls(2000) < 5 * calls(500)


@pytest.mark.parametrize(
    ("case", "params"),
    [
        ("e0101_claim_syntax", 15_610),
        ("e0101_colons", 23_361),
        ("e0101_commas", 1_171_556),
        ("e0101_equals", 308_650),
        ("e0101_repeats", 3_527_370),
        ("e0101_units", 23_180),
        ("e0105_signs", 1_992_488),
        ("e0109_keras_mnist", 1_199_882),
        ("e0110_typos", 318_378),
        ("e0201_pytorch", 60_458),
        ("e0202_korean_comments", 131_466),
    ],
)
def test_mistakes_of_writing_alone_are_mended_unasked(case: str, params: int) -> None:
    path = CASES / f"{case}.arch"
    _, left = fixing.fixed(check(path), path)
    assert left.ok
    assert left.cost().params == params


@pytest.mark.parametrize("case", ["e0101_brackets", "e0102_angle_deep", "e0102_brace", "e0105_korean_names", "e0205_labels"])
def test_what_decides_the_network_or_its_keys_is_asked_for(case: str) -> None:
    path = CASES / f"{case}.arch"
    _, left = fixing.fixed(check(path), path)
    assert not left.ok
    assert not any(repair.safe for d in left.diagnostics for repair in d.repairs)


def test_a_layer_that_says_something_else_of_what_comes_in_is_not_written_unasked() -> None:
    (other,) = found("input 3x32x32\nConv2d(16, 32, 3)\n")
    assert other.notes == ("this is PyTorch's `Conv2d`", "`Conv2d(16, 32, 3)` gets 3 channels here")
    assert [(str(repair.edits[0].text), repair.safe) for repair in other.repairs] == [("conv3-32", False)]
    (same,) = found("input 3x32x32\nConv2d(3, 32, 3)\n")
    assert [repair.safe for repair in same.repairs] == [True]


# ---- other frameworks


def test_the_options_of_an_item_are_known_where_it_leaves_them_out() -> None:
    words = {True: "yes", False: "no"}
    for name, options in explicit.BUILT_IN.items():
        known = {attr.name: attr.default for attr in OPERATORS[name].attrs if not isinstance(attr.default, (Required, Like))}
        assert set(options) - {"norm", "act", "stride"} == set(known) - {"stride"}, name
        for option, text in options.items():
            if text and option in known:
                default = known[option]
                assert words.get(default) == text if isinstance(default, bool) else str(default) == text or float(text) == default


@pytest.mark.parametrize(
    ("defaults", "layer", "here"),
    [
        ("default conv(bias=no, pad=1)", "conv2d(3, 8, 3, bias=True)", "conv3-8(pad=0, bias=yes)"),
        ("default conv(act=relu, pad=same)", "Conv2D(8, 3, padding='valid')", "conv3-8(pad=0, act=none)"),
        ("default elu(alpha=2)", "Conv2D(8, 3, activation='elu')", "conv3-8(act=elu(alpha=1.0))"),
        ("default Conv2d(padding=1)", "nn.Conv2d(3, 8, 3)", "conv3-8(pad=0)"),
        ("default conv(init=zeros)", "Conv2D(8, 3)", "conv3-8(init=xavier_uniform)"),
        ("default conv(init=zeros)", "nn.Conv2d(3, 8, 3)", "conv3-8(init=torch)"),
        ("default conv(pad=1)", "nn.Conv2d(3, 2*(a+b), (1, k), stride=(2*(a+b)))", "conv1x{k}-{2 * (a + b)}/{2 * (a + b)}(pad=0)"),
        ("default maxpool(stride=1)", "nn.MaxPool2d((2, k))", "maxpool2x{k}(stride=[2, k])"),
        ("# default conv(pad=1)", "nn.Conv2d(3, 8, 3)", "conv3-8"),
    ],
)
def test_options_that_a_default_sets_are_written_out(defaults: str, layer: str, here: str) -> None:
    transcript = transcribed(layer, defaults_in(defaults))
    assert transcript is not None
    assert transcript.text == here


def test_a_word_that_is_a_variable_of_the_file_stands_for_no_layer() -> None:
    transcript = transcribed("nn.ReLU()", defaults_in("let relu = gelu"))
    assert transcript is not None
    assert not transcript.text
    assert transcript.notes == ("`relu` is a variable in this file, so it is not an operator",)


@pytest.mark.parametrize(
    "text",
    [
        "self.conv1 = nn.Conv2d(3, 8, 3)\nself.bn1 = nn.BatchNorm2d(16)",
        "nn.Conv2d(8, 16, 3)",
        "nn.Conv1d(3, 8, 3)",
        "nn.Linear(32, 10)",
        "nn.Linear(512, 10)",
        "Dense(10)",
        "layers.Dense(10)",
        "nn.Conv2d(3, 8, 3) x2",
        "nn.Softmax(dim=-1)",
        "nn.Softmax(dim=2)",
        "layers.BatchNormalization(axis=1)",
        "conv2d(8, 3, 2)",
        "conv3d(3, 8)",
        "LeakyReLU()",
        "nn.BatchNorm2d(3, momentum=None)",
        'layer { type: "Softmax" softmax_param { axis: 2 } }',
        "torch.flatten(x)",
        "x = F.dropout(x)",
        "x = tf.nn.elu(x)",
        "Conv2d(3, 8, 3) x2",
        "pool3/2",
        "mlp-8",
        "pad(top=1)",
        "padding(1)",
        "pads(1)",
        "resize(64)",
        "Upsample(None, 2)",
        "batch_norm(0.9)",
        "localresponsenormalization(2, 1, 0.0001, 0.75)",
    ],
)
def test_what_may_mean_something_else_is_not_written_unasked(text: str) -> None:
    diagnostics = found(f"input 3x32x32\n{text}\n")
    assert diagnostics
    assert not any(repair.safe for d in diagnostics for repair in d.repairs)


@pytest.mark.parametrize(
    ("written", "here"),
    [
        ("x = Conv2D(8, 3)(x)\nx = LeakyReLU()(x)", "conv3-8\nleaky_relu(0.3)"),
        ("let same = 0\nnn.Conv2d(3, 8, 3, padding=same)", "let same = 0\nconv3-8(pad=(same))"),
        ("let flag = no\nnn.InstanceNorm2d(3, affine=flag)", "let flag = no\ninstance_norm(affine=flag)"),
        ("nn.Linear(3 * 32 * 32, 10)", "fc-10"),
        ("residual<nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())>", "residual<{ conv1-3\nrelu }>"),
        ("block b() { nn.Conv2d(3, 8, 3); nn.ReLU() }\nb()", "block b() { conv3-8; relu }\nb()"),
        ("x = F.max_pool2d(x, 3, 2)", "maxpool3/2"),
        ("nn.Conv2d(3, 8, 3),\nnn.ReLU(),", "conv3-8\nrelu"),
        ("batch_norm(eps=0.001)", "bn(eps=0.001)"),
    ],
)
def test_foreign_lines_are_written_as_what_they_mean(written: str, here: str) -> None:
    assert mended(f"input 3x32x32\n{written}\n") == f"input 3x32x32\n{here}\n"


def test_an_input_in_either_order_of_keras() -> None:
    assert mended("Conv2D(64, 3, data_format='channels_first', input_shape=(3, 224, 224))\n") == "input 3x224x224\nconv3-64\n"
    assert mended("Conv2D(64, 3, input_shape=(224, 224, 3))\n") == "input 3x224x224\nconv3-64\n"


@pytest.mark.parametrize(
    ("written", "here"),
    [
        ("self.conv1 = nn.Conv2d(3, 64, 3, padding=1)", "conv1: conv3-64(pad=1)"),
        ("x = layers.Conv2D(32, 3, padding='same', activation='swish')(x)", "conv3-32(pad=same, act=silu)"),
        ("model.add(Dense(10))", "fc-10"),
        ("layers.MaxPooling2D((3, 3), strides=2)", "maxpool3/2"),
        ("layers.MaxPooling2D(padding='same')", "maxpool2(ceil=yes)"),
        ("layers.DepthwiseConv2D(3, padding='same', use_bias=False)", "conv3-{in.c}(pad=same, groups=in.c, bias=no)"),
        ("layers.BatchNormalization(momentum=0.9, epsilon=1e-5)", "bn"),
        ("layers.GlobalAveragePooling2D()", "adaptive_avgpool1; flatten"),
        ("layers.Input(shape=(224, 224, 3))", "input 3x224x224"),
        ("layers.LeakyReLU(alpha=0.2)", "leaky_relu(0.2)"),
        ("layers.Conv2DTranspose(8, 4, strides=2, padding='same')", "convt4-8/2(pad=1)"),
        (
            'layer { name: "p" type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }',
            "p: avgpool3/2(pad=1, ceil=yes)",
        ),
        ('layer { type: "LRN" lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 k: 2 } }', "lrn(size=5, k=2)"),
        ('layer { type: "Deconvolution" convolution_param { num_output: 8 kernel_h: 1 kernel_w: 3 stride: 2 } }', "convt1x3-8/2"),
        ("nn.Conv2d(c, 2 * c, k)", "conv{k}-{2 * c}"),
    ],
)
def test_lines_of_other_frameworks_as_items(written: str, here: str) -> None:
    transcript = transcribed(written)
    assert transcript is not None
    assert transcript.text == here


@pytest.mark.parametrize(
    "written",
    [
        "layers.Conv2D(32, 3, padding='same', strides=2)",
        "layers.Conv2D(32, 2, padding='same')",
        "layers.MaxPooling2D(3, strides=2, padding='same')",
        "nn.Dropout2d(0.5)",
        "nn.LayerNorm(64)",
        "nn.Conv2d(3, 64, **settings)",
        "nn.Conv2d(3, self.width, 3)",
        "nn.MaxPool2d(2, return_indices=True)",
        "layers.Activation('leaky_relu')",
        "layers.Concatenate()([a, b])",
        'layer { type: "Concat" }',
        'layer { type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 } }',
        'layer { type: "Pooling" pooling_param { kernel_size: 2 stride: 3 } }',
    ],
)
def test_what_no_item_does_exactly_is_said_and_not_written(written: str) -> None:
    transcript = transcribed(written)
    assert transcript is not None
    assert not transcript.text
    assert transcript.notes


def test_what_is_no_layer_of_another_framework_is_left_alone() -> None:
    for text in ("conv3-64(pad=1)", "basic(64, s=2)", "stem: conv(3, 64)", "let rows = [f(1)]", "add<a | b>", "x = 3", "nn.foo(3)"):
        assert transcribed(text) is None
    deep = "nn.ReLU(" + "(" * 5000 + ")" * 5000 + ")"
    assert transcribed(deep) is None


PASTED = """input 3x32x32
self.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
self.bn1 = nn.BatchNorm2d(64)
self.relu = nn.ReLU(inplace=True)
self.layer1 = nn.Sequential(
    nn.Conv2d(64, 32, 3),  # a comment
    nn.ReLU(),
)
self.pool = nn.AdaptiveAvgPool2d((1, 1))
self.fc = nn.Linear(32, 10)
"""


def test_a_pasted_block_is_one_message_and_checks_when_it_is_taken() -> None:
    (only,) = found(PASTED)
    assert only.code == "E0109"
    assert only.repairs[0].complete
    report = check_text(edited(only.repairs[0].edits[0].span.source, only.repairs[0].edits))
    assert report.ok
    assert report.cost().params == 3 * 64 * 9 + 128 + 64 * 32 * 9 + 32 + 330


def test_a_branch_is_never_taken_for_a_chain() -> None:
    layer = 'layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}" convolution_param {{ num_output: 8 kernel_size: 1 }} }}\n'
    text = "input 3x32x32\n" + layer.format("a", "data") + layer.format("b", "data")
    assert "it takes `data`" in found(text)[1].notes[0]
    after = mended(text)
    assert "a: conv1-8" in after
    assert "b: conv1-8" not in after
