"""Layers of PyTorch and the items they are transcribed into compute the same, number by number."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from archc.compiler.driver import check_text
from archc.dsl.rendering import edited
from archc.dsl.transcribe import transcribed

LAYERS = [
    "nn.Conv2d(8, 16, 3)",
    "nn.Conv2d(8, 16, kernel_size=(1, 7), stride=(1, 2), padding=(0, 3), bias=False)",
    "nn.Conv2d(8, 16, 3, 2, 1, 2, 4)",
    "nn.Conv2d(8, 16, 5, padding='same', padding_mode='reflect')",
    "nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1, groups=2)",
    "nn.BatchNorm2d(8, eps=0.001, momentum=0.01)",
    "nn.BatchNorm2d(8, affine=False)",
    "nn.InstanceNorm2d(8)",
    "nn.InstanceNorm2d(8, affine=True)",
    "nn.GroupNorm(4, 8)",
    "nn.MaxPool2d(2)",
    "nn.MaxPool2d(3, 2, 1)",
    "nn.MaxPool2d(kernel_size=3, stride=2, ceil_mode=True)",
    "nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)",
    "nn.AdaptiveAvgPool2d((1, 1))",
    "nn.AdaptiveMaxPool2d((4, 2))",
    "nn.ReLU(inplace=True)",
    "nn.LeakyReLU(0.1)",
    "nn.GELU()",
    "nn.Mish()",
    "nn.SELU(inplace=True)",
    "nn.CELU(0.5)",
    "nn.Softsign()",
    "nn.Tanhshrink()",
    "nn.LogSigmoid()",
    "nn.Softshrink(0.3)",
    "nn.Softshrink()",
    "nn.Hardshrink(lambd=0.3)",
    "nn.Hardtanh()",
    "nn.Hardtanh(-2, 2)",
    "nn.Threshold(0.1, 0.5)",
    "nn.RReLU()",
    "nn.GLU(dim=1)",
    "nn.Softmin(dim=1)",
    "nn.LogSoftmax(dim=1)",
    "nn.ELU(0.5)",
    "nn.PReLU(8)",
    "nn.Softmax(dim=1)",
    "nn.Upsample(scale_factor=2, mode='bilinear', align_corners=True)",
    "nn.Upsample(size=(20, 31), mode='bicubic')",
    "nn.PixelShuffle(2)",
    "nn.PixelUnshuffle(4)",
    "nn.LocalResponseNorm(5, alpha=0.0002, k=2)",
    "nn.ZeroPad2d((1, 2, 0, 3))",
    "nn.Flatten()",
    "nn.Identity()",
    "nn.Sequential(nn.Conv2d(8, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(784, 10, bias=False))",
]


def _computes_the_same(text: str, layer: str) -> None:
    """A file has the parameters of a layer of PyTorch and, with its weights, its results."""
    torch.manual_seed(0)
    theirs = eval(layer, {"nn": nn}).eval()
    report = check_text(text)
    assert report.ok, report.diagnostics
    from archc.compiler.backends.torch.lower import lower

    ours = lower(report.graph).eval()
    assert [p.shape for p in theirs.parameters()] == [p.shape for p in ours.parameters()]
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.data.copy_(other.data)
    x = torch.randn(2, 8, 16, 16)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_of_pytorch_and_its_item_compute_the_same(layer: str) -> None:
    transcript = transcribed(layer)
    assert transcript is not None
    assert transcript.text, transcript.notes
    _computes_the_same(f"input 8x16x16\n{transcript.text}\n", layer)


def test_tables_and_attention_compute_the_same_on_tokens() -> None:
    """Tokens are channels first here, and last in PyTorch."""
    from archc.compiler.backends.torch.lower import lower

    for layer, text, x in (
        ("nn.Embedding(11, 8)", "input 5", torch.randint(11, (2, 5))),
        ("nn.MultiheadAttention(8, 2, batch_first=True)", "input 8x5", torch.randn(2, 5, 8)),
        ("nn.MultiheadAttention(8, 4, bias=False, batch_first=True)", "input 8x5", torch.randn(2, 5, 8)),
    ):
        transcript, theirs = transcribed(layer), eval(layer, {"nn": nn}).eval()
        assert transcript is not None
        ours = lower(check_text(f"{text}\n{transcript.text}\n").graph).eval()
        (part,) = ours.children()
        part.load_state_dict(theirs.state_dict())
        expected = theirs(x) if x.dim() == 2 else theirs(x, x, x)[0]
        torch.testing.assert_close(ours(x if x.dim() == 2 else x.transpose(1, 2)).transpose(1, 2), expected)


HOSTILE = """default conv(stride=2, pad=same, dilation=2, bias=no, norm=bn, act=relu, init=he_normal)
default convt(pad=1, out_pad=0, bias=no, act=relu)
default fc(bias=no, norm=bn, act=relu)
default bn(eps=0.5, momentum=0.9, affine=no)
default group_norm(eps=0.5, affine=no)
default maxpool(stride=1, pad=1, ceil=yes)
default avgpool(stride=1, pad=1, ceil=yes, count_pad=no)
default instance_norm(eps=0.5, affine=yes)
default celu(alpha=3)
default softshrink(bound=0.1)
default hardshrink(bound=0.1)
default hardtanh(min=-3, max=0.1)
default rrelu(lower=0, upper=0.1)
default softmax(axis=w)
default log_softmax(axis=h)
default softmin(axis=w)
default upsample(mode=bilinear, align_corners=yes)
default leaky_relu(slope=0.5)
default elu(alpha=3)
default gelu(approximate=tanh)
default prelu(start=0.7)
default lrn(size=3, alpha=0.1, beta=0.2, k=5, form=spatial)
default pad(c=1, value=3)
"""


@pytest.mark.parametrize("layer", LAYERS)
def test_a_pasted_layer_computes_the_same_below_any_defaults(layer: str) -> None:
    text = f"input 8x16x16\n{HOSTILE}{layer}\n"
    (only,) = check_text(text).diagnostics
    written = edited(only.repairs[0].edits[0].span.source, only.repairs[0].edits)
    _computes_the_same(written, layer)
