"""W0110: it is silent on networks that are right, and speaks where branches lie apart by what padding can mend."""

from __future__ import annotations

import pytest

from archc.compiler.driver import check_text
from archc.dsl.rendering import render_all

RIGHT = {
    "U-Net with transposed convolutions": (
        "input 1x64x64\nblock two(w) { conv3-{w}(pad=1, act=relu); conv3-{w}(pad=1, act=relu) }\n"
        "a: two(8); maxpool; b: two(16); maxpool; two(32)\nconvt2-16/2; concat<@b | .>; two(16)\nconvt2-8/2; concat<@a | .>; two(8)"
    ),
    "U-Net with strides and nearest upsampling": (
        "input 1x64x64\nblock two(w, s=1) { conv3-{w}/{s}(pad=1, act=relu); conv3-{w}(pad=1, act=relu) }\n"
        "a: two(8); b: two(16, s=2); c: two(32, s=2); two(64, s=2)\n"
        "upsample2; concat<. | @c>; two(32)\nupsample2; concat<. | @b>; two(16)\nupsample2; concat<. | @a>; two(8)"
    ),
    "FPN": (
        "input 3x64x64\ndefault conv(pad=same)\nc3: conv3-8/2; relu; c4: conv3-8/2; relu; c5: conv3-8/2; relu\n"
        "p4: { upsample2; add<. | @c4>; conv3-8 }; relu\np3: { upsample2; add<. | @c3>; conv3-8 }"
    ),
    "HRNet": (
        "input 8x64x64\ndefault conv(pad=same)\na: .\nb: { conv3-8/2; relu }\nc: { conv3-8/2; relu }\n"
        "a2: { @a; add<. | {@b; upsample2} | {@c; upsample4}>; relu }\n"
        "b2: { @b; add<. | {@a2; conv3-8/2} | {@c; upsample2}>; relu }\n"
        "@a2; add<. | {@b2; upsample2} | {@c; upsample4}>"
    ),
    "YOLOv3 and a path back down": (
        "input 3x64x64\ndefault conv(pad=same, act=leaky_relu(0.1))\na: conv3-8/2; b: conv3-16/2; c: conv3-32/2\n"
        "conv1-16; upsample2; p: concat<. | @b>; conv1-8; upsample2; q: concat<. | @a>\n"
        "conv3-16/2; concat<. | @p>; conv3-32/2; concat<. | @c>"
    ),
    "WaveNet": (
        "input 8x64\nfor d in [1, 2, 4, 8] {\n"
        "add<. | pad(w=[d, 0]); mul<conv2-8(dilation=d); tanh | conv2-8(dilation=d); sigmoid>; conv1-8>\n}"
    ),
    "PyramidNet and DLA": (
        "input 8x32x32\nresidual<conv3-8/2(pad=1); bn; relu; conv3-8(pad=1) | avgpool2>\nresidual<conv3-8/2(pad=1); bn | maxpool2>"
    ),
    "PNASNet's reduction": (
        "input 8x32x32\nconcat<avgpool1/2; conv1-8 | pad(h=[0, 2], w=[0, 2]); crop(32); avgpool1/2; conv1-8>\n"
        "add<conv5-16/2(pad=2) | maxpool3/2(pad=1)>"
    ),
    "an odd size, up again": "input 8x33x33\nadd<. | conv3-8/2(pad=1); relu; upsample(size=33)>",
    "a crop in the middle": "input 1x32x32\na: conv3-4(pad=1); relu; conv3-4; relu; conv3-4; concat<. | @a; crop(28)>",
    "pooled to one and spread again": "input 4x16x16\nconcat<. | adaptive_avgpool4; conv1-4; upsample(size=16)>",
}
WRONG = {
    "a branch padded on one side": "concat<conv3-16(pad=1) | conv3-16; pad(h=[0, 2], w=[0, 2])>",
    "a crop at the end": "concat<conv3-4; conv3-4 | pad(h=[4, 0], w=[4, 0]); crop(28)>",
    "a map of half the scale": "concat<conv2-4/2 | crop(16)>",
    "a larger kernel, padded as a smaller one": "concat<conv3-4(pad=1) | conv5-4(pad=1); pad(h=[0, 2], w=[0, 2])>",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT.keys())
def test_right(text: str) -> None:
    report = check_text(text, mend=False)
    assert report.ok, render_all(report.diagnostics)
    assert "W0110" not in [warning.code for warning in report.warnings], render_all(report.warnings)


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG.keys())
def test_wrong(text: str) -> None:
    report = check_text(f"input 3x32x32\n{text}", mend=False)
    assert report.ok, render_all(report.diagnostics)
    assert "W0110" in [warning.code for warning in report.warnings]
